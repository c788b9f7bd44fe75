"""Adam and its relatives."""

from .optimizer import Optimizer, check_betas, check_positive, options_of


class Adam(Optimizer):
    """Adam: steps scaled by running estimates of the gradient's first two moments.

        g = grad + weight_decay · param + l1_decay · sign(param)
        mean = β₁ · mean + (1 - β₁) · g,  square = β₂ · square + (1 - β₂) · g²
        param -= lr / (1 - β₁ᵗ) · mean / (√square / √(1 - β₂ᵗ) + ε)

    With ``amsgrad`` the largest square so far replaces square; with ``decoupled_weight_decay`` it
    is AdamW. Kingma & Ba 2015; Reddi, Kale & Kumar 2018. Raises ``ValueError`` for options out of
    range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "adam_step"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive(self._name(), group, "lr", "eps", "weight_decay")
        check_betas(self._name(), group)

    def hyper(self, group):
        return *group["betas"], group["eps"]

    def state_names(self, group):
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if group["amsgrad"] else 2]


class AdamW(Adam):
    """Adam with decoupled weight decay: ``param *= 1 - lr · weight_decay`` before each step.

    Loshchilov & Hutter 2019. l1_decay is part of the gradient here too.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.AdamW([w], lr=0.1, weight_decay=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8900], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
        l1_decay=0,
    ):
        super().__init__(decoupled_weight_decay=True, params=params, **options_of(locals()))


class Adamax(Optimizer):
    """Adamax: Adam with the largest recent gradient in place of the root of its square's average.

        g = grad + weight_decay · param + l1_decay · sign(param)
        mean = β₁ · mean + (1 - β₁) · g,  largest = max(β₂ · largest, |g| + ε)
        param -= lr / (1 - β₁ᵗ) · mean / largest

    Kingma & Ba 2015, section 7. Raises ``ValueError`` for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "adamax_step"

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    check, hyper = Adam.check, Adam.hyper

    def state_names(self, group):
        return "exp_avg", "exp_inf"


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum.

        mean, square as Adam's;  μₜ = β₁ · (1 - 0.96^(t · momentum_decay) / 2)
        d = √square / √(1 - β₂ᵗ) + ε
        param -= lr · ((1 - μₜ) / (1 - μ₁⋯μₜ) · g + μₜ₊₁ / (1 - μ₁⋯μₜ₊₁) · mean) / d

    With ``decoupled_weight_decay``, weight decay is AdamW's. Dozat 2016. Raises ``ValueError`` for
    options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8944], requires_grad=True)
    """

    kernel = "nadam_step"
    scalars = ("mu_product",)

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        Adam.check(self, group)
        check_positive("NAdam", group, "momentum_decay")

    def hyper(self, group):
        return *group["betas"], group["eps"], group["momentum_decay"]

    def state_names(self, group):
        return "exp_avg", "exp_avg_sq"

    def first_value(self, name, group):
        return 1.0 if name == "mu_product" else 0.0


class RAdam(Optimizer):
    """RAdam: Adam whose scaling waits until there are enough squares to trust, and is rectified.

        mean, square as Adam's;  ρ∞ = 2 / (1 - β₂) - 1,  ρ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
        r = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ))
        param -= lr / (1 - β₁ᵗ) · mean · (r √(1 - β₂ᵗ) / (√square + ε) if ρ > 5 else 1)

    With ``decoupled_weight_decay``, weight decay is AdamW's. Liu, Jiang, He, Chen, Liu, Gao & Han
    2020. Raises ``ValueError`` for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    kernel = "radam_step"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    check, hyper = Adam.check, Adam.hyper

    def state_names(self, group):
        return "exp_avg", "exp_avg_sq"

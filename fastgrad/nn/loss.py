"""Losses as modules."""

from .. import ops
from ..ops._reduction import checked
from .distance import PairwiseDistance
from .module import Module


class _Loss(Module):
    """A function of what it is called with and of attributes of the module, by their names.

    size_average, reduce   PyTorch's former names of reductions
    """

    _function = None
    _options = ("reduction",)

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        if size_average is not None or reduce is not None:
            reduction = checked(type(self).__name__, reduction, size_average, reduce)
        self.reduction = reduction

    def forward(self, *operands):
        return self._function(*operands, **{name: getattr(self, name) for name in self._options})


class _WeightedLoss(_Loss):
    """A loss with a buffer ``weight``."""

    _options = ("weight", "reduction")

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """Softmax and negative log-likelihood of scores; see ``functional.cross_entropy``.

    >>> import fastgrad as fg
    >>> fg.nn.CrossEntropyLoss()(fg.tensor([[0.0, 0.0]]), fg.tensor([1]))
    tensor(0.6931)
    """

    _function = staticmethod(ops.cross_entropy)
    _options = ("weight", "ignore_index", "reduction", "label_smoothing")

    def __init__(
        self,
        weight=None,
        size_average=None,
        ignore_index=-100,
        reduce=None,
        reduction="mean",
        label_smoothing=0.0,
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing


class NLLLoss(_WeightedLoss):
    """Negative log-likelihood of log-probabilities; see ``functional.nll_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.NLLLoss()(fg.tensor([[-0.5, -1.0]]), fg.tensor([0]))
    tensor(0.5000)
    """

    _function = staticmethod(ops.nll_loss)
    _options = ("weight", "ignore_index", "reduction")

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index


class CTCLoss(_Loss):
    """Loss of sequences whose labels are not aligned; see ``functional.ctc_loss``.

    >>> import fastgrad as fg
    >>> log_probs = fg.log_softmax(fg.zeros(2, 1, 3), dim=2)
    >>> fg.nn.CTCLoss()(log_probs, fg.tensor([[1]]), (2,), (1,))
    tensor(1.0986)
    """

    _function = staticmethod(ops.ctc_loss)
    _options = ("blank", "reduction", "zero_infinity")

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity


class MSELoss(_Loss):
    """Mean squared error; see ``functional.mse_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.MSELoss()(fg.tensor([1.0]), fg.tensor([3.0]))
    tensor(4.)
    """

    _function = staticmethod(ops.mse_loss)


class L1Loss(_Loss):
    """Mean absolute error; see ``functional.l1_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.L1Loss()(fg.tensor([1.0]), fg.tensor([3.0]))
    tensor(2.)
    """

    _function = staticmethod(ops.l1_loss)


class SmoothL1Loss(_Loss):
    """See ``functional.smooth_l1_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.SmoothL1Loss()(fg.tensor([1.0]), fg.tensor([3.0]))
    tensor(1.5000)
    """

    _function = staticmethod(ops.smooth_l1_loss)
    _options = ("reduction", "beta")

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta


class HuberLoss(_Loss):
    """See ``functional.huber_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.HuberLoss()(fg.tensor([1.0]), fg.tensor([3.0]))
    tensor(1.5000)
    """

    _function = staticmethod(ops.huber_loss)
    _options = ("reduction", "delta")

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        self.delta = delta


class BCELoss(_WeightedLoss):
    """See ``functional.binary_cross_entropy``.

    >>> import fastgrad as fg
    >>> fg.nn.BCELoss()(fg.tensor([0.5]), fg.tensor([1.0]))
    tensor(0.6931)
    """

    _function = staticmethod(ops.binary_cross_entropy)


class BCEWithLogitsLoss(_WeightedLoss):
    """See ``functional.binary_cross_entropy_with_logits``.

    >>> import fastgrad as fg
    >>> fg.nn.BCEWithLogitsLoss()(fg.tensor([0.0]), fg.tensor([1.0]))
    tensor(0.6931)
    """

    _function = staticmethod(ops.binary_cross_entropy_with_logits)
    _options = ("weight", "reduction", "pos_weight")

    def __init__(
        self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)


class MultiMarginLoss(_WeightedLoss):
    """The support vector machine's loss; see ``functional.multi_margin_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.MultiMarginLoss()(fg.tensor([[3.0, 2.5, 0.0]]), fg.tensor([0]))
    tensor(0.1667)
    """

    _function = staticmethod(ops.multi_margin_loss)
    _options = ("p", "margin", "weight", "reduction")

    def __init__(
        self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.p, self.margin = p, margin


class MultiLabelMarginLoss(_Loss):
    """See ``functional.multilabel_margin_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.MultiLabelMarginLoss()(fg.tensor([0.5, 0.0]), fg.tensor([0, -1]))
    tensor(0.2500)
    """

    _function = staticmethod(ops.multilabel_margin_loss)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """See ``functional.multilabel_soft_margin_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.MultiLabelSoftMarginLoss()(fg.zeros(1, 2), fg.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    _function = staticmethod(ops.multilabel_soft_margin_loss)


class HingeEmbeddingLoss(_Loss):
    """See ``functional.hinge_embedding_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.HingeEmbeddingLoss()(fg.tensor([0.25]), fg.tensor([-1.0]))
    tensor(0.7500)
    """

    _function = staticmethod(ops.hinge_embedding_loss)
    _options = ("margin", "reduction")

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class KLDivLoss(_Loss):
    """Divergence of Kullback and Leibler; see ``functional.kl_div``.

    >>> import fastgrad as fg
    >>> log_p = fg.log(fg.tensor([[0.5, 0.5]]))
    >>> fg.nn.KLDivLoss(reduction="batchmean")(log_p, fg.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    _function = staticmethod(ops.kl_div)
    _options = ("reduction", "log_target")

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target


class GaussianNLLLoss(_Loss):
    """See ``functional.gaussian_nll_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.GaussianNLLLoss()(fg.tensor([1.0]), fg.tensor([3.0]), fg.tensor([4.0]))
    tensor(1.1931)
    """

    _function = staticmethod(ops.gaussian_nll_loss)
    _options = ("full", "eps", "reduction")

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps


class PoissonNLLLoss(_Loss):
    """See ``functional.poisson_nll_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.PoissonNLLLoss()(fg.tensor([0.0]), fg.tensor([2.0]))
    tensor(1.)
    """

    _function = staticmethod(ops.poisson_nll_loss)
    _options = ("log_input", "full", "eps", "reduction")

    def __init__(
        self,
        log_input=True,
        full=False,
        size_average=None,
        eps=1e-8,
        reduce=None,
        reduction="mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps


class CosineEmbeddingLoss(_Loss):
    """See ``functional.cosine_embedding_loss``.

    >>> import fastgrad as fg
    >>> a, b = fg.tensor([[1.0, 0.0]]), fg.tensor([[0.0, 1.0]])
    >>> fg.nn.CosineEmbeddingLoss()(a, b, fg.tensor([1]))
    tensor(1.)
    """

    _function = staticmethod(ops.cosine_embedding_loss)
    _options = ("margin", "reduction")

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class MarginRankingLoss(_Loss):
    """See ``functional.margin_ranking_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.MarginRankingLoss()(fg.tensor([1.0]), fg.tensor([3.0]), fg.tensor([1.0]))
    tensor(2.)
    """

    _function = staticmethod(ops.margin_ranking_loss)
    _options = ("margin", "reduction")

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class SoftMarginLoss(_Loss):
    """See ``functional.soft_margin_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.SoftMarginLoss()(fg.tensor([0.0]), fg.tensor([1.0]))
    tensor(0.6931)
    """

    _function = staticmethod(ops.soft_margin_loss)


class TripletMarginLoss(_Loss):
    """See ``functional.triplet_margin_loss``.

    >>> import fastgrad as fg
    >>> a, b, c = fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]), fg.tensor([[0.0, 2.0]])
    >>> fg.nn.TripletMarginLoss()(a, b, c)
    tensor(4.0000)
    """

    _function = staticmethod(ops.triplet_margin_loss)
    _options = ("margin", "p", "eps", "swap", "reduction")

    def __init__(
        self,
        margin=1.0,
        p=2.0,
        eps=1e-6,
        swap=False,
        size_average=None,
        reduce=None,
        reduction="mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap


class TripletMarginWithDistanceLoss(_Loss):
    """See ``functional.triplet_margin_with_distance_loss``.

    >>> import fastgrad as fg
    >>> a, b, c = fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]), fg.tensor([[0.0, 2.0]])
    >>> fg.nn.TripletMarginWithDistanceLoss()(a, b, c)
    tensor(4.0000)
    """

    _function = staticmethod(ops.triplet_margin_with_distance_loss)
    _options = ("distance_function", "margin", "swap", "reduction")

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        self.distance_function = (
            PairwiseDistance() if distance_function is None else distance_function
        )
        self.margin, self.swap = margin, swap

"""Several tasks learnt together: one trunk with several heads, and the sum of their losses."""

import math

from ..tape import recording
from .module import Module


class MultiHead(Module):
    """A trunk whose output goes to several heads: ``{name: head(trunk(x))}``. Caruana 1997.

    Parameters
    ----------
    trunk
        The Module that all tasks share.
    heads
        A dict of Modules by name; forward returns a dict then. Or a sequence of Modules, and
        forward returns a tuple.

    With ``head``, forward computes that task's output alone. Raises ``TypeError`` for what is no
    Module, ``ValueError`` for no heads, ``KeyError`` for a head that there is not.

    >>> import fastgrad as fg
    >>> model = MultiHead(
    ...     fg.nn.Linear(4, 8), {"digit": fg.nn.Linear(8, 10), "parity": fg.nn.Linear(8, 2)}
    ... )
    >>> {name: out.shape for name, out in model(fg.zeros(5, 4)).items()}
    {'digit': (5, 10), 'parity': (5, 2)}
    """

    def __init__(self, trunk, heads):
        super().__init__()
        self.named = isinstance(heads, dict)
        named = heads if self.named else {str(k): head for k, head in enumerate(heads)}
        if not named:
            raise ValueError("MultiHead: no heads; expected at least one")
        for name, part in (("trunk", trunk), *named.items()):
            if not isinstance(part, Module):
                raise TypeError(f"MultiHead: {name!r} is {type(part).__name__}, not a Module")
        self.trunk = trunk
        self.heads = _Heads(named)

    def forward(self, x, head=None):
        """All heads' outputs, or that of ``head``, a name or a position."""
        heads = self.heads._modules
        if head is not None and str(head) not in heads:
            raise KeyError(f"MultiHead: no head {head!r}; there are {', '.join(heads)}")
        shared = self.trunk(x)
        if head is not None:
            return heads[str(head)](shared)
        outputs = {name: part(shared) for name, part in heads.items()}
        return outputs if self.named else tuple(outputs.values())


class _Heads(Module):
    """Modules by name."""

    def __init__(self, named):
        super().__init__()
        for name, module in named.items():
            self.add_module(name, module)


class MultiTaskLoss(Module):
    """``Σ weight · loss(output, target)`` over tasks, outputs and targets by name or by position.

    Parameters
    ----------
    losses
        A dict of losses by the names of the outputs, or a sequence of them.
    weights
        A number for each, in the same form; by default 1 each.

    Targets that are None, or left out of a dict, count for nothing, and so do tasks of weight 0.
    After a call ``parts`` has each task's own loss, detached, in the same form. (What is recorded
    by ``compile`` has none: use the losses themselves there.) Raises ``ValueError`` for weights or
    outputs that do not match the losses, and where there is no target at all.

    >>> import fastgrad as fg
    >>> loss = MultiTaskLoss({"a": fg.nn.MSELoss(), "b": fg.nn.MSELoss()}, {"a": 1.0, "b": 0.5})
    >>> zero, two = fg.tensor([0.0]), fg.tensor([2.0])
    >>> loss({"a": zero, "b": zero}, {"a": two, "b": two})
    tensor(6.)
    """

    def __init__(self, losses, weights=None):
        super().__init__()
        self.losses = _by_name(losses)
        given = dict.fromkeys(self.losses, 1.0) if weights is None else _by_name(weights)
        if not self.losses or set(given) != set(self.losses):
            raise ValueError(
                f"MultiTaskLoss: losses {list(self.losses)} and weights {list(given)}; expected "
                "at least one loss, and one weight for each"
            )
        if not all(math.isfinite(weight) for weight in given.values()):
            raise ValueError(f"MultiTaskLoss: weights are {weights}; expected finite numbers")
        self.weights = {name: float(given[name]) for name in self.losses}
        self.named = isinstance(losses, dict)
        self.parts = {}
        for name, loss in self.losses.items():
            if isinstance(loss, Module):
                self.add_module(f"loss_{name}", loss)

    def forward(self, outputs, targets):
        """The weighted sum; outputs and targets are dicts or sequences, as the losses."""
        outputs, targets = _by_name(outputs), _by_name(targets)
        missing = [name for name in self.losses if name not in outputs]
        unknown = [name for name in targets if name not in self.losses]
        if missing or unknown:
            raise ValueError(
                f"MultiTaskLoss: losses {list(self.losses)}, outputs {list(outputs)}, targets "
                f"{list(targets)}; expected an output for each loss, and a loss for each target"
            )
        total, parts = None, {}
        for name, loss in self.losses.items():
            if targets.get(name) is None or self.weights[name] == 0:
                continue
            value = loss(outputs[name], targets[name])
            if recording.active is None or not recording.here():
                parts[name] = value.detach()
            value = value if self.weights[name] == 1 else value * self.weights[name]
            total = value if total is None else total + value
        if total is None:
            raise ValueError("MultiTaskLoss: no target of a task with a weight")
        self.parts = parts if self.named else tuple(parts.values())
        return total

    def extra_repr(self):
        return f"weights={self.weights}"


def _by_name(values):
    return dict(values) if isinstance(values, dict) else {str(k): v for k, v in enumerate(values)}

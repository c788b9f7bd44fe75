"""Recurrent layers: over whole sequences, and cells for one step."""

import math
import warnings

from .. import ops
from ..creation import zeros
from ..tensor import Tensor
from . import init
from .module import Module, Parameter, new_type
from .utils.rnn import PackedSequence


def _draw(module):
    """Parameters uniform within ``±1/√hidden_size``."""
    bound = 1.0 / math.sqrt(module.hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


def _check_sizes(name, **sizes):
    for size, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name}: {size} should be an int, got {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name}: {size} must be positive, got {value}")


def _check_nonlinearity(name, nonlinearity):
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(
            f"{name}: unknown nonlinearity {nonlinearity!r}; expected 'tanh' or 'relu'"
        )


class RNNBase(Module):
    """What ``RNN``, ``LSTM`` and ``GRU`` share: layers over sequences, in one or both directions.

    mode   "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"; the other arguments are theirs

    >>> import fastgrad as fg
    >>> fg.nn.RNNBase("GRU", 3, 4)(fg.zeros(5, 2, 3))[0].shape
    (5, 2, 4)
    """

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False,
        dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        _check_sizes(name, hidden_size=hidden_size, num_layers=num_layers, input_size=input_size)
        for option, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {option} should be a bool, got {type(value).__name__}")
        if mode.lower() not in ops.recurrent.GATES:
            raise ValueError(f"{name}: unknown mode {mode!r}")
        if isinstance(dropout, bool) or not 0.0 <= dropout <= 1.0:
            raise ValueError(f"{name}: dropout = {dropout} is not a probability from 0 to 1")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout comes after all layers but the last, and there is only one",
                stacklevel=3,
            )
        if proj_size and mode != "LSTM":
            raise ValueError(f"{name}: proj_size is for LSTM only")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size = {proj_size} is not from 0 to hidden_size - 1")
        dtype = new_type(name, device, dtype)
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional, self.proj_size = float(dropout), bidirectional, proj_size
        self._names = []  # of each layer and direction
        rows = ops.recurrent.GATES[mode.lower()] * hidden_size
        for layer in range(num_layers):
            below = input_size if layer == 0 else self._output_size * self._directions
            shapes = {"weight_ih": (rows, below), "weight_hh": (rows, self._output_size)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[: self._directions]:
                names = {f"{part}_l{layer}{suffix}": shape for part, shape in shapes.items()}
                for own, shape in names.items():
                    self.register_parameter(own, Parameter(zeros(*shape, dtype=dtype)))
                self._names.append(list(names))
        self.reset_parameters()

    @property
    def _directions(self):
        return 2 if self.bidirectional else 1

    @property
    def _output_size(self):
        return self.proj_size or self.hidden_size

    @property
    def all_weights(self):
        """The parameters of each layer and direction, a list of lists."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def reset_parameters(self):
        """Draw the parameters anew."""
        _draw(self)

    def flatten_parameters(self):
        """Nothing: of use on a GPU only, here so that programs written for one run."""

    def forward(self, x, hx=None):
        """(output, last state) of sequences; see ``LSTM``."""
        packed = isinstance(x, PackedSequence)
        single = not packed and x.ndim == 2
        if not packed and x.ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: expected (steps, N, inputs), or (steps, inputs) for one "
                f"sequence, got {x.shape}"
            )
        hx = self._for_batch(hx, x, single)
        params = [getattr(self, name) for names in self._names for name in names]
        run, how = getattr(ops, self.mode.lower()), (self.bias, self.num_layers, self.dropout)
        how = (*how, self.training, self.bidirectional)
        if packed:
            data, *last = run(x.data, x.batch_sizes, hx, params, *how)
            out = x._replace(data=data)
            if x.unsorted_indices is not None:
                last = [ops.index_select(state, 1, x.unsorted_indices) for state in last]
        else:
            axis = 0 if self.batch_first else 1
            x = x.unsqueeze(axis) if single else x
            out, *last = run(x, hx, params, *how, self.batch_first)
            if single:
                out, last = out.squeeze(axis), [state.squeeze(1) for state in last]
        return out, tuple(last) if self.mode == "LSTM" else last[0]

    def _for_batch(self, hx, x, single):
        """The first state as (layers · directions, N, size), in the order of the batch."""
        if hx is None:
            return None
        if self.mode == "LSTM" and not (isinstance(hx, tuple | list) and len(hx) == 2):
            raise TypeError("LSTM: expected the first state as a pair (h, c)")
        states = list(hx) if self.mode == "LSTM" else [hx]
        for state in states:
            if not isinstance(state, Tensor) or state.ndim != 3 - single:
                raise ValueError(
                    f"{type(self).__name__}: expected a first state of {3 - single} dimensions, "
                    f"got {getattr(state, 'shape', type(state).__name__)}"
                )
        if single:
            states = [state.unsqueeze(1) for state in states]
        elif isinstance(x, PackedSequence) and x.sorted_indices is not None:
            states = [ops.index_select(state, 1, x.sorted_indices) for state in states]
        return tuple(states) if self.mode == "LSTM" else states[0]

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False),
            ("dropout", 0.0), ("bidirectional", False),
        ):  # fmt: skip
            value = getattr(self, name)
            text += "" if value == default else f", {name}={value}"
        return text


class RNN(RNNBase):
    """Plain recurrent layers: ``h' = tanh(W x + b + U h + d)``, or with a ReLU. Elman 1990.

    The arguments, inputs and results are those of ``LSTM``, with h for (h, c), without proj_size;
    ``nonlinearity`` is "tanh" or "relu".

    >>> import fastgrad as fg
    >>> out, h = fg.nn.RNN(3, 4, 2, nonlinearity="relu")(fg.zeros(5, 2, 3))
    >>> out.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    def __init__(
        self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True,
        batch_first=False, dropout=0.0, bidirectional=False, device=None, dtype=None,
    ):  # fmt: skip
        _check_nonlinearity("RNN", nonlinearity)
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Layers of long short-term memories. Hochreiter & Schmidhuber 1997.

    ``i, f, g, o = W x + b + U h + d``; ``c' = σ(f) · c + σ(i) · tanh(g)``; ``h' = σ(o) · tanh(c')``

    num_layers      layers on top of each other
    bias            whether there are b and d
    batch_first     input and output are (N, steps, size), not (steps, N, size)
    dropout         probability with which outputs of all layers but the last are dropped
    bidirectional   also from the last step to the first; outputs side by side
    proj_size       if not 0, h' is multiplied by a matrix to so many numbers. Sak et al. 2014

    Called with x (steps, N, input_size), or (steps, input_size) for one sequence, or a
    ``PackedSequence``, and the first state (h, c), each (layers · directions, N, size), by default
    zeros. Returns the output, of x's form, and the last state.

    Parameters have PyTorch's names and shapes: ``weight_ih_l0`` (4 · hidden_size, input_size),
    ``weight_hh_l0`` (4 · hidden_size, size of h), ``bias_ih_l0``, ``bias_hh_l0``, gates in the
    order i, f, g, o; ``_reverse`` for the other direction. They start uniform within
    ``±1/√hidden_size``. Raises ``ValueError`` for shapes that do not fit, ``TypeError`` for types.

    >>> import fastgrad as fg
    >>> out, (h, c) = fg.nn.LSTM(3, 4, bidirectional=True)(fg.zeros(5, 2, 3))
    >>> out.shape, h.shape
    ((5, 2, 8), (2, 2, 4))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Layers of gated recurrent units. Cho et al. 2014.

    ``r, z = σ(W x + b + U h + d)``; ``n = tanh(W x + b + r · (U h + d))``;
    ``h' = (1 - z) · n + z · h``

    The arguments, inputs and results are those of ``LSTM``, with h for (h, c), without proj_size;
    the gates lie in the order r, z, n.

    >>> import fastgrad as fg
    >>> out, h = fg.nn.GRU(3, 4, batch_first=True)(fg.zeros(2, 5, 3))
    >>> out.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("GRU", *args, **kwargs)


# ------------------------------------------------------------------ cells


class RNNCellBase(Module):
    """What the cells share: parameters ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh``.

    >>> import fastgrad as fg
    >>> fg.nn.GRUCell(3, 2).weight_ih.shape
    (6, 3)
    """

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        name, rows = type(self).__name__, num_chunks * hidden_size
        _check_sizes(name, hidden_size=hidden_size, input_size=input_size)
        dtype = new_type(name, device, dtype)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.weight_ih = Parameter(zeros(rows, input_size, dtype=dtype))
        self.weight_hh = Parameter(zeros(rows, hidden_size, dtype=dtype))
        for part in ("bias_ih", "bias_hh"):
            self.register_parameter(part, Parameter(zeros(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        _draw(self)

    def _weights(self):
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        text += "" if self.bias else f", bias={self.bias}"
        other = getattr(self, "nonlinearity", "tanh")
        return text if other == "tanh" else f"{text}, nonlinearity={other}"


class RNNCell(RNNCellBase):
    """One step of a plain recurrent network: ``tanh(W x + b + U h + d)``, or with a ReLU.

    Called with x (N, input_size) or (input_size,), and h (N, hidden_size), by default zeros.

    >>> import fastgrad as fg
    >>> fg.nn.RNNCell(3, 4)(fg.zeros(2, 3)).shape
    (2, 4)
    """

    def __init__(
        self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None
    ):
        _check_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, x, hx=None):
        return getattr(ops, f"rnn_{self.nonlinearity}_cell")(x, hx, *self._weights())


class LSTMCell(RNNCellBase):
    """One step of a long short-term memory; see ``LSTM``. Returns the new (h, c).

    >>> import fastgrad as fg
    >>> h, c = fg.nn.LSTMCell(3, 4)(fg.zeros(2, 3))
    >>> h.shape
    (2, 4)
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, x, hx=None):
        return ops.lstm_cell(x, hx, *self._weights())


class GRUCell(RNNCellBase):
    """One step of a gated recurrent unit; see ``GRU``.

    >>> import fastgrad as fg
    >>> fg.nn.GRUCell(3, 4)(fg.zeros(2, 3)).shape
    (2, 4)
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, x, hx=None):
        return ops.gru_cell(x, hx, *self._weights())

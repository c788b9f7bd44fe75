"""Sequences of different lengths: padded to one tensor, or packed without padding.

A packed sequence has the first step of all sequences, then the second of those that have one, and
so on; the sequences are sorted by falling length. ``batch_sizes`` tells how many rows a step has.
"""

from typing import NamedTuple

import numpy as np

from ... import ops
from ...tape import recording
from ...tensor import Tensor

__all__ = [
    "PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class PackedSequence(_Packed):
    """Sequences of different lengths, packed; made by ``pack_padded_sequence`` and its kin.

    data              (rows, ...), the rows of the first step, of the second ...
    batch_sizes       (steps,) int64, how many rows each step has
    sorted_indices    numbers of the sequences in the order in which they are packed, or None
    unsorted_indices  where each of the given sequences is packed, or None

    >>> import fastgrad as fg
    >>> fg.nn.utils.rnn.pack_sequence([fg.tensor([1.0, 2.0]), fg.tensor([3.0])]).data
    tensor([1., 3., 2.])
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if isinstance(data, tuple) and batch_sizes is None:  # PyTorch's old way: one pair
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """The same with data of another type."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def float(self):
        """The same in float32."""
        return self.to(np.float32)

    def double(self):
        """The same in float64."""
        return self.to(np.float64)


def invert_permutation(permutation):
    """Where each number stands in a permutation; None for None."""
    if permutation is None:
        return None
    return Tensor(np.argsort(_numbers("invert_permutation", permutation)))


def _numbers(name, values):
    """Lengths or indices as an array; they cannot be an argument's of a compiled step."""
    array = values.data if isinstance(values, Tensor) else np.asarray(values)
    if type(array) is not np.ndarray and recording.here():
        recording.active.refuse(
            f"compile: {name}: lengths are part of what is recorded, they cannot be an argument's "
            "values; give them as numbers"
        )
    return array.astype(np.int64)


def _places(lengths):
    """(sequence, step) of each row of a packed sequence with falling lengths; its batch sizes."""
    steps = np.arange(lengths.max())
    inside = lengths > steps[:, None]
    step, sequence = np.nonzero(inside)
    return sequence, step, inside.sum(axis=1)


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """One tensor (steps, N, ...) of N sequences (length, ...), the shorter ones padded.

    batch_first    (N, steps, ...) instead
    padding_side   "right", after the sequences, or "left"

    >>> import fastgrad as fg
    >>> pad_sequence = fg.nn.utils.rnn.pad_sequence
    >>> pad_sequence([fg.tensor([1.0, 2.0]), fg.tensor([3.0])], batch_first=True)
    tensor([[1., 2.],
            [3., 0.]])
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence: padding_side {padding_side!r}; expected left or right")
    sequences = list(sequences)
    if not sequences:
        raise ValueError("pad_sequence: expected at least one sequence")
    if any(x.shape[1:] != sequences[0].shape[1:] for x in sequences):
        shapes = ", ".join(str(x.shape) for x in sequences)
        raise ValueError(f"pad_sequence: sequences may differ in length only, got shapes {shapes}")
    most = max(x.shape[0] for x in sequences)
    padded = []
    for x in sequences:
        more = most - x.shape[0]
        ends = (0, more) if padding_side == "right" else (more, 0)
        before = (0, 0) * (x.ndim - 1)
        padded.append(ops.pad(x, (*before, *ends), value=padding_value) if more else x)
    return ops.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The sequences of a padded tensor, a list of (length, ...).

    >>> import fastgrad as fg
    >>> fg.nn.utils.rnn.unpad_sequence(fg.tensor([[1.0, 3.0], [2.0, 0.0]]), [2, 1])
    [tensor([1., 2.]), tensor([3.])]
    """
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    lengths = _numbers("unpad_sequence", lengths).tolist()
    return [x[k, :length] for k, length in enumerate(lengths)]


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack a padded tensor (steps, N, ...), or (N, steps, ...) with ``batch_first``.

    lengths          (N,) numbers, each at least 1
    enforce_sorted   raise ``ValueError`` where lengths do not fall; otherwise sort

    >>> import fastgrad as fg
    >>> x = fg.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> fg.nn.utils.rnn.pack_padded_sequence(x, [2, 1]).batch_sizes
    tensor([2, 1])
    """
    x = input.transpose(0, 1) if batch_first else input
    lengths = _numbers("pack_padded_sequence", lengths)
    steps, batch = x.shape[:2]
    if lengths.shape != (batch,) or not batch:
        raise ValueError(
            f"pack_padded_sequence: lengths have shape {lengths.shape}, expected ({batch},)"
        )
    if lengths.min() < 1 or lengths.max() > steps:
        raise ValueError(f"pack_padded_sequence: lengths must be from 1 to {steps}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    elif (np.diff(lengths) > 0).any():
        raise ValueError(
            "pack_padded_sequence: lengths must fall; pass enforce_sorted=False to have the "
            "sequences sorted"
        )
    sequence, step, sizes = _places(lengths)
    sequence = sequence if order is None else order[sequence]
    rows = x.reshape(steps * batch, *x.shape[2:])
    data = ops.index_select(rows, 0, Tensor(step * batch + sequence))
    return PackedSequence(data, Tensor(sizes), None if order is None else Tensor(order))


def pack_sequence(sequences, enforce_sorted=True):
    """Pack a list of sequences (length, ...); see ``pack_padded_sequence``.

    >>> import fastgrad as fg
    >>> fg.nn.utils.rnn.pack_sequence([fg.tensor([1.0, 2.0]), fg.tensor([3.0])]).data
    tensor([1., 3., 2.])
    """
    lengths = [x.shape[0] for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """(padded tensor (steps, N, ...), lengths (N,)) of a packed sequence, in the order given.

    total_length   number of steps, at least that of the longest; ``ValueError`` for fewer

    >>> import fastgrad as fg
    >>> rnn = fg.nn.utils.rnn
    >>> packed = rnn.pack_sequence([fg.tensor([1.0, 2.0]), fg.tensor([3.0])])
    >>> rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1., 2.],
            [3., 0.]]), tensor([2, 1]))
    """
    sizes = _numbers("pad_packed_sequence", sequence.batch_sizes)
    steps, batch = len(sizes), int(sizes[0])
    if total_length is not None and total_length < steps:
        raise ValueError(
            f"pad_packed_sequence: total_length {total_length} is less than the longest, {steps}"
        )
    lengths = (sizes[:, None] > np.arange(batch)).sum(axis=0)
    column, step, _ = _places(lengths)
    data = sequence.data
    where = np.full((steps if total_length is None else total_length, batch), len(data))
    where[step, column] = np.arange(len(data))
    if sequence.unsorted_indices is not None:
        order = _numbers("pad_packed_sequence", sequence.unsorted_indices)
        where, lengths = where[:, order], lengths[order]
    where = where.T if batch_first else where
    rest = data.shape[1:]
    padding = Tensor(np.full((1, *rest), padding_value, data.dtype))
    rows = ops.index_select(ops.cat([data, padding], 0), 0, Tensor(where.flatten()))
    return rows.reshape(*where.shape, *rest), Tensor(lengths)


def unpack_sequence(packed_sequences):
    """The sequences of a packed sequence, a list of (length, ...).

    >>> import fastgrad as fg
    >>> rnn = fg.nn.utils.rnn
    >>> rnn.unpack_sequence(rnn.pack_sequence([fg.tensor([1.0, 2.0]), fg.tensor([3.0])]))
    [tensor([1., 2.]), tensor([3.])]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), True)

"""Checkpoints: a whole training in one file, from which it goes on to the same bits.

The file is in the safetensors format: arrays by name, and in its metadata the rest as JSON, with
a checksum over all. It holds the model's weights, the state of the optimizer, of the loaders, of
the random generators and of the callbacks (and so of schedules, averages, early stopping), the
history, and how far the present epoch is.
"""

import contextlib
import copy
import re
import warnings
import zlib
from pathlib import Path

from .. import random
from ..nn import Module
from ..serialization import read_file, write_file
from .callback import Callback
from .packing import pack, unpack

__all__ = ["Checkpoint", "load_checkpoint"]

_FORMAT = "fastgrad checkpoint 1"
_NAME = re.compile(r"checkpoint-(\d{10})\.safetensors")
_KEYS = {
    "model": dict,
    "loss": dict | None,
    "optimizer": dict,
    "loader": object,
    "validation": object,
    "random": dict,
    "callbacks": list,
    "history": list,
    "step": int,
    "batch": int,
    "totals": dict | None,
    "stopped": str | None,
}


class Checkpoint(Callback):
    """Keeps the state of a training in a folder, from which ``fit(resume=folder)`` goes on.

    Parameters
    ----------
    folder
        Of this one training; made if need be. Files are named by the number of steps done.
    every
        A checkpoint after every so many epochs.
    steps
        Besides, after every so many steps, also in the middle of an epoch; None, never.
    keep
        How many of the newest to keep; None, all.

    There is one more after Ctrl-C. A file appears whole or not at all, and the older ones are
    removed after that: whenever the process is killed, there is a checkpoint that can be read.

    >>> import tempfile
    >>> import fastgrad as fg
    >>> folder, model = tempfile.TemporaryDirectory(), fg.nn.Linear(1, 1)
    >>> optimizer = fg.optim.SGD(model.parameters(), lr=0.1)
    >>> batch, loss = (fg.zeros(2, 1), fg.ones(2, 1)), fg.nn.MSELoss()
    >>> keep = Checkpoint(folder.name, keep=2)
    >>> _ = fg.training.fit(model, loss, optimizer, [batch], epochs=3, callbacks=[keep])
    >>> [path.name for path in keep.paths()]
    ['checkpoint-0000000002.safetensors', 'checkpoint-0000000003.safetensors']
    >>> len(fg.training.fit(model, loss, optimizer, [batch], epochs=5, resume=folder.name))
    5
    >>> folder.cleanup()
    """

    order = 100  # after the callbacks whose state it keeps

    def __init__(self, folder, every=1, *, steps=None, keep=3):
        for name, value in (("every", every), ("steps", steps), ("keep", keep)):
            if value is not None and value < 1:
                raise ValueError(f"Checkpoint: {name} is {value}; expected at least 1, or None")
        self.folder = Path(folder)
        self.every, self.steps, self.keep = every, steps, keep

    def paths(self):
        """The checkpoints in the folder, the newest last."""
        return _paths(self.folder)

    def on_fit_begin(self, context):
        """Make the folder, and remove what a process that was killed had half written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in self.folder.glob(".*.part"):
            part.unlink(missing_ok=True)

    def on_batch_end(self, context):
        """Write, if it is time."""
        if self.steps and context.step % self.steps == 0:
            self.write(context)

    def on_epoch_end(self, context):
        """Write, if it is time."""
        if self.every and context.epoch % self.every == 0:
            self.write(context)

    def on_interrupt(self, context):
        """Write what was reached."""
        self.write(context)

    def write(self, context):
        """Write a checkpoint now, and remove the oldest."""
        path = self.folder / f"checkpoint-{context.step:010}.safetensors"
        save_checkpoint(state_of(context), path)
        if self.keep is not None:
            for old in self.paths()[: -self.keep]:
                with contextlib.suppress(OSError):
                    old.unlink()


def _paths(folder):
    """The checkpoints in a folder, the newest last."""
    return sorted(path for path in Path(folder).glob("checkpoint-*") if _NAME.fullmatch(path.name))


# ------------------------------------------------------------------ the file


def save_checkpoint(state, path):
    """Write the nested ``state`` to a file."""
    text, arrays = pack(state)
    metadata = {"format": _FORMAT, "state": text}
    metadata["checksum"] = _checksum(text, arrays)
    write_file(arrays, path, "Checkpoint", metadata)


def _checksum(text, arrays):
    """A number that other content would not have, except by a chance of 2⁻³²."""
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total = zlib.crc32(f"{name} {array.dtype.name} {array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    return f"{total:08x}"


def load_checkpoint(path):
    """The nested state in a checkpoint: ``load_checkpoint(path)["model"]`` is a state dict.

    Raises ``FileNotFoundError`` where there is no such file, ``ValueError`` for one that is not a
    checkpoint, or was damaged.
    """
    arrays, metadata = read_file(path, "load_checkpoint")
    problem = f"load_checkpoint: {path} is no checkpoint, or damaged"
    if metadata.get("format") != _FORMAT:
        raise ValueError(
            f"{problem}: its format is {metadata.get('format')!r}, expected {_FORMAT!r}"
        )
    text = metadata.get("state", "")
    if metadata.get("checksum") != _checksum(text, arrays):
        raise ValueError(f"{problem}: its checksum is wrong")
    try:
        state = unpack(text, arrays)
        _check(state)
    except ValueError as error:
        raise ValueError(f"{problem}: {error}") from error
    return state


def _check(state):
    """Raise ``ValueError`` where the parts are not those of a training."""
    if not isinstance(state, dict):
        raise ValueError(f"its description is a {type(state).__name__}, expected an object")
    wrong = sorted(set(state) ^ set(_KEYS))
    if wrong:
        raise ValueError(f"missing or unknown: {', '.join(wrong)}")
    for name, kind in _KEYS.items():
        if not isinstance(state[name], kind):
            raise ValueError(f"{name} is a {type(state[name]).__name__}")
    if min(state["step"], state["batch"]) < 0 or (state["batch"] and state["totals"] is None):
        raise ValueError(f"step {state['step']} and batch {state['batch']} do not fit")
    if not all(isinstance(entry, dict) for entry in state["history"]):
        raise ValueError("an entry of the history is no object")


# ------------------------------------------------------------------ a training and its state


def state_of(context):
    """All that decides how a training goes on. Arrays are shared with it."""
    in_epoch = len(context.history) < context.epoch and context.batch > 0
    # A loader's iteration has moved its state on: in an epoch, the one from before it counts.
    loader = context.loader_state if in_epoch else _state(context.loader)
    return {
        "model": context.model.state_dict(),
        "loss": context.loss.state_dict() if isinstance(context.loss, Module) else None,
        "optimizer": context.optimizer.state_dict(),
        "loader": loader,
        "validation": None if context.validation is context.loader else _state(context.validation),
        "random": random.default.state_dict(),
        "callbacks": [[type(c).__name__, c.state_dict()] for c in context.callbacks],
        "history": context.history.epochs,
        "step": context.step,
        "batch": context.batch if in_epoch else 0,
        "totals": context.totals.state_dict() if in_epoch else None,
        "stopped": context.stopped,
    }


def _state(part):
    return part.state_dict() if hasattr(part, "state_dict") else None


class Resumed:
    """Where in its epoch a resumed training stands."""

    def __init__(self, state, path):
        self._batch, self._totals = state["batch"], state["totals"]
        self._random, self._path = state["random"], path

    def go_on(self, context, batches):
        """Leave out the batches that are done."""
        if not self._batch:
            return
        for done in range(self._batch):
            if next(batches, self) is self:
                raise ValueError(
                    f"fit: {self._path} is at batch {self._batch} of its epoch, and the loader "
                    f"gives only {done}; it is not the loader of that run"
                )
        random.default.load_state_dict(self._random)  # batches may have drawn
        context.totals.load_state_dict(self._totals)
        context.batch = self._batch


def resume_from(path, context):
    """Put a training into the state that a checkpoint has; returns a ``Resumed``.

    Raises ``ValueError`` for one that does not fit, and everything is then as it was.
    """
    state = load_checkpoint(path)
    before = copy.deepcopy(state_of(context))
    try:
        _check_types(state["model"], context.model)
        _restore(state, context)
    except Exception as error:
        _restore(before, context)
        raise ValueError(f"fit: cannot go on from {path}: {error}") from error
    return Resumed(state, path)


def _check_types(state, model):
    """``load_state_dict`` would convert, and the bits would be others."""
    for name, own in model.state_dict().items():
        if name in state and getattr(state[name], "dtype", None) != own.dtype:
            raise ValueError(f"{name} is {getattr(state[name], 'dtype', None)}, not {own.dtype}")


def _restore(state, context):
    context.model.load_state_dict(state["model"])
    if isinstance(context.loss, Module):
        context.loss.load_state_dict(state["loss"] or {})
    context.optimizer.load_state_dict(state["optimizer"])
    for name in ("loader", "validation"):
        part = getattr(context, name)
        if hasattr(part, "load_state_dict") and state[name] is not None:
            part.load_state_dict(state[name])
    _restore_callbacks(state["callbacks"], context.callbacks)
    random.default.load_state_dict(state["random"])
    context.history.epochs[:] = state["history"]
    context.step, context.stopped = state["step"], state["stopped"]


def _restore_callbacks(saved, callbacks):
    """Each gets the state of the one of its class, the first of the first; new ones get none."""
    saved = [(name, state) for name, state in saved]
    for callback in callbacks:
        name = type(callback).__name__
        at = next((k for k, entry in enumerate(saved) if entry[0] == name), None)
        if at is not None:
            callback.load_state_dict(saved.pop(at)[1])
    lost = [name for name, state in saved if state]
    if lost:
        raise ValueError(f"it has the state of {', '.join(lost)}, and there is no such callback")


def find(resume, callbacks):
    """The checkpoint that ``fit(resume=...)`` means, or None."""
    if resume is None or resume is False:
        return None
    if resume is not True:
        path = Path(resume)
        return _newest(path) if path.is_dir() else path
    folders = [callback.folder for callback in callbacks if isinstance(callback, Checkpoint)]
    if not folders:
        raise ValueError("fit: resume=True wants a Checkpoint callback, whose folder it is")
    return _newest(folders[0]) if _paths(folders[0]) else None


def _newest(folder):
    """The newest checkpoint in a folder that can be read."""
    paths = _paths(folder)
    for path in reversed(paths):
        try:
            load_checkpoint(path)
        except (ValueError, OSError) as error:
            warnings.warn(f"an older checkpoint is used: {error}", stacklevel=2)
        else:
            return path
    if paths:
        raise ValueError(f"fit: none of the checkpoints in {folder} can be read")
    raise FileNotFoundError(f"fit: there is no checkpoint in {folder}")

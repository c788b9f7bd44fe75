"""``History``: what ``fit`` measured, epoch by epoch."""

import csv
import io
from collections.abc import Sequence

from .._files import write_atomically

__all__ = ["History"]


class History(Sequence):
    """What ``fit`` measured: a list over the epochs for each name, and a dict for each epoch.

    epoch                 its number, from 1
    loss, accuracy        means over the training batches, each batch before its own step
    validation_loss, validation_accuracy
                          of the model at the end of the epoch
    validation_...        the same of each metric that ``fit`` was given
    seconds               time spent on training, validation not counted
    samples_per_second    training samples, divided by that time

    Losses are means per sample, accuracies shares from 0 to 1. An entry is None where it does not
    apply: accuracy where targets are no labels, and validation where there was none. Callbacks
    may add entries of their own. Everything in them is a plain Python number (or, of a metric that
    is an array, nested lists).

    By name it is a dict of lists: ``history["loss"]``, ``keys()``, ``items()``, ``in``,
    ``dict(history)``. By number it is a sequence of epochs: ``history[-1]`` is the last one's
    dict, and ``len`` counts them. ``interrupted`` says whether Ctrl-C ended the training.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    >>> history[-1]
    {'epoch': 2, 'loss': 0.25}
    >>> dict(history)
    {'epoch': [1, 2], 'loss': [0.5, 0.25]}
    """

    def __init__(self, epochs=()):
        self.epochs = list(epochs)
        self.interrupted = False

    def __len__(self):
        return len(self.epochs)

    def __getitem__(self, key):
        if not isinstance(key, str):
            return self.epochs[key]
        names = self.keys()
        if self.epochs and key not in names:
            raise KeyError(f"History: no entry {key!r}; there are {', '.join(names)}")
        return [epoch.get(key) for epoch in self.epochs]

    def __contains__(self, key):
        return key in (self.keys() if isinstance(key, str) else self.epochs)

    def keys(self):
        """The names of the entries, in the order in which they came.

        >>> History([{"epoch": 1}, {"epoch": 2, "lr": 0.1}]).keys()
        ['epoch', 'lr']
        """
        return list(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def values(self):
        """The lists over the epochs."""
        return [self[name] for name in self.keys()]

    def items(self):
        """Pairs of a name and its list over the epochs."""
        return [(name, self[name]) for name in self.keys()]

    def get(self, name, default=None):
        """The list of a name, or ``default`` where there is no such entry."""
        return self[name] if name in self.keys() else default

    def as_dict(self):
        """Every entry as a list over the epochs, by name.

        >>> History([{"epoch": 1, "loss": 0.5}]).as_dict()
        {'epoch': [1], 'loss': [0.5]}
        """
        return dict(self.items())

    def to_csv(self, path, *, sync=True):
        """Write a table with a line for each epoch; the file appears whole, or not at all.

        An entry that does not apply is empty. sync: wait until the disk has it.

        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "history.csv")
        ...     History([{"epoch": 1, "loss": 0.5, "accuracy": None}]).to_csv(path)
        ...     path.read_text()
        'epoch,loss,accuracy\\n1,0.5,\\n'
        """
        text = io.StringIO()
        table = csv.DictWriter(text, self.keys(), restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(self.epochs)
        write_atomically(path, text.getvalue().encode(), sync=sync)

    def plot(self, path=None):
        """Draw the losses, and beside them accuracy and the other shares, over the epochs.

        path   a file to write too, PNG, SVG or PDF by its ending

        Needs no display. Returns the Matplotlib figure. Raises ``ImportError`` where Matplotlib is
        missing, ``ValueError`` where there are no epochs.
        """
        if not self.epochs:
            raise ValueError("History.plot: no epochs, nothing to draw")
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "History.plot needs Matplotlib; pip install matplotlib, or fastgrad[plot]"
            ) from error
        losses = [name for name in self.keys() if name in ("loss", "validation_loss")]
        others = [name for name in self.keys() if self._is_curve(name)]
        panels = [("loss", losses)] + ([("metrics", others)] if others else [])
        figure = Figure(figsize=(5.5 * len(panels), 4), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, names) in zip(row, panels, strict=True):
            for name in names:
                values = [float("nan") if value is None else value for value in self[name]]
                axes.plot(self["epoch"], values, marker=".", label=name.replace("_", " "))
            axes.set(xlabel="epoch", title=title)
            axes.grid(alpha=0.3)
            axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure

    def _is_curve(self, name):
        """Whether an entry is a measure that is drawn beside the losses."""
        if name in ("epoch", "loss", "validation_loss", "seconds", "samples_per_second", "lr"):
            return False
        return any(isinstance(value, int | float) for value in self[name])

    def __repr__(self):
        if not self.epochs:
            return "History(no epochs)"
        last = ", ".join(f"{k}={_short(v)}" for k, v in self.epochs[-1].items() if v is not None)
        return f"History({len(self)} epochs, the last: {last})"


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)

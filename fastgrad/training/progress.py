"""``ProgressBar``: an epoch's batches, with loss, accuracy and speed, on stderr."""

import sys
import time

from .callback import Callback

__all__ = ["ProgressBar"]


class ProgressBar(Callback):
    """A bar over the batches of each epoch; ``fit(progress=True)`` makes one.

    show   True or False; None shows it where stderr is a terminal
    """

    order = 200  # shows what the others have found

    _FORMAT = "{desc} {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} {elapsed}{postfix}"
    _INTERVAL = 0.1  # seconds between two looks at it: formatting costs some 50 µs

    def __init__(self, show=True):
        self._show, self._bar, self._next = show, None, 0.0
        if show is None:
            self._show = sys.stderr is not None and sys.stderr.isatty()
        if self._show:  # otherwise the loop has nothing to call
            self.on_batch_end = self._count

    def on_epoch_begin(self, context):
        """A new bar."""
        if not self._show:
            return
        from tqdm import tqdm

        loader = context.loader
        total = len(loader) if hasattr(type(loader), "__len__") else None
        self.close(context)
        self._bar = tqdm(
            desc=f"epoch {context.epoch}/{context.epochs}",
            total=total,
            unit=" batches",
            bar_format=self._FORMAT if total else None,
        )

    def _count(self, context):
        """Show the batch, if enough time has passed."""
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + self._INTERVAL
            self._update(context)

    def on_epoch_end(self, context):
        """Show the finished epoch, validation included, and close its bar."""
        if self._bar is not None:
            self._update(context, context.logs)
            self.close(context)

    def _update(self, context, entry=()):
        totals = context.totals
        parts = [f"loss {totals.loss:.4f}"]
        if totals.accuracy is not None:
            parts.append(f"accuracy {totals.accuracy:.2%}")
        if entry and entry["validation_accuracy"] is not None:
            parts.append(f"validation {entry['validation_accuracy']:.2%}")
        elif entry and entry["validation_loss"] is not None:
            parts.append(f"validation loss {entry['validation_loss']:.4f}")
        parts.append(f"{totals.samples / totals.seconds:,.0f} samples/s")
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.n = context.batch
        self._bar.refresh()

    def close(self, context):
        """End the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

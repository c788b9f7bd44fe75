"""The progress bar of ``fit``."""

import sys
import time


class Bar:
    """A progress bar over the batches of one epoch, or nothing."""

    _FORMAT = "{desc} {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} {elapsed}{postfix}"
    _INTERVAL = 0.1  # seconds between two looks at it: formatting costs some 50 µs

    def __init__(self, label, loader, progress):
        self._bar = None
        self._next = self._batches = 0
        if progress is None:
            progress = sys.stderr is not None and sys.stderr.isatty()
        if progress:
            from tqdm import tqdm

            total = len(loader) if hasattr(type(loader), "__len__") else None
            layout = self._FORMAT if total else None
            self._bar = tqdm(desc=label, total=total, unit=" batches", bar_format=layout)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.close()

    def show(self, totals):
        """Count a batch, and show it if enough time has passed."""
        if self._bar is None:
            return
        self._batches += 1
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + self._INTERVAL
            self._update(totals)

    def finish(self, totals, score):
        """Show the finished epoch, with its ``Evaluation``."""
        if self._bar is not None:
            self._update(totals, score)

    def _update(self, totals, score=None):
        parts = [f"loss {totals.mean_loss:.4f}"]
        if totals.accuracy is not None:
            parts.append(f"accuracy {totals.accuracy:.2%}")
        if score is not None and score.accuracy is not None:
            parts.append(f"validation {score.accuracy:.2%}")
        elif score is not None and score.loss is not None:
            parts.append(f"validation loss {score.loss:.4f}")
        parts.append(f"{totals.samples / totals.seconds:,.0f} samples/s")
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.n = self._batches
        self._bar.refresh()

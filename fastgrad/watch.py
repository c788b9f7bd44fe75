"""What watches operations as they are called: anomaly mode, and checkpoints.

While nothing watches, an operation asks for one attribute, ``watch.on``. In anomaly mode nodes
remember the line of the user's that made them (``Node.place``), and results are searched for NaN
and infinities. A checkpoint wants to know which tensors are used inside.
"""

import os
import sys
import threading
from functools import wraps

import numpy as np

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_lock = threading.Lock()


class _Watch:
    """Whether anything watches, in whichever thread."""

    __slots__ = ("anomaly", "check_nan", "on", "segments")

    def __init__(self):
        self.on = self.anomaly = False
        self.check_nan = True
        self.segments = 0  # checkpoints whose function runs now

    def change(self, anomaly=None, check_nan=None, segments=0):
        """Switch anomaly mode, or count segments."""
        with _lock:
            self.anomaly = self.anomaly if anomaly is None else anomaly
            self.check_nan = self.check_nan if check_nan is None else check_nan
            self.segments += segments
            self.on = self.anomaly or self.segments > 0


class _Here(threading.local):
    segment = None  # the innermost checkpoint whose function runs in this thread
    pulling = None  # the node whose pull-back runs in this thread, in anomaly mode


watch, here = _Watch(), _Here()


def look(op, operands, attributes, result):
    """Look at an operation that was just called. Raises ``RuntimeError`` for an anomaly."""
    if here.segment is not None:
        here.segment.uses(operands)
    if not watch.anomaly:
        return
    if result._node is not None:
        result._node.place = place()
    if watch.check_nan and here.pulling is None:  # the results of pull-backs are looked at whole
        found = first_bad([result.data], [*operands, *attributes.values()])
        if found:
            raise RuntimeError(
                f"{op.__name__}: the result has {found}, and no input has; called at {place()}"
            )


def place():
    """Where the user called what runs now: the first frame outside of the package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    node = here.pulling
    return where if node is None else f"{where}, in the backward pass of {node.name}{called(node)}"


def called(node):
    """Where a node's operation was called, for an error's text; or how that can be known."""
    where = getattr(node, "place", None)
    if where is None:
        return "; fg.detect_anomaly() would tell the line where it was called"
    return f", called at {where}"


def first_bad(results, inputs):
    """What results have that no input has, "a NaN" or "an infinity"; None where nothing is new."""
    for kind, test in (("a NaN", np.isnan), ("an infinity", np.isinf)):
        if any(_has(x, test) for x in results):
            tests = (test, np.isnan)  # who is given NaN may make an infinity of it
            if not any(_has(x, known) for x in inputs for known in tests):
                return kind
    return None


def _has(x, test):
    """Whether an array or a number has what is tested for; sequences are searched."""
    if isinstance(x, tuple | list):
        return any(_has(part, test) for part in x)
    if isinstance(x, float | np.floating):
        return bool(test(x))
    if not isinstance(x, np.ndarray):
        x = getattr(x, "data", None)  # a tensor's array
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return False
    return bool(test(x.view(np.ndarray)).any())  # not noted where a step is recorded


def pull_watched(pull_back, node, grad, needs):
    """A pull-back in anomaly mode: what it makes is searched for what did not come in."""
    before, here.pulling = here.pulling, node
    try:
        results, different = pull_back(node, grad, needs)
    finally:
        here.pulling = before
    if watch.check_nan:
        found = first_bad([x for x in results if type(x) is not tuple], [grad])
        if found:
            raise RuntimeError(
                f"{node.name}: its gradient has {found}, and the gradient that came in has not"
                f"{called(node)}"
            )
    return results, different


class set_detect_anomaly:
    """Switch anomaly mode on or off, at once; as a context manager, until its end.

    See ``detect_anomaly``.

    >>> import fastgrad as fg
    >>> with fg.autograd.set_detect_anomaly(True):
    ...     fg.is_anomaly_enabled()
    True
    >>> fg.is_anomaly_enabled()
    False
    """

    def __init__(self, mode, check_nan=True):
        self._before = watch.anomaly, watch.check_nan
        watch.change(anomaly=bool(mode), check_nan=check_nan)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        watch.change(*self._before)


class detect_anomaly:
    """Find the operation that first makes a NaN or an infinity: a context manager or decorator.

    Inside, an operation raises ``RuntimeError`` whose result has a NaN or an infinity that none of
    its inputs has; it names the operation and the line that called it. In backward, the same holds
    of gradients: the operation whose gradient first has one is named, with the line of its forward
    call. Errors in backward tell that line too. All threads are watched. Steps of ``fg.compile``
    run as they are written, not recorded. Everything is slower.

    check_nan   False: only remember lines

    >>> import fastgrad as fg
    >>> x = fg.tensor([0.0], requires_grad=True)
    >>> with fg.detect_anomaly():
    ...     fg.sqrt(x).backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    RuntimeError: sqrt: its gradient has an infinity, and the gradient that came in has not, ...
    """

    def __new__(cls, check_nan=True):
        self = super().__new__(cls)
        if callable(check_nan):  # @detect_anomaly without brackets
            self.__init__()
            return self(check_nan)
        return self

    def __init__(self, check_nan=True):
        self._check_nan = check_nan
        self._before = []

    def __enter__(self):
        self._before.append((watch.anomaly, watch.check_nan))
        watch.change(anomaly=True, check_nan=self._check_nan)
        return self

    def __exit__(self, *exception):
        watch.change(*self._before.pop())

    def __call__(self, function):
        @wraps(function)
        def wrapper(*args, **kwargs):
            with detect_anomaly(self._check_nan):
                return function(*args, **kwargs)

        return wrapper


def is_anomaly_enabled():
    """Whether anomaly mode is on."""
    return watch.anomaly


def is_anomaly_check_nan_enabled():
    """Whether anomaly mode, when it is on, looks for NaN and infinities."""
    return watch.check_nan

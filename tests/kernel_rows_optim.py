"""Rows of the optimizers' updates."""

import numpy as np
from kernel_cases import Row, several

_PARAMETERS = ((1,), (7,), (64,), (1001,), (100_003,))
_BENCH = ((1000,), (100_000,), (1_000_000,))
_BETAS = (0.9, 0.999, 1e-8)

_NADAM = (*_BETAS, 4e-3)

# Kernel, label, (weight_decay, l1_decay), its own hyperparameters, own flags, what the arrays of
# state and the scalars are drawn from.
_UPDATES = (
    ("sgd", "plain", (0, 0), (0, 0), (False,), "", ""),
    ("sgd", "momentum", (0.01, 0), (0.9, 0), (False,), "n", ""),
    ("sgd", "nesterov", (0.01, 0.02), (0.9, 0), (True,), "n", ""),
    ("asgd", "", (0, 0), (1e-4, 0.75, 2), (), "n", "pp"),
    ("asgd", "whole", (0.01, 0), (1e-4, 0.75, 1e6), (), "n", "p1"),
    ("rprop", "", (0, 0.01), (0.5, 1.2, 0.2, 2.0), (), "np", ""),
    ("adagrad", "", (0.01, 0), (0.1, 1e-10), (), "p", ""),
    ("rmsprop", "", (0, 0), (0.99, 1e-8, 0), (False,), "p", ""),
    ("rmsprop", "momentum", (0.01, 0), (0.99, 1e-8, 0.9), (False,), "pn", ""),
    ("rmsprop", "centered", (0, 0.01), (0.9, 1e-2, 0), (True,), "pf", ""),
    ("rmsprop", "both", (0, 0), (0.9, 1e-2, 0.9), (True,), "pfn", ""),
    ("adadelta", "", (0.01, 0), (0.9, 1e-6), (), "pp", ""),
    ("adam", "", (0, 0), _BETAS, (), "np", ""),
    ("adam", "amsgrad", (0.01, 0), _BETAS, (), "npp", ""),
    ("adamax", "", (0, 0.01), _BETAS, (), "np", ""),
    ("nadam", "", (0, 0), _NADAM, (), "np", "p"),
    ("radam", "", (0, 0), _BETAS, (), "np", ""),
)


def _arguments(m, n, penalties, hyper, flags, state, scalars, switches):
    draw = {"n": m.normal, "p": m.positive, "f": lambda *s: np.asarray(m.fraction(*s) / 3)}
    columns = [several(m.normal, n), several(m.normal, n)]
    columns += [several(draw[kind], n) for kind in state]
    columns.append([np.full(1, k) for k in (1, 0, 7)])
    for kind in scalars:
        columns.append([np.full(1, 1.0 if kind == "1" else k) for k in (0.5, 0.9, 0.25)])
    return *columns, np.array([0.1, *penalties, *hyper]), np.array([*switches, *flags])


def _row(kernel, label, *options, switches=(False, False)):
    state, scalars = options[-2:]
    changed = (0, *range(2, 3 + len(state) + len(scalars)))
    return Row(
        f"{kernel}_step", lambda m, n: _arguments(m, n, *options, switches),
        _PARAMETERS, _BENCH, moved=lambda n: (3 + 2 * len(state)) * n, changes=changed, label=label,
        rtol={"float32": 3e-5},
    )  # fmt: skip


ROWS = (
    *(_row(*options) for options in _UPDATES),
    _row("adam", "maximize", (0, 0), _BETAS, (), "np", "", switches=(True, False)),
    _row("adam", "decoupled", (0.01, 0.01), _BETAS, (), "np", "", switches=(False, True)),
    _row("nadam", "decoupled", (0.01, 0), _NADAM, (), "np", "p", switches=(True, True)),
    *(
        Row(
            "average_step",
            lambda m, n, weight=weight: (
                several(m.normal, n), several(m.normal, n), np.array([weight]), np.zeros(0, bool)
            ),
            _PARAMETERS, _BENCH if weight < 0.5 else (), moved=lambda n: 3 * n, changes=(0,),
            label=str(weight),
        )
        for weight in (0.01, 0.75)
    ),
)  # fmt: skip

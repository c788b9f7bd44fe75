"""The same code, run by PyTorch and by fastgrad: networks learn the same, step by step.

A job is written once, for ``lib`` with the modules ``nn`` and ``optim``. Both begin with the same
parameters and see the same batches. With doubles, losses stay together for as long as rounding
lets them; with floats, both reach the same loss in the end.
"""

from types import SimpleNamespace

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.interchange import load_torch_state_dict

torch = pytest.importorskip("torch", reason="runs the same code in PyTorch")

LETTERS, LENGTH = 6, 9


def _lib(package, tensor):
    names = {name: getattr(package, name) for name in ("nn", "optim", "manual_seed")}
    return SimpleNamespace(name=package.__name__, F=package.nn.functional, tensor=tensor, **names)


OURS, THEIRS = _lib(fg, fg.tensor), _lib(torch, torch.tensor)


def recurrent(lib, kind):
    """Embedding, two recurrent layers, scores of the next letter; clipped gradients, Adam."""

    class Writer(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = lib.nn.Embedding(LETTERS, 8)
            self.layers = getattr(lib.nn, kind)(8, 24, num_layers=2, batch_first=True)
            self.output = lib.nn.Linear(24, LETTERS)

        def forward(self, x):
            return self.output(self.layers(self.embedding(x))[0])

    return Writer()


def transformer(lib, norm_first):
    """A decoder-only transformer with causal attention."""

    class Transformer(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.letters = lib.nn.Embedding(LETTERS, 16)
            self.places = lib.nn.Embedding(LENGTH, 16)
            layer = lib.nn.TransformerEncoderLayer(
                16, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
            )
            self.layers = lib.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.output = lib.nn.Linear(16, LETTERS)

        def forward(self, x):
            mask = lib.nn.Transformer.generate_square_subsequent_mask(x.shape[1]).to(
                self.places.weight.dtype
            )
            hidden = self.letters(x) + self.places.weight[: x.shape[1]]
            return self.output(self.layers(hidden, mask=mask, is_causal=True))

    return Transformer()


JOBS = {
    "LSTM": lambda lib: recurrent(lib, "LSTM"),
    "GRU": lambda lib: recurrent(lib, "GRU"),
    "RNN": lambda lib: recurrent(lib, "RNN"),
    "transformer, norm last": lambda lib: transformer(lib, False),
    "transformer, norm first": lambda lib: transformer(lib, True),
}


def batches(steps, seed=0, count=16):
    """Windows of a text that repeats itself with a letter wrong here and there."""
    rng = np.random.default_rng(seed)
    text = np.tile([0, 1, 2, 0, 3, 4, 5, 1], 400)
    wrong = rng.random(len(text)) < 0.02
    text[wrong] = rng.integers(0, LETTERS, wrong.sum())
    for _ in range(steps):
        starts = rng.integers(0, len(text) - LENGTH, count)
        windows = text[starts[:, None] + np.arange(LENGTH + 1)]
        yield windows[:, :-1], windows[:, 1:]


def losses(lib, model, steps, compiled=False):
    """The loss of every step."""
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = lib.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)

    def step(x, y):
        optimizer.zero_grad()
        loss = lib.F.cross_entropy(model(x).reshape(-1, LETTERS), y.reshape(-1))
        loss.backward()
        lib.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    step = fg.compile(step) if compiled else step
    found = []
    for x, y in batches(steps):
        found.append(step(lib.tensor(x), lib.tensor(y)).item())
        schedule.step()
    return np.array(found)


def pair(job, double):
    """The job's network in both, with the same parameters."""
    torch.manual_seed(0)
    theirs, ours = JOBS[job](THEIRS), JOBS[job](OURS)
    if double:
        theirs, ours = theirs.double(), ours.double()
    load_torch_state_dict(ours, theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("job", JOBS)
def test_the_same_losses_step_by_step(job, compiled):
    ours, theirs = pair(job, double=True)
    found, wanted = losses(OURS, ours, 50, compiled), losses(THEIRS, theirs, 50)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("job", ["LSTM", "transformer, norm first"])
def test_the_same_loss_in_the_end(job):
    ours, theirs = pair(job, double=False)
    found, wanted = losses(OURS, ours, 200, compiled=True), losses(THEIRS, theirs, 200)
    assert wanted[-20:].mean() < 0.5 * wanted[0]
    assert found[-20:].mean() == pytest.approx(wanted[-20:].mean(), rel=0.02)

"""An LSTM learns to write, one character after the other. After Karpathy 2015.

    python examples/character_lstm.py [TEXT FILE]

Without a file it reads this library's own source code.
"""

import sys
from pathlib import Path

import numpy as np

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn


class Writer(nn.Module):
    """Characters in, scores of the next character out."""

    def __init__(self, characters, hidden):
        super().__init__()
        self.embedding = nn.Embedding(characters, 64)
        self.lstm = nn.LSTM(64, hidden, num_layers=2, batch_first=True)
        self.output = nn.Linear(hidden, characters)

    def forward(self, x, state=None):
        """x (batch, time) -> (scores (batch, time, characters), state)"""
        hidden, state = self.lstm(self.embedding(x), state)
        return self.output(hidden), state


def write(model, alphabet, rng, start, length, temperature=0.7):
    """Text that goes on from ``start``, each character drawn as likely as the model says."""
    text, state = start, None
    x = fg.tensor([[alphabet.index(c) for c in start]])
    for _ in range(length):
        with fg.no_grad():
            scores, state = model(x, state)
            chances = F.softmax(scores[0, -1].to(fg.float64) / temperature, 0).numpy()
        drawn = rng.choice(len(alphabet), p=chances)
        text, x = text + alphabet[drawn], fg.tensor([[drawn]])
    return text


def main(path=None, steps=1000, hidden=128, batch=32, length=50):
    """Returns the mean loss, in nats per character, of the first and of the last ten steps."""
    sources = [Path(path)] if path else sorted(Path(fg.__file__).parent.glob("*.py"))
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    alphabet = sorted(set(text))
    numbers = np.array([alphabet.index(c) for c in text])
    print(f"{len(text)} characters, {len(alphabet)} different")
    fg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Writer(len(alphabet), hidden)
    optimizer = fg.optim.Adam(model.parameters(), lr=2e-3)

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        scores, _ = model(x)
        loss = F.cross_entropy(scores.reshape(-1, len(alphabet)), y.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = []
    for number in range(1, steps + 1):
        starts = rng.integers(0, len(numbers) - length, batch)
        windows = numbers[starts[:, None] + np.arange(length + 1)]
        losses.append(step(fg.tensor(windows[:, :-1]), fg.tensor(windows[:, 1:])).item())
        if number % max(1, steps // 5) == 0:
            print(f"\nstep {number}  loss {np.mean(losses[-10:]):.3f} nats per character")
            print(write(model, alphabet, rng, "def ", 120))
    return np.mean(losses[:10]), np.mean(losses[-10:])


if __name__ == "__main__":
    main(*sys.argv[1:2])

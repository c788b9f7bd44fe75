"""A small transformer learns to sort: it reads letters, and writes them in order.

A decoder-only network with causal attention sees "hgfe|" and has to go on with "efgh", one letter
at a time. Vaswani et al. 2017; Radford et al. 2018.

    python examples/transformer.py
"""

import numpy as np

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn

LETTERS, LENGTH = 10, 8
END = LETTERS  # the sign between what is read and what is written


class Transformer(nn.Module):
    """Letters in, scores of the next letter out."""

    def __init__(self, width=64, heads=4, layers=2):
        super().__init__()
        self.letters = nn.Embedding(LETTERS + 1, width)
        self.places = nn.Embedding(2 * LENGTH, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, LETTERS)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(2 * LENGTH))

    def forward(self, x):
        """x (batch, time) -> scores (batch, time, letters)"""
        time = x.shape[1]
        hidden = self.letters(x) + self.places.weight[:time]
        hidden = self.layers(hidden, mask=self.mask[:time, :time], is_causal=True)
        return self.output(self.norm(hidden))


def samples(rng, count):
    """(what is read and written, up to the last letter; the sorted letters)"""
    letters = rng.integers(0, LETTERS, (count, LENGTH))
    ordered = np.sort(letters, 1)
    ends = np.full((count, 1), END)
    return fg.tensor(np.hstack((letters, ends, ordered[:, :-1]))), fg.tensor(ordered)


def sort(model, letters):
    """Letters (batch, LENGTH) in order, as the model writes them one by one."""
    x = fg.cat((letters, fg.full((len(letters), 1), END)), 1)
    with fg.no_grad():
        for _ in range(LENGTH):
            x = fg.cat((x, model(x)[:, -1:].argmax(2)), 1)
    return x[:, LENGTH + 1 :]


def main(steps=1500, batch=64):
    """Returns (last loss, share of sequences that are sorted without a mistake)."""
    fg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Transformer()
    optimizer = fg.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = fg.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        scores = model(x)[:, LENGTH:]
        loss = F.cross_entropy(scores.reshape(-1, LETTERS), y.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    for number in range(1, steps + 1):
        loss = step(*samples(rng, batch)).item()
        schedule.step()
        if number % max(1, steps // 10) == 0:
            print(f"step {number:5}  loss {loss:.4f}")
    letters = samples(np.random.default_rng(1), 500)[0][:, :LENGTH]
    written = sort(model, letters)
    share = float((written.numpy() == np.sort(letters.numpy(), 1)).all(1).mean())
    for read, sorted_ in zip(letters[:3].tolist(), written[:3].tolist(), strict=True):
        print(f"{read} -> {sorted_}")
    print(f"{share:.1%} of 500 new sequences are sorted without a mistake")
    return loss, share


if __name__ == "__main__":
    main()

"""A Neural Turing Machine learns to copy, and copies sequences longer than any it has seen.

A small network, the controller, reads and writes a memory by soft attention: by content, and by a
shift to the next place. Trained on 1 to 10 random bytes, it repeats 20. Graves et al. 2014.

    python examples/neural_turing_machine.py
"""

import numpy as np

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn, optim

BITS, PLACES, WIDTH, HIDDEN, BATCH = 8, 40, 16, 100, 16


class Head(nn.Linear):
    """Where in memory to read or write: from what the controller says, a weight for every place."""

    def __init__(self, extra=0):
        super().__init__(HIDDEN, WIDTH + 6 + extra)

    def forward(self, hidden, memory, before):
        """The weights (batch, places), and what else the layer says."""
        sizes = (WIDTH, 1, 1, 3, 1, self.out_features - WIDTH - 6)
        key, strength, gate, shift, sharpness, extra = super().forward(hidden).split(sizes, 1)
        likeness = F.cosine_similarity(memory, key.tanh().unsqueeze(1), 2)
        by_content = (F.softplus(strength) * likeness).softmax(1)
        weights, shift = before.lerp(by_content, gate.sigmoid()), shift.softmax(1)
        weights = sum(shift[:, k : k + 1] * weights.roll(k - 1, 1) for k in range(3))
        weights = (weights + 1e-6) ** (1 + F.softplus(sharpness))
        return weights / weights.sum(1, keepdim=True), extra


class TuringMachine(nn.Module):
    """Controller, heads and memory."""

    def __init__(self):
        super().__init__()
        self.controller = nn.Linear(BITS + 1 + WIDTH, HIDDEN)
        self.reader, self.writer = Head(), Head(extra=2 * WIDTH)
        self.output = nn.Linear(HIDDEN + WIDTH, BITS)

    def forward(self, x):
        """Logits (time, batch, bits) of what is said after each input of x (time, batch, bits)."""
        memory, read, answers = fg.full((BATCH, PLACES, WIDTH), 1e-6), fg.zeros(BATCH, WIDTH), []
        read_at = write_at = F.one_hot(fg.zeros(BATCH, dtype=fg.int64), PLACES).to(fg.float32)
        for now in x:
            hidden = self.controller(fg.cat((now, read), 1)).tanh()
            write_at, extra = self.writer(hidden, memory, write_at)
            erase, add = extra.unsqueeze(1).split(WIDTH, 2)
            place = write_at.unsqueeze(2)
            memory = memory * (1 - place * erase.sigmoid()) + place * add.tanh()
            read_at, _ = self.reader(hidden, memory, read_at)
            read = fg.einsum("bp,bpw->bw", read_at, memory)
            answers.append(self.output(fg.cat((hidden, read), 1)))
        return fg.stack(answers)


def sequences(rng, length):
    """(inputs, bits to repeat): the bits, a mark that says "now repeat", and silence."""
    bits = rng.integers(0, 2, (length, BATCH, BITS)).astype(np.float32)
    inputs = np.zeros((2 * length + 1, BATCH, BITS + 1), np.float32)
    inputs[:length, :, :BITS], inputs[length, :, BITS] = bits, 1
    return fg.tensor(inputs), fg.tensor(bits)


def main(steps=8000):
    """Returns the share of wrong bits by length."""
    fg.manual_seed(0)
    rng, machine, wrong = np.random.default_rng(0), TuringMachine(), {}
    optimizer = optim.Adam(machine.parameters(), lr=2e-3)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, 2 - 2 * step / steps))

    @fg.compile
    def step(x, bits):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(machine(x)[-len(bits) :], bits)
        loss.backward()
        nn.utils.clip_grad_norm_(machine.parameters(), 1.0)
        optimizer.step()
        return loss

    for number in range(1, steps + 1):
        loss = step(*sequences(rng, int(rng.integers(1, 11))))
        schedule.step()
        if number % max(1, steps // 10) == 0:
            print(f"step {number:5}  loss {loss.item():.4f}")
    for length in (5, 10, 20, 30):
        x, bits = sequences(rng, length)
        said = machine(x)[-length:].sigmoid().round()
        wrong[length] = (said - bits).abs().mean().item()
        print(f"length {length:2}: {wrong[length]:.2%} of the bits are wrong")
    return wrong


if __name__ == "__main__":
    main()

"""Training steps of convolution layers, here and in PyTorch, and what each product of them reaches.

    python benchmarks/convolution.py [--threads N] [--rounds N] [part of a name ...]

Forward and backward on float32, in slices that alternate, PyTorch in both of its memory formats, of
which the better one counts. Prints milliseconds and the ratio, and what the forward product and the
gradients of input and weight reach: billions of operations per second, counted as multiply-adds of
all windows, and their share of the machine's peak, which is measured first. Winograd's way takes
fewer multiplications than are counted, and may pass the peak. As Markdown; the last line is what a
matrix product reaches. First layers need no gradient of their input.
"""

import argparse
import os
import statistics
import time
from typing import NamedTuple

import numpy as np
import torch

import fastgrad as fg
from fastgrad import kernels
from fastgrad.kernels._jit import kernel
from fastgrad.kernels._llvm import VECTOR_BYTES
from fastgrad.kernels._simd import fma, lanes, load, store

_SECONDS = 0.1
_CHAINS = 12


class Layer(NamedTuple):
    """Batch, channels, output channels, size of the image, kernel, stride, padding, groups."""

    batch: int
    channels: int
    out: int
    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    first: bool = False


LAYERS = {
    **{
        f"{name}, batch {batch}": Layer(batch, *sizes)
        for batch in (64, 256)
        for name, sizes in {
            "1 → 16, 5x5, 28x28": (1, 16, 28, 5, 1, 2, 1, True),
            "16 → 32, 5x5, 14x14": (16, 32, 14, 5, 1, 2),
        }.items()
    },
    "3 → 32, 3x3, 32x32": Layer(64, 3, 32, 32, 3, 1, 1, 1, True),
    "32 → 64, 3x3, 32x32": Layer(64, 32, 64, 32, 3, 1, 1),
    "64 → 128, 3x3, 32x32": Layer(64, 64, 128, 32, 3, 1, 1),
    "128 → 128, 3x3, 8x8": Layer(64, 128, 128, 8, 3, 1, 1),
    "AlexNet 1": Layer(8, 3, 96, 227, 11, 4, 0, 1, True),
    "AlexNet 2": Layer(8, 96, 256, 27, 5, 1, 2),
    "AlexNet 3": Layer(8, 256, 384, 13, 3, 1, 1),
    "AlexNet 4": Layer(8, 384, 384, 13, 3, 1, 1),
    "AlexNet 5": Layer(8, 384, 256, 13, 3, 1, 1),
    "64 → 128, 3x3, stride 2": Layer(32, 64, 128, 28, 3, 2, 1),
    "64 → 128, 1x1": Layer(32, 64, 128, 28, 1),
    "128, 3x3, depthwise": Layer(32, 128, 128, 28, 3, 1, 1, 128),
}


@kernel(serial=True)
def _multiply_add(start, stop, x, count):
    """Twelve chains of multiply-adds in registers, ``count`` each: as many as can be under way."""
    lane = lanes(x)
    factor = load(x, 0)
    a = b = c = d = e = f = g = h = i = j = k = m = load(x, lane)
    for _ in range(count):
        a, b, c = fma(a, factor, factor), fma(b, factor, factor), fma(c, factor, factor)
        d, e, f = fma(d, factor, factor), fma(e, factor, factor), fma(f, factor, factor)
        g, h, i = fma(g, factor, factor), fma(h, factor, factor), fma(i, factor, factor)
        j, k, m = fma(j, factor, factor), fma(k, factor, factor), fma(m, factor, factor)
    store(x, lane, a + b + c + d + e + f + g + h + i + j + k + m)


def peak(threads):
    """GFLOP/s of multiply-adds that wait for no memory, on so many threads."""
    x, count = np.full(64, 0.5, np.float32), 1_000_000
    _multiply_add(1, 0, x, count)
    fastest = min(_seconds(lambda: _multiply_add(1, 0, x, count)) for _ in range(5))
    lane = VECTOR_BYTES // 4
    return threads * 2 * _CHAINS * lane * count / fastest / 1e9


def _arrays(layer):
    """x, weight, bias, and the gradient of the result."""
    rng = np.random.default_rng(0)
    pixels = (layer.size + 2 * layer.padding - layer.kernel) // layer.stride + 1
    shapes = (
        (layer.batch, layer.channels, layer.size, layer.size),
        (layer.out, layer.channels // layer.groups, layer.kernel, layer.kernel),
        (layer.out,),
        (layer.batch, layer.out, pixels, pixels),
    )
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def _ours(layer, x, weight, bias, grad):
    """A training step."""
    tensors = [fg.Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    tensors[0].requires_grad_(not layer.first)
    grad = fg.Tensor(grad)

    def step():
        for t in tensors:
            t.grad = None
        options = layer.stride, layer.padding, 1, layer.groups
        fg.conv2d(*tensors, *options).backward(grad)

    return step


def _theirs(layer, memory_format, *arrays):
    x, weight, bias, grad = (torch.from_numpy(a) for a in arrays)
    x, weight, grad = (t.contiguous(memory_format=memory_format) for t in (x, weight, grad))
    tensors = [t.clone().requires_grad_() for t in (x, weight, bias)]
    tensors[0].requires_grad_(not layer.first)

    def step():
        for t in tensors:
            t.grad = None
        options = layer.stride, layer.padding, 1, layer.groups
        torch.nn.functional.conv2d(*tensors, *options).backward(grad)

    return step


def _products(layer, x, weight, bias, grad):
    """The three products, on volumes."""
    x, weight, grad = (a.reshape(*a.shape[:3], 1, a.shape[3]) for a in (x, weight, grad))
    stride, low = (layer.stride, 1, layer.stride), (layer.padding, 0, layer.padding)
    options = stride, low, (1, 1, 1), layer.groups
    return (
        lambda: kernels.conv_forward(x, weight, bias, *options, grad.shape[2:]),
        lambda: kernels.conv_input_grad(grad, weight, None, *options, x.shape[2:]),
        lambda: kernels.conv_weight_grad(grad, x, *options, weight.shape[2:]),
    )


def _seconds(function):
    """Per call."""
    began, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - began < _SECONDS:
        function()
        count += 1
    return (time.perf_counter() - began) / count


def _medians(functions, rounds):
    times = [[_seconds(f) for f in functions] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def main():
    """Compare all layers, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    fg.set_num_threads(options.threads)
    torch.set_num_threads(options.threads)
    most = peak(options.threads)
    print(f"Peak: {most:.0f} GFLOP/s on {options.threads} threads\n")
    print("| layer | ms | PyTorch | ratio | GFLOP/s: forward | input | weight |")
    print("|---" + "|---:" * 6 + "|")
    for name, layer in LAYERS.items():
        if options.names and not any(part in name for part in options.names):
            continue
        arrays = _arrays(layer)
        formats = torch.contiguous_format, torch.channels_last
        steps = [_ours(layer, *arrays), *(_theirs(layer, kind, *arrays) for kind in formats)]
        for step in steps:
            step()
        ours, *theirs = _medians(steps, options.rounds)
        flops = 2 * arrays[3].size * arrays[1][0].size
        speeds = [flops / t / 1e9 for t in _medians(_products(layer, *arrays), options.rounds)]
        cells = [f"{ours * 1e3:.2f}", f"{min(theirs) * 1e3:.2f}", f"{min(theirs) / ours:.2f}"]
        print(
            f"| {name} | "
            + " | ".join([*cells, *(f"{s:.0f} ({s / most:.0%})" for s in speeds)])
            + " |"
        )
    a = np.ones((1024, 1024), np.float32)
    (best,) = _medians([lambda: kernels.matmul(a, a)], options.rounds)
    print(f"\nA matrix product of 1024: {2 * 1024**3 / best / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()

"""NumPy twins of ``fastgrad.kernels.optim``."""

import numpy as np

from ._quiet import quiet

__all__ = ["adam_step", "sgd_step"]


def _flush(average):
    average[np.abs(average) < np.finfo(average.dtype).tiny] = 0


@quiet
def sgd_step(params, grads, buffers, steps, hyper, flags):
    lr, momentum, dampening, weight_decay = hyper.tolist()
    has_momentum, nesterov, maximize = flags.tolist()
    for param, grad, buffer, step in zip(params, grads, buffers or params, steps, strict=True):
        step += 1
        d = -grad if maximize else grad
        if weight_decay:
            d = d + weight_decay * param
        if has_momentum:
            if step[0] == 1:
                buffer[...] = d
            else:
                buffer *= momentum
                buffer += (1 - dampening) * d
            _flush(buffer)
            d = d + momentum * buffer if nesterov else buffer
        param -= lr * d


@quiet
def adam_step(params, grads, means, squares, peaks, steps, hyper, flags):
    lr, beta1, beta2, eps, weight_decay = hyper.tolist()
    amsgrad, maximize, decoupled = flags.tolist()
    for param, grad, mean, square, peak, step in zip(
        params, grads, means, squares, peaks or params, steps, strict=True
    ):
        step += 1
        t = int(step[0])
        g = -grad if maximize else grad
        if decoupled:
            param *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * param
        mean *= beta1
        mean += (1 - beta1) * g
        square *= beta2
        square += (1 - beta2) * g * g
        _flush(mean), _flush(square)
        if amsgrad:
            np.maximum(peak, square, out=peak)
            square = peak
        root = np.sqrt(square) / np.sqrt(1 - beta2**t) + eps
        param -= (lr / (1 - beta1**t)) * mean / root

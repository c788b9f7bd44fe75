"""The steps in JAX, jitted, with donated parameters."""

import os
from functools import partial

threads = os.environ["PEER_THREADS"]
os.environ["XLA_FLAGS"] = (
    f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
)

import jax  # noqa: E402 - after its environment
import jax.numpy as jnp  # noqa: E402
from jobs import ADAM, SGD, data, lstm_weights, operands, weights  # noqa: E402
from jobs import layer as layer_of  # noqa: E402

VERSION = jax.__version__


def _forward(params, x, batch_norm):
    for k, layer in enumerate(params):
        x = x @ layer["weight"] + layer["bias"]
        if k < len(params) - 1:
            if batch_norm:
                mean, var = x.mean(0), x.var(0)
                x = (x - mean) / jnp.sqrt(var + 1e-5) * layer["gain"] + layer["shift"]
            x = jax.nn.relu(x)
    return x


def _layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdims=True)
    var = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * weight + bias


def _attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / jnp.sqrt(jnp.float32(q.shape[-1]))
    return jax.nn.softmax(scores, axis=-1) @ v


def _encode(params, x, heads):
    """A transformer layer."""

    def linear(x, name):
        return x @ params[f"{name}weight"].T + params[f"{name}bias"]

    batch, length, width = x.shape
    parts = linear(x, "self_attn.in_proj_").reshape(batch, length, 3, heads, width // heads)
    mixed = _attention(*parts.transpose(2, 0, 3, 1, 4)).transpose(0, 2, 1, 3).reshape(x.shape)
    x = x + linear(mixed, "self_attn.out_proj.")
    x = _layer_norm(x, params["norm1.weight"], params["norm1.bias"])
    x = x + linear(jax.nn.relu(linear(x, "linear1.")), "linear2.")
    return _layer_norm(x, params["norm2.weight"], params["norm2.bias"])


def _make_op(job):
    """The operation forward and backward, jitted; PyTorch alone compares the others."""
    functions = {"layer_norm": _layer_norm, "attention": _attention}
    if job["op"] not in functions:
        return {}
    arrays, gradient = operands(job)
    arrays, gradient = [jnp.asarray(x) for x in arrays], jnp.asarray(gradient)
    function = functions[job["op"]]

    @jax.jit
    def both(arrays, gradient):
        out, back = jax.vjp(function, *arrays)
        return out, back(gradient)

    def run(number):
        _, gradients = jax.block_until_ready(both(arrays, gradient))
        return gradients[0]

    return {"jit": run}


def _lstm(params, x):
    """Layers of LSTMs over x (steps, batch, inputs), each a scan; the last step's linear layer."""
    for w_ih, w_hh, b_ih, b_hh in params["lstm"]:

        def step(state, of_x, w_hh=w_hh):
            h, c = state
            i, f, g, o = jnp.split(of_x + h @ w_hh.T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
        _, x = jax.lax.scan(step, (start, start), x @ w_ih.T + b_ih + b_hh)
    return x[-1] @ params["weight"] + params["bias"]


def variants(job):
    """{name: step} of the library."""
    if "op" in job:
        return _make_op(job)
    if "image" in job:  # PyTorch alone compares ConvNets
        return {}
    batch_norm = bool(job.get("batch_norm"))
    if "transformer" in job:
        params = {name: jnp.asarray(x) for name, x in layer_of(job).items()}
        return {"jit": _make(job, params, partial(_encode, heads=job["transformer"]["heads"]))}
    params = [
        {"weight": jnp.asarray(w), "bias": jnp.asarray(b)}
        | ({"gain": jnp.ones_like(b), "shift": jnp.zeros_like(b)} if batch_norm else {})
        for w, b in weights(job)
    ]
    forward = partial(_forward, batch_norm=batch_norm)
    if "steps" in job:
        layers = [[jnp.asarray(w) for w in layer] for layer in lstm_weights(job)]
        params, forward = params[0] | {"lstm": layers}, _lstm
    if batch_norm:
        params[-1] = {name: params[-1][name] for name in ("weight", "bias")}
    return {"jit": _make(job, params, forward)}


def _make(job, params, forward):
    """A step of training."""
    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in data(job)]

    def loss_of(params, x, y):
        if "transformer" in job:
            return jnp.square(forward(params, x) - y).mean()
        scores = jax.nn.log_softmax(forward(params, x))
        return -jnp.take_along_axis(scores, y[:, None], axis=1).mean()

    def sgd(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        moved = jax.tree.map(lambda m, g: SGD["momentum"] * m + g, state, grads)
        return loss, jax.tree.map(lambda p, m: p - SGD["lr"] * m, params, moved), moved

    def adam(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        t, mean, square = state
        t = t + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, grads)
        rate, root = ADAM["lr"] / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)

        def update(p, m, v):
            return p - rate * m / (jnp.sqrt(v) / root + 1e-8)

        return loss, jax.tree.map(update, params, mean, square), (t, mean, square)

    zeros = jax.tree.map(jnp.zeros_like, params)
    more = jax.tree.map(jnp.zeros_like, params)
    is_sgd = job["optimizer"] == "sgd"
    now = {"params": params, "state": zeros if is_sgd else (jnp.zeros(()), zeros, more)}
    step = jax.jit(sgd if is_sgd else adam, donate_argnums=(0, 1))

    def train(number):
        loss, now["params"], now["state"] = step(
            now["params"], now["state"], *batches[number % len(batches)]
        )
        return loss.item()

    return train

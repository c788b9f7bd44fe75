"""Attention, transformers, norms and embeddings as modules, against PyTorch's."""

import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import functional as F
from fastgrad import nn

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # of PyTorch's encoder

_LINEAR = ("out_proj.weight", "linear1.weight", "linear2.weight")  # ours are (in, out)
_WIDTH, _HEADS, _BATCH, _LENGTH, _KEYS = 8, 2, 3, 4, 5


def _torch():
    return pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


def _load(ours, theirs):
    state = {}
    for name, value in theirs.state_dict().items():
        value = value.numpy()
        state[name] = fg.Tensor(np.array(value.T if name.endswith(_LINEAR) else value, order="C"))
    ours.load_state_dict(state)


def _pair(name, *args, **options):
    """The module of a name in both libraries, in float64, with the same parameters."""
    torch = _torch()
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours = getattr(nn, name)(*args, **options, dtype="float64")
    _load(ours, theirs)
    return ours, theirs


def _assert_close(a, b):
    if b is None:
        assert a is None or not np.any(a.data)
        return
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-10)


def _compare(ours, theirs, run, *arrays):
    """Results, and gradients of inputs and parameters."""
    torch = _torch()
    a = [fg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    b = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    out, expected = run(ours, a, fg.Tensor), run(theirs, b, torch.tensor)
    if not isinstance(out, tuple):
        out, expected = (out,), (expected,)
    loss = wanted = 0.0
    for number, (x, y) in enumerate(zip(out, expected, strict=True)):
        assert (x is None) == (y is None)
        if x is not None:
            _assert_close(x, y)
            grad = np.random.default_rng(number).standard_normal(x.shape)
            loss = (x * fg.Tensor(grad)).sum() + loss
            wanted = (y * torch.tensor(grad)).sum() + wanted
    loss.backward()
    wanted.backward()
    for x, y in zip(a, b, strict=True):
        if x.requires_grad:
            _assert_close(x.grad, y.grad)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        grad = gradients.pop(name)
        _assert_close(parameter.grad, grad.T if name.endswith(_LINEAR) else grad)
    assert not gradients


def _sequence(length, width, batch_first, seed=0):
    shape = (_BATCH, length) if batch_first else (length, _BATCH)
    return np.random.default_rng(seed).standard_normal((*shape, width))


def _masks(kind, padded, count):
    rng = np.random.default_rng(3)
    hidden = rng.random((_LENGTH, count)) < 0.3
    padding = rng.random((_BATCH, count)) < 0.3
    hidden[:, 0] = padding[:, 0] = False
    mask = {
        None: None,
        "bool": hidden,
        "float": np.where(hidden, -1.0, 0.5),
        "each": rng.standard_normal((_BATCH * _HEADS, _LENGTH, count)),
    }[kind]
    if kind in ("float", "each"):
        padding = np.where(padding, -np.inf, 0.0)
    return mask, padding if padded else None


_ATTENTION = [
    ({}, {}),
    ({"batch_first": True}, {"average_attn_weights": False}),
    ({"bias": False}, {"need_weights": False}),
    ({"add_bias_kv": True}, {"need_weights": False}),
    ({"add_zero_attn": True, "batch_first": True}, {}),
    ({"add_zero_attn": True, "add_bias_kv": True, "batch_first": True}, {"need_weights": False}),
    ({"kdim": 6, "vdim": 7}, {"need_weights": False}),
    ({"kdim": 6, "vdim": 7, "bias": False, "batch_first": True}, {}),
]


@pytest.mark.parametrize("kind", [None, "bool", "float", "each"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("made", "called"), _ATTENTION)
def test_multihead_attention(made, called, padded, kind):
    ours, theirs = _pair("MultiheadAttention", _WIDTH, _HEADS, **made)
    assert repr(ours.out_proj).startswith("Linear(in_features=8, out_features=8")
    first = made.get("batch_first", False)
    arrays = [
        _sequence(_LENGTH, _WIDTH, first),
        _sequence(_KEYS, made.get("kdim", _WIDTH), first, 1),
        _sequence(_KEYS, made.get("vdim", _WIDTH), first, 2),
    ]
    if "kdim" not in made:  # of itself, too, for which there is a way of its own
        mask, padding = _masks(kind, padded, _LENGTH)
        _compare(ours, theirs, lambda m, x, t: _attend(m, x * 3, t, mask, padding, called),
                 arrays[0])  # fmt: skip
        ours.zero_grad()
        theirs.zero_grad()
    mask, padding = _masks(kind, padded, _KEYS)
    _compare(ours, theirs, lambda m, x, t: _attend(m, x, t, mask, padding, called), *arrays)


def _attend(module, x, tensor, mask, padding, options):
    mask = None if mask is None else tensor(mask)
    padding = None if padding is None else tensor(padding)
    return module(*x, attn_mask=mask, key_padding_mask=padding, **options)


def test_multihead_attention_without_a_batch():
    ours, theirs = _pair("MultiheadAttention", _WIDTH, _HEADS)
    x = np.random.default_rng(0).standard_normal((_LENGTH, _WIDTH))
    for options in ({}, {"need_weights": False}):
        _compare(ours, theirs, lambda m, x, t, o=options: m(*x * 3, **o), x)
        ours.zero_grad()
        theirs.zero_grad()


def test_multihead_attention_refuses_what_does_not_fit():
    attention = nn.MultiheadAttention(8, 2)
    x = fg.zeros(4, 3, 8)
    for call, message in (
        (lambda: nn.MultiheadAttention(8, 3), "embed_dim 8 is no multiple of 3 heads"),
        (lambda: nn.MultiheadAttention(8, 2, device="cuda"), "device 'cuda' is not there"),
        (lambda: attention(x, x, fg.zeros(4, 3, 7)), "of widths 8, 8 and 8"),
        (lambda: attention(x, fg.zeros(4, 2, 8), fg.zeros(4, 2, 8)), "expected query, key"),
        (lambda: attention(x, x, x, is_causal=True), "wants the causal attn_mask"),
        (lambda: attention(x, x, x, attn_mask=fg.zeros(3, 4)), r"expected attn_mask \(4, 4\)"),
        (lambda: attention(x, x, x, fg.zeros(4, 3)), r"expected key_padding_mask \(3, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


_LAYERS = list(itertools.product((False, True), (False, True), (True, False), (None, False, True)))


@pytest.mark.parametrize(("batch_first", "norm_first", "bias", "causal"), _LAYERS)
@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
def test_transformer_layers(kind, batch_first, norm_first, bias, causal):
    """``causal``: None for no mask, else whether the mask is promised to be causal."""
    options = {"batch_first": batch_first, "norm_first": norm_first, "bias": bias, "dropout": 0.0}
    ours, theirs = _pair(f"Transformer{kind}Layer", _WIDTH, _HEADS, 16, **options)
    torch = _torch()
    stacks = (
        getattr(nn, f"Transformer{kind}")(ours, 2),
        getattr(torch.nn, f"Transformer{kind}")(theirs, 2),
    )
    _load(*stacks)
    mask = nn.Transformer.generate_square_subsequent_mask(_LENGTH, dtype="float64").numpy()
    theirs_mask = torch.nn.Transformer.generate_square_subsequent_mask(_LENGTH)
    np.testing.assert_array_equal(mask, theirs_mask.numpy())

    def run(module, x, tensor):
        hint = "is_causal" if kind == "Encoder" else "tgt_is_causal"
        return module(*x) if causal is None else module(*x, tensor(mask), **{hint: causal})

    arrays = [_sequence(_LENGTH, _WIDTH, batch_first), _sequence(_KEYS, _WIDTH, batch_first, 1)]
    _compare(*stacks, run, *arrays[: 1 if kind == "Encoder" else 2])


def test_transformer():
    ours, theirs = _pair("Transformer", _WIDTH, _HEADS, 1, 2, 16, 0.0)
    arrays = [_sequence(_LENGTH, _WIDTH, False), _sequence(_KEYS, _WIDTH, False, 1)]
    _compare(ours, theirs, lambda m, x, t: m(*x), *arrays)
    with pytest.raises(ValueError, match="expected sequences of width 8"):
        ours(fg.zeros(4, 3, 8), fg.zeros(4, 3, 7))


@pytest.mark.parametrize("options", [
    {}, {"padding_idx": 2}, {"padding_idx": -1, "scale_grad_by_freq": True}, {"max_norm": 1.0},
    {"max_norm": 2.0, "norm_type": 1.0}, {"max_norm": 0.5, "norm_type": float("inf")},
])  # fmt: skip
def test_embedding(options):
    ours, theirs = _pair("Embedding", 7, 5, **options)
    assert repr(ours) == repr(theirs)
    index = np.random.default_rng(0).integers(0, 7, (4, 6))
    _compare(ours, theirs, lambda m, x, t: m(*x), index)
    _assert_close(ours.weight, theirs.weight)


def test_embedding_from_pretrained():
    weight = fg.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(weight)
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(weight, freeze=False).weight.requires_grad
    np.testing.assert_array_equal(layer(fg.tensor([1])).numpy(), [[3.0, 4.0]])
    assert np.all(nn.Embedding(3, 2, padding_idx=1).weight.data[1] == 0)


_NORMS = [
    ("LayerNorm", ((4, 5),), {}, [(3, 4, 5)]),
    ("LayerNorm", (5,), {"bias": False, "eps": 1e-3}, [(3, 4, 5)]),
    ("LayerNorm", (5,), {"elementwise_affine": False}, [(3, 5)]),
    ("RMSNorm", (5,), {}, [(3, 4, 5)]),
    ("GroupNorm", (2, 4), {}, [(3, 4), (3, 4, 5), (3, 4, 5, 6)]),
    ("GroupNorm", (2, 4), {"affine": False}, [(3, 4, 5)]),
    ("BatchNorm2d", (4,), {}, [(3, 4, 5, 6)]),
    ("BatchNorm3d", (4,), {"momentum": 0.3}, [(3, 4, 2, 3, 2)]),
    *(
        (f"InstanceNorm{axes}d", (4,), options, [(3, 4, *[5] * axes), (4, *[5] * axes)])
        for axes in (1, 2, 3)
        for options in ({}, {"affine": True}, {"track_running_stats": True})
    ),
]


@pytest.mark.parametrize(("name", "args", "options", "shapes"), _NORMS)
def test_norms_in_training_and_evaluation(name, args, options, shapes):
    ours, theirs = _pair(name, *args, **options)
    assert ours.extra_repr() == theirs.extra_repr()
    for shape in shapes:
        x = np.random.default_rng(0).standard_normal(shape)
        for mode in (True, False):
            for module in (ours.train(mode), theirs.train(mode)):
                module.zero_grad()
            _compare(ours, theirs, lambda m, x, t: m(*x), x)
        for name, buffer in theirs.named_buffers():
            if name.startswith("running"):
                _assert_close(dict(ours.named_buffers())[name], buffer)


def test_layers_without_parameters():
    x = fg.zeros(5, 6)
    assert nn.Identity(1, a=2)(x) is x
    assert nn.Unflatten(1, (2, 3))(x).shape == (5, 2, 3)
    ours, theirs = _pair("Bilinear", 3, 4, 2)
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    _compare(ours, theirs, lambda m, x, t: m(*x), rng.standard_normal((5, 3)),
             rng.standard_normal((5, 4)))  # fmt: skip


def _train(layer, optimizer, compiled, threads=1):
    """Losses of a few steps of training, and the parameters after them."""
    fg.set_num_threads(threads)
    fg.manual_seed(0)
    model = layer()
    update = optimizer(model.parameters())

    def step(index, target):
        update.zero_grad()
        loss = F.mse_loss(model(index), target)
        loss.backward()
        update.step()
        return loss

    run = fg.compile(step) if compiled else step
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(4):
        index = fg.Tensor(rng.integers(0, 11, (6, 40)))
        losses.append(run(index, fg.Tensor(rng.standard_normal((6, 40, 16)).astype("f"))).item())
    return losses, [parameter.data.copy() for parameter in model.parameters()]


def _network(dropout=0.1, **options):
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout, batch_first=True, **options)
    return nn.Sequential(nn.Embedding(11, 16, padding_idx=0), nn.TransformerEncoder(layer, 2))


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "dropout": 0.0}])
@pytest.mark.parametrize("change", ["compiled", "threads"])
def test_training_gives_the_same_bits(change, options, monkeypatch):
    def sgd(parameters):
        return fg.optim.SGD(parameters, lr=0.1)

    def network():
        return _network(**options)

    before = fg.get_num_threads()
    try:
        losses, parameters = _train(network, sgd, False)
        others = _train(network, sgd, change == "compiled", 2 if change == "threads" else 1)
    finally:
        fg.set_num_threads(before)
    assert losses == others[0]
    assert losses[-1] < losses[0]
    for a, b in zip(parameters, others[1], strict=True):
        assert a.tobytes() == b.tobytes()


def test_dropout_of_attention_weights_is_that_of_the_composed_way():
    x = fg.Tensor(np.random.default_rng(0).standard_normal((2, 3, 70, 4)), requires_grad=True)
    fg.manual_seed(5)
    out = F.scaled_dot_product_attention(x, x, x, dropout_p=0.3)
    fg.manual_seed(5)
    weights = fg.softmax(fg.matmul(x, x.transpose(-1, -2)) * 0.5, dim=-1)
    _assert_close(out, fg.matmul(fg.dropout(weights, 0.3), x))


def test_a_mask_that_is_learned_has_a_gradient():
    torch = _torch()
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    mask = np.random.default_rng(1).standard_normal((3, 3))
    ours, theirs = fg.Tensor(mask, requires_grad=True), torch.tensor(mask, requires_grad=True)
    F.scaled_dot_product_attention(*[fg.Tensor(x)] * 3, ours).sum().backward()
    attention = torch.nn.functional.scaled_dot_product_attention
    attention(*[torch.tensor(x)] * 3, theirs).sum().backward()
    _assert_close(ours.grad, theirs.grad)


def test_a_bias_without_a_weight():
    x = fg.Tensor(np.random.default_rng(0).standard_normal((3, 4, 5)))
    bias = fg.Tensor(np.zeros((4, 5)), requires_grad=True)
    assert fg.testing.gradcheck(lambda x, bias: F.layer_norm(x, (4, 5), None, bias), (x, bias))


def test_norm_of_rows_far_from_zero_or_with_one_far_element():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 130)) + 1e4
    x[4, 0], x[5, 0] = 0.0, -1e6
    out = F.layer_norm(fg.Tensor(x.astype("f")), 130).numpy()
    x = x.astype("f").astype(float)
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=2e-3)

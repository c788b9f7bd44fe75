"""Worked examples of well-known courses, with the numbers published there."""

import pytest

import fastgrad as fg


def _leaves(*values):
    return [fg.tensor(value, dtype=fg.float64, requires_grad=True) for value in values]


def _grads(*tensors):
    return [tensor.grad.tolist() for tensor in tensors]


def test_sum_times_z():
    """CS231n, "Backpropagation, Intuitions": f = (x + y) z."""
    x, y, z = _leaves(-2.0, 5.0, -4.0)
    f = (x + y) * z
    assert f.item() == -12
    f.backward()
    assert _grads(x, y, z) == [-4, -4, 3]


def test_sigmoid_circuit():
    """CS231n: f(w, x) = 1 / (1 + e^-(w0 x0 + w1 x1 + w2)), by its parts and by the gate."""
    for gate in (lambda s: 1 / ((-s).exp() + 1), fg.sigmoid):
        w0, x0, w1, x1, w2 = _leaves(2.0, -1.0, -3.0, -2.0, -3.0)
        f = gate(w0 * x0 + w1 * x1 + w2)
        assert round(f.item(), 2) == 0.73
        f.backward()
        w = [round(g, 2) for g in _grads(w0, w1, w2)]
        x = [round(g, 2) for g in _grads(x0, x1)]
        assert w == [-0.20, -0.39, 0.20]
        assert x == [0.39, -0.59]


def test_add_max_and_multiply_gates():
    """CS231n, "Patterns in backward flow": 2 (x y + max(z, w))."""
    x, y, z, w = _leaves(3.0, -4.0, 2.0, -1.0)
    f = (x * y + (w + (z - w).relu())) * 2
    assert f.item() == -20
    f.backward()
    assert _grads(x, y, z, w) == [-8, 6, 2, 0]


def test_squared_norm_of_a_product():
    """CS231n, lecture 4: f = |W x|²."""
    w, x = _leaves([[0.1, 0.5], [-0.3, 0.8]], [0.2, 0.4])
    q = w @ x
    q.retain_grad()
    f = (q * q).sum()
    f.backward()
    assert q.tolist() == pytest.approx([0.22, 0.26])
    assert f.item() == pytest.approx(0.116)
    assert q.grad.tolist() == pytest.approx([0.44, 0.52])
    assert w.grad.flatten().tolist() == pytest.approx([0.088, 0.176, 0.104, 0.208])
    assert x.grad.tolist() == pytest.approx([-0.112, 0.636])


def test_softmax_classifier():
    """CS231n, "Linear classification": scores -2.85, 0.86, 0.28 and the third class."""
    scores = fg.tensor([[-2.85, 0.86, 0.28]])
    p = [round(value, 3) for value in scores.softmax(dim=1).flatten().tolist()]
    assert p[1:] == [0.631, 0.353]
    assert round(fg.cross_entropy(scores, fg.tensor([2])).item(), 2) == 1.04


def test_buying_apples():
    """Saitoh, "Deep Learning from Scratch", chapter 5: two apples of 100 yen and 10 % tax."""
    price, number, tax = _leaves(100.0, 2.0, 1.1)
    total = price * number * tax
    assert total.item() == pytest.approx(220)
    total.backward()
    assert _grads(price, number, tax) == pytest.approx([2.2, 110, 200])


def test_buying_apples_and_oranges():
    """The same, with three oranges of 150 yen."""
    apple, apples, orange, oranges, tax = _leaves(100.0, 2.0, 150.0, 3.0, 1.1)
    total = (apple * apples + orange * oranges) * tax
    assert total.item() == pytest.approx(715)
    total.backward()
    grads = _grads(apple, apples, orange, oranges, tax)
    assert grads == pytest.approx([2.2, 110, 3.3, 165, 650])


def test_micrograd_readme():
    """karpathy/micrograd: the example of the README, with its in-place sums."""
    a, b = _leaves(-4.0, 2.0)
    c = a + b
    d = a * b + b * b * b
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e * e
    g = f / 2.0
    g += 10.0 / f
    assert f"{g.item():.4f}" == "24.7041"
    g.backward()
    assert [f"{grad:.4f}" for grad in _grads(a, b)] == ["138.8338", "645.5773"]


def test_micrograd_neuron():
    """Karpathy, "The spelled-out intro to neural networks": tanh(x1 w1 + x2 w2 + b)."""
    x1, x2, w1, w2, b = _leaves(2.0, 0.0, -3.0, 1.0, 6.8813735870195432)
    o = (x1 * w1 + x2 * w2 + b).tanh()
    assert round(o.item(), 4) == 0.7071
    o.backward()
    assert _grads(x1, w1, x2, w2) == pytest.approx([-1.5, 1.0, 0.5, 0.0])


def test_step_by_step_backpropagation():
    """Mazur, "A Step by Step Backpropagation Example": 2-2-2 sigmoids, one step of rate 0.5."""
    x, target = _leaves([0.05, 0.10], [0.01, 0.99])
    # (in, out): the columns are the post's (w1, w2), (w3, w4) and (w5, w6), (w7, w8)
    hidden, output = _leaves([[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]])

    def error():
        out = ((x @ hidden + 0.35).sigmoid() @ output + 0.60).sigmoid()
        return out, fg.mse_loss(out, target, reduction="sum") / 2

    out, total = error()
    assert out.tolist() == pytest.approx([0.75136507, 0.772928465], abs=5e-9)
    assert total.item() == pytest.approx(0.298371109, abs=5e-10)
    total.backward()
    fg.optim.SGD([hidden, output], lr=0.5).step()
    assert output.T.flatten().tolist() == pytest.approx(
        [0.35891648, 0.408666186, 0.511301270, 0.561370121], abs=5e-9
    )
    assert hidden.T.flatten().tolist() == pytest.approx(
        [0.149780716, 0.19956143, 0.24975114, 0.29950229], abs=5e-9
    )
    assert round(error()[1].item(), 6) == 0.291028

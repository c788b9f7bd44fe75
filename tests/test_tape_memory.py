"""What the tape leaves in memory: long chains, garbage, threads."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from small_graphs import a_leaf, as_lists

import fastgrad as fg
from fastgrad import nn


def test_a_chain_of_100_000_operations():
    x = fg.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(50_000):
        y = -(y * 1.0)
    y.backward()
    assert x.grad.tolist() == [1]
    assert as_lists(fg.grad(y * 2, y)) == [[2]]


def test_a_chain_of_100_000_operations_is_dropped():
    x = fg.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None
    assert x.grad is None


@pytest.fixture
def no_collector():
    """The cyclic garbage collector is off; calling the fixture's value collects."""
    gc.collect()
    gc.disable()
    yield gc.collect
    gc.enable()


def test_training_leaves_no_cycles(no_collector):
    model = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)
    )
    optimizer = fg.optim.Adam(model.parameters())
    x, labels = fg.tensor(np.eye(3, dtype=np.float32)), fg.tensor([0, 1, 2])

    def step():
        hidden = model(x)
        hidden.register_hook(lambda grad: grad * 2)
        hidden.retain_grad()
        loss = fg.cross_entropy(hidden, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with fg.no_grad():
            model(x).argmax(dim=1)
        fg.grad((model(x) * 2).sum(), list(model.parameters()))

    step()
    no_collector()
    for _ in range(3):
        step()
    assert no_collector() == 0


def test_intermediate_results_die_with_their_last_name(no_collector):
    x = a_leaf()
    y = x.exp()
    tensor, array, node = weakref.ref(y), weakref.ref(y.data), weakref.ref(y.grad_fn)
    loss = (y * y).sum()
    del y
    assert tensor() is None
    assert array() is not None  # saved for the product
    loss.backward()
    assert array() is None
    assert node() is None
    assert loss.item() > 0


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_graph_dies_without_backward():
    x = a_leaf()
    loss = (x.exp() * 2).sum()
    node = weakref.ref(loss.grad_fn)
    del loss
    assert node() is None


def test_memory_does_not_grow():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.2), nn.Linear(30, 5))
    optimizer = fg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, labels = fg.ones(16, 20), fg.tensor([k % 5 for k in range(16)])

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad()
            fg.cross_entropy(model(x), labels).backward()
            optimizer.step()

    steps(20)
    gc.collect()
    tracemalloc.start()
    try:
        steps(50)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        steps(200)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 4096  # 200 steps that kept one gradient each would be 480,000

"""State dicts: there and back, and those that do not fit."""

import numpy as np
import pytest
from small_modules import Block, assert_state, state_of

import fastgrad as fg
from fastgrad import nn


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


def test_state_dict_round_trip():
    source, target = Block(), Block()
    source(fg.ones(4, 2) * 2)
    parameters = list(target.parameters())
    state = source.state_dict()
    assert all(not tensor.requires_grad for tensor in state.values())
    assert state["scale"].data is source.scale.data
    missing, unexpected = target.load_state_dict(state)
    assert not missing
    assert not unexpected
    assert_state(target, state_of(source))
    assert all(a is b for a, b in zip(target.parameters(), parameters, strict=True))
    assert not np.shares_memory(target.scale.data, source.scale.data)
    assert target.inner[1].num_batches_tracked.item() == 1


def _in_float64(x):
    return x.double() if x.dtype == fg.float32 else x


@pytest.mark.parametrize("convert", [np.asarray, fg.Tensor.tolist, _in_float64])
def test_state_dict_of_other_kinds(convert):
    source, target = Block(), Block()
    target.load_state_dict({name: convert(t) for name, t in source.state_dict().items()})
    assert_state(target, state_of(source))
    assert target.scale.dtype == fg.float32


def _spoiled(state):
    state = dict(state)
    del state["inner.0.bias"], state["offset"]
    state["inner.0.weight"] = fg.ones(3, 2)
    state["inner.1.num_batches_tracked"] = fg.tensor(1.5)
    state["scale"] = fg.tensor([5.0, 5.0])
    state["surplus"] = fg.ones(1)
    state["inner.9.weight"] = fg.ones(1)
    return state


def test_a_state_dict_that_does_not_fit_is_refused_whole():
    block = Block()
    before, state = state_of(block), _spoiled(Block().state_dict())
    with pytest.raises(RuntimeError, match="load_state_dict: does not fit Block") as caught:
        block.load_state_dict(state)
    message = str(caught.value)
    for part in (
        "missing: offset, inner.0.bias", "unexpected: surplus, inner.9.weight",
        "inner.0.weight has shape (3, 2), expected (2, 3)",
        "inner.1.num_batches_tracked is float32, expected int64",
    ):  # fmt: skip
        assert part in message
    # In the module's order, whatever the hash seed of the process.
    assert message.index("inner.0.weight") < message.index("num_batches_tracked")
    assert_state(block, before)
    with pytest.raises(RuntimeError, match=r"inner\.0\.weight has shape"):
        block.load_state_dict(state, strict=False)
    assert_state(block, before)


def test_problems_are_listed_in_the_modules_order():
    model = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(20)])
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict({name: np.ones(3) for name in reversed(model.state_dict())})
    positions = [str(caught.value).index(f" {k}.weight") for k in range(20)]
    assert positions == sorted(positions)


def test_loading_common_names_only():
    block = Block()
    expected = state_of(block)
    expected["scale"] = np.array([5.0, 5.0], np.float32)
    result = block.load_state_dict({"scale": [5.0, 5.0], "other": fg.ones(1)}, strict=False)
    missing, unexpected = result
    assert missing == [name for name in block.state_dict() if name != "scale"]
    assert unexpected == ["other"]
    assert_state(block, expected)


@pytest.mark.parametrize("value", ["abc", None, object()], ids=["text", "None", "object"])
def test_loading_what_is_no_tensor(value):
    layer = nn.Linear(1, 1)
    before = state_of(layer)
    with pytest.raises(RuntimeError, match="does not fit Linear: bias"):
        layer.load_state_dict({"weight": fg.ones(1, 1), "bias": value})
    assert_state(layer, before)

"""Checkpoints: a training goes on to the same bits; what is damaged is refused, and changes
nothing; a process may be killed at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter

import numpy as np
import pytest
from child import TESTS, environment

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.data import DataLoader, MixUp, TensorDataset, mixed_loss
from fastgrad.data.augment import Compose, RandomErasing, RandomShift
from fastgrad.training import (
    EMA,
    Callback,
    Checkpoint,
    EarlyStopping,
    KeepBest,
    KeepSnapshots,
    Schedule,
    fit,
    load,
    load_checkpoint,
)
from fastgrad.training.packing import pack, unpack


class Halving:
    """A schedule, as of PyTorch: a rate that is halved in every step."""

    def __init__(self, optimizer):
        self.optimizer, self.count = optimizer, 0

    def step(self):
        self.count += 1
        for group in self.optimizer.param_groups:
            group["lr"] /= 2

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def parts(mixed=False, optimizer="Adam", seed=0):
    """model, loss, optimizer, loader: dropout, batch norm and shuffling need the random state."""
    fg.manual_seed(seed)
    rng = np.random.default_rng(0)
    data = TensorDataset(rng.standard_normal((50, 2)).astype(np.float32), rng.integers(0, 3, 50))
    mix = MixUp(alpha=0.4) if mixed else None
    loader = DataLoader(data, 16, shuffle=True, seed=seed, batch_transform=mix)
    model = nn.Sequential(
        nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )
    loss = nn.CrossEntropyLoss()
    if mixed:
        loss = mixing(loss)
    return model, loss, getattr(optim, optimizer)(model.parameters(), lr=0.05), loader


def callbacks_for(optimizer):
    scheduler = Schedule(Halving(optimizer))
    return [EarlyStopping(patience=20), KeepSnapshots(every=2, keep=2), scheduler]


def mixing(loss):
    """The loss of mixed samples, and of others."""
    return lambda x, t: loss(x, t) if isinstance(t, fg.Tensor) else mixed_loss(loss, x, t)


def validation():
    x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(10, 2)
    return DataLoader(TensorDataset(x, np.arange(10) % 3), 4, shuffle=True, seed=1)


class StopAt(Callback):
    """Ends a run after some step, as a crash would."""

    class Crash(Exception):
        pass

    order = 1000

    def __init__(self, step):
        self.at = step

    def on_batch_end(self, context):
        if context.step == self.at:
            raise self.Crash


def run(folder=None, stop=None, resume=None, steps=None, mixed=False, compile=False, epochs=5):
    model, loss, optimizer, loader = parts(mixed)
    own = callbacks_for(optimizer)
    if folder is not None:
        own.append(Checkpoint(folder, steps=steps, keep=None))
    if stop is not None:
        own.append(StopAt(stop))
    try:
        history = fit(
            model, loss, optimizer, loader, epochs=epochs, validation=validation(),
            metrics="f1", callbacks=own, resume=resume, compile=compile,
        )  # fmt: skip
    except StopAt.Crash:
        return None
    return result(model, optimizer, loader, history)


def result(model, optimizer, loader, history):
    """All that a training leaves behind, and the random numbers that come next."""
    drawn = fg.dropout(fg.ones(50)).tolist(), fg.nn.Linear(2, 2).weight.tolist()
    return bits(model, optimizer, loader), timeless(history), drawn


def bits(model, optimizer, loader):
    arrays = {name: x.data.tobytes() for name, x in model.state_dict().items()}
    state = optimizer.state_dict()["state"]
    moments = {(i, k): v.tobytes() for i, values in state.items() for k, v in values.items()}
    return arrays, moments, loader.state_dict()


def timeless(history):
    return {k: v for k, v in dict(history).items() if "seconds" not in k and "second" not in k}


# ------------------------------------------------------------------ the same bits


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("mixed", [False, True], ids=["plain", "mixed"])
@pytest.mark.parametrize("stop", [2, 4, 5, 8, 11, 16, 19])
def test_a_resumed_run_reaches_the_same_bits(tmp_path, stop, mixed, compile):
    options = {"mixed": mixed, "compile": compile}
    whole = run(**options)
    assert run(tmp_path, stop, steps=1, **options) is None
    fg.manual_seed(99)
    assert run(resume=tmp_path, **options) == whole


OPTIMIZERS = [
    name for name in optim.__all__
    if isinstance(getattr(optim, name), type) and name != "Optimizer"
]  # fmt: skip
SCHEDULES = {
    "ReduceLROnPlateau": {"patience": 0},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 20},
    "MultiStepLR": {"milestones": [1, 3]},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "ExponentialLR": {"gamma": 0.5},
}


def practical(folder, stop=None, resume=None, optimizer="SGD", schedule="ExponentialLR"):
    """A training with everything in it: changed images, averages, clipping, a schedule."""
    fg.manual_seed(0)
    rng = np.random.default_rng(0)
    images = rng.random((24, 6, 6)).astype(np.float32)
    data = TensorDataset(images, rng.integers(0, 3, 24))
    change = Compose([RandomShift(1), RandomErasing()])
    batches = DataLoader(data, 8, shuffle=True, seed=1, transform=change)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.Dropout(0.2))
    optimizer = getattr(optim, optimizer)(model.parameters())
    kind = getattr(optim.lr_scheduler, schedule)
    per = "step" if schedule == "OneCycleLR" else "epoch"
    own = [
        Schedule(kind(optimizer, **SCHEDULES[schedule]), per), EMA(0.9), KeepBest(),
        Checkpoint(folder, steps=1), *([] if stop is None else [StopAt(stop)]),
    ]  # fmt: skip
    try:
        history = fit(
            model, nn.CrossEntropyLoss(), optimizer, batches, epochs=4, validation=batches,
            callbacks=own, resume=resume,
        )  # fmt: skip
    except StopAt.Crash:
        return None
    arrays = {name: x.data.tobytes() for name, x in model.state_dict().items()}
    return arrays, timeless(history), fg.random.default.state_dict()


@pytest.mark.parametrize(
    "options",
    [*({"optimizer": name} for name in OPTIMIZERS), *({"schedule": name} for name in SCHEDULES)],
    ids=lambda options: next(iter(options.values())),
)
def test_all_optimizers_and_schedules_go_on_to_the_same_bits(tmp_path, options):
    whole = practical(tmp_path / "whole", **options)
    assert practical(tmp_path / "cut", stop=7, **options) is None
    assert practical(tmp_path / "cut", resume=True, **options) == whole


def test_it_goes_on_from_the_end_of_an_epoch_where_nothing_newer_is(tmp_path):
    whole = run()
    run(tmp_path, stop=11)
    paths = Checkpoint(tmp_path).paths()
    assert [load_checkpoint(path)["step"] for path in paths] == [4, 8]
    assert run(resume=tmp_path) == whole
    assert run(resume=paths[0]) == whole


def test_resume_true_begins_where_there_is_nothing(tmp_path):
    whole = run()
    assert run(tmp_path / "new", resume=True) == whole
    assert run(tmp_path / "new", resume=True) == whole  # done already: nothing is trained


def test_more_epochs_than_before(tmp_path):
    whole = run(epochs=5)
    run(tmp_path, epochs=3)
    assert run(resume=tmp_path, epochs=5)[1] == whole[1]


def test_ctrl_c_leaves_a_checkpoint_in_the_middle_of_an_epoch(tmp_path):
    class CtrlC(Callback):
        def on_batch_end(self, context):
            if context.step == 6:
                signal.raise_signal(signal.SIGINT)

    whole = run()
    model, loss, optimizer, loader = parts()
    own = [*callbacks_for(optimizer), CtrlC(), Checkpoint(tmp_path)]
    history = fit(
        model, loss, optimizer, loader, epochs=5, validation=validation(), metrics="f1",
        callbacks=own,
    )  # fmt: skip
    assert history.interrupted
    assert len(history) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert load_checkpoint(Checkpoint(tmp_path).paths()[-1])["batch"] == 2
    assert run(resume=tmp_path) == whole


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    def stopping(**options):
        model, loss, optimizer, loader = parts()
        own = [EarlyStopping(2, mode="max"), Checkpoint(tmp_path)]
        history = fit(model, loss, optimizer, loader, epochs=9, callbacks=own, **options)
        return result(model, optimizer, loader, history)

    whole = stopping()
    assert len(whole[1]["loss"]) < 9
    assert stopping(resume=True) == whole


def test_the_newest_are_kept(tmp_path):
    model, loss, optimizer, loader = parts()
    (tmp_path / ".0123.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    keep = Checkpoint(tmp_path, every=2, steps=3, keep=2)
    fit(model, loss, optimizer, loader, epochs=4, callbacks=[keep])
    assert [path.name for path in keep.paths()] == [
        "checkpoint-0000000015.safetensors", "checkpoint-0000000016.safetensors",
    ]  # fmt: skip
    assert sorted(os.listdir(tmp_path))[-1] == "notes.txt"
    assert len(os.listdir(tmp_path)) == 3
    state = load_checkpoint(keep.paths()[-1])
    assert model.load_state_dict(state["model"]) == ([], [])


# ------------------------------------------------------------------ what is refused


@pytest.fixture
def saved(tmp_path):
    run(tmp_path, stop=6, steps=6)
    return Checkpoint(tmp_path).paths()[-1]


def everything():
    """Parts, and a function that tells what state they are in."""
    model, loss, optimizer, loader = parts(seed=5)
    fit(model, loss, optimizer, loader)

    def state():
        return bits(model, optimizer, loader), str(fg.random.default.state_dict())

    return (model, loss, optimizer, loader), state


def refuses(path, message, own=None):
    """Resuming from the file is refused, and changes nothing."""
    (model, loss, optimizer, loader), state = everything()
    before = state()
    own = callbacks_for(optimizer) if own is None else own
    with pytest.raises(ValueError, match=message):
        fit(model, loss, optimizer, loader, epochs=9, callbacks=own, resume=path)
    assert state() == before


def rewritten(path, change):
    """The file with its header, a dict, changed."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header = change(header) or header
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def test_a_file_cut_anywhere_is_refused(saved):
    data = saved.read_bytes()
    rng = random.Random(0)
    for size in (0, 7, 8, 9, len(data) - 1, *(rng.randrange(len(data)) for _ in range(30))):
        saved.write_bytes(data[:size])
        with pytest.raises(ValueError, match="load_checkpoint: "):
            load_checkpoint(saved)
    refuses(saved, "no safetensors file, or not whole")


def test_a_flipped_bit_is_refused(saved):
    data = bytearray(saved.read_bytes())
    whole = load_checkpoint(saved)
    rng = random.Random(1)
    for _ in range(300):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        data[at] ^= bit
        saved.write_bytes(data)
        try:
            same = str(load_checkpoint(saved)) == str(whole)  # a space between two entries
        except ValueError as error:
            assert str(error).startswith("load_checkpoint: ")  # noqa: PT017
        else:
            assert same
        data[at] ^= bit


def _first(header):
    return next(name for name in header if name != "__metadata__")


def _set(field, value):
    def change(header):
        header[_first(header)][field] = value

    return change


def _metadata(**values):
    def change(header):
        header["__metadata__"].update(values)

    return change


HOSTILE = {
    "overlapping offsets": _set("data_offsets", [0, 0]),
    "offsets beyond the end": _set("data_offsets", [0, 10**15]),
    "backward offsets": _set("data_offsets", [10, 2]),
    "negative offsets": _set("data_offsets", [-8, 0]),
    "another dtype": _set("dtype", "I32"),
    "a longer dtype": _set("dtype", "F64"),
    "an unknown dtype": _set("dtype", "Q7"),
    "a dtype of a few bits": _set("dtype", "F4"),
    "bfloat16": _set("dtype", "BF16"),
    "a huge shape": _set("shape", [2**62, 2**62]),
    "a huge empty shape": _set("shape", [0, 2**62, 2**62]),
    "another shape": _set("shape", [4, 4]),
    "a shape that is text": _set("shape", "ten"),
    "a missing array": lambda header: header.pop(_first(header)) and None,
    "a renamed array": lambda header: header.update(other=header.pop(_first(header))),
    "a header that is a list": lambda header: [header],
    "a header that is a number": lambda header: 3,
    "no metadata": lambda header: header.pop("__metadata__") and None,
    "another format": _metadata(format="fastgrad checkpoint 99"),
    "other text": _metadata(state="{}"),
    "no checksum": lambda header: header["__metadata__"].pop("checksum") and None,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_are_refused(saved, case):
    rewritten(saved, HOSTILE[case])
    refuses(saved, "load_checkpoint: ")


@pytest.mark.parametrize("length", [2**63, 2**40, 10**8 + 1, 3, 0])
def test_wrong_header_lengths_are_refused(saved, length):
    saved.write_bytes(length.to_bytes(8, "little") + saved.read_bytes()[8:])
    refuses(saved, "load_checkpoint: ")


def _with_state(change, **arrays):
    """A well-formed file whose state is another."""
    from fastgrad.training.checkpoint import save_checkpoint

    def make(path):
        state = load_checkpoint(path)
        state = change(state) or state
        save_checkpoint(state, path)

    return make


def _value(*keys, value):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return _with_state(change)


WRONG = {
    "no object": (_with_state(lambda state: [1]), "expected an object"),
    "a part is missing": (_with_state(lambda s: s.pop("model") and None), "missing.*: model"),
    "a part is another": (_value("history", value={}), "history is a dict"),
    "a negative batch": (_value("batch", value=-1), "do not fit"),
    "another model": (_value("model", "0.weight", value=fg.zeros(3, 3)), "0.weight has shape"),
    "a model of doubles": (
        _value("model", "0.weight", value=fg.zeros(2, 8, dtype="float64")), "0.weight is float64",
    ),
    "a weight that is text": (_value("model", "0.weight", value="no"), "0.weight is None"),
    "an optimizer with nothing": (_value("optimizer", value={}), "has no state"),
    "a rate that is text": (
        _value("optimizer", "param_groups", 0, "lr", value="fast"), "cannot go on",
    ),
    "moments of another shape": (
        _value("optimizer", "state", 0, "exp_avg", value=np.zeros(7)), "exp_avg",
    ),
    "a loader at no seed": (_value("loader", "seed", value=-1), "seed is -1"),
    "random numbers of another kind": (_value("random", "numpy", value={}), "cannot go on"),
    "callbacks that are not there": (
        _value("callbacks", value=[["Mine", {"x": 1}]]), "the state of Mine",
    ),
    "callbacks of another shape": (_value("callbacks", value=[3]), "cannot go on"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_states_that_do_not_fit_are_refused(saved, case):
    make, message = WRONG[case]
    make(saved)
    refuses(saved, message)


def test_deep_nesting_is_refused():
    with pytest.raises(ValueError, match="not one of ours"):
        unpack("[" * 100_000 + "]" * 100_000, {})
    for text in ("", "{", '{"$":"code"}', '{"$":"array","name":"x"}', "NaN", '{"$":[]}'):
        with pytest.raises(ValueError, match="not one of ours"):
            unpack(text, {})
    with pytest.raises(ValueError, match="does not name: x"):
        unpack("1", {"x": np.zeros(1)})


def test_other_files_and_missing_ones(tmp_path):
    fg.save({"x": fg.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="format is None"):
        load_checkpoint(tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        fit(*parts(), resume=tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        fit(*parts(), resume=tmp_path / "none")
    with pytest.raises(ValueError, match="resume=True wants a Checkpoint callback"):
        fit(*parts(), resume=True)
    with pytest.raises(ValueError, match="Checkpoint: keep is 0"):
        Checkpoint(tmp_path, keep=0)


def test_an_older_one_is_used_where_the_newest_is_damaged(tmp_path):
    whole = run()
    run(tmp_path, stop=11, steps=5)
    newest = Checkpoint(tmp_path).paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="an older checkpoint is used: .*not whole"):
        assert run(resume=tmp_path) == whole
    for path in Checkpoint(tmp_path).paths():
        path.write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="none of the checkpoints in"):
            run(resume=tmp_path)


def test_a_loader_that_is_shorter_than_it_was(saved):
    (model, loss, optimizer, _), _ = everything()
    with pytest.raises(ValueError, match="is at batch 2 of its epoch, and the loader gives only 1"):
        fit(
            model, loss, optimizer, [(fg.zeros(4, 2), fg.tensor([0, 1, 2, 0]))], epochs=9,
            callbacks=callbacks_for(optimizer), resume=saved,
        )  # fmt: skip


def test_all_kinds_of_state_come_back():
    tree = {
        "a": [1, 2.5, None, True, "text", -(2**100)],
        "tuple": (1, (2.0, 0.5)),
        3: {"x/y": np.arange(3), "x": {"y": np.arange(2.0)}},
        "counts": Counter([1, 1, 5]),
        "tensor": fg.ones(2, 2),
        "odd": [float("inf"), float("-inf"), {"$": 1}],
    }
    text, arrays = pack(tree)
    again = unpack(text, arrays)
    assert str(again) == str(tree)
    assert type(again["counts"]) is Counter
    assert np.isnan(unpack(*pack(float("nan"))))
    assert unpack(*pack([np.float32(0.5), np.int64(3), np.bool_(True)])) == [0.5, 3, True]
    with pytest.raises(TypeError, match="checkpoint: a/0 is a function, not kept"):
        pack({"a": [lambda: 0]})


def test_best_weights_go_to_a_file_too(tmp_path):
    model, loss, optimizer, loader = parts()
    best = KeepBest("loss", path=tmp_path / "best.safetensors")
    fit(model, loss, optimizer, loader, epochs=3, callbacks=[best])
    for name, value in load(tmp_path / "best.safetensors").items():
        np.testing.assert_array_equal(value.data, model.state_dict()[name].data)


# ------------------------------------------------------------------ killed at any moment

_WRITER = """
import sys
from test_training_resume import parts
from fastgrad.training import Checkpoint, fit
fit(*parts(), epochs=10**6, callbacks=[Checkpoint(sys.argv[1], steps=1, keep=2)], resume=True)
"""


def newest(folder):
    return max((path.name for path in Checkpoint(folder).paths()), default="")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_that_is_killed_leaves_a_checkpoint(tmp_path):
    rng, steps = random.Random(0), []
    for _ in range(5):
        before, end = newest(tmp_path), time.monotonic() + 100
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], env=environment(), cwd=TESTS
        )
        while newest(tmp_path) == before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        states = [load_checkpoint(path) for path in Checkpoint(tmp_path).paths()]
        assert 1 <= len(states) <= 3
        steps.append(states[-1]["step"])
    assert steps == sorted(set(steps))
    model, loss, optimizer, loader = parts()
    epochs = len(states[-1]["history"])
    fit(model, loss, optimizer, loader, epochs=epochs, resume=tmp_path)

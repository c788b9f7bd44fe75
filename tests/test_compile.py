"""``fastgrad.compile``: the same bits as the eager step, whatever changes between two calls."""

import gc
import threading

import numpy as np
import pytest
from op_cases import CASES

import fastgrad as fg
from fastgrad import nn
from fastgrad.functional import cross_entropy

# ------------------------------------------------------------------ every operation

_CALLS = [
    pytest.param(case, sample, id=f"{case.name}-{number}")
    for case in CASES
    for number, sample in enumerate(case.samples)
]


def _draw(case, sample, seed, dtype):
    """Tensors of a sample; labels and other integers are rotated."""
    rng = np.random.default_rng(seed)
    arrays = [
        case.draw(rng, x).astype(dtype) if isinstance(x, tuple) else np.roll(np.asarray(x), seed)
        for x in sample.inputs
    ]
    return [fg.Tensor(np.asarray(x)) for x in arrays]


def _bits(result):
    if isinstance(result, fg.Tensor):
        return result.shape, result.dtype, result.data.tobytes()
    if isinstance(result, tuple | list):
        return [_bits(part) for part in result]
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("case", "sample"), _CALLS)
def test_every_operation_replays_to_the_bits_of_the_eager_one(case, sample, dtype):
    options = {
        name: fg.Tensor(value.astype(dtype)) if isinstance(value, np.ndarray) else value
        for name, value in sample.options.items()
    }

    call = fg.dropout if case.name == "dropout" else case.call  # the row's own seeds

    def step(*tensors):
        leaves = [x.detach().requires_grad_(case.gradient and x.dtype == dtype) for x in tensors]
        out = call(*leaves, **options)
        if not out.requires_grad:
            return out
        wanted = [x for x in leaves if x.requires_grad]
        return out, fg.grad(out.sum(), wanted, allow_unused=True)

    compiled = fg.compile(step)
    for seed in (0, 1, 2, 0):
        fg.manual_seed(seed)
        expected = _bits(step(*_draw(case, sample, seed, dtype)))
        fg.manual_seed(seed)
        assert _bits(compiled(*_draw(case, sample, seed, dtype))) == expected
    assert _count(compiled) == 1


def _count(compiled):
    """Number of recordings."""
    return sum(len(recordings) for recordings in compiled._recordings.values())


_LARGE = {
    "sum": lambda x, y: (x * x.sum()).sum(),
    "mean": lambda x, y: (x.mean() * x).mean(),
    "sum rows": lambda x, y: (x.sum(dim=0) * x).sum(),
    "sum columns": lambda x, y: (x.sum(dim=1, keepdim=True) * x).mean(),
    "amax": lambda x, y: x.amax() * x.sum(),
    "mse": lambda x, y: fg.mse_loss(x, y),
    "product": lambda x, y: (x @ y.t()).tanh().mean(),
    "in place": lambda x, y: (x * 2).add_(y).mul_(x.mean()).sum(),
    "strided": lambda x, y: (x.t().exp() * y.t()).sum(dim=1).mean(),
}


@pytest.mark.parametrize("name", _LARGE)
def test_large_arrays_take_other_paths_to_the_same_bits(name):
    def step(x, y):
        leaf = x.detach().requires_grad_()
        loss = _LARGE[name](leaf, y)
        loss.backward()
        return loss, leaf.grad

    compiled = fg.compile(step)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, y = (fg.Tensor(rng.standard_normal((130, 170)).astype(np.float32)) for _ in range(2))
        assert _bits(compiled(x, y)) == _bits(step(x, y))
    assert _count(compiled) == 1


def test_tensors_that_the_step_writes_to():
    results = []
    for wrap in (lambda step: step, fg.compile):
        kept = [fg.zeros(5), fg.zeros(5, dtype=np.float64), fg.zeros(5, dtype=np.int64)]

        def step(x, kept=kept):
            with fg.no_grad():
                kept[0].mul_(0.5).add_(x)
                kept[1].copy_(x * 3)
                kept[2].copy_(x)
                kept[2].add_(1)
            return kept[0].sum()

        step = wrap(step)
        losses = [step(fg.tensor(np.arange(5, dtype=np.float32) * k)).item() for k in range(4)]
        results.append((losses, [x.tolist() for x in kept]))
    assert results[0] == results[1]


# ------------------------------------------------------------------ training


class Job:
    """A network, its optimizer, and its step."""

    def __init__(self, kind="SGD", compiled=False, **options):
        fg.manual_seed(0)
        options = {"SGD": {"lr": 0.05, "momentum": 0.9}}.get(kind, {"lr": 0.01}) | options
        self.model = nn.Sequential(
            nn.Linear(13, 29), nn.BatchNorm1d(29), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(29, 17), nn.Tanh(), nn.Linear(17, 5),
        )  # fmt: skip
        self.optimizer = getattr(fg.optim, kind)(self.model.parameters(), **options)
        self.step = fg.compile(self._step) if compiled else self._step
        fg.manual_seed(1)

    def _step(self, x, target):
        self.optimizer.zero_grad()
        out = self.model(x)
        loss = cross_entropy(out, target, label_smoothing=0.1)
        if self.model.training:
            loss.backward()
            self.optimizer.step()
        return loss, {"out": out, "name": "out"}

    def state(self):
        """Bits of all that a step may change."""
        tensors = list(self.model.state_dict().values())
        tensors += [p.grad for p in self.model.parameters() if p.grad is not None]
        state = [
            value.tobytes()
            for values in self.optimizer.state.values()
            for name, value in sorted(values.items())
            if name[0] != "_"
        ]
        return [x.data.tobytes() for x in tensors], state


def _batch(seed, size=19):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((size, 13)).astype(np.float32)
    return fg.Tensor(x), fg.Tensor(rng.integers(0, 5, size))


def _run(job, calls):
    losses = []
    for seed in range(calls):
        for group in job.optimizer.param_groups:
            group["lr"] = 0.05 / (1 + seed)
        loss, rest = job.step(*_batch(seed))
        losses.append((loss.item(), rest["out"].tolist(), rest["name"]))
    return losses


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("SGD", {}), ("SGD", {"momentum": 0}), ("SGD", {"nesterov": True, "weight_decay": 0.1}),
        ("Adam", {}), ("Adam", {"amsgrad": True}), ("AdamW", {}),
    ],
)  # fmt: skip
def test_200_steps_give_the_same_bits(kind, options):
    """With dropout, batch norm, and another learning rate in every step."""
    eager, compiled = Job(kind, **options), Job(kind, compiled=True, **options)
    expected = _run(eager, 200)
    fg.manual_seed(1)
    assert _run(compiled, 200) == expected
    assert compiled.state() == eager.state()
    assert _count(compiled.step) == 1


@pytest.mark.usefixtures("always_threaded")
def test_threads_change_no_bit():
    results = []
    for threads in (fg.get_num_threads(), 1):
        fg.set_num_threads(threads)
        job = Job(compiled=True)
        results.append((_run(job, 5), job.state()))
    assert results[0] == results[1]


def test_a_change_of_mode_shape_or_option_is_a_new_recording():
    eager, compiled = Job(), Job(compiled=True)

    def calls(job):
        fg.manual_seed(1)
        losses = []
        for size in (19, 19, 7, 19, 7):
            losses.append(job.step(*_batch(size, size))[0].item())
        job.model.eval()
        losses += [job.step(*_batch(k))[0].item() for k in range(3)]
        job.model.train()
        losses += [job.step(*_batch(k))[0].item() for k in range(3)]
        job.optimizer.param_groups[0]["momentum"] = 0
        losses += [job.step(*_batch(k))[0].item() for k in range(3)]
        job.model[0].weight.requires_grad = False
        losses += [job.step(*_batch(k))[0].item() for k in range(3)]
        job.model[4].weight.data = job.model[4].weight.data.copy()
        losses += [job.step(*_batch(k))[0].item() for k in range(3)]
        return losses

    assert calls(compiled) == calls(eager)
    assert compiled.state() == eager.state()
    assert _count(compiled.step) == 6


def test_state_that_is_loaded_between_two_calls():
    jobs = Job(), Job(compiled=True)
    histories = []
    for job in jobs:
        fg.manual_seed(1)
        for k in range(3):
            job.step(*_batch(k))
        model, optimizer = job.model.state_dict(), job.optimizer.state_dict()
        model = {name: fg.tensor(value) for name, value in model.items()}
        for k in range(3, 6):
            job.step(*_batch(k))
        job.model.load_state_dict(model)
        job.optimizer.load_state_dict(optimizer)
        histories.append([job.step(*_batch(k))[0].item() for k in range(6, 12)])
    assert histories[0] == histories[1]
    assert jobs[0].state() == jobs[1].state()


def test_parameters_that_are_added_between_two_calls():
    histories = []
    for compiled in (False, True):
        job = Job(compiled=compiled)
        job.optimizer = fg.optim.SGD(job.model[0].parameters(), lr=0.05)
        fg.manual_seed(1)
        losses = [job.step(*_batch(k))[0].item() for k in range(3)]
        job.optimizer.add_param_group({"params": job.model[4].parameters(), "lr": 0.1})
        losses += [job.step(*_batch(k))[0].item() for k in range(3, 6)]
        histories.append((losses, job.state()))
    assert histories[0] == histories[1]


def test_gradients_that_accumulate_outside_the_step():
    def make(wrap):
        w = fg.tensor([1.0, 2.0, 3.0], requires_grad=True)

        def step(x):
            loss = (w * x).sum()
            loss.backward()
            return loss

        return w, wrap(step)

    histories = []
    for wrap in (lambda step: step, fg.compile):
        w, step = make(wrap)
        history = []
        for k in range(12):
            if k % 4 == 0:
                w.grad = None
            step(fg.tensor([1.0, float(k), 2.0]))
            history.append(w.grad.tolist())
        histories.append(history)
    assert histories[0] == histories[1]


def test_results_are_the_callers_own():
    compiled = fg.compile(lambda x: x * 2)
    first = compiled(fg.tensor([1.0]))
    second = compiled(fg.tensor([2.0]))
    third = compiled(fg.tensor([3.0]))
    assert [first.item(), second.item(), third.item()] == [2.0, 4.0, 6.0]
    third.add_(1)
    assert compiled(fg.tensor([4.0])).item() == 8.0


def test_arguments_of_any_layout_and_kind():
    compiled = fg.compile(lambda x, *, scale, pair: (x.t() * scale + pair[0]).sum(dim=1) - pair[1])
    rng = np.random.default_rng(0)
    for view in (lambda a: a, lambda a: a[::-1], lambda a: np.asfortranarray(a)):
        for scale in (2.0, 3.0):
            a, b = (view(rng.standard_normal((4, 4)).astype(np.float32)) for _ in range(2))
            result = compiled(fg.Tensor(a), scale=scale, pair=[b, 1.5])
            expected = (fg.Tensor(a).t() * scale + b).sum(dim=1) - 1.5
            assert result.tolist() == expected.tolist()
    assert _count(compiled) == 2


def test_what_the_step_makes_is_made_anew_in_every_replay():
    def step(x):
        total = fg.zeros(3)
        total.add_(x)
        ones = fg.ones(3)
        ones.mul_(x)
        listed = fg.tensor([1.0, 2.0, 3.0])
        listed.sub_(x)
        return total, ones, listed

    compiled = fg.compile(step)
    for k in range(4):
        x = fg.tensor([1.0, 2.0, float(k)])
        assert _bits(compiled(x)) == _bits(step(x))


def test_a_changed_parameter_is_noticed_by_older_graphs():
    w = fg.tensor([1.0], requires_grad=True)
    optimizer = fg.optim.SGD([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    compiled = fg.compile(step)
    compiled(fg.tensor([1.0]))
    loss = (w * w).sum()
    compiled(fg.tensor([1.0]))
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.item(), lambda x: float(x), lambda x: bool(x), lambda x: x.numpy(),
        lambda x: x.tolist(), lambda x: np.asarray(x), lambda x: x.data.item(),
        lambda x: np.sort(x.data), lambda x: float(x.data), lambda x: x.data.tolist(),
    ],
)  # fmt: skip
def test_a_step_that_looks_at_values_is_refused(look):
    compiled = fg.compile(lambda x: look(x.sum() * 2))
    for _ in range(2):
        with pytest.raises(fg.Unrecordable, match=r"cannot be recorded|is not recorded"):
            compiled(fg.tensor([1.0, 2.0]))
    assert fg.tensor([1.0]).item() == 1.0


def test_seeding_inside_a_step_is_refused():
    with pytest.raises(fg.Unrecordable, match="manual_seed"):
        fg.compile(lambda x: fg.manual_seed(1))(fg.zeros(1))


def test_an_argument_that_requires_grad_is_refused():
    with pytest.raises(fg.Unrecordable, match="an argument requires grad"):
        fg.compile(lambda x: x)(fg.tensor([1.0], requires_grad=True))


def test_bad_labels_are_found_in_a_replay_too():
    job = Job(compiled=True)
    for seed in range(3):
        job.step(*_batch(seed))
    x, target = _batch(3)
    target.data[4] = 7
    with pytest.raises(IndexError, match="label 7 at position 4 is out of range"):
        job.step(x, target)
    target.data[4] = 0
    job.step(x, target)


def test_an_error_in_a_recording_leaves_nothing_behind():
    compiled = fg.compile(lambda x: x @ x)
    with pytest.raises(ValueError, match="inner sizes differ"):
        compiled(fg.zeros(2, 3))
    assert compiled(fg.ones(2, 2)).tolist() == [[2.0, 2.0], [2.0, 2.0]]


# ------------------------------------------------------------------ memory and threads


def test_a_replay_makes_no_arrays(monkeypatch):
    job = Job(compiled=True)
    for seed in range(3):
        job.step(*_batch(seed))
    batch = _batch(9)
    gc.collect()
    program = next(iter(job.step._recordings.values()))[0].program
    inputs = [x.data for x in batch]
    monkeypatch.setattr(np, "empty", None)
    monkeypatch.setattr(np, "array", None)
    program(inputs)


def test_memory_of_a_recording_is_that_of_the_eager_step():
    """Arrays that are dead in the step make room for later ones."""

    def step(x):
        for _ in range(50):
            x = x * 1.5
        return x

    compiled = fg.compile(step)
    x = fg.zeros(1000)
    compiled(x)
    arena = next(iter(compiled._recordings.values()))[0].program.arena
    assert arena.peak < 8 * x.data.nbytes


def test_two_threads_may_train_compiled_models_at_once():
    def work(results, key):
        job = Job(compiled=True)
        results[key] = [job.step(*_batch(k))[0].shape for k in range(20)]

    results = {}
    threads = [threading.Thread(target=work, args=(results, key)) for key in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2]


def test_on_the_numpy_backend_the_step_just_runs():
    fg.set_backend("numpy")
    compiled = fg.compile(lambda x: x.sum().item())
    assert compiled(fg.tensor([1.0, 2.0])) == 3.0


def test_explain_lists_the_launches():
    job = Job(compiled=True)
    assert job.step.explain(*_batch(0)) == "recorded; call explain again"
    text = job.step.explain(*_batch(1))
    for part in ("matmul.direct", "19x13 13x29", "optim.sgd", "launches"):
        assert part in text

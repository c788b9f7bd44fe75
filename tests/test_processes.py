"""Forks, Python threads, pools: slower if need be, never wrong or killed.

Every scenario runs in a process of its own (see ``scenarios``) with thresholds so low that every
launch asks for threads, and its bits are compared with those of a serial process.
"""

import os
import pickle

import pytest
import scenarios
from child import run

from fastgrad import kernels
from fastgrad.kernels.gather import _gather_rows

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def serial():
    """Digests of one thread in a process that never had more."""
    result = run(scenarios.work, 1, NUMBA_NUM_THREADS=1)
    assert result["threads"] == 1
    return result


def bits(result):
    return result["train"], result["launch"]


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("layer", ["default", "omp", "workqueue"])
def test_threads_train_right_whatever_numbas_own_layer(layer, serial):
    result = run(scenarios.work, NUMBA_THREADING_LAYER=layer)
    assert result["threads"] == 2
    assert bits(result) == bits(serial)


def test_a_worker_that_does_not_come_is_not_waited_for():
    assert run(scenarios.late_worker) is True


def test_python_threads_may_train_and_launch_at_once():
    result = run(scenarios.from_many_threads)
    first, second, launched, other = result["serial"]
    assert result["two at once"] == [[first], [second]]
    assert result["pool"] == [[launched], [other], [first], [second]]


def test_python_threads_may_all_compile_the_same_kernel_first(tmp_path):
    result = run(scenarios.cold_from_many_threads, FASTGRAD_CACHE_DIR=tmp_path)
    assert result["results"] == [result["serial"]]


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_beside_parallel_numba_code_of_the_users_own(layer, serial):
    result = run(scenarios.beside_numba, NUMBA_THREADING_LAYER=layer)
    assert result == [*bits(serial), serial["train"], [10_000.0], 2]


def test_the_process_may_end_with_threads_inside_kernels(serial):
    result = run(scenarios.exit_while_training)
    assert result == serial["train"]


# ------------------------------------------------------------------ processes


@needs_fork
def test_fork_after_training(serial):
    result = run(scenarios.fork_after_training)
    assert result["parent"] == result["parent after"] == [*bits(serial), 2, 0]
    for child in result["children"]:
        assert child == [*bits(serial), 2, 0]  # with threads of its own
    assert result["pool"] == [serial["train"]] * 3


@needs_fork
def test_fork_before_training_may_use_threads(serial):
    result = run(scenarios.fork_before_training)
    for process in result.values():
        assert bits(process) == bits(serial)
        assert process["threads"] == 2


@needs_fork
@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.fork_while_compiling,
        scenarios.fork_while_making_a_ufunc,
        scenarios.fork_while_starting_threads,
    ],
    ids=lambda scenario: scenario.__name__.removeprefix("fork_while_"),
)
def test_fork_while_another_thread_is(scenario):
    assert run(scenario) == [5003.0, 1.0]


@needs_fork
def test_fork_after_compiling_a_step():
    from_parent, own, here = run(scenarios.fork_after_compiling)
    assert from_parent == own == here


@needs_fork
def test_fork_while_another_thread_records():
    assert run(scenarios.fork_while_recording) == [15.0, 21.0]


@needs_fork
def test_ctrl_c_reaches_a_child_forked_during_a_compilation():
    assert run(scenarios.fork_while_main_waits_to_compile) is True


def test_spawned_workers(serial):
    result = run(scenarios.spawned)
    assert result["worker"] == result["here"] == serial["train"]
    assert (result["sum"], result["exp"]) == (15.0, 1.0)


def test_how_processes_start_may_be_chosen_after_training():
    assert run(scenarios.start_method) == "spawn"


@pytest.mark.parametrize(
    "function", [kernels.sum, kernels.exp, kernels.matmul, _gather_rows], ids=lambda f: f.__name__
)
def test_kernels_are_pickled_by_name(function):
    assert pickle.loads(pickle.dumps(function)) is function

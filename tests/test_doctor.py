"""``python -m fastgrad doctor``: what it finds, what it says, what it warns of."""

import dataclasses
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.cli import _facts as facts_module
from fastgrad.cli import _hazards, doctor, main
from fastgrad.cli._facts import Facts

HEALTHY = Facts(
    versions={"fastgrad": "1", "numba": "2"},
    backend="numba",
    cpu_name="Abacus 3000",
    environment={},
    target="abacus",
    features=("avx2", "fma"),
    registers=16,
    vector_bytes=32,
    threads=2,
    limits={"NUMBA_NUM_THREADS": 4, "CPU affinity": 4, "container CPU quota": 2},
    launch_us=2.5,
    shared_from_us=2.0,
    cache_folder="/cache",
    cache_candidates=("/cache",),
    cached_kernels=7,
    cached_bytes=1_500_000,
)
ALONE = {"NUMBA_NUM_THREADS": 2, "CPU affinity": 2}


def test_doctor_says_what_is_in_use(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    labels = [line[:10].strip() for line in out.splitlines()]
    assert [label for label in labels if label][:7] == [
        "versions", "backend", "CPU", "compiled", "threads", "launch", "cache",
    ]  # fmt: skip
    for module in (np, __import__("numba"), __import__("llvmlite"), fg):
        assert f"{module.__name__} {module.__version__}" in out
    assert f"threads   {fg.get_num_threads()}, the least of" in out
    assert "<-" in out


def test_report_of_a_machine():
    assert [f"{label:<10}{text}" for label, text in doctor.report(HEALTHY)] == [
        "versions  fastgrad 1, numba 2",
        "backend   numba",
        "CPU       Abacus 3000",
        "compiled  for abacus, 16 vector registers of 32 bytes (8 float32)",
        "          features in use: avx2 fma",
        "threads   2, the least of",
        "               4  NUMBA_NUM_THREADS",
        "               4  CPU affinity",
        "               2  container CPU quota <-",
        "launch    sharing a job among the threads costs 2.5 µs (median); "
        "work of 2.0 µs and more is shared",
        "cache     /cache\ncan be written, has 7 kernels, 1.5 MB",
    ]


HAZARDS = {
    "quota": ({"limits": HEALTHY.limits}, ["may use 2 of 4 CPUs"]),
    "many threads": (
        {"limits": {"NUMBA_NUM_THREADS": 8, "CPU count": 2}},
        ["NUMBA_NUM_THREADS=8 is more than 2 cores"],
    ),
    "no cache": ({"cache_folder": None}, ["every process compiles them anew"]),
    "NumPy": ({"backend": "numpy"}, ["the NumPy backend is in use"]),
    "busy": ({"launch_us": 5800.0}, ["costs 5800 µs: other processes keep the cores busy"]),
    "no threads": ({"launch_error": "ValueError: none"}, ["cannot be started"]),
    "no JIT": (
        {"numba_error": "x", "environment": {"NUMBA_DISABLE_JIT": "1"}},
        ["NUMBA_DISABLE_JIT=1: kernels cannot"],
    ),
    "no Numba": ({"numba_error": "ModuleNotFoundError: numba"}, ["pip install numba"]),
    "optimization": ({"environment": {"NUMBA_OPT": "1"}}, ["less than full optimization"]),
    "harmless": (
        {
            "environment": {
                "NUMBA_DISABLE_JIT": "0",
                "NUMBA_OPT": "3",
                "NUMBA_BOUNDSCHECK": "0",
                "NUMBA_CPU_NAME": "host",
            }
        },
        [],
    ),
    "none": ({}, []),
}


@pytest.mark.parametrize("case", HAZARDS)
def test_hazards(case):
    changes, expected = HAZARDS[case]
    found = _hazards.hazards(dataclasses.replace(HEALTHY, **{"limits": ALONE, **changes}))
    assert len(found) == len(expected), found
    for text, part in zip(found, expected, strict=True):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"numba_error": "ImportError: no"}, "Numba cannot be used (ImportError: no)"),
        ({"launch_us": None}, "launch    on one thread"),
        ({"launch_error": "ValueError: no"}, "unknown: ValueError: no"),
        ({"cache_folder": None}, "none: cannot write /cache; every process compiles anew"),
        ({"features": ()}, "features in use: none"),
        ({"environment": {"FASTGRAD_BACKEND": "numba"}}, "numba, because FASTGRAD_BACKEND=numba"),
    ],
)
def test_doctor_reports_trouble(changes, part, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "gather", lambda: dataclasses.replace(HEALTHY, **changes))
    assert main(["doctor"]) == 0
    assert part in capsys.readouterr().out


def test_facts_without_numba(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fastgrad.kernels")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr(fg, "kernels")
    facts = facts_module.gather()
    assert "ModuleNotFoundError" in facts.numba_error
    assert facts.limits == {}


def test_a_launch_that_fails_is_a_fact(monkeypatch):
    def fail(*_):
        raise ValueError("No threads\ncould be started")

    monkeypatch.setattr(facts_module, "_launch_cost", fail)
    expected = "ValueError: No threads could be started"
    assert facts_module.gather().launch_error == expected

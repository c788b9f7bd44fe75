"""Known hazards: what makes fastgrad slow or stops it, and what to do about it."""

_SLOW_LAUNCH = 50.0  # µs; it takes 0.5 to 2 on cores that are free

# Environment variable, whether its value does harm, what it does and what to do.
_VARIABLES = (
    (
        "NUMBA_DISABLE_JIT",
        lambda value: value != "0",
        "kernels cannot be compiled, so everything runs on NumPy; unset it",
    ),
    (
        "NUMBA_OPT",
        lambda value: value in ("0", "1", "2"),
        "kernels are compiled with less than full optimization; unset it",
    ),
    (
        "NUMBA_LOOP_VECTORIZE",
        lambda value: value == "0",
        "the compiler leaves loops scalar; unset it",
    ),
    (
        "NUMBA_BOUNDSCHECK",
        lambda value: value not in ("0", ""),
        "every access of an array is checked, which keeps loops scalar; unset it",
    ),
    (
        "NUMBA_DEBUGINFO",
        lambda value: value not in ("0", ""),
        "kernels are compiled for a debugger; unset it",
    ),
    (
        "NUMBA_CPU_NAME",
        lambda value: value not in ("host", ""),
        "kernels are compiled for that CPU and not for this one; unset it",
    ),
)


def hazards(facts):
    """The hazards in ``facts``, one line of text for each."""
    found = list(_from_variables(facts, _VARIABLES))
    if facts.numba_error:
        text = "no Numba: NumPy is several times slower; pip install numba, on a Python it supports"
        return found or [text]
    return [*found, *_from_backend(facts), *_from_threads(facts), *_from_cache(facts)]


def _from_variables(facts, table):
    for name, harmful, text in table:
        value = facts.environment.get(name, "").strip()
        if value and harmful(value):
            yield f"{name}={value}: {text}"


def _from_backend(facts):
    if facts.backend == "numpy":
        yield "the NumPy backend is in use: it is the slow reference; unset FASTGRAD_BACKEND"


def _from_threads(facts):
    if facts.launch_error:
        yield f"the threads cannot be started: {facts.launch_error}"
    elif facts.launch_us is not None and facts.launch_us > _SLOW_LAUNCH:
        yield (
            f"sharing a job costs {facts.launch_us:.0f} µs: other processes keep the cores busy, "
            "or all threads are bound to one; use fewer threads (fastgrad.set_num_threads)"
        )
    cores = facts.limits.get("CPU affinity", facts.limits.get("CPU count", 1))
    quota = facts.limits.get("container CPU quota", cores)
    if quota < cores:
        yield (
            f"the container may use {quota} of {cores} CPUs: fastgrad keeps to that, but NumPy's "
            f"BLAS does not know; set OPENBLAS_NUM_THREADS={quota}"
        )
    if facts.limits.get("NUMBA_NUM_THREADS", 1) > cores:
        yield (
            f"NUMBA_NUM_THREADS={facts.limits['NUMBA_NUM_THREADS']} is more than {cores} cores; "
            "fastgrad does not use the rest, other code may: unset it"
        )


def _from_cache(facts):
    if facts.cache_folder is None:
        yield (
            "compiled kernels cannot be kept: every process compiles them anew, which takes "
            "seconds; set FASTGRAD_CACHE_DIR to a folder that only you can write"
        )

"""Known hazards: what makes fastgrad slow or stops it, and what to do about it."""

_SLOW_LAUNCH = 50.0  # µs; omp and tbb take 1.6 to 5 on cores that are free

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

_OPENMP_VARIABLES = (
    (
        "OMP_WAIT_POLICY",
        lambda value: value.lower() == "active",
        "threads keep a core busy while they have nothing to do, which slows down other pools "
        "(BLAS) and other processes; unset it unless the machine is yours alone",
    ),
    (
        "OMP_WAIT_POLICY",
        lambda value: value.lower() == "passive",
        "threads sleep between two launches and must be woken up: a launch takes about twice as "
        "long; unset it unless the cores are shared with other work",
    ),
    (
        "GOMP_SPINCOUNT",
        lambda value: value == "0",
        "threads sleep between two launches and must be woken up: a launch takes about twice as "
        "long; unset it unless the cores are shared with other work",
    ),
    (
        "GOMP_SPINCOUNT",
        lambda value: value.lower() in ("infinite", "infinity"),
        "threads keep a core busy while they have nothing to do, which slows down other pools "
        "(BLAS) and other processes; unset it unless the machine is yours alone",
    ),
    (
        "GOMP_CPU_AFFINITY",
        lambda value: value != "",
        "binds threads to the cores that it names: with fewer cores than threads, a launch takes "
        "milliseconds; unset it, or name a core for each thread",
    ),
    (
        "OMP_PLACES",
        lambda value: value.startswith("{"),
        "binds threads to the cores that it names: with fewer cores than threads, a launch takes "
        "milliseconds; unset it, or name a core for each thread",
    ),
)


def hazards(facts):
    """The hazards in ``facts``, one line of text for each."""
    found = list(_from_variables(facts, _VARIABLES))
    if facts.numba_error:
        text = "no Numba: NumPy is several times slower; pip install numba, on a Python it supports"
        return found or [text]
    if facts.layer == "omp":
        found += _from_variables(facts, _OPENMP_VARIABLES)
        found += _from_thread_limit(facts)
    return [*found, *_from_backend(facts), *_from_threads(facts), *_from_cache(facts)]


def _from_variables(facts, table):
    for name, harmful, text in table:
        value = facts.environment.get(name, "").strip()
        if value and harmful(value):
            yield f"{name}={value}: {text}"


def _from_backend(facts):
    if facts.backend == "numpy":
        yield "the NumPy backend is in use: it is the slow reference; unset FASTGRAD_BACKEND"


def _from_thread_limit(facts):
    value = facts.environment.get("OMP_THREAD_LIMIT", "").strip()
    if value.isdecimal() and int(value) < facts.threads:
        yield (
            f"OMP_THREAD_LIMIT={value}: OpenMP starts no more, though fastgrad counts on "
            f"{facts.threads} threads; unset it"
        )


def _from_threads(facts):
    if facts.launch_error:
        yield f"Numba's threads cannot be started: {facts.launch_error}"
    if facts.layer == "workqueue":
        yield (
            "the threading layer is workqueue: a launch costs 20 to 130 µs instead of 2 to 5, and "
            "one thread launches at a time; install OpenMP (Linux: libgomp, macOS: libomp) or TBB "
            "(pip install tbb), and unset NUMBA_THREADING_LAYER"
        )
    elif facts.launch_us is not None and facts.launch_us > _SLOW_LAUNCH:
        yield (
            f"starting the threads costs {facts.launch_us:.0f} µs: other processes keep the cores "
            "busy, or the threads are bound to one; use fewer threads (fastgrad.set_num_threads)"
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

"""``python -m fastgrad doctor``: say what is in use, and warn of what is known to make it slow."""

from ._facts import gather
from ._hazards import hazards

SUMMARY = "Say what is in use, and warn of what is known to make it slow"


def add_options(parser):
    """``doctor`` has no options."""


def run(options):
    """Print the report. Never fails: what cannot be found out is said to be unknown."""
    facts = gather()
    for label, text in report(facts):
        print(f"{label:<10}{text.replace(chr(10), chr(10) + ' ' * 10)}")
    found = hazards(facts)
    if not found:
        print("hazards   none known")
    for hazard in found:
        print(f"warning   {hazard}")


def report(facts):
    """(label, text) of every part of the report."""
    yield "versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    yield "backend", _backend(facts)
    yield "CPU", facts.cpu_name
    if facts.numba_error:
        return
    yield "compiled", f"for {facts.target}, {facts.registers} vector registers of {_width(facts)}"
    yield "", f"features in use: {' '.join(facts.features) or 'none that matter'}"
    yield "threads", f"{facts.threads}, the least of"
    for name, limit in facts.limits.items():
        mark = " <-" if limit == min(facts.limits.values()) else ""
        yield "", f"  {limit:>4}  {name}{mark}"
    yield "launch", _launch(facts)
    yield "cache", _cache(facts)


def _backend(facts):
    if facts.numba_error:
        return f"{facts.backend}, slowly: Numba cannot be used ({facts.numba_error})"
    chosen = facts.environment.get("FASTGRAD_BACKEND")
    return facts.backend + (f", because FASTGRAD_BACKEND={chosen}" if chosen else "")


def _width(facts):
    return f"{facts.vector_bytes} bytes ({facts.vector_bytes // 4} float32)"


def _launch(facts):
    if facts.launch_error:
        return f"unknown: {facts.launch_error}"
    if facts.launch_us is None:
        return "on one thread"
    return (
        f"sharing a job among the threads costs {facts.launch_us:.1f} µs (median); "
        f"work of {facts.shared_from_us:.1f} µs and more is shared"
    )


def _cache(facts):
    if facts.cache_folder is None:
        places = ", ".join(facts.cache_candidates)
        return f"none: cannot write {places}; every process compiles anew"
    return (
        f"{facts.cache_folder}\n"
        f"can be written, has {facts.cached_kernels} kernels, {facts.cached_bytes / 1e6:.1f} MB"
    )

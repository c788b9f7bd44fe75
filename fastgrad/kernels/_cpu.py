"""What Numba compiles for: the CPU's name and features, after any NUMBA_CPU_* override."""

from functools import cache

from numba.core.registry import cpu_target


@cache
def target():
    """(triple, CPU name, features) as one tuple of strings."""
    return cpu_target.target_context.codegen().magic_tuple()


@cache
def features():
    """The set of CPU features in use, for instance ``{"avx2", "fma", ...}``."""
    return {name[1:] for name in target()[2].split(",") if name.startswith("+")}


@cache
def vector_registers():
    """(number of vector registers, bytes in each)."""
    triple = target()[0]
    if triple.startswith(("aarch64", "arm64")):
        return 32, 16
    if "avx512f" in features():
        return 32, 64
    return 16, 32 if "avx" in features() else 16

"""What kernels ask of arrays: C-contiguous, writable, one-dimensional."""


def flat(x):
    """``x`` as a 1-d contiguous array: a view where it can be, else a copy."""
    if x.flags.carray:
        return x.ravel()
    return x.copy().ravel()

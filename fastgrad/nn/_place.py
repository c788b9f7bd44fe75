"""The arguments ``device`` and ``dtype`` that modules take as PyTorch's do."""


def place(module, device, dtype):
    """Convert a new module to ``dtype``, if not None; the device can only be the CPU."""
    if device is not None and str(device) != "cpu":
        raise ValueError(f"{type(module).__name__}: device {device!r} is not supported; only 'cpu'")
    if dtype is not None:
        module.to(dtype)

"""Figures of the examples: saved as a file where matplotlib is installed."""


def axes(count=1, width=5, height=3.5):
    """(figure, list of that many axes side by side), or (None, None) without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None, None
    figure = Figure((width * count, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def save(figure, path):
    """Save a figure and say so, or say what is missing."""
    if figure is None:
        print(f"no {path}: pip install fastgrad[plot] for figures")
    else:
        figure.savefig(path, dpi=120)
        print(f"saved {path}")


def curves(path, lines, x, y, log=False):
    """Save a figure of named lines, lists of numbers, with the axes' names."""
    figure, subplots = axes()
    if figure is not None:
        for name, values in lines.items():
            subplots[0].plot(range(1, len(values) + 1), values, label=name)
        subplots[0].set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
        subplots[0].legend()
    save(figure, path)

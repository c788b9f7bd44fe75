"""What becomes of activations and gradients on their way through ten layers.

With small weights activations shrink to zero from layer to layer, and gradients with them; with
large ones sigmoid and tanh saturate, and their slopes vanish. Xavier's and He's initialisations
keep the variance. Glorot & Bengio 2010; He et al. 2015.

    python examples/activation_statistics.py
"""

import _figure

import fastgrad as fg
from fastgrad import nn

LAYERS, WIDTH, SAMPLES = 10, 256, 1000
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
INITIALISATIONS = {
    "normal 0.01": lambda w: nn.init.normal_(w, std=0.01),
    "normal 1": lambda w: nn.init.normal_(w, std=1.0),
    "Xavier": nn.init.xavier_normal_,
    "He": nn.init.kaiming_normal_,
}


def statistics(activation, initialise):
    """Per layer: (standard deviation of the activations, share saturated, size of gradients)."""
    fg.manual_seed(0)
    x, seen = fg.randn(SAMPLES, WIDTH), []
    for _ in range(LAYERS):
        layer = nn.Linear(WIDTH, WIDTH, bias=False)
        initialise(layer.weight)
        x = activation()(layer(x))
        x.retain_grad()
        seen.append(x)
    x.backward(fg.randn(SAMPLES, WIDTH) / SAMPLES)
    return [(h.std().item(), saturated(activation, h), h.grad.std().item()) for h in seen]


def saturated(activation, x):
    """Share of activations where the slope is (nearly) zero."""
    if activation is nn.ReLU:
        flat = x <= 0
    elif activation is nn.Tanh:
        flat = x.abs() > 0.98
    else:
        flat = (x - 0.5).abs() > 0.49
    return flat.to(fg.float32).mean().item()


def main(figure="activation_statistics.png"):
    """Returns the statistics by activation and initialisation."""
    results = {}
    for name, activation in ACTIVATIONS.items():
        print(f"\n{name}: layer 1 -> layer {LAYERS}")
        for rule, initialise in INITIALISATIONS.items():
            rows = results[name, rule] = statistics(activation, initialise)
            first, last = rows[0], rows[-1]
            print(
                f"  {rule:12} std {first[0]:8.2g} -> {last[0]:8.2g}   "
                f"flat {first[1]:4.0%} -> {last[1]:4.0%}   "
                f"gradient {first[2]:8.2g} <- {last[2]:8.2g}"
            )
    if figure:
        plot(results, figure)
    return results


def plot(results, path):
    """Standard deviation by layer, one picture for each activation."""
    figure, subplots = _figure.axes(len(ACTIVATIONS))
    for k, name in enumerate(ACTIVATIONS if figure else ()):
        for rule in INITIALISATIONS:
            values = [max(row[0], 1e-12) for row in results[name, rule]]
            subplots[k].plot(range(1, LAYERS + 1), values, label=rule)
        subplots[k].set(title=name, xlabel="layer", yscale="log")
        subplots[k].legend()
    _figure.save(figure, path)


if __name__ == "__main__":
    main()

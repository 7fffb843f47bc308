"""The pictures of the chapter on the transformer layer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from foundation_nn import Linear, Tensor
from foundation_nn import functional as F
from foundation_nn.plotting import COLORS, new_figure
from foundation_transformer import ALiBi, Rotary, SinusoidalPositions
from foundation_transformer.plotting import plot_distances, plot_positions

from pictures._boxes import ATTENTION, FEED_FORWARD, NORM, PLAIN, arrow, box, canvas, plus

_DEPTH = 40
_WIDTH = 64


def layer_diagram() -> Any:
    """Post-norm and pre-norm layers side by side."""
    figure, axes = new_figure(7.4, 6.2, columns=2)
    for ax, norm_first in zip(axes[0], (False, True), strict=True):
        canvas(ax, 5, 8.4)
        ax.set_title("pre-norm: x + f(norm(x))" if norm_first else "post-norm: norm(x + f(x))")
        box(ax, (2.6, 0.4), "x", PLAIN)
        bottom = 0.4
        before = bottom + 0.34
        for name, color in (("self-attention", ATTENTION), ("feed-forward", FEED_FORWARD)):
            first, second, third = bottom + 1.45, bottom + 2.4, bottom + 3.35
            if norm_first:
                places = {"norm": first, name: second, "+": third}
            else:
                places = {name: first, "+": second, "norm": third}
            for label, height in places.items():
                if label == "+":
                    plus(ax, (2.6, height))
                else:
                    box(ax, (2.6, height), label, NORM if label == "norm" else color)
                arrow(ax, (2.6, before), (2.6, height - (0.2 if label == "+" else 0.33)))
                before = height + (0.2 if label == "+" else 0.33)
            start, end = bottom + 0.68, places["+"]
            arrow(ax, (2.6, start), (0.7, start), (0.7, end), (2.38, end), color=COLORS[0])
            bottom = third
        arrow(ax, (2.6, before), (2.6, before + 0.75))
    return figure


def depth() -> Any:
    """Size of the stream and of the gradient along forty layers, in four ways to stack them."""
    ways = {
        "f(x)": lambda x, f: f(x),
        "x + f(x)": lambda x, f: x + f(x),
        "norm(x + f(x))": lambda x, f: F.layer_norm(x + f(x)),
        "x + f(norm(x))": lambda x, f: x + f(F.layer_norm(x)),
    }
    figure, axes = new_figure(10, 3.9, columns=2)
    left, right = axes[0]
    for color, (name, way) in zip(COLORS, ways.items(), strict=False):
        sizes, gradients = _along_the_depth(way)
        left.semilogy(range(_DEPTH + 1), sizes, color=color, label=name)
        right.semilogy(range(_DEPTH + 1), gradients, color=color, label=name)
    left.set(title="Size of the numbers", xlabel="after layer", ylabel="root mean square")
    right.set(title="Size of the gradient", xlabel="after layer", ylabel="relative to the end")
    for ax in (left, right):
        ax.grid(alpha=0.25)
    right.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    return figure


def _along_the_depth(
    way: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor],
) -> tuple[list[float], list[float]]:
    """Root mean squares after each layer, of the stream and of the gradient that comes back."""
    rng = np.random.default_rng(0)
    stream = [rng.standard_normal((16, _WIDTH))]
    branches = [_branch(rng) for _ in range(_DEPTH)]
    for branch in branches:
        stream.append(way(Tensor(stream[-1]), branch).data)
    gradients = [rng.standard_normal((16, _WIDTH))]
    for x, branch in zip(stream[-2::-1], reversed(branches), strict=True):
        leaf = Tensor(x, requires_grad=True)
        (way(leaf, branch) * gradients[-1]).sum().backward()
        gradients.append(np.asarray(leaf.grad))
    sizes = [float(np.sqrt((x**2).mean())) for x in stream]
    last = np.sqrt((gradients[0] ** 2).mean())
    return sizes, [float(np.sqrt((g**2).mean()) / last) for g in reversed(gradients)]


def _branch(rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """A feed-forward network with fresh weights."""
    inner = Linear(_WIDTH, 4 * _WIDTH, rng=rng).astype(np.float64)
    outer = Linear(4 * _WIDTH, _WIDTH, rng=rng).astype(np.float64)
    return lambda x: outer(F.relu(inner(x)))


def scaling() -> Any:
    """What a softmax of unscaled products looks like, by the width of the head."""
    rng = np.random.default_rng(0)
    widths = 2 ** np.arange(1, 10)
    figure, axes = new_figure(8.6, 3.4, columns=2)
    left, right = axes[0]
    for scaled, color, name in ((False, COLORS[1], "q · k"), (True, COLORS[0], "q · k / √K")):
        largest = []
        slopes = []
        for width in widths:
            q = rng.standard_normal((400, 1, width))
            k = rng.standard_normal((400, 16, width))
            scores = (q * k).sum(axis=-1) / (np.sqrt(width) if scaled else 1)
            p = F.softmax(scores).data
            largest.append(p.max(axis=-1).mean())
            slopes.append((p * (1 - p)).sum(axis=-1).mean())
        left.plot(widths, largest, "o-", color=color, label=name)
        right.plot(widths, slopes, "o-", color=color, label=name)
    left.set(title="Largest of 16 weights", ylim=(0, 1), ylabel="mean")
    right.set(title="Slope: Σ p (1 - p)", ylim=(0, 1))
    for ax in (left, right):
        ax.set_xscale("log", base=2)
        ax.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
        ax.set_xlabel("width of the head, K")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
    return figure


def sinusoids() -> Any:
    """The table of sinusoidal positions, and which of them are similar."""
    return plot_positions(SinusoidalPositions(64, max_len=100))


def distances() -> Any:
    """What rotary positions and ALiBi do to a score."""
    return plot_distances(Rotary(64, max_len=64), ALiBi(4))

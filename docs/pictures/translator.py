"""The pictures of the chapter on the encoder-decoder."""

from itertools import pairwise
from typing import Any

import numpy as np
from foundation_attn.plotting import plot_attention
from foundation_nn import functional as F
from foundation_nn.plotting import COLORS, new_figure
from foundation_transformer.examples import copy_task
from foundation_transformer.examples._pairs import FIRST

from pictures._boxes import ATTENTION, FEED_FORWARD, NORM, PLAIN, arrow, box, canvas


def encoder_decoder() -> Any:
    """The encoder on the left, the decoder on the right, and the memory between them."""
    figure, axes = new_figure(7.6, 6.6)
    ax = axes[0, 0]
    canvas(ax, 10, 8.8)
    encoder = (
        (0.5, "source ids", PLAIN),
        (1.7, "embedding\n+ positions", PLAIN),
        (3.4, "self-attention\nboth directions", ATTENTION),
        (4.8, "feed-forward", FEED_FORWARD),
    )
    decoder = (
        (0.5, "target ids, shifted", PLAIN),
        (1.7, "embedding\n+ positions", PLAIN),
        (3.4, "self-attention\ncausal", ATTENTION),
        (4.8, "attention to\nthe memory", ATTENTION),
        (6.2, "feed-forward", FEED_FORWARD),
        (7.5, "output, tied:\nlogits (B, T, V)", NORM),
    )
    for x, column in ((2.2, encoder), (7.2, decoder)):
        for y, text, color in column:
            box(ax, (x, y), text, color, 3.0)
        for (low, _, _), (high, text, _) in pairwise(column):
            arrow(ax, (x, low + 0.3), (x, high - (0.5 if "\n" in text else 0.33)))
    arrow(ax, (2.2, 5.1), (2.2, 6.3), (4.6, 6.3), (4.6, 4.8), (5.68, 4.8), color=COLORS[1])
    ax.text(2.3, 6.45, "memory (B, S, D)", color=COLORS[1], fontsize=10)
    from matplotlib.patches import Rectangle

    for x, bottom, top, text in ((0.4, 2.7, 5.5, "N ×"), (5.4, 2.7, 6.75, "N ×")):
        outline = Rectangle((x, bottom), 3.6, top - bottom, fill=False, ec="0.6", ls="--")
        ax.add_patch(outline)
        ax.text(x + 0.05, top + 0.08, text, fontsize=10, color="0.35")
    return figure


def cross_attention() -> Any:
    """Where a translator that has learnt to write digits backwards looks while it writes."""
    model, _, right, _ = copy_task.train("reverse", seed=0, epochs=4)
    if right < 0.9:
        raise RuntimeError(f"only {right:.0%} of the strings are right: train longer")
    source = [FIRST + digit for digit in (3, 1, 4, 1, 5, 9, 2, 6)]
    # Four heads, in which each digit looks for its place from the end.
    maps = copy_task.attention_maps(model, (source, source[::-1]))
    return plot_attention(maps)


def smoothing() -> Any:
    """The loss of one target of four classes, by the logit of the right one, with and without ε."""
    gap = np.linspace(-2, 10, 200)
    logits = np.stack([gap, *np.zeros((3, len(gap)))], axis=1)  # (N, 4)
    target = np.zeros(len(gap), int)
    figure, axes = new_figure(6.4, 3.4)
    ax = axes[0, 0]
    for color, epsilon in zip(COLORS, (0.0, 0.1), strict=False):
        loss = F.cross_entropy(logits, target, label_smoothing=epsilon, reduction="none").data
        ax.plot(gap, loss, color=color, label=f"ε = {epsilon:g}")
        if epsilon:
            best = np.log((1 - 0.75 * epsilon) / (epsilon / 4))
            ax.axvline(best, color=color, linestyle=":", linewidth=1)
            ax.text(best + 0.15, 1.9, f"log(0.925 / 0.025) = {best:.2f}", color=color)
    ax.set(xlabel="right logit minus each of the others", ylabel="loss (nats)", ylim=(0, 2.4))
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="center right")
    return figure


def beam() -> Any:
    """The tree of the worked example, with what greedy decoding and a beam of two find."""
    places = {
        "<bos>": (1.0, 3.0),
        "la": (3.6, 4.4),
        "le": (3.6, 1.4),
        "la chat": (6.4, 5.3),
        "la chien": (6.4, 4.2),
        "la <eos>": (6.4, 3.1),
        "le chat": (6.4, 1.7),
        "le <eos>": (6.4, 0.6),
    }
    edges = (
        ("<bos>", "la", "0.6", COLORS[0]),
        ("<bos>", "le", "0.4", COLORS[1]),
        ("la", "la chat", "0.4", COLORS[0]),
        ("la", "la chien", "0.35", "0.6"),
        ("la", "la <eos>", "0.25", "0.6"),
        ("le", "le chat", "0.9", COLORS[1]),
        ("le", "le <eos>", "0.1", "0.6"),
    )
    products = {"la chat": 0.24, "la chien": 0.21, "la <eos>": 0.15, "le chat": 0.36}
    products["le <eos>"] = 0.04
    figure, axes = new_figure(7.4, 4.2)
    ax = axes[0, 0]
    canvas(ax, 9.4, 6)
    for name, place in places.items():
        box(ax, place, name.split()[-1], PLAIN, 1.5)
    for start, end, probability, color in edges:
        (x0, y0), (x1, y1) = places[start], places[end]
        arrow(ax, (x0 + 0.8, y0), (x1 - 0.8, y1), color=color)
        ax.text(
            (x0 + x1) / 2,
            (y0 + y1) / 2,
            probability,
            ha="center",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    for name, product in products.items():
        x, y = places[name]
        color = {"la chat": COLORS[0], "le chat": COLORS[1]}.get(name, "0.4")
        note = {"la chat": "  greedy", "le chat": "  beam of 2"}.get(name, "")
        ax.text(x + 0.95, y, f"{product:.2f}{note}", va="center", color=color, fontsize=10)
    return figure

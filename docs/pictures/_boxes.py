"""Boxes and arrows, of which the diagrams are made."""

from typing import Any

Place = tuple[float, float]

#: Fillings, by what a box does.
ATTENTION = "#FDE3C8"
FEED_FORWARD = "#D6E9F8"
NORM = "#F3F0C2"
PLAIN = "#EEEEEE"


def canvas(ax: Any, width: float, height: float) -> None:
    """Make ``ax`` a sheet of paper of this size, without axes and with equal units."""
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()


def box(ax: Any, middle: Place, text: str, color: str = PLAIN, width: float = 2.6) -> None:
    """A box with a word or two around a place."""
    ax.text(
        *middle,
        text,
        ha="center",
        va="center",
        fontsize=10,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "none", "edgecolor": "none"},
        zorder=3,
    )
    from matplotlib.patches import FancyBboxPatch

    height = 0.62 + 0.34 * text.count("\n")
    left, bottom = middle[0] - width / 2, middle[1] - height / 2
    style = "round,pad=0.02,rounding_size=0.12"
    ax.add_patch(
        FancyBboxPatch((left, bottom), width, height, style, fc=color, ec="0.35", zorder=2)
    )


def arrow(ax: Any, *places: Place, color: str = "0.25") -> None:
    """A line through the places with a head at the last."""
    xs = [x for x, _ in places]
    ys = [y for _, y in places]
    ax.plot(xs[:-1], ys[:-1], color=color, linewidth=1.3, zorder=1)
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", places[-1], places[-2], arrowprops=style, zorder=1)


def plus(ax: Any, middle: Place) -> None:
    """A circle in which two arrows are added."""
    style = {"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": "0.25"}
    ax.text(*middle, "+", ha="center", va="center", fontsize=10, bbox=style, zorder=3)

"""Pictures of what a recurrent network remembers; needs the extra ``plot``.

Each function returns the matplotlib figure, which a notebook shows, and writes it where a ``path``
is given. Those of one panel draw on the axes ``ax`` if there are some.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from foundation_nn.plotting import COLORS, finished, log_scale, new_figure, one_panel
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_gates", "plot_gradient_norms", "plot_series", "plot_states"]

#: How characters are written that nobody would see as labels.
_VISIBLE = {"\n": "⏎", " ": "␣", "\t": "⇥"}


def plot_states(
    states: ArrayLike,
    text: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Hidden state over the text",
    ax: Axes | None = None,
) -> Figure:
    """The hidden state as a heat map: a column for each token, a row for each unit.

    Parameters
    ----------
    states : (T, H) array_like
        From -1, blue, to 1, red.
    text : T strings
        The tokens that were read; a string counts as its characters.
    path : path, optional
        Where to write the picture.
    title : str
    ax : matplotlib axes, optional
        Where to draw; a new figure without.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is nothing to draw, or not one state for each token.
    """
    h = np.asarray(states)
    if h.ndim != 2 or not h.size or len(text) != len(h):
        raise ValueError(
            f"plot_states: expected states (T, H) and T tokens, got {h.shape} and {len(text)}"
        )
    figure, ax = one_panel(ax, max(5, 1.5 + 0.17 * len(h)), 1.6 + 0.07 * min(h.shape[1], 60))
    image = ax.imshow(h.T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    ax.set(title=title, ylabel="unit")
    ax.locator_params(axis="y", integer=True)  # there is no half unit
    _label_steps(ax, text)
    figure.colorbar(image, ax=ax, label="state hₜ", pad=0.01)
    return finished(figure, path)


def plot_gates(
    gates: Mapping[str, ArrayLike],
    text: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Gates over the text",
) -> Figure:
    """How far the gates are open, as heat maps one below the other.

    Parameters
    ----------
    gates : mapping of str to (T, H) array_like
        By name, such as those of :func:`foundation_seq.lstm_gates`; from 0, white, to 1, dark.
    text : T strings
        The tokens that were read; a string counts as its characters.
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is nothing to draw, or not one value for each token.
    """
    maps = {name: np.asarray(gate) for name, gate in gates.items()}
    if not maps:
        raise ValueError("plot_gates: nothing to draw")
    for name, gate in maps.items():
        if gate.ndim != 2 or not gate.size or len(text) != len(gate):
            raise ValueError(
                f"plot_gates: expected {name} of shape (T, H) and T tokens, got {gate.shape} "
                f"and {len(text)}"
            )
    figure, axes = new_figure(max(6, 1.8 + 0.17 * len(text)), 0.8 + 1.7 * len(maps), len(maps))
    figure.suptitle(title)
    for ax, name in zip(axes[:, 0], maps, strict=True):
        gate = maps[name]
        image = ax.imshow(
            gate.T, cmap="Purples", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
        )
        ax.set_ylabel(f"{name}\nunit")
        ax.locator_params(axis="y", integer=True)  # there is no half unit
        _label_steps(ax, text)
    figure.colorbar(image, ax=axes[:, 0], label="how far open", pad=0.01)
    return finished(figure, path)


def plot_gradient_norms(
    norms: Mapping[str, ArrayLike],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "How far back the gradient reaches",
    ax: Axes | None = None,
) -> Figure:
    """‖∂L/∂h_t‖ over time, on a logarithmic axis.

    Where it vanishes, the network cannot learn from what it read at that step.

    Parameters
    ----------
    norms : mapping of str to (T,) array_like
        By the name of the network; see :func:`foundation_seq.state_gradients`.
    path : path, optional
        Where to write the picture.
    title : str
    ax : matplotlib axes, optional
        Where to draw; a new figure without.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is nothing to draw, or more than six lines.
    """
    lines = {name: np.asarray(line, float) for name, line in norms.items()}
    if not lines or any(line.ndim != 1 or not line.size for line in lines.values()):
        raise ValueError("plot_gradient_norms: expected at least one line of norms (T,)")
    if len(lines) > len(COLORS):
        raise ValueError(f"plot_gradient_norms: can draw up to {len(COLORS)} lines")
    figure, ax = one_panel(ax, 7.5, 4.2)
    drawable = log_scale(ax, "y", np.concatenate(list(lines.values())))
    ends = np.cumsum([len(line) for line in lines.values()])
    for color, name, norm in zip(COLORS, lines, np.split(drawable, ends[:-1]), strict=False):
        alone = "o" if len(norm) == 1 else None  # a line through one point cannot be seen
        steps = np.arange(1, len(norm) + 1)
        ax.plot(steps, norm, color=color, linewidth=1.8, marker=alone, label=name)
    ax.set(title=title, xlabel="step t", ylabel="‖∂L/∂hₜ‖")
    ax.locator_params(axis="x", integer=True)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return finished(figure, path)


def plot_series(
    series: Mapping[str, ArrayLike],
    given: int,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "A series continued",
    ax: Axes | None = None,
) -> Figure:
    """Series over time, and a mark where what was given ends.

    Parameters
    ----------
    series : mapping of str to (T,) array_like
    given : int
        How many steps were shown to the network.
    path : path, optional
        Where to write the picture.
    title : str
    ax : matplotlib axes, optional
        Where to draw; a new figure without.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is nothing to draw, or more than six lines.
    """
    if not 0 < len(series) <= len(COLORS):
        raise ValueError(f"plot_series: expected 1 to {len(COLORS)} series, got {len(series)}")
    figure, ax = one_panel(ax, 9.5, 3.6)
    for i, name in enumerate(series):
        style = "-" if i == 0 else "--"
        ax.plot(np.asarray(series[name]), color=COLORS[i], linestyle=style, label=name)
    ax.axvline(given - 0.5, color="0.5", linewidth=1, label="end of what was given")
    ax.set(title=title, xlabel="step t", ylabel="xₜ")
    ax.grid(alpha=0.25)
    # Beside the picture: above it, it would hide a part of the lines.
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    return finished(figure, path)


def _label_steps(ax: Axes, text: Sequence[str]) -> None:
    ax.set_xticks(range(len(text)), [_VISIBLE.get(token, token) for token in text], fontsize=8)
    ax.tick_params(axis="x", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)

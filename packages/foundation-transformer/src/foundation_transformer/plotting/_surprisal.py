"""A text whose tokens are the darker, the less a model expected them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from foundation_nn.plotting import finished, new_figure
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Bits from which on a token has the darkest shade: one in a thousand.
_DARKEST = 10.0
#: Characters in a line.
_WIDTH = 80
#: Backgrounds of a terminal with 256 colours, and up to how many bits each is for.
_SHADES = ((1, 230), (3, 222), (6, 214), (10, 208), (np.inf, 202))


def plot_surprisal(
    tokens: Sequence[str],
    bits: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "How much each token surprises the model",
) -> Figure:
    """Draw a text line by line, with the surprisal of each token as its background.

    Parameters
    ----------
    tokens : sequence of T str
        Their texts, with the spaces between words.
    bits : (T,) array
        From :func:`foundation_transformer.evaluation.surprisal`; NaN stays white.
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is not one number for each token, or no token.
    """
    values = _checked("plot_surprisal", tokens, bits)
    places = list(_places(tokens))
    lines = places[-1][0] + 1
    figure, axes = new_figure(7, 0.8 + 0.24 * lines + 0.3 * bool(title))
    ax = axes[0, 0]
    ax.set(xlim=(0, _WIDTH), ylim=(lines, 0), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    grid = np.full((lines, _WIDTH), np.nan)
    for (line, start), token, value in zip(places, tokens, values, strict=True):
        grid[line, start : start + len(token)] = value
        for column, character in enumerate(_one_line(token), start):
            ax.text(
                column + 0.5,
                line + 0.5,
                character,
                ha="center",
                va="center_baseline",
                family="monospace",
                fontsize=10,
                color="white" if value > 0.75 * _DARKEST else "black",
                clip_on=True,
                parse_math=False,
            )
    image = ax.imshow(
        np.ma.masked_invalid(grid),
        cmap="Oranges",
        vmin=0,
        vmax=_DARKEST,
        aspect="auto",
        interpolation="none",
        extent=(0, _WIDTH, lines, 0),
    )
    bar = figure.colorbar(image, ax=ax, location="bottom", aspect=60, extend="max")
    bar.set_ticks(
        [0, 1, 2, 4, 6, 8, 10], labels=["0", "1", "2", "4", "6", "8", "10 bits: 1 in 1000"]
    )
    ax.set_title(title, fontsize=10, loc="left")
    return finished(figure, path)


def surprisal_text(tokens: Sequence[str], bits: ArrayLike) -> str:
    """The same for a terminal, in escape sequences of ANSI, with a legend beneath.

    Raises
    ------
    ValueError
        If there is not one number for each token, or no token.

    Examples
    --------
    >>> print(repr(surprisal_text(["to", " be"], [np.nan, 4.5]).splitlines()[0]))
    'to\\x1b[30;48;5;214m be\\x1b[0m'
    """
    values = _checked("surprisal_text", tokens, bits)
    shaded = "".join(
        "\n".join(_shade(part, value) for part in token.split("\n"))
        for token, value in zip(tokens, values.tolist(), strict=True)
    )
    names = (f" < {limit:g} " if limit < np.inf else " more " for limit, _ in _SHADES)
    legend = "".join(
        f"\x1b[30;48;5;{color}m{name}\x1b[0m"
        for name, (_, color) in zip(names, _SHADES, strict=True)
    )
    return f"{shaded}\n\nbits: {legend}"


def _shade(text: str, value: float) -> str:
    if not text or np.isnan(value):
        return text
    color = next(color for limit, color in _SHADES if value < limit or limit == np.inf)
    return f"\x1b[30;48;5;{color}m{text}\x1b[0m"


def _checked(name: str, tokens: Sequence[str], bits: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(bits, np.float64)
    if not tokens or values.shape != (len(tokens),):
        raise ValueError(
            f"{name}: expected a number of bits for each of {len(tokens)} tokens, at least one, "
            f"got shape {values.shape}"
        )
    return values


def _places(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The line and column of each token: within the width, and after ends of lines."""
    line = column = 0
    for token in tokens:
        if column and column + len(token) > _WIDTH:
            line, column = line + 1, 0
        yield line, column
        column += len(token)
        if token.endswith("\n"):
            line, column = line + 1, 0


def _one_line(token: str) -> str:
    return token.replace("\n", "⏎").replace("\t", "⇥")

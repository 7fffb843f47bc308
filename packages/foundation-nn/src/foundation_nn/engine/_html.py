"""How a tensor looks in a notebook: its kind, shape and dtype, and a small table of its numbers.

Colours and letters are those of the notebook, be it light or dark.
"""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: More rows or columns than that are left out in the middle.
_MOST = 8
_LINE = "border:1px solid color-mix(in srgb, currentColor 25%, transparent)"
_CELL = f"{_LINE};padding:.15em .6em;text-align:right;background:none"


def heading(kind: str, facts: str) -> str:
    """The first line: what it is, and what is to be known of it."""
    more = f'<span style="opacity:.75">{html.escape(facts)}</span>'
    return f"<div><b>{html.escape(kind)}</b> {more}</div>"


def table(array: NDArray[Any]) -> str:
    """The numbers of an array; of one with more than two axes, its first matrix."""
    if not array.size:
        return ""
    note = ""
    if array.ndim > 2:
        first = (0,) * (array.ndim - 2)
        array = array[first]
        note = f'<div style="opacity:.75">the first matrix, x[{", ".join(map(str, first))}]</div>'
    rows = np.atleast_2d(array)
    down = _places(rows.shape[0])
    across = _places(rows.shape[1])
    head = "".join(_heading_cell(j) for j in across) if array.ndim else ""
    body = "".join(
        f"<tr>{_heading_cell(i) if array.ndim > 1 else ''}"
        + "".join(_cell(rows, i, j) for j in across)
        + "</tr>"
        for i in down
    )
    corner = "<td></td>" if array.ndim > 1 else ""
    top = f"<tr>{corner}{head}</tr>" if array.ndim else ""
    return (
        f'{note}<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:.4em 0;'
        f'font-variant-numeric:tabular-nums">{top}{body}</table></div>'
    )


def _places(length: int) -> list[int | None]:
    """Which of so many rows or columns are shown; None stands for those left out."""
    if length <= _MOST:
        return list(range(length))
    half = _MOST // 2
    return [*range(half), None, *range(length - half + 1, length)]


def _heading_cell(place: int | None) -> str:
    text = "…" if place is None else str(place)
    return f'<td style="padding:.15em .6em;text-align:right;opacity:.6;border:0">{text}</td>'


def _cell(rows: NDArray[Any], i: int | None, j: int | None) -> str:
    text = "…" if i is None or j is None else html.escape(_number(rows[i, j]))
    return f'<td style="{_CELL}">{text}</td>'


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)

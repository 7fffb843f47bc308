"""The part of the plots that needs matplotlib when it is imported."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogFormatter

from foundation_nn._log import logger

#: Powers of ten are written with these where plain digits would be hard to count.
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Picture(Figure):
    """A figure that pyplot does not know of, and that a notebook shows all the same.

    pyplot keeps every figure it makes in a global list, and draws those in the list at the end of
    a notebook's cell. A figure that is returned from a function would appear twice. This one is in
    no list; a notebook asks it for its picture where it is the value of the last line.
    """

    def __init__(self, width: float, height: float) -> None:
        # 0.08 inches around each panel, so that no letter touches the edge of the page.
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        super().__init__(figsize=(width, height), layout=layout)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        """The picture, as IPython asks for it."""
        content = io.BytesIO()
        with one_message_for_all_glyphs("this picture"):
            self.savefig(content, format="png", dpi=100)
        return content.getvalue()


@contextmanager
def one_message_for_all_glyphs(name: str) -> Iterator[None]:
    """Log once that the fonts lack characters, where matplotlib warns of each of them."""
    lacking: set[str] = set()
    show = warnings.showwarning

    def collect(message: Warning | str, *where: Any, **more: Any) -> None:
        if "missing from" in str(message):
            lacking.add(str(message))
        else:
            show(message, *where, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", "Glyph .* missing from")
        warnings.showwarning = collect
        yield
    if lacking:
        logger.warning(
            "%s: matplotlib's font lacks %d of the characters, which are boxes now",
            name,
            len(lacking),
        )


class PlainLogFormatter(LogFormatter):
    """Labels of a logarithmic axis as people write numbers: 0.01, 1, 1,000.

    Where the axis goes below a ten-thousandth or beyond a million, digits would be hard to count:
    there all labels but those from 1 to 100 are powers, 10⁻⁶.
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of a tick, or nothing where matplotlib would leave it out, too."""
        if not super().__call__(x, pos):
            return ""
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        hard_to_count = low < 0.99e-4 or high > 1.01e6
        return power_of_ten(x) if hard_to_count and not 0.99 < x < 101 else plain_number(x)


def plain_number(x: float) -> str:
    """A positive number in digits, without zeros behind the last one that counts.

    Examples
    --------
    >>> [plain_number(x) for x in (0.0001, 0.25, 1.0, 20.0, 10_000.0)]
    ['0.0001', '0.25', '1', '20', '10,000']
    """
    return f"{x:,.{4 if x < 10 else 1}f}".rstrip("0").rstrip(".")


def power_of_ten(x: float) -> str:
    """A positive number with a power of ten, where it is not 1.

    Examples
    --------
    >>> [power_of_ten(x) for x in (1e-9, 2e-4, 1.0, 1e6)]
    ['10⁻⁹', '2·10⁻⁴', '1', '10⁶']
    """
    mantissa, exponent = f"{x:.3e}".split("e")
    factor = mantissa.rstrip("0").rstrip(".")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS) if int(exponent) else ""
    return "·".join(part for part in (factor, power) if part and (part != "1" or not power))

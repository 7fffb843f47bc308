"""Which rows have written a string that ends them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foundation_seq.generation._growing_text import Decode, GrowingText, StopStrings
from foundation_seq.generation._stepwise import Ids


class Endings:
    """Tells which rows have written a stop string.

    Parameters
    ----------
    stop_strings, decode
        As for :func:`generate`.

    Raises
    ------
    TypeError, ValueError
        If there are stop strings without ``decode``, or they are no strings.
    """

    def __init__(self, stop_strings: Sequence[str], decode: Decode | None) -> None:
        self.stop_strings = StopStrings(stop_strings)
        if stop_strings and decode is None:
            raise TypeError("stop_strings need decode=, such as the tokenizer's")
        self.decode = decode
        self.texts: dict[int, GrowingText] = {}

    def reached(self, rows: Ids, tokens: Ids) -> NDArray[np.bool_]:
        """Append a token to the text of each of these rows; whether a stop string is complete."""
        reached = np.zeros(len(rows), bool)
        if self.decode is None or not self.stop_strings.strings:
            return reached
        for i, row in enumerate(rows.tolist()):
            if row not in self.texts:
                self.texts[row] = GrowingText(self.decode)
            growing = self.texts[row]
            growing.append(int(tokens[i]))
            reached[i] = self.stop_strings.find(growing.text) is not None
            # What lies further back was searched, and no further token changes it.
            searched = len(growing.text) - self.stop_strings.longest - GrowingText.CONTEXT
            growing.take(max(0, searched))
        return reached

"""Texts in files, or the part of them from one place to another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from foundation_data.reading._blocks import TextBlock, read_blocks

# Up to the last place between a character that can be seen and a line end, which must be there.
_UP_TO_A_LINE_END = re.compile(r".*\S(?=[\r\n])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextFiles:
    """Texts of any size in files, as one long sequence of characters; or a part of it.

    Nothing is read before :meth:`blocks` or :meth:`split` are called, and then a block at a time.

    Parameters
    ----------
    files : sequence of path
        In the order in which their texts are to stand.
    field : str
        Of a line of JSON, which holds the text.
    start, stop : int
        The characters that belong to the part; None as ``stop``: all up to the end.

    Examples
    --------
    A tokenizer, too, must not see what is held out:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from foundation_data import CharTokenizer, TextFiles, encode_blocks
    >>> file = Path(tempfile.mkdtemp(), "text.txt")
    >>> _ = file.write_text("to be\\n" * 9 + "or not\\n")
    >>> train, held_out = TextFiles([file]).split(0.1)
    >>> "".join(block.text for block in held_out.blocks())
    '\\nor not\\n'
    >>> tokenizer = CharTokenizer.train(block.text for block in train.blocks())
    >>> "n" in tokenizer.vocabulary
    False
    >>> len(encode_blocks(held_out.blocks(), tokenizer))
    9
    """

    files: Sequence[Path]
    field: str = "text"
    start: int = 0
    stop: int | None = None

    def blocks(self) -> Iterator[TextBlock]:
        """The part, in blocks as :func:`read_blocks` gives them.

        A text that the part leaves before its end has no last block.

        Raises
        ------
        OSError, ValueError
            As :func:`read_blocks`.
        """
        end = 0
        for file in self.files:
            for block in read_blocks(file, self.field):
                begin = end
                end = begin + len(block.text)
                if self.start and end <= self.start:
                    continue
                first = max(0, self.start - begin)
                if self.stop is not None and end > self.stop:
                    if begin < self.stop:
                        yield TextBlock(block.text[first : self.stop - begin], ends=False)
                    return
                yield TextBlock(block.text[first:], block.ends) if first else block

    def split(self, share: float, at_most: int | None = None) -> tuple[Self, Self]:
        """Cut off the end, for what is to be held out.

        The cut is between two texts if one ends near to it: then the second part is at most half as
        large again. If not, it is before a line end, or, of lines that are megabytes long, between
        two characters. It depends on the texts alone.

        Parameters
        ----------
        share : float
            The part of the characters that is cut off, between 0 and 1.
        at_most : int, optional
            So many characters are cut off of texts that are larger.

        Returns
        -------
        (TextFiles, TextFiles)
            What stays, and what was cut off.

        Raises
        ------
        OSError, ValueError
            As :func:`read_blocks`, or if the share is out of range.
        """
        if not 0 < share < 1:
            raise ValueError(f"TextFiles.split: expected a share between 0 and 1, got {share}")
        size = sum(len(block.text) for block in self.blocks())
        wanted = round(size * share)
        if at_most is not None:
            wanted = min(wanted, at_most)
        place = self.start + self._place_before(size - wanted, wanted // 2)
        return replace(self, stop=place), replace(self, start=place)

    def _place_before(self, size: int, near: int) -> int:
        """Where to cut so that about ``size`` characters, never more, are before the cut."""
        end = 0
        last_end = 0  # of the last text that ends before the cut
        for block in self.blocks():
            begin = end
            end = begin + len(block.text)
            if end <= size:
                last_end = end if block.ends else last_end
                continue
            if last_end and size - last_end <= near:
                return last_end
            found = _UP_TO_A_LINE_END.match(block.text, 0, size - begin + 1)
            if found:
                return begin + found.end()
            begins_with_a_line_end = begin > 0 and block.text[0] in "\r\n"
            return begin if begins_with_a_line_end else size
        return size

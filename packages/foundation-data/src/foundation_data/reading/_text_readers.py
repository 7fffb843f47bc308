"""Reading texts for language models: one a line, or one in each line of JSON."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from foundation_data.reading._clean import clean_texts
from foundation_data.reading._lines import (
    DEFAULT_LIMITS,
    ReadLimits,
    check_file,
    content_suffix,
    read_lines,
)
from foundation_data.reading._records import JSON_LINES, json_fields
from foundation_data.reading._report import Texts


def stream_texts(
    path: str | os.PathLike[str], *, field: str = "text", limits: ReadLimits = DEFAULT_LIMITS
) -> Iterator[str]:
    """Yield the texts of a file one by one, however large it is.

    No text is dropped, and nothing but the Unicode form (NFC) is changed: indentation and double
    spaces stay.

    Parameters
    ----------
    path : path
        A ``.jsonl`` file, or any other text with one text in each line; in UTF-8, gzipped (``.gz``)
        or not.
    field : str
        The field of a JSON line that holds the text; a dot leads inside.
    limits : ReadLimits
        How much is read before the file is refused.

    Yields
    ------
    str
        Each text, without its line end.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the text is not UTF-8, a line has no such field, or a limit is exceeded; names the line.
    """
    path = Path(path)
    check_file(path)
    numbered = _numbered(path, field, limits)
    return (unicodedata.normalize("NFC", text) for _, text in numbered)


def read_texts(
    path: str | os.PathLike[str],
    *,
    field: str = "text",
    limits: ReadLimits = DEFAULT_LIMITS,
    min_words: int = 1,
    max_words: int | None = None,
    drop_duplicates: bool = True,
) -> Texts:
    """Read texts and drop the empty and the repeated ones, counting each reason.

    Text is normalised: NFC, each run of whitespace as one space, no invisible characters.

    Parameters
    ----------
    path, field, limits
        As for `stream_texts`.
    min_words, max_words : int
        Drop texts with fewer or more words (runs between spaces).
    drop_duplicates : bool
        Drop texts that came before.

    Returns
    -------
    Texts
        A list of texts in the order of the file, with its `report`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As for `stream_texts`; if an option is out of range, or nothing is left.
    """
    path = Path(path)
    check_file(path)
    return clean_texts(
        ((f"line {number}", text) for number, text in _numbered(path, field, limits)),
        str(path),
        min_words=min_words,
        max_words=max_words,
        drop_duplicates=drop_duplicates,
    )


def _numbered(path: Path, field: str, limits: ReadLimits) -> Iterator[tuple[int, str]]:
    if content_suffix(path) not in JSON_LINES:
        return read_lines(path, limits)
    return ((number, values[0]) for number, values in json_fields(path, [field], limits))

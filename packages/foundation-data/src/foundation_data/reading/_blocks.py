"""Large texts in blocks that can be tokenized one by one."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foundation_data.reading._lines import DEFAULT_LIMITS, check_file, content_suffix
from foundation_data.reading._records import JSON_LINES, json_fields

#: So many bytes are read at a time.
BLOCK_BYTES = 1 << 20
# A text without a line end is cut anywhere when it has become as long as this.
_LONGEST_BLOCK = 16 * BLOCK_BYTES
# Up to the last place between a character that can be seen and a line end.
_UP_TO_A_LINE_END = re.compile(r".*\S(?=[\r\n])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A part of a document, or all of it.

    Attributes
    ----------
    text : str
        What stands there, unchanged.
    ends : bool
        Whether the document ends with it.
    """

    text: str
    ends: bool


def read_blocks(
    path: Path, field: str = "text", block_bytes: int = BLOCK_BYTES
) -> Iterator[TextBlock]:
    """Yield the documents of a file, in blocks of about a megabyte.

    Each line of a ``.jsonl`` file (``.gz`` or not) is a document; any other file is one. Nothing
    is changed: the blocks end to end are the text. They are cut before a line end that follows a
    visible character, because there our tokenizers cut as well: the tokens of the blocks are those
    of the text. A text of 16 MiB without a line end is cut anywhere.

    Parameters
    ----------
    path : path
        A file in UTF-8.
    field : str
        Of a line of JSON, which holds the text.
    block_bytes : int
        How much is read at a time.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the text is not UTF-8, or a line has no such field; names the place.
    """
    check_file(path)
    if content_suffix(path) in JSON_LINES:
        records = json_fields(path, [field], DEFAULT_LIMITS)
        return (TextBlock(values[0], ends=True) for _, values in records)
    return _blocks_of_one_text(path, block_bytes)


def _blocks_of_one_text(path: Path, block_bytes: int) -> Iterator[TextBlock]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    rest = ""
    with path.open("rb") as stream:
        while data := stream.read(block_bytes):
            rest += _decoded(path, decoder, data, offset)
            offset += len(data)
            found = _UP_TO_A_LINE_END.match(rest)
            if found:
                cut = found.end()
            elif len(rest) >= _LONGEST_BLOCK:
                cut = len(rest)
            else:
                continue
            yield TextBlock(rest[:cut], ends=False)
            rest = rest[cut:]
    rest += _decoded(path, decoder, b"", offset)
    yield TextBlock(rest, ends=True)


def _decoded(path: Path, decoder: codecs.IncrementalDecoder, data: bytes, offset: int) -> str:
    waiting = len(decoder.getstate()[0])  # bytes of a character that the last block has cut
    try:
        return decoder.decode(data, final=not data)
    except UnicodeDecodeError as error:
        place = offset - waiting + error.start
        raise ValueError(
            f"{path}, byte {place}: not UTF-8; convert the file first, e.g. with iconv"
        ) from error

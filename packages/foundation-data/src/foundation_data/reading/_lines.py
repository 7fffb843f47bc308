"""Lines of text files, plain or packed; every error names the file, the line and the byte.

A small packed file can hold a text of any size, and a text can be one line without an end. How much
is read is therefore bounded, see `ReadLimits`.
"""

from __future__ import annotations

import errno
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from foundation_nn.files import open_file

# zipfile raises a RuntimeError when an archive needs a password, and a NotImplementedError when it
# needs a newer program.
_DAMAGED = (
    EOFError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Every packed file may hold so much, however small it is.
_SMALL_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much readers take from a file before they refuse it.

    Attributes
    ----------
    max_line_bytes : int
        The longest line.
    max_expansion : float
        How many times as large as a packed file (``.gz``, ``.zip``) its text may be, beyond the
        16 MiB that are always allowed. Text is rarely packed to less than a tenth.

    Raises
    ------
    ValueError
        If a limit is below 1.

    Examples
    --------
    >>> limits = ReadLimits(max_line_bytes=1 << 30)  # for read_texts(path, limits=limits)
    >>> limits.max_expansion
    100.0
    """

    max_line_bytes: int = 1 << 24
    max_expansion: float = 100.0

    def __post_init__(self) -> None:
        if not (self.max_line_bytes >= 1 and self.max_expansion >= 1):
            raise ValueError(
                "ReadLimits: expected max_line_bytes and max_expansion of at least 1, got "
                f"{self.max_line_bytes} and {self.max_expansion}"
            )


DEFAULT_LIMITS = ReadLimits()


def check_file(path: Path) -> None:
    """Refuse what is no regular file: `FileNotFoundError`, or `ValueError` for others."""
    open_file(path).close()


def content_suffix(path: Path) -> str:
    """Return ``.tsv`` for ``a.tsv``, ``A.TSV``, ``a.tsv.gz`` and a zip archive of ``a.tsv``."""
    name = PurePath(path.name)
    if name.suffix.lower() == ".gz":
        name = PurePath(name.stem)
    elif name.suffix.lower() == ".zip" and path.is_file():
        with _naming_damage(path), zipfile.ZipFile(path) as archive:
            name = PurePath(_member(path, archive).filename)
    return name.suffix.lower()


def read_lines(
    path: Path, limits: ReadLimits = DEFAULT_LIMITS, *, split_at_cr: bool = True
) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 text file.

    The file may be gzipped, or the one text in a zip archive. Lines end with LF, CRLF or CR; a
    byte-order mark is left out. Only one line is held in memory.

    Parameters
    ----------
    path : path
        A regular file.
    limits : ReadLimits
        How much is read.
    split_at_cr : bool
        Whether a CR alone ends a line, also in a file whose other lines end with LF. If not, it is
        part of the line there; in a file without any LF it ends a line all the same.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the path is no regular file, the content is not UTF-8 (names line and byte) or exceeds a
        limit, an archive is damaged or holds not just one text.
    """
    check_file(path)
    number = 0
    for offset, raw in _raw_lines(path, limits):
        text = _decoded(path, raw, number, offset)
        is_whole_file = offset == 0 and not raw.endswith(b"\n")
        text = text.removesuffix("\n").removesuffix("\r")
        for line in text.split("\r") if split_at_cr or is_whole_file else [text]:
            number += 1
            yield number, line


def _raw_lines(path: Path, limits: ReadLimits) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line with its end) of a file, lines ending with LF."""
    with _naming_damage(path), _opened(path) as stream:
        allowed = _allowed_bytes(path, limits)
        number = 0
        offset = 0
        while raw := stream.readline(limits.max_line_bytes + 1):
            number += 1
            if len(raw) > limits.max_line_bytes:
                raise ValueError(
                    f"{path}, line {number}: longer than {limits.max_line_bytes:,} bytes; if it "
                    "is meant to be, read it with limits=ReadLimits(max_line_bytes=...)"
                )
            if allowed is not None and offset + len(raw) > allowed:
                raise ValueError(
                    f"{path}, line {number}: the text is more than {limits.max_expansion:g} times "
                    "as large as the packed file; if it is meant to be, read it with "
                    "limits=ReadLimits(max_expansion=...)"
                )
            yield offset, raw
            offset += len(raw)


def _allowed_bytes(path: Path, limits: ReadLimits) -> float | None:
    """How large the text of a packed file may be; None for a plain file, which is what it is."""
    if path.suffix.lower() not in (".gz", ".zip"):
        return None
    return max(_SMALL_BYTES, limits.max_expansion * path.stat().st_size)


def _decoded(path: Path, raw: bytes, lines_before: int, offset: int) -> str:
    if offset == 0 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path}, line 1, byte 0: expected UTF-8, got UTF-16; save it as UTF-8")
    has_mark = offset == 0 and raw.startswith(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8-sig" if has_mark else "utf-8")
    except UnicodeDecodeError as error:
        place = error.start + (3 if has_mark else 0)
        line = lines_before + 1 + raw.count(b"\r", 0, place)
        raise ValueError(
            f"{path}, line {line}, byte {offset + place}: expected UTF-8, got the byte "
            f"0x{raw[place]:02x}; save the file as UTF-8"
        ) from error


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into an error that names the file."""
    try:
        yield
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise _damaged(path, error) from error  # it points before its own beginning


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with open_file(path) as stream, gzip.open(stream, "rb") as packed:
            yield packed  # type: ignore[misc]  # a GzipFile is read like any other file
    elif suffix == ".zip":
        with (
            open_file(path) as stream,
            zipfile.ZipFile(stream) as archive,
            archive.open(_member(path, archive)) as member,
        ):
            yield member
    else:
        with open_file(path) as plain:
            yield plain


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one text in an archive; files named like ``_about.txt`` only tell about it."""
    found = [
        entry
        for entry in archive.infolist()
        if not entry.filename.endswith("/")  # a folder
        and not any(part[0] in "_." for part in PurePath(entry.filename).parts)
    ]
    if len(found) != 1:
        names = ", ".join(entry.filename for entry in found[:9])
        raise ValueError(
            f"{path}: expected one text in the archive, got {names[:80] or 'none'}; "
            "unpack it and give the file you want"
        )
    if found[0].compress_type not in _METHODS:
        raise ValueError(
            f"{path}: expected an archive that is packed by deflate, got method "
            f"{found[0].compress_type}; unpack it and give the file"
        )
    return found[0]


def _damaged(path: Path, error: Exception) -> ValueError:
    kind = "zip" if path.suffix.lower() == ".zip" else "gzip"
    return ValueError(f"{path}: damaged or truncated {kind} file ({error}); fetch it again")

"""Lines of text files, plain or packed; every error names the file, the line and the byte."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO

# zipfile raises a RuntimeError when an archive needs a password.
_DAMAGED = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, RuntimeError)


def check_file(path: Path) -> None:
    """Refuse what is no file: `FileNotFoundError`, or `ValueError` for a folder."""
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, got a folder")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")


def content_suffix(path: Path) -> str:
    """Return ``.tsv`` for ``a.tsv``, ``A.TSV``, ``a.tsv.gz`` and a zip archive of ``a.tsv``."""
    name = PurePath(path.name)
    if name.suffix.lower() == ".gz":
        name = PurePath(name.stem)
    elif name.suffix.lower() == ".zip" and path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                name = PurePath(_member(path, archive))
        except zipfile.BadZipFile as error:
            raise _damaged(path, error) from error
    return name.suffix.lower()


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 text file.

    The file may be gzipped, or the one text in a zip archive. Lines end with LF, CRLF or CR; a
    byte-order mark is left out. Only one line is held in memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the path is a folder, the content is not UTF-8 (names line and byte), an archive is
        damaged or holds not just one text.
    """
    check_file(path)
    number, offset = 0, 0
    try:
        with _opened(path) as stream:
            for raw in stream:
                if offset == 0 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise ValueError(
                        f"{path}, line 1, byte 0: expected UTF-8, got UTF-16; save it as UTF-8"
                    )
                try:
                    text = raw.decode("utf-8-sig" if offset == 0 else "utf-8")
                except UnicodeDecodeError as error:
                    at = error.start + (3 if offset == 0 and raw.startswith(b"\xef\xbb\xbf") else 0)
                    line = number + 1 + raw.count(b"\r", 0, at)
                    raise ValueError(
                        f"{path}, line {line}, byte {offset + at}: expected UTF-8, got the byte "
                        f"0x{raw[at]:02x}; save the file as UTF-8"
                    ) from error
                offset += len(raw)
                for line_text in text.removesuffix("\n").removesuffix("\r").split("\r"):
                    number += 1
                    yield number, line_text
    except _DAMAGED as error:
        raise _damaged(path, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            yield packed  # type: ignore[misc]  # a GzipFile is read like any other file
    elif suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as member:
            yield member
    else:
        with path.open("rb") as plain:
            yield plain


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    """The one text in an archive; names with an underscore (``_about.txt``) are its small print."""
    found = [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not any(part[0] in "_." for part in PurePath(name).parts)
    ]
    if len(found) != 1:
        raise ValueError(
            f"{path}: expected one text in the archive, got {', '.join(found)[:80] or 'none'}; "
            "unpack it and give the file you want"
        )
    return found[0]


def _damaged(path: Path, error: Exception) -> ValueError:
    kind = "zip" if path.suffix.lower() == ".zip" else "gzip"
    return ValueError(f"{path}: damaged or truncated {kind} file ({error}); fetch it again")

"""Reading files that somebody names: regular ones only, and no more of them than is allowed.

A name may lead to a pipe, from which nothing ever comes, or to a device without an end, such as
``/dev/zero``. A file may have holes, so that it takes no room on the disk and any in memory.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

#: How many bytes are read of a text that describes something, such as a configuration or a
#: tokenizer, unless the caller says otherwise. The tokenizers of large models have half of that.
MAX_BYTES = 1 << 26
_CHUNK = 1 << 16


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading bytes.

    Parameters
    ----------
    path : path
        What a link points to is opened.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a folder, a pipe or a device.
    OSError
        If it cannot be opened for another reason.

    Examples
    --------
    >>> open_file("/dev/zero")
    Traceback (most recent call last):
        ...
    ValueError: /dev/zero: expected a regular file, got a device; write its content to a file
    """
    shown = _shown(path)
    try:
        # Opened without waiting: a pipe would wait for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError:
        raise FileNotFoundError(f"{shown}: no such file") from None
    except OSError:
        if os.path.isdir(path):  # Windows does not open folders
            raise ValueError(f"{shown}: expected a file, got a folder") from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise ValueError(f"{shown}: expected a file, got a folder")
        if not stat.S_ISREG(mode):
            kind = "a pipe" if stat.S_ISFIFO(mode) else "a device"
            raise ValueError(
                f"{shown}: expected a regular file, got {kind}; write its content to a file"
            )
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


#: Windows changes line ends unless it is told not to.
_BINARY = getattr(os, "O_BINARY", 0)


def _shown(path: str | os.PathLike[str]) -> str:
    """A path for a message: a line end in it, for instance, is written as such."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)[1:-1]


def is_file_name(name: str) -> bool:
    """Whether a name that a file holds leads to another file of its folder, and to no other place.

    Examples
    --------
    >>> [is_file_name(name) for name in ("part-1.npy", "../part-1.npy", "/etc/passwd", "..", "")]
    [True, False, False, False, False]
    """
    return name not in ("", "..") and Path(name).name == name and "\0" not in name


def read_bytes(
    path: str | os.PathLike[str], max_bytes: int | None = MAX_BYTES, option: str = "max_bytes"
) -> bytes:
    """All of a regular file.

    Parameters
    ----------
    path : path
    max_bytes : int or None
        The most that it may have; None: no limit, where the file is the data itself.
    option : str
        How the reader of the message raises the limit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a folder, a pipe or a device, or larger than ``max_bytes``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> place = pathlib.Path(tempfile.mkdtemp(), "notes.txt")
    >>> place.write_bytes(b"learnt a lot")
    12
    >>> read_bytes(place)
    b'learnt a lot'
    """
    with open_file(path) as stream:
        if max_bytes is None:
            return stream.read()
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(size + 1) if size <= max_bytes else b""
        # It may have grown, and some have a size of 0 and something in them nevertheless.
        while size < len(content) <= max_bytes and (more := stream.read(_CHUNK)):
            content += more
        size = max(size, len(content))
        if size > max_bytes:
            raise ValueError(
                f"{_shown(path)}: has {size:,} bytes, and at most {max_bytes:,} are read; if it "
                f"is meant to be so large, raise {option}"
            )
        return content


def read_text(
    path: str | os.PathLike[str], max_bytes: int | None = MAX_BYTES, option: str = "max_bytes"
) -> str:
    """All of a regular file, as a text in UTF-8 with its line ends as they are.

    Parameters
    ----------
    path, max_bytes, option
        As for :func:`read_bytes`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As :func:`read_bytes`, and if it is not UTF-8.
    """
    content = read_bytes(path, max_bytes, option)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise ValueError(
            f"{_shown(path)}: not UTF-8 (the byte 0x{byte:02x} at {error.start:,}); convert it "
            "first, e.g. with iconv"
        ) from None

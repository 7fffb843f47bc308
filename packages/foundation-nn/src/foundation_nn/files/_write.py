"""Files that are whole or not there: what is half written has another name until it is complete.

A file is written beside its place, under a name that says that it is unfinished, brought to the
disk, and renamed. A crash at any moment leaves the older file, or the new one. What it may leave
besides is recognised by its name: see :func:`is_unfinished`.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation_nn._log import logger

__all__ = ["is_unfinished", "new_file", "remove_unfinished", "sync_folder", "write_file"]

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.part(\.[^.]*)?")


def write_file(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file, or replace an older one when the new one is whole.

    Parameters
    ----------
    path : path
        Its folder exists. What a link points to is replaced, not the link.
    content : str or bytes
        Text is written as UTF-8, with its line ends as they are.

    Raises
    ------
    OSError
        If it cannot be written, for instance because the disk is full; the message names ``path``,
        and an older file is untouched.
    UnicodeEncodeError
        If the text is not one; nothing was written then.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> place = pathlib.Path(tempfile.mkdtemp(), "notes.txt")
    >>> write_file(place, "learnt a lot")
    >>> place.read_text()
    'learnt a lot'
    """
    data = content.encode() if isinstance(content, str) else content
    with new_file(path) as unfinished, unfinished.open("wb") as stream:
        stream.write(data)


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A place for what writes by itself, such as a plot; it becomes ``path`` at the end.

    Within the context, write to the path that it gives, which has the same ending. If an error
    leaves the context, that file is removed and an older one at ``path`` is untouched.

    Parameters
    ----------
    path : path
        A pipe or a device, such as ``/dev/stdout``, is written to directly.

    Raises
    ------
    OSError
        As :func:`write_file`.
    """
    target = Path(os.path.realpath(path))
    is_device = target.exists() and not target.is_file() and not target.is_dir()
    unfinished = target if is_device else unfinished_path(target, secrets.token_hex(8))
    try:
        yield unfinished
        if not is_device:
            _move(unfinished, target)
    except BaseException as error:
        if not is_device:
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(unfinished)):
            raise naming(error, path) from error
        raise


def _move(unfinished: Path, target: Path) -> None:
    if target.exists():
        unfinished.chmod(stat.S_IMODE(target.stat().st_mode))
    sync_file(unfinished)
    os.replace(unfinished, target)
    sync_folder(target.parent)


def naming(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """The same error with the path that the caller knows; a full disk names none at all."""
    return OSError(error.errno, error.strerror or str(error), os.fspath(path))


def unfinished_path(path: Path, token: str) -> Path:
    """Where the file is written: hidden, marked as a part, and with the same ending."""
    return path.with_name(f".{path.stem}.{token}.part{path.suffix}")


def is_unfinished(path: Path) -> bool:
    """Whether the name says that a file was being written there, now or when a process died."""
    return _UNFINISHED.fullmatch(path.name) is not None


def remove_unfinished(folder: Path) -> None:
    """Remove what a crash has left in a folder; nobody else may be writing there."""
    for path in folder.iterdir():
        if is_unfinished(path) and path.is_file():
            logger.info("removed %s, which was being written when a process ended", path)
            path.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where folders can be synchronised at all."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

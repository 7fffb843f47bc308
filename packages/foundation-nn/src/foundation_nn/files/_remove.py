"""Folders that are whole or gone: what is half removed has another name until nothing is left."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["remove_folder", "remove_removed"]


def remove_folder(path: Path) -> None:
    """Remove a folder and all that is in it.

    The folder ``NAME`` is renamed to ``.NAME.removed`` first. So a crash at any moment leaves it
    whole, or under the name that says that it was being removed, for :func:`remove_removed`.

    Raises
    ------
    OSError
        If there is none, or the system refuses.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> place = pathlib.Path(tempfile.mkdtemp(), "older")
    >>> place.mkdir()
    >>> remove_folder(place)
    >>> list(place.parent.iterdir())
    []
    """
    removed = path.with_name(f".{path.name}.removed")
    if removed.exists():
        shutil.rmtree(removed)
    path.rename(removed)
    shutil.rmtree(removed)


def remove_removed(parent: Path) -> None:
    """Remove what a crash has left of folders in ``parent`` that were being removed."""
    for place in parent.glob(".*.removed"):
        shutil.rmtree(place)

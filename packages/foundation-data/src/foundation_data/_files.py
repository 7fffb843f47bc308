"""JSON files that can be trusted: written whole or not at all, and refused when altered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation_nn import files
from foundation_nn.files import MAX_BYTES, write_file

_VERSION = 1


def digest(kind: str, content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON-able content, whatever the order of its keys."""
    canonical = json.dumps([kind, content], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def write_json(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> None:
    """Write `content` with its checksum, through a temporary sibling that is renamed at the end.

    Parameters
    ----------
    path : path
        The file to write; what it held before stays whole until the new content is on the disk.
    kind : str
        What the file is, such as ``"vocabulary"``.
    content : mapping
        JSON-able content.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    document = {
        "format": f"foundation-data {kind}",
        "version": _VERSION,
        "sha256": digest(kind, content),
        "content": content,
    }
    write_text(path, kind, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def write_text(path: str | os.PathLike[str], kind: str, text: str) -> None:
    """Write `text`, whole or not at all; errors are those of `write_json`."""
    try:
        write_file(path, text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write the {kind}: {reason}", os.fspath(path)) from error


def read_json(
    path: str | os.PathLike[str], kind: str, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Read what `write_json` wrote, and refuse anything else.

    Parameters
    ----------
    path : path
        The file to read.
    kind : str
        What the file must be.
    max_bytes : int
        How large it may be.

    Returns
    -------
    dict
        The content, as it was given to `write_json`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not such a file, is too large, truncated, or was altered after it was
        written.
    """
    return check_document(path, kind, parse_json(path, kind, max_bytes))


def parse_json(path: str | os.PathLike[str], kind: str, max_bytes: int = MAX_BYTES) -> Any:
    """Read any JSON file; the errors are those of `read_json`."""
    source = Path(path)
    try:
        content = files.read_bytes(source, max_bytes)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{source}: no such file; expected a {kind} written by save()"
        ) from None
    try:
        return files.parse_json(content)
    except ValueError as error:
        raise ValueError(f"{source}: {error}; it is truncated or damaged: save it again") from error


def check_document(path: str | os.PathLike[str], kind: str, document: Any) -> dict[str, Any]:
    """Return the content of a document that `write_json` wrote; the errors are `read_json`'s."""
    source = Path(path)
    expected = f"foundation-data {kind}"
    found = document.get("format") if isinstance(document, dict) else type(document).__name__
    if found != expected:
        raise ValueError(f"{source}: expected a file of format {expected!r}, got {found!r}")
    if document.get("version") != _VERSION:
        raise ValueError(
            f"{source}: expected version {_VERSION} of the format, "
            f"got {document.get('version')!r}; read it with the release that wrote it"
        )
    content = document.get("content")
    if not isinstance(content, dict) or document.get("sha256") != digest(kind, content):
        raise ValueError(
            f"{source}: the content does not match its checksum, so it was altered after it was "
            "saved; restore the file, or train and save it again"
        )
    return content

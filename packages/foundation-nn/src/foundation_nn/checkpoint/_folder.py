"""Folders that are read as they were written, or are refused.

Such a folder holds arrays in ``.safetensors`` files, and one JSON file with everything else: the
format, what the arrays belong to, and the SHA-256 of the other files and of itself. There is no
pickle anywhere.

A folder is replaced in place, and the JSON file is what decides:

1. each new file of arrays is written beside the older one, under a name that says that it is
   unfinished and begins with its digest: ``.model.0123456789abcdef.part.safetensors``;
2. the JSON file is replaced by the new one, in one rename;
3. the files of arrays are renamed to their names, and those that are no longer named are removed.

Until the second step the folder is what it was, from then on it is the new one: whoever reads it
takes a file of arrays under its unfinished name, if there is one with the digest that the JSON file
tells. So a crash at any moment leaves one of the two, and :func:`mend_folder` takes the third step
again. A folder that is removed is renamed first, to ``.NAME.removed``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors

from foundation_nn.files import (
    is_file_name,
    is_unfinished,
    parse_json,
    read_bytes,
    remove_unfinished,
    sync_folder,
    write_file,
)
from foundation_nn.files._write import naming, unfinished_path

FORMAT = 1
_ARRAYS = ".safetensors"
_SHA_256 = re.compile("[0-9a-f]{64}")
#: How large the JSON file may be. It holds tokenizers and whatever else was passed by name.
MAX_JSON_BYTES = 1 << 28


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message names the file and what is wrong."""

    __module__ = "foundation_nn.checkpoint"


def write_folder(
    path: str | os.PathLike[str],
    kind: str,
    description: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, NDArray[Any]]],
) -> Path:
    """Write a folder; an older one at ``path`` is replaced only when the new one is whole.

    Parameters
    ----------
    path : path
        Its parents are made.
    kind : str
        Such as "checkpoint": names the JSON file, and what may be replaced.
    description : dict
        JSON values.
    arrays : dict of dict of ndarray
        Each a file ``NAME.safetensors``.

    Raises
    ------
    CheckpointError
        If ``path`` is a folder with something else in it.
    OSError
        If it cannot be written, e.g. for want of space; the older one is untouched.
    """
    path = Path(os.path.realpath(path))  # of a link to a folder that is not there, too
    if not is_replaceable(path, kind):
        raise CheckpointError(
            f"{path}: exists and is not a {kind}; it is not overwritten, choose another place"
        )
    files = {f"{name}{_ARRAYS}": _format(content) for name, content in arrays.items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    full = {"format": FORMAT, "files": digests, **description}
    full = _as_it_will_be_read(path, full)
    full["sha256"] = _digest(full)
    text = json.dumps(full, ensure_ascii=False, indent=1)

    existed = path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        mend_folder(path, kind)
        for name, content in files.items():
            if not _holds(path / name, digests[name]):
                _write(_part(path / name, digests[name]), content, path / name)
        sync_folder(path)
        write_file(path / f"{kind}.json", text)
        mend_folder(path, kind)
    except BaseException:
        with suppress(OSError):  # to what it was, or to the new one if it is that already
            mend_folder(path, kind)
            if not existed:
                path.rmdir()
        raise
    if not existed:
        sync_folder(path.parent)
    return path


def _as_it_will_be_read(path: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    """With keys that are strings, for instance. What could not be read is not written."""
    try:
        content: dict[str, Any] = parse_json(json.dumps(description), allow_nan=True)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not written, because it could not be read again: {error}"
        ) from None
    return content


def mend_folder(path: Path, kind: str) -> None:
    """Complete or undo what a crash has interrupted; a whole folder stays as it is.

    Nobody else may be writing to it. A folder whose JSON file is damaged is left alone.
    """
    source = path / f"{kind}.json"
    if not source.exists():
        remove_unfinished(path)
        return
    try:
        digests = _digests(source, _description(source, _read(source, kind), kind))
    except CheckpointError:
        return
    parts = {_part(path / name, digest): path / name for name, digest in digests.items()}
    waiting = [part for part in parts if part.exists()]
    for part in waiting:
        os.replace(part, parts[part])
    if waiting:
        sync_folder(path)
    for file in path.iterdir():
        no_longer_named = file.suffix == _ARRAYS and file.name not in digests
        if no_longer_named or is_unfinished(file):
            file.unlink(missing_ok=True)


def folder_exists(path: str | os.PathLike[str], kind: str) -> bool:
    """Whether there is such a folder at ``path``, damaged or not."""
    return Path(path, f"{kind}.json").is_file()


def read_folder(
    path: str | os.PathLike[str], kind: str, max_json_bytes: int | None = MAX_JSON_BYTES
) -> tuple[Path, dict[str, Any], dict[str, dict[str, NDArray[Any]]]]:
    """Where the JSON file lies, what it says, and the arrays by the names of their files.

    The arrays are the data themselves, so that nothing but the size of their files bounds them.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    CheckpointError
        If a file is missing, truncated, altered, too large, or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such {kind} folder")
    source = path / f"{kind}.json"
    while True:
        content = _read(source, kind, max_json_bytes)
        try:
            description = _description(source, content, kind)
            arrays = {
                name.removesuffix(_ARRAYS): _parse(path / name, digest, kind)
                for name, digest in _digests(source, description).items()
            }
        except CheckpointError:
            if _read(source, kind, max_json_bytes) == content:
                raise
            continue  # somebody has replaced the folder meanwhile
        return source, description, arrays


def _description(source: Path, content: bytes, kind: str) -> dict[str, Any]:
    """What a JSON file says, if it is one of ours and as it was written."""
    try:
        # What was saved may hold numbers that are not finite, such as the loss of a failed step.
        description = parse_json(content, allow_nan=True)
        digest = _digest(description) if isinstance(description, dict) else ""
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}; it was altered") from None
    if not isinstance(description, dict) or "format" not in description:
        raise CheckpointError(f"{source}: not the description of a {kind}")
    if description["format"] != FORMAT:
        raise CheckpointError(
            f"{source}: format {description['format']}, this version reads {FORMAT}; "
            "use the version of foundation-nn that wrote it"
        )
    if description.get("sha256") != digest:
        raise CheckpointError(f"{source}: altered (its SHA-256 differs); use another {kind}")
    return description


def _digests(source: Path, description: Mapping[str, Any]) -> dict[str, str]:
    """The names of the other files, and their digests."""
    try:
        digests: dict[str, str] = dict(description["files"])
        for name, digest in digests.items():
            if not is_file_name(name):
                raise ValueError(f"{name!r} is not the name of a file in it")
            if not _SHA_256.fullmatch(digest):
                raise ValueError(f"{digest!r} is not a SHA-256")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: cannot be used ({error!r}); it was altered") from error
    return digests


def _digest(description: Mapping[str, Any]) -> str:
    """Of a description without its own digest."""
    rest = {name: value for name, value in description.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _format(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return format_safetensors({name: np.asarray(a, order="C") for name, a in arrays.items()})


def _parse(file: Path, digest: str, kind: str) -> dict[str, NDArray[Any]]:
    part = _part(file, digest)
    content = _read(part if part.exists() else file, kind)
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(
            f"{file}: truncated or altered ({len(content)} bytes, the SHA-256 differs from the "
            f"one in {kind}.json); use another {kind}"
        )
    try:
        return parse_safetensors(content)
    except SafetensorError as error:
        raise CheckpointError(f"{file}: not a safetensors file ({error})") from None


def _part(file: Path, digest: str) -> Path:
    """Where a file of arrays is until the JSON file names its digest, and shortly afterwards."""
    return unfinished_path(file, digest[:16])


def _holds(file: Path, digest: str) -> bool:
    """Whether a file has this content already.

    It must not be written again: under its unfinished name, half of it would be taken for it.
    """
    return file.is_file() and hashlib.sha256(read_bytes(file, None)).hexdigest() == digest


def _read(file: Path, kind: str, max_bytes: int | None = None) -> bytes:
    try:
        return read_bytes(file, max_bytes, option="max_json_bytes")
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing; the folder is not a whole {kind}") from None
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def _write(part: Path, content: bytes, file: Path) -> None:
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise naming(error, file) from error


def is_replaceable(path: Path, kind: str) -> bool:
    """Whether nothing of anybody else stands there; also what a crash has left is ours."""
    if not path.exists() or (path / f"{kind}.json").is_file():
        return True
    return path.is_dir() and all(is_unfinished(file) for file in path.iterdir())

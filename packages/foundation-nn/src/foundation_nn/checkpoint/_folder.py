"""Folders that are read as they were written, or are refused.

Such a folder holds arrays in ``.safetensors`` files, and one JSON file with everything else: the
format, what the arrays belong to, and the SHA-256 of the other files and of itself. There is no
pickle anywhere.

It is written beside its place and moved there when it is complete. While an older one is replaced
that stands aside as ``.NAME.previous``, which is read if the move was cut short.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors

FORMAT = 1


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
    path = Path(os.path.realpath(path))  # what a link points to is replaced, not the link
    previous = _previous(path)
    for place in (path, previous):
        if not _replaceable(place, kind):
            raise CheckpointError(
                f"{place}: exists and is not a {kind}; it is not overwritten, choose another place"
            )
    files = {f"{name}.safetensors": _format(content) for name, content in arrays.items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    full = {"format": FORMAT, "files": digests, **description}
    full = json.loads(json.dumps(full))  # as it will be read: keys are strings
    full["sha256"] = _digest(full)
    files[f"{kind}.json"] = json.dumps(full, ensure_ascii=False, indent=1).encode()

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        fresh.chmod(0o777 & ~_umask())
        for name, content in files.items():
            _write(fresh / name, content)
        _sync_folder(fresh)
        if path.exists():
            shutil.rmtree(previous, ignore_errors=True)
            path.rename(previous)
        try:
            fresh.rename(path)
        except OSError:
            if previous.exists():
                previous.rename(path)
            raise
        _sync_folder(path.parent)
        shutil.rmtree(previous, ignore_errors=True)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return path


def folder_exists(path: str | os.PathLike[str], kind: str) -> bool:
    """Whether there is such a folder at ``path``, whole or not."""
    path = Path(path)
    return any((place / f"{kind}.json").is_file() for place in (path, _previous(path)))


def read_folder(
    path: str | os.PathLike[str], kind: str
) -> tuple[Path, dict[str, Any], dict[str, dict[str, NDArray[Any]]]]:
    """Where the JSON file lies, what it says, and the arrays by the names of their files.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    CheckpointError
        If a file is missing, truncated, altered, or of another version.
    """
    path = Path(path)
    if not path.exists() and _previous(path).is_dir():
        path = _previous(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such {kind} folder")
    source = path / f"{kind}.json"
    try:
        description = json.loads(_read(source, kind))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{source}: not valid JSON ({error}); it was altered") from None
    if not isinstance(description, dict) or "format" not in description:
        raise CheckpointError(f"{source}: not the description of a {kind}")
    if description["format"] != FORMAT:
        raise CheckpointError(
            f"{source}: format {description['format']}, this version reads {FORMAT}; "
            "use the version of foundation-nn that wrote it"
        )
    if description.get("sha256") != _digest(description):
        raise CheckpointError(f"{source}: altered (its SHA-256 differs); use another {kind}")
    try:
        files = dict(description["files"])
        strange = [name for name in files if Path(name).name != name]
        if strange:
            raise ValueError(f"{strange[0]!r} is not the name of a file in it")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: cannot be used ({error!r}); it was altered") from error
    arrays = {
        name.removesuffix(".safetensors"): _parse(path / name, digest, kind)
        for name, digest in files.items()
    }
    return source, description, arrays


def _digest(description: Mapping[str, Any]) -> str:
    """Of a description without its own digest."""
    rest = {name: value for name, value in description.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _format(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return format_safetensors({name: np.asarray(a, order="C") for name, a in arrays.items()})


def _parse(file: Path, digest: str, kind: str) -> dict[str, NDArray[Any]]:
    content = _read(file, kind)
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(
            f"{file}: truncated or altered ({len(content)} bytes, the SHA-256 differs from the "
            f"one in {kind}.json); use another {kind}"
        )
    try:
        return parse_safetensors(content)
    except SafetensorError as error:
        raise CheckpointError(f"{file}: not a safetensors file ({error})") from None


def _read(file: Path, kind: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing; the folder is not a whole {kind}") from None


def _write(file: Path, content: bytes) -> None:
    with file.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where folders can be synchronised at all."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replaceable(place: Path, kind: str) -> bool:
    """Whether nothing of anybody else stands there."""
    if not place.exists() or (place / f"{kind}.json").is_file():
        return True
    return place.is_dir() and not any(place.iterdir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")

"""Checkpoints: folders that load as what they were, or are refused.

A checkpoint holds ``model.safetensors``, optionally ``optimizer.safetensors``, and
``checkpoint.json`` with everything else: the class and configuration of the model, tokenizers,
counters, and the SHA-256 of the other files and of itself. There is no pickle anywhere.

A checkpoint is written beside its place and moved there when it is complete. While an older one
is replaced it stands aside as ``.NAME.previous``, which ``load`` takes if the move was cut short.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors

from foundation_nn._module import Module
from foundation_nn.optim import Optimizer

FORMAT = 1
_JSON = "checkpoint.json"


class Checkpoint(NamedTuple):
    """What :func:`load` returns.

    Attributes
    ----------
    model : Module
    extras : dict
        What was passed to :func:`save` by keyword, rebuilt.
    optimizer : dict or None
        For ``optimizer.load_state_dict``.
    """

    model: Any
    extras: dict[str, Any]
    optimizer: dict[str, NDArray[Any]] | None


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message names the file and what is wrong."""


def save(
    path: str | os.PathLike[str], model: Module, optimizer: Optimizer | None = None, **extras: Any
) -> Path:
    """Write a checkpoint; an older one at ``path`` is replaced only when the new one is whole.

    Parameters
    ----------
    path : path
        The folder. Its parents are made.
    model : Module
        Its class has ``from_dict(config)`` and its instances ``to_dict()``.
    optimizer : Optimizer, optional
    **extras
        Tokenizers, histories and the like: objects with the same two methods, or JSON values.

    Raises
    ------
    TypeError
        If the model or an extra has no ``to_dict`` and is not a JSON value.
    CheckpointError
        If ``path`` is a folder with something else in it.
    OSError
        If it cannot be written, e.g. for want of space; the older checkpoint is untouched.
    """
    path = Path(os.path.realpath(path))  # what a link points to is replaced, not the link
    for place in (path, _previous(path)):
        if not _replaceable(place):
            raise CheckpointError(
                f"{place}: exists and is not a checkpoint; it is not overwritten, choose another "
                "place"
            )
    files = {"model.safetensors": _format(model.state_dict())}
    if optimizer is not None:
        files["optimizer.safetensors"] = _format(optimizer.state_dict())
    description = {
        "format": FORMAT,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "model": _describe("model", model),
        "extras": {name: _describe(name, value) for name, value in extras.items()},
    }
    description = json.loads(json.dumps(description))  # as it will be read: keys are strings
    description["sha256"] = _digest(description)
    files[_JSON] = json.dumps(description, ensure_ascii=False, indent=1).encode()

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        fresh.chmod(0o777 & ~_umask())
        for name, content in files.items():
            _write(fresh / name, content)
        _sync_folder(fresh)
        previous = _previous(path)
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


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether :func:`load` would find a checkpoint at ``path``, whole or not."""
    path = Path(path)
    return (path / _JSON).is_file() or (_previous(path) / _JSON).is_file()


def load(path: str | os.PathLike[str], classes: Sequence[type] = ()) -> Checkpoint:
    """Read a checkpoint: a working model with all that was saved beside it.

    Parameters
    ----------
    path : path
        The folder.
    classes : sequence of type
        Your own classes that the checkpoint may hold. Without being named here, classes are
        taken from packages named ``foundation_…`` only: a file must not choose what is imported.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    CheckpointError
        If a file is missing, truncated, altered, of another version, or does not fit the model.
    """
    path = Path(path)
    if not path.exists() and _previous(path).is_dir():
        path = _previous(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such checkpoint folder")
    source = path / _JSON
    try:
        description = json.loads(_read(source))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{source}: not valid JSON ({error}); it was altered") from None
    if not isinstance(description, dict) or "format" not in description:
        raise CheckpointError(f"{source}: not the description of a checkpoint")
    if description["format"] != FORMAT:
        raise CheckpointError(
            f"{source}: format {description['format']}, this version reads {FORMAT}; "
            "use the version of foundation-nn that wrote it"
        )
    if description.get("sha256") != _digest(description):
        raise CheckpointError(f"{source}: altered (its SHA-256 differs); use another checkpoint")
    try:
        arrays = {
            name: _parse(path / name, digest) for name, digest in description["files"].items()
        }
        known = {_public_name(cls): cls for cls in classes}
        model = _rebuild(description["model"], known)
        extras = {name: _rebuild(value, known) for name, value in description["extras"].items()}
        state = arrays["model.safetensors"]
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{source}: cannot be used ({error!r}); it was altered") from error
    if not isinstance(model, Module):
        raise CheckpointError(f"{source}: cannot be used (the model is a {type(model).__name__})")
    try:
        if state:
            model.astype(next(iter(state.values())).dtype)
        model.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(f"{path / 'model.safetensors'}: {error}") from error
    return Checkpoint(model, extras, arrays.get("optimizer.safetensors"))


def _describe(name: str, value: Any) -> Any:
    """A value as JSON; objects as their class and configuration."""
    if hasattr(value, "to_dict"):
        return {"class": _public_name(type(value)), "config": value.to_dict()}
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"checkpoint: {name} is a {type(value).__name__}, which has no to_dict() and is "
            "not a JSON value"
        ) from None
    return {"value": value}


def _public_name(cls: type) -> str:
    """``package.module:Class`` by way of the public module, so that files may move within it."""
    module = cls.__module__.split("._")[0]
    if not module.startswith("foundation_"):
        return f"{cls.__module__}:{cls.__qualname__}"
    if getattr(importlib.import_module(module), cls.__qualname__, None) is not cls:
        raise TypeError(f"checkpoint: {module} does not export {cls.__qualname__}")
    return f"{module}:{cls.__qualname__}"


def _rebuild(description: Mapping[str, Any], known: Mapping[str, type[Any]]) -> Any:
    if "value" in description:
        return description["value"]
    if description["class"] in known:
        return known[description["class"]].from_dict(description["config"])
    module, _, name = description["class"].partition(":")
    if not module.startswith("foundation_"):
        raise CheckpointError(
            f"the class {description['class']} is not a foundation package's; if it is yours, "
            "name it: load(path, classes=[...])"
        )
    try:
        cls = getattr(importlib.import_module(module), name)
    except ImportError:
        raise CheckpointError(
            f"{description['class']} is needed; install {module.split('.')[0].replace('_', '-')}"
        ) from None
    return cls.from_dict(description["config"])


def _digest(description: Mapping[str, Any]) -> str:
    """Of a description without its own digest."""
    rest = {name: value for name, value in description.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _format(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return format_safetensors({name: np.asarray(a, order="C") for name, a in arrays.items()})


def _parse(file: Path, digest: str) -> dict[str, NDArray[Any]]:
    content = _read(file)
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(
            f"{file}: truncated or altered ({len(content)} bytes, the SHA-256 differs from the "
            f"one in {_JSON}); use another checkpoint"
        )
    try:
        return parse_safetensors(content)
    except SafetensorError as error:
        raise CheckpointError(f"{file}: not a safetensors file ({error})") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing; the folder is not a whole checkpoint") from None


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


def _replaceable(place: Path) -> bool:
    """Whether nothing of anybody else stands there."""
    if not place.exists() or (place / _JSON).is_file():
        return True
    return place.is_dir() and not any(place.iterdir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")

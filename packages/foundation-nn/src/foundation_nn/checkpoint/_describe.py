"""Objects as JSON: the public name of their class, and its configuration."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from foundation_nn.checkpoint._folder import CheckpointError


def describe(name: str, value: Any) -> Any:
    """A value as JSON; objects as their class and configuration."""
    if hasattr(value, "to_dict"):
        return {"class": public_name(type(value)), "config": value.to_dict()}
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"checkpoint: {name} is a {type(value).__name__}, which has no to_dict() and is "
            "not a JSON value"
        ) from None
    return {"value": value}


def rebuild(description: Mapping[str, Any], classes: Sequence[type] = ()) -> Any:
    """The opposite of :func:`describe`, for classes of foundation packages and ``classes``."""
    if "value" in description:
        return description["value"]
    return find_class(description["class"], classes).from_dict(description["config"])


def public_name(cls: type) -> str:
    """``package.module:Class`` by way of the public module, so that files may move within it."""
    module = cls.__module__.split("._")[0]
    if not module.startswith("foundation_"):
        return f"{cls.__module__}:{cls.__qualname__}"
    if getattr(importlib.import_module(module), cls.__qualname__, None) is not cls:
        raise TypeError(f"checkpoint: {module} does not export {cls.__qualname__}")
    return f"{module}:{cls.__qualname__}"


def find_class(public: str, classes: Sequence[type] = ()) -> Any:
    """What :func:`public_name` named: one of ``classes``, or of a foundation package."""
    for cls in classes:
        if public_name(cls) == public:
            return cls
    module, _, name = public.partition(":")
    if not module.startswith("foundation_"):
        raise CheckpointError(
            f"the class {public} is not a foundation package's; if it is yours, "
            "name it: load(path, classes=[...])"
        )
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        raise CheckpointError(
            f"{public} is needed; install {module.split('.')[0].replace('_', '-')}"
        ) from None

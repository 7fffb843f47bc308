"""Objects as JSON: the public name of their class, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from foundation_nn.checkpoint._classes import find_class, public_name


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
    """The opposite of :func:`describe`, for classes that our packages export and ``classes``."""
    if "value" in description:
        return description["value"]
    return find_class(description["class"], classes).from_dict(description["config"])

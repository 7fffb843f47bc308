"""Objects as JSON: the public name of their class, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.checkpoint._classes import find_class, public_name
from foundation_nn.engine._modes import skip_init
from foundation_nn.modules._module import Module

#: What a class may say to a configuration that is none of its own.
MALFORMED = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError),
    RecursionError,
)


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


def rebuild_model(
    description: Mapping[str, Any], state: Mapping[str, NDArray[Any]], classes: Sequence[type] = ()
) -> Module:
    """A model without its values, for these arrays.

    The description is that of a file. The arrays are there and have their sizes, so that they bound
    what is built: a model of many more parameters is refused before it has taken time or memory.

    Raises
    ------
    ValueError
        If it describes something else. And whatever a class says to a configuration that is none of
        its own.
    """
    with skip_init(array.shape for array in state.values()):
        model = rebuild(description, classes)
    if not isinstance(model, Module):
        raise ValueError(f"the model is a {type(model).__name__}")
    return model


def fill_model(model: Module, state: Mapping[str, NDArray[Any]]) -> None:
    """Give a model its values, and their dtype.

    Raises
    ------
    ValueError
        If names or shapes differ.
    """
    model.load_state_dict(state, assign=True)
    dtypes = {value.dtype for value in state.values() if value.dtype.kind == "f"}
    if dtypes - {np.dtype(np.float32)}:
        model.astype(dtypes.pop())
        model.load_state_dict(state, assign=True)

"""Objects as JSON: the public name of their class, and its configuration.

The configuration of a module may hold modules and functions in turn, as that of a ``Sequential``
does. They are described apart, in ``parts``, each with its place in the configuration, so that the
configuration itself is JSON as the class has made it, whatever it says.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described
from foundation_nn.checkpoint._classes import (
    find_class,
    find_function,
    function_name,
    public_name,
)
from foundation_nn.checkpoint._own_classes import how_to_save, require_all_arguments
from foundation_nn.engine._modes import skip_init
from foundation_nn.modules._module import Module

#: What a class may say to a configuration that is none of its own.
MALFORMED = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError),
    RecursionError,
)


def describe(name: str, value: Any) -> dict[str, Any]:
    """A value as JSON; objects as their class and configuration.

    Raises
    ------
    TypeError
        If it cannot be told in JSON; the message says how it could.
    """
    if function_name(value) is not None:
        return {"function": function_name(value)}
    if not hasattr(value, "to_dict"):
        if isinstance(value, Module):
            raise TypeError(how_to_save(name, value))
        _require_json(name, value)
        _require_keys_of_json(name, value)
        return {"value": value}
    config = value.to_dict()
    parts: list[dict[str, Any]] = []
    if isinstance(value, Module):
        require_all_arguments(name, value, config)
        config = _without_parts(name, config, [], parts)
    _require_json(f"{name}.to_dict()", config)
    description = {"class": public_name(type(value)), "config": config}
    return description | {"parts": parts} if parts else description


def _without_parts(name: str, value: Any, place: list[Any], parts: list[dict[str, Any]]) -> Any:
    """A configuration with None in the places of modules and functions, which are described."""
    if isinstance(value, Mapping):
        items = value.items()
        return {key: _without_parts(name, item, [*place, key], parts) for key, item in items}
    if isinstance(value, list | tuple):
        return [_without_parts(name, item, [*place, i], parts) for i, item in enumerate(value)]
    if isinstance(value, Module) or callable(value):
        path = name + "".join(f"[{key!r}]" for key in place)
        parts.append({"place": place, **describe(path, value)})
        return None
    return value


def rebuild(description: Mapping[str, Any], classes: Sequence[type] = ()) -> Any:
    """The opposite of :func:`describe`, for classes that our packages export and ``classes``."""
    if "value" in description:
        return description["value"]
    if "function" in description:
        return find_function(description["function"])
    config = description["config"]
    if "parts" in description:
        config = copy.deepcopy(config)
        for part in description["parts"]:
            holder = config
            for key in part["place"][:-1]:
                holder = holder[key]
            holder[part["place"][-1]] = rebuild(part, classes)
    return find_class(description["class"], classes).from_dict(config)


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


def _require_json(name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        culprit, what = _not_json(name, value)
        raise TypeError(
            f"checkpoint: {culprit} is {described(what)}, which has no to_dict() and is not a "
            "JSON value"
        ) from None


def _require_keys_of_json(name: str, value: Any) -> None:
    """Refuse keys that JSON would turn into texts, so that another dictionary would be loaded."""
    if isinstance(value, list | tuple):
        for item in value:
            _require_keys_of_json(name, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"checkpoint: {name} has the key {key!r}, {described(key)}; the keys of JSON "
                    "are texts: write str(key)"
                )
            _require_keys_of_json(name, item)


def _not_json(name: str, value: Any) -> tuple[str, Any]:
    """Which part of a value JSON does not know, and what it is."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            try:
                json.dumps(item)
            except (TypeError, ValueError):
                return _not_json(f"{name}[{key!r}]", item)
    return name, value

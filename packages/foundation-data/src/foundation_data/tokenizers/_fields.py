"""Fields of JSON objects that other programs have written, with the type they must have."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    str: "a string",
    list: "a list",
    dict: "an object",
    NoneType: "null",
}
_MISSING: Any = object()


def field(content: Mapping[str, Any], name: str, *kinds: type, default: Any = _MISSING) -> Any:
    """Return a field of an object, if it is of one of these kinds.

    Parameters
    ----------
    content : mapping
        The object, as `json` reads it.
    name : str
        The field.
    *kinds : type
        bool, int, str, list, dict or NoneType. A bool is no int.
    default : optional
        What stands for a field that is missing.

    Raises
    ------
    KeyError
        If the field is missing, and there is no default.
    ValueError
        If it is of another kind.

    Examples
    --------
    >>> field({"invert": False}, "invert", bool)
    False
    >>> field({"invert": "false"}, "invert", bool)
    Traceback (most recent call last):
        ...
    ValueError: invert: expected true or false, got 'false'
    """
    if name not in content and default is not _MISSING:
        return default
    value = content[name]
    if type(value) not in kinds:
        expected = " or ".join(_NAMES[kind] for kind in kinds)
        raise ValueError(f"{name}: expected {expected}, got {value!r:.60}")
    return value

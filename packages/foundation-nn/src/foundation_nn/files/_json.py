"""JSON that others have written: nothing in it is believed before it was looked at.

The language allows what no reader should take. A name may stand in an object twice, so that two
readers see two files; a number may be larger than any float; brackets may be nested until the stack
ends. All of that is refused here, in one place, with one kind of error. What an object must hold is
said by types, as in a dataclass, see :func:`field` and :func:`from_object`.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
import math
import os
import reprlib
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from foundation_nn._arguments import did_you_mean
from foundation_nn.files._read import MAX_BYTES, read_bytes

#: How deep lists and objects may be nested. Files of models need seven.
_MAX_DEPTH = 100
#: Digits of a whole number. Generators of random numbers have 39, and 309 may not fit in a float.
_MAX_DIGITS = 300
_MISSING: Any = object()
T = TypeVar("T")

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    NoneType: "null",
}
_PLURALS = {
    bool: "true or false",
    int: "whole numbers",
    float: "numbers",
    str: "strings",
    list: "lists",
    dict: "objects",
}
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def read_json(
    path: str | os.PathLike[str], max_bytes: int | None = MAX_BYTES, option: str = "max_bytes"
) -> Any:
    """The content of a JSON file.

    Parameters
    ----------
    path, max_bytes, option
        As for :func:`read_bytes`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As :func:`read_bytes` and :func:`parse_json`; the message names the file.
    """
    content = read_bytes(path, max_bytes, option)
    try:
        return parse_json(content)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def read_json_lines(
    path: str | os.PathLike[str], max_bytes: int | None = MAX_BYTES, option: str = "max_bytes"
) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a file with one in each line, and the number of the line, from 1.

    Lines without anything are left out.

    Parameters
    ----------
    path, max_bytes, option
        As for :func:`read_bytes`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As :func:`read_bytes`; and if a line is no JSON object, or there is none. The message names
        file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> place = pathlib.Path(tempfile.mkdtemp(), "tasks.jsonl")
    >>> _ = place.write_text('{"question": "1 + 1 =", "answer": "2"}')
    >>> read_json_lines(place)
    [(1, {'question': '1 + 1 =', 'answer': '2'})]
    """
    shown = os.fspath(path)
    found: list[tuple[int, dict[str, Any]]] = []
    content = read_bytes(path, max_bytes, option).removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            raise ValueError(f"{shown}, line {number}: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(
                f"{shown}, line {number}: expected an object in each line, got {_short.repr(value)}"
            )
        found.append((number, value))
    if not found:
        raise ValueError(f"{shown}: expected an object in each line, got an empty file")
    return found


def parse_json(text: str | bytes, allow_nan: bool = False) -> Any:
    """The value of a text in JSON.

    Parameters
    ----------
    text : str or bytes
        Bytes are UTF-8.
    allow_nan : bool
        Take ``NaN`` and ``Infinity`` for numbers, as Python writes them. Losses may be that.

    Raises
    ------
    ValueError
        If it is not JSON, or is nested more than 100 deep, or an object has a name twice, or a
        number is too large.

    Examples
    --------
    >>> parse_json('{"step": 1, "loss": 2.5}')
    {'step': 1, 'loss': 2.5}
    >>> parse_json('{"step": 1, "step": 2}')
    Traceback (most recent call last):
        ...
    ValueError: not valid JSON (the name 'step' stands twice in one object)
    """

    def constant(name: str) -> float:
        if not allow_nan:
            raise ValueError(f"{name} is no number of JSON")
        return float(name)

    try:
        value = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            object_pairs_hook=_object,
            parse_int=_whole_number,
            parse_float=_finite_number,
            parse_constant=constant,
        )
        _require_shallow(value)
    except RecursionError:
        raise ValueError(f"not valid JSON (it is nested more than {_MAX_DEPTH} deep)") from None
    except ValueError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {_short.repr(name)} stands twice in one object")
            seen.add(name)
    return content


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits is too large")
    return int(digits)


def _finite_number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits:.40} is too large")
    return value


def _require_shallow(value: Any) -> None:
    """Refuse what is nested too deep for functions that call themselves, such as ``repr``."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            inner for outer in level for inner in _items(outer) if isinstance(inner, list | dict)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def field(content: Any, name: str, kind: Any, default: Any = _MISSING) -> Any:
    """A field of an object, if it is of the right kind.

    Parameters
    ----------
    content : dict
        The object, as :func:`parse_json` gives it. Anything else is refused.
    name : str
        The field.
    kind : type
        bool, int, float, str, list, dict, None, alternatives of them such as ``str | None``, or
        ``list[str]`` and ``dict[str, int]``. A bool is no int; an int is a float.
    default : optional
        What stands for a field that is missing.

    Raises
    ------
    ValueError
        If the field is missing and has no default, or is of another kind.

    Examples
    --------
    >>> field({"invert": False}, "invert", bool)
    False
    >>> field({"invert": "false"}, "invert", bool)
    Traceback (most recent call last):
        ...
    ValueError: invert: expected true or false, got 'false'
    >>> field({}, "merges", list[str])
    Traceback (most recent call last):
        ...
    ValueError: 'merges' is missing
    """
    if not isinstance(content, dict):
        raise ValueError(f"expected an object with {name!r}, got {_short.repr(content)}")
    if name not in content:
        if default is _MISSING:
            raise ValueError(f"{name!r} is missing")
        return default
    value = content[name]
    if not _is(value, kind):
        raise ValueError(f"{name}: expected {_name_of(kind)}, got {_short.repr(value)}")
    return value


def from_object(cls: type[T], content: Any) -> T:
    """A dataclass from the object with its fields, each of the type that the class declares.

    Parameters
    ----------
    cls : dataclass
    content : dict
        As :func:`parse_json` gives it.

    Raises
    ------
    ValueError
        If a field is missing, unknown or of another type; the message names it. And what the class
        raises of values that it does not take.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Step:
    ...     number: int
    ...     loss: float
    ...     note: str | None = None
    >>> from_object(Step, {"number": 1, "loss": 2})
    Step(number=1, loss=2, note=None)
    >>> from_object(Step, {"number": 1, "los": 2})
    Traceback (most recent call last):
        ...
    ValueError: unknown field 'los'; did you mean 'loss'?
    """
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {_short.repr(content)}")
    hints = get_type_hints(cls)
    known = {each.name: each for each in dataclasses.fields(cls) if each.init}  # type: ignore[arg-type]
    for name in content:
        if name not in known:
            raise ValueError(f"unknown field {_short.repr(name)}{did_you_mean(name, known)}")
    values = {}
    for name, each in known.items():
        is_required = (
            each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        )
        if name in content or is_required:
            values[name] = field(content, name, hints[name])
    return cls(**values)


def _is(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if isinstance(kind, UnionType):
        return any(_is(value, each) for each in get_args(kind))
    if kind is float:
        return type(value) in (float, int)
    if kind is None:
        return value is None
    outer = get_origin(kind)
    if outer is None:
        return type(value) is kind
    inner = get_args(kind)[-1]
    return type(value) is outer and (
        inner is Any or all(_is(item, inner) for item in _items(value))
    )


def _name_of(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return " or ".join(map(_name_of, get_args(kind)))
    outer = get_origin(kind)
    if outer is None:
        return _NAMES[kind or NoneType]
    inner = get_args(kind)[-1]
    inner = get_origin(inner) or inner
    return f"{_NAMES[outer]} of {_PLURALS[inner]}" if inner in _PLURALS else _NAMES[outer]

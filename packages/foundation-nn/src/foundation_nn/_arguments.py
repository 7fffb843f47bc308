"""What a caller passes, and what is said of what cannot be used."""

from __future__ import annotations

import math
import numbers
import types
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np


def number(
    caller: str,
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    more_than: float | None = None,
    at_most: float | None = None,
    less_than: float | None = None,
    finite: bool = True,
) -> float:
    """The argument as a Python float.

    Parameters
    ----------
    caller, name : str
        Whose argument it is, and what it is called.
    at_least, more_than, at_most, less_than : float, optional
        Its bounds.
    finite : bool
        Refuse infinity. NaN is refused in any case.

    Raises
    ------
    TypeError
        If it is no number. A text or a bool is none.
    ValueError
        If it is NaN or out of bounds.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{caller}: expected {name} to be a number, got {described(value)}")
    try:
        given = float(value)
    except OverflowError:  # of a whole number with more than three hundred digits
        given = -math.inf if value < 0 else math.inf
    possible = not math.isnan(given)
    if at_least is not None:
        possible = possible and given >= at_least
    if more_than is not None:
        possible = possible and given > more_than
    if at_most is not None:
        possible = possible and given <= at_most
    if less_than is not None:
        possible = possible and given < less_than
    if finite and math.isinf(given):
        possible = False
        name = f"a finite {name}"
    if not possible:
        condition = _condition(name, at_least, more_than, at_most, less_than)
        raise ValueError(f"{caller}: expected {condition}, got {value}")
    return given


def _condition(
    name: str,
    at_least: float | None,
    more_than: float | None,
    at_most: float | None,
    less_than: float | None,
) -> str:
    """Such as ``lr >= 0`` or ``0 <= decay < 1``."""
    lower, lower_sign = (at_least, "<=") if more_than is None else (more_than, "<")
    upper, upper_sign = (at_most, "<=") if less_than is None else (less_than, "<")
    if lower is None and upper is None:
        return f"{name} to be a number"
    if lower is None:
        return f"{name} {upper_sign} {upper:g}"
    if upper is None:
        return f"{name} {lower_sign.replace('<', '>')} {lower:g}"
    return f"{lower:g} {lower_sign} {name} {upper_sign} {upper:g}"


def whole_number(caller: str, name: str, value: Any, *, at_least: int) -> int:
    """The argument as a Python int.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not whole, or less than ``at_least``.
    """
    given = number(caller, name, value, at_least=at_least)
    if not given.is_integer():
        raise ValueError(f"{caller}: expected {name} to be a whole number, got {value}")
    return int(given)


def flag(caller: str, name: str, value: Any) -> bool:
    """The argument as a Python bool; a text such as "no" would count as True.

    Raises
    ------
    TypeError
        If it is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{caller}: expected {name} to be True or False, got {described(value)}")
    return bool(value)


def described(value: Any) -> str:
    """What a value is, for a message that says what was given."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return f"the function {value.__name__}"
    if value is None or isinstance(value, bool | int | float | str):
        text = repr(value)
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        kind = type(value).__name__
        if isinstance(value, int) and not isinstance(value, bool):
            kind = "int"  # also a kind of it, such as the size of a tensor
        return "None" if value is None else f"the {kind} {shown}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


#: What is longer is no misspelt name, and would take long to compare.
_LONGEST_NAME = 100


def did_you_mean(name: str, known: Iterable[str], or_all: bool = True) -> str:
    """The end of a message about an unknown name: the known one that is nearest.

    Parameters
    ----------
    name : str
    known : iterable of str
    or_all : bool
        If none is near, list them all; otherwise say nothing.

    Examples
    --------
    >>> did_you_mean("num_layer", ["num_layers", "dropout"])
    "; did you mean 'num_layers'?"
    >>> did_you_mean("xyzzy", ["num_layers", "dropout"])
    '; there are num_layers, dropout'
    """
    names = list(known)
    near = get_close_matches(name, names, n=1) if len(name) <= _LONGEST_NAME else []
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(names)}" if or_all else ""

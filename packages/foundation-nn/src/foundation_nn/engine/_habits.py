"""Names and arguments of other libraries are answered with what to write here.

Nothing of this is looked at until something has failed: Python itself finds that an attribute is
missing or that an argument does not fit, and only then is its error given a better message, from
the tables in :mod:`foundation_nn.engine._habit_tables`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeVar, cast

from foundation_nn._arguments import did_you_mean
from foundation_nn.engine._habit_tables import (
    IN_PLACE,
    IN_PLACE_ALONE,
    KEYWORDS,
    OF_A_TENSOR,
    OF_FUNCTIONS,
    WITHOUT_A_NAME,
)
from foundation_nn.engine._operators import operators

C = TypeVar("C", bound=Callable[..., Any])

_IN_ORDER = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Habit:
    """An attribute that other libraries have: whoever looks at it is told what to write here.

    It does not exist for ``hasattr``. A method ``__getattr__`` would do the same, but where a class
    has one, Python looks up every attribute of it in a slower way: an operation on few numbers
    would take a sixth longer.
    """

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self.sentence = sentence
        self.__doc__ = None  # pages with all that a class has leave this out

    def __get__(self, owner: Any, kind: type) -> NoReturn:
        message = f"{kind.__name__} has no {self.name}: {self.sentence}"
        raise AttributeError(message, name=self.name, obj=kind if owner is None else owner)

    def __repr__(self) -> str:
        return self.sentence


def add_habits(kind: type, habits: Mapping[str, str]) -> None:
    """Let a class answer names that it does not have."""
    for name, sentence in habits.items():
        if not hasattr(kind, name):
            setattr(kind, name, Habit(name, sentence))


def add_habits_of_tensors(kind: type) -> None:
    """The same for a tensor, whose methods PyTorch has many of: every operation is one."""
    of_operations = {
        name: f"write foundation_nn.functional.{name}(x, ...)" for name in vars(operators)
    }
    habits = OF_FUNCTIONS | OF_A_TENSOR | of_operations
    in_place = f"{IN_PLACE}write x = x + 1 and the like, or x.data = value"
    of_changes = {f"{name}_": in_place for name in (*habits, *IN_PLACE_ALONE)}
    add_habits(kind, of_changes | habits)


def missing_name(module: str, name: str, habits: Mapping[str, str]) -> AttributeError:
    """The error for a name that a module does not have: what to write, or the nearest one."""
    message = f"module {module!r} has no attribute {name!r}"
    if name in habits:
        message = f"{module} has no {name}: {habits[name]}"
    elif not name.startswith("_"):
        message += did_you_mean(name, sys.modules[module].__all__, or_all=False)
    return AttributeError(message, name=name)


def explain_call(
    error: TypeError,
    function: Callable[..., Any],
    name: str,
    args: Sequence[Any],
    keywords: Sequence[str] | Mapping[str, Any],
    habits: Mapping[str, str] = KEYWORDS,
) -> None:
    """If arguments do not fit a function, say in the error of its call what to write instead.

    That is if a keyword is none of the function, or there are more arguments without a name than it
    takes. Of any other error the message stays.

    Parameters
    ----------
    error : TypeError
        What a call of the function has raised.
    function : callable
    name : str
        What the caller knows it by.
    args : sequence
        What it was called with without names.
    keywords : sequence of str or mapping
        The names it was called with.
    habits : mapping of str to str
        What is said of a keyword, or of "name.keyword".
    """
    known = inspect.signature(function).parameters
    kinds = {p.kind for p in known.values()}
    names = [other for other in known if other != "self"]
    for keyword in keywords:
        if keyword in known or inspect.Parameter.VAR_KEYWORD in kinds:
            continue
        sentence = habits.get(f"{name}.{keyword}", habits.get(keyword))
        if sentence is None:
            error.args = (f"{name} has no {keyword}={did_you_mean(keyword, names)}",)
        else:
            error.args = (f"{name} has no {keyword}=: {sentence}",)
        return
    in_order = [other for other, p in known.items() if p.kind in _IN_ORDER]
    if len(args) <= len(in_order) or inspect.Parameter.VAR_POSITIONAL in kinds:
        return
    too_many = len(args) - len(in_order)
    without_name = [other for other in in_order if other != "self"]
    message = f"{name} takes {_listed(without_name)} without a name, and was given {too_many} more"
    with_name = [other for other in names if other not in in_order]
    if name in WITHOUT_A_NAME:
        message += f": {WITHOUT_A_NAME[name]}"
    elif with_name:
        message += f": pass the others by name: {', '.join(f'{n}=' for n in with_name)}"
    error.args = (message,)


def refuse_habits(kind: type, extras: Mapping[str, Any], habits: Mapping[str, str]) -> None:
    """Refuse options of other libraries, and misspelt ones, where any other keyword is allowed.

    Raises
    ------
    TypeError
    """
    known = inspect.signature(kind).parameters
    for name in extras:
        if name in habits:
            raise TypeError(f"{kind.__name__} has no {name}=: {habits[name]}")
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        if near:
            raise TypeError(f"{kind.__name__} has no {name}=; did you mean {near[0]!r}?")


def _listed(names: list[str]) -> str:
    """Such as ``x and axis``."""
    if not names:
        return "nothing"
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def explains(habits: Mapping[str, str]) -> Callable[[C], C]:
    """:func:`explains_keywords` with sentences of one's own, as in ``@explains(MY_HABITS)``."""

    def decorate(function: C) -> C:
        name = function.__name__

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                owner = type(args[0]).__name__ if name == "__init__" else name
                explain_call(error, function, owner, args, kwargs, habits)
                raise

        return cast(C, call)

    return decorate


def explains_keywords(function: C) -> C:
    """Have a function or a class say what to write instead of an argument it does not have.

    A decorator. Of a class, its constructor is meant. Without a sentence of its own, a keyword is
    answered with the name that is nearest to it.

    Examples
    --------
    >>> from foundation_nn import explains_keywords
    >>> @explains_keywords
    ... def total(x, axis=None):
    ...     return x.sum(axis)
    >>> try:
    ...     total([1.0], dim=0)
    ... except TypeError as error:
    ...     print(error)
    total has no dim=: an axis is named as in NumPy, write axis=
    """
    if isinstance(function, type):
        function.__init__ = explains(KEYWORDS)(function.__init__)  # type: ignore[misc]
        return function
    return explains(KEYWORDS)(function)


class Count(int):
    """A number that can also be called, to say that it is one: ``x.size(0)``.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> Tensor([[1.0, 2.0]]).size
    2
    """

    __slots__ = ()

    def __call__(self, *_: Any) -> Any:
        raise TypeError(
            "Tensor has no size(): size is the number of elements, as in NumPy; write x.shape, or "
            "x.shape[0] for the length of an axis"
        )

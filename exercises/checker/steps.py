"""The comparisons that a check is made of. The first that fails raises a hint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from foundation_nn import GradientError, Tensor, gradcheck

from checker.hints import Hint

__all__ = ["Steps"]


class Steps:
    """What a learner's work has passed so far.

    A check calls the methods one after the other, from the simple to the demanding, so that the
    first hint is the one to follow.
    """

    def __init__(self) -> None:
        self.passed: list[str] = []

    def same(
        self,
        title: str,
        came: Any,
        expected: Any,
        look_at: str,
        mistakes: Mapping[str, Any] | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        """Compare numbers, arrays, or lists of numbers or words.

        Parameters
        ----------
        title : str
            What is tried, as the learner reads it.
        came : array_like
            What the learner's function returned.
        expected : array_like
            What it should have returned.
        look_at : str
            The hint for a difference of unknown origin.
        mistakes : mapping from str to array_like
            What typical mistakes give. If that is what came, their hint takes the place of
            ``look_at``.
        tolerance : float
            Allowed is ``tolerance * (1 + abs(expected))``.
        """
        mistakes = mistakes or {}
        for wrong in mistakes.values():
            if close(wrong, expected, tolerance):
                raise ValueError(f"{title}: a mistake that cannot be told from the right answer")
        if close(came, expected, tolerance):
            self.passed.append(title)
            return
        for hint, wrong in mistakes.items():
            if close(came, wrong, tolerance):
                look_at = hint
                break
        expected_text, came_text = both_shown(expected, came, tolerance)
        raise Hint(title, look_at, expected_text, came_text)

    def holds(
        self,
        title: str,
        condition: Any,
        look_at: str,
        expected: str | None = None,
        came: str | None = None,
    ) -> None:
        """Pass if the condition is true."""
        if not condition:
            raise Hint(title, look_at, expected, came)
        self.passed.append(title)

    def gradients(
        self, title: str, function: Callable[..., Any], *inputs: Any, look_at: str
    ) -> None:
        """Compare a backward with finite differences (``foundation_nn.gradcheck``)."""
        try:
            gradcheck(function, *inputs)
        except GradientError as error:
            table = str(error).partition("\n")[2]
            raise Hint(
                title, look_at, "the slopes that finite differences measure", table
            ) from error
        self.passed.append(title)


def close(a: Any, b: Any, tolerance: float) -> bool:
    """Whether two values have the same shape and nearly the same numbers, or the same words."""
    if isinstance(b, tuple) and isinstance(a, tuple | list):
        return len(a) == len(b) and all(close(x, y, tolerance) for x, y in zip(a, b, strict=True))
    first, second = a, b
    a, b = _array(a), _array(b)
    if a is None and b is None:
        return bool(_lists(first) == _lists(second))
    if a is None or b is None or a.shape != b.shape:
        return False
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return bool(np.array_equal(a, b))
    a = a.astype(np.float64)
    b = b.astype(np.float64)
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))


def both_shown(expected: Any, came: Any, tolerance: float) -> tuple[str, str]:
    """Two values that differ: whole if they are small, else the first place where they do."""
    wanted, given = _array(expected), _array(came)
    if isinstance(expected, tuple) or wanted is None or given is None:
        return _plain(expected), _plain(came)
    if wanted.shape != given.shape:
        shapes = f"shape {wanted.shape}", f"shape {given.shape}"
        if max(wanted.size, given.size) <= 12:
            return f"{shapes[0]}\n{_plain(wanted)}", f"{shapes[1]}\n{_plain(given)}"
        return shapes
    if wanted.size <= 24 or wanted.dtype.kind not in "biuf" or given.dtype.kind not in "biuf":
        return _plain(wanted), _plain(given)
    off = ~np.isclose(given, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    place = tuple(int(i) for i in np.argwhere(off)[0])
    count = f"{int(off.sum())} of {off.size} numbers differ"
    return (
        f"{wanted[place]:.6g} at {list(place)}",
        f"{given[place]:.6g} there; {count}",
    )


def _array(value: Any) -> np.ndarray[Any, Any] | None:
    """As an array; None for what is none, such as lists of unequal lengths."""
    if isinstance(value, Tensor):
        return value.numpy()
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return None if array.dtype == object else array


def _lists(value: Any) -> Any:
    """Lists of unequal lengths, as plain Python can compare them."""
    if isinstance(value, list | tuple):
        return [_lists(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        if all(isinstance(part, str | int | float | np.number) for part in value):
            return ", ".join(
                f"{part:.4g}" if isinstance(part, float) else str(part) for part in value
            )
        return "\n".join(map(_plain, value))
    array = _array(value)
    if array is None or array.dtype.kind not in "biuf":
        return str(_lists(value) if array is None else array.tolist())
    return np.array2string(array, precision=4, suppress_small=True, separator=" ")

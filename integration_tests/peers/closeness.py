"""When two results are the same: to rounding, or as near to the exact result as the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from layouts import Array
from report import Report

#: How far two results may be apart, as a part of the value, or of the largest one beside it, if
#: that lies between LEAST and 1. What cancels to nothing is as exact as what cancels.
LEAST = 0.01
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
#: In float32, we may also be so many times as far from the exact result as PyTorch is.
AS_EXACT = 10.0


class NotOurs(Exception):
    """The sample asks for something that we do not have; the message says what."""


def settle(
    report: Report,
    operation: str,
    call: str,
    ours: Callable[[], dict[str, Array]],
    theirs: Callable[[Any], dict[str, Array]],
    dtype: Any,
) -> None:
    """Run both, compare what they give under each name, and add the outcome to the report.

    ``theirs`` is called with the dtype of the sample, and with float64 where float32 is not exact
    enough to say who is wrong.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            actual = ours()
    except NotOurs as missing:
        report.absent(operation, str(missing))
    except (TypeError, ValueError) as error:
        report.refuse(operation, call, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever else is raised is a finding
        report.differ(operation, call, f"raises {type(error).__name__}: {error}")
    else:
        finding = first_difference(actual, theirs(dtype), lambda: theirs(np.float64))
        if finding is None:
            report.agree(operation)
        else:
            report.differ(operation, call, finding)


def first_difference(
    ours: dict[str, Array], theirs: dict[str, Array], exact: Callable[[], dict[str, Array]]
) -> str | None:
    """What differs first, if anything does."""
    if ours.keys() != theirs.keys():
        return f"gives {', '.join(ours)} instead of {', '.join(theirs)}"
    for name, value in ours.items():
        text = difference(value, theirs[name])
        if text is not None and not as_exact(value, theirs[name], exact, name):
            return f"{name}: {text}"
    return None


def difference(ours: Array, theirs: Array) -> str | None:
    """How two results differ, if they do."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} instead of {theirs.shape}"
    if ours.dtype != theirs.dtype:
        return f"dtype {ours.dtype} instead of {theirs.dtype}"
    if theirs.dtype.kind != "f":
        return None if np.array_equal(ours, theirs) else f"{ours} instead of {theirs}"
    finite = np.isfinite(theirs)
    scale = min(1.0, float(np.abs(theirs[finite]).max(initial=LEAST)))
    with np.errstate(all="ignore"):
        allowed = TOLERANCE[theirs.dtype] * np.maximum(np.abs(theirs), scale)
        near = np.abs(ours - theirs) <= allowed + np.finfo(theirs.dtype).tiny
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    wrong = ~np.where(finite, near, same)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f" at {place}" if place else ""
    return f"{ours[place]} instead of {theirs[place]}{where}, {int(wrong.sum())} of {wrong.size}"


def as_exact(ours: Array, theirs: Array, exact: Callable[[], dict[str, Array]], name: str) -> bool:
    """Whether ours, in float32, is about as near to the result in float64 as theirs is."""
    if not (ours.dtype == theirs.dtype == np.float32 and ours.shape == theirs.shape):
        return False
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return False
    truth = exact()[name]
    tolerance = TOLERANCE[theirs.dtype] * float(np.abs(truth).max(initial=1.0))
    allowed = max(AS_EXACT * float(np.abs(theirs - truth).max()), tolerance)
    return float(np.abs(ours - truth).max()) <= allowed

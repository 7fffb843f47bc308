"""Numbers of four bytes in two, for files; refused by name where they do not fit.

float16 has ten bits after the point and ends at 65,504. bfloat16 is the upper half of a float32:
it goes as far as that, with seven bits after the point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The types of numbers in files for others, and what Hugging Face calls them.
DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_LARGEST_HALF = 65504.0


def narrowed(name: str, array: NDArray[np.float32], kind: str) -> NDArray[Any]:
    """An array as a file holds it, rounded to the nearest number; bfloat16 as its bits.

    Parameters
    ----------
    name : str
        Of the tensor, for the message.
    array : float32 array
    kind : {"f32", "f16", "bf16"}

    Raises
    ------
    ValueError
        If a number is too large for the type, or is no number in the first place.
    """
    if kind == "f32":
        return np.ascontiguousarray(array, "<f4")
    if kind == "f16":
        with np.errstate(over="ignore"):
            half = array.astype("<f2")
        is_lost = not np.isfinite(half).all()
    else:
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        # Half of what is cut off is added first, and a tie goes to the even one.
        half = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")
        is_lost = bool(((half & 0x7F80) == 0x7F80).any())  # the bits of infinity and NaN
    if is_lost:
        raise ValueError(_why(name, array, kind))
    return np.ascontiguousarray(half)


def require_scale(name: str, array: NDArray[np.float32]) -> None:
    """Refuse numbers whose scale, a 127th of the largest one, is too large for float16.

    Raises
    ------
    ValueError
    """
    if array.size and not np.abs(array).max() / 127 <= _LARGEST_HALF:
        raise ValueError(_why(name, array, "q8_0"))


def _why(name: str, array: NDArray[np.float32], kind: str) -> str:
    """Why an array cannot be written."""
    finite = np.isfinite(array)
    if not finite.all():
        return f"{name} holds infinity or NaN; the training has failed, so take an earlier model"
    what = "its scale is a float16, which ends" if kind == "q8_0" else f"{DTYPES[kind]} ends"
    end = 3.3895e38 if kind == "bf16" else _LARGEST_HALF
    instead = "f32" if kind == "bf16" else "bf16 or f32"
    return (
        f"{name} has numbers as large as {np.abs(array).max():,.6g}, and {what} at {end:,.6g}; "
        f"write it as {instead}"
    )

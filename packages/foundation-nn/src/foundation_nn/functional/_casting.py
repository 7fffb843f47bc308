"""Numbers of one dtype as those of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor, check_floating


@operation(integers=True, casts=True)
def _astype(x: Array, dtype: np.dtype[Any]) -> Result:
    def backward(g: Array) -> Array:
        return g.astype(x.dtype)

    return x.astype(dtype), backward


@explains_keywords
def astype(x: Any, dtype: DTypeLike) -> Tensor:
    """The same numbers in another dtype; the gradient returns in the dtype of ``x``.

    Where the result is of integers or booleans it has no gradient.

    Raises
    ------
    TypeError
        For half precision, which is not computed in.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Tensor
    >>> x = Tensor([1.5, 2.5], requires_grad=True)
    >>> (x.astype(np.float64) ** 2).sum().backward()
    >>> x.grad
    array([3., 5.], dtype=float32)
    >>> x.astype(int)
    Tensor([1, 2], dtype=int64)
    """
    target = check_floating(np.dtype(dtype))
    if target.kind != "f":
        return Tensor(x.data if isinstance(x, Tensor) else x, dtype=target)
    return _astype(x, target)

"""A bound for numbers that is approached and never passed."""

from __future__ import annotations

import numpy as np
from foundation_nn import Array, Result, by_rows, operation


@operation
@by_rows
def soft_cap(x: Array, cap: float) -> Result:
    """cap · tanh(x / cap), between -cap and cap; the derivative is 1 - (y / cap)² [1]_.

    Small numbers stay nearly what they are, and a loss cannot drive any of them out of bounds.

    References
    ----------
    .. [1] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
       arXiv:2408.00118.

    Examples
    --------
    >>> import numpy as np
    >>> soft_cap(np.array([[1.0, 30.0, 3000.0]]), cap=30.0).data.round(3).tolist()
    [[1.0, 22.848, 30.0]]
    """
    y = x / x.dtype.type(cap)
    np.tanh(y, out=y)

    def backward(g: Array) -> Array:
        return g * (1 - y * y)

    return x.dtype.type(cap) * y, backward

"""The layer that does nothing."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module


class Identity(Module):
    """y = x: takes the place of a layer that is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Dropout, Identity
    >>> p = 0.0
    >>> drop = Dropout(p) if p else Identity()
    >>> drop(np.array([1.0, 2.0], np.float32))
    Tensor([1., 2.], dtype=float32)
    """

    def to_dict(self) -> dict[str, Any]:
        """Nothing: there are no arguments."""
        return {}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        """The same tensor; an array becomes one, as with every layer."""
        return x if isinstance(x, Tensor) else Tensor(x)

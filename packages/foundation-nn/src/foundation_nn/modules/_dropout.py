"""The dropout layer."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from foundation_nn import functional as F
from foundation_nn._arguments import number
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module


class Dropout(Module):
    """Zeroes elements with probability ``p`` within :func:`foundation_nn.train_mode` only.

    Differs from PyTorch, where a flag on the layer decides.

    Raises
    ------
    TypeError, ValueError
        If ``p`` is not in [0, 1).
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = number("Dropout", "p", p, at_least=0, less_than=1)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"p": self.p}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.dropout(x, self.p)

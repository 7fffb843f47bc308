"""The embedding table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn import functional as F
from foundation_nn import init
from foundation_nn._arguments import number, whole_number
from foundation_nn.engine._parameter import Parameter
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module


class Embedding(Module):
    """A table with one learned row per id.

    To tie an output layer to it, hand over the parameter: ``output.weight = embedding.weight``. The
    two are one parameter then: ``parameters()``, ``state_dict()`` and an optimiser have it once,
    under its first name. Do it in the constructor of your model: a checkpoint is loaded by calling
    that, and :func:`foundation_nn.checkpoint.check` refuses a tie that was made elsewhere.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    std : float
        Standard deviation of the initial values; 1 as in PyTorch.
    rng : numpy.random.Generator, optional

    Raises
    ------
    TypeError, ValueError
        If a size is no whole number, or negative, or ``std`` is.

    Attributes
    ----------
    weight : (num_embeddings, embedding_dim) Parameter
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        std: float = 1.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        shape = (
            whole_number("Embedding", "num_embeddings", num_embeddings, at_least=0),
            whole_number("Embedding", "embedding_dim", embedding_dim, at_least=0),
        )
        std = number("Embedding", "std", std, at_least=0)
        self.weight = Parameter(init.normal(init.generator(rng), shape, std))

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a table, for checkpoints."""
        return {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim}

    @property
    def num_embeddings(self) -> int:
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        return self.weight.shape[1]

    def forward(self, ids: NDArray[np.integer[Any]]) -> Tensor:
        return F.embedding(ids, self.weight)

    def _options(self) -> str:
        return ", ".join(map(str, self.weight.shape))

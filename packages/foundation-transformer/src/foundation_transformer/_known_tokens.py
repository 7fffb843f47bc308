"""Writing with no other tokens than those that have a text."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_seq import DraftReader
from numpy.typing import NDArray

from foundation_transformer._build import Ids


class KnownTokens:
    """A model that writes the first tokens of its vocabulary alone; a ``DraftReader``.

    Many published models have more rows in their embedding than their tokenizer has tokens, so that
    matrices have a round size. The rows beyond were never trained, and their tokens have no text.

    Parameters
    ----------
    model : DraftReader
    num_tokens : int
        How many tokens the tokenizer has.

    Raises
    ------
    ValueError
        If there is no token.
    """

    def __init__(self, model: DraftReader[Any], num_tokens: int) -> None:
        if num_tokens < 1:
            raise ValueError(f"KnownTokens: expected num_tokens >= 1, got {num_tokens}")
        self.model = model
        self.num_tokens = num_tokens

    def start(self, prompt: Ids, lengths: Ids, capacity: int) -> tuple[NDArray[Any], Any]:
        """As the model's, with -inf for tokens that are not known."""
        logits, state = self.model.start(prompt, lengths, capacity)
        return self._known(logits), state

    def step(self, state: Any, tokens: Ids) -> tuple[NDArray[Any], Any]:
        """As the model's, with -inf for tokens that are not known."""
        logits, state = self.model.step(state, tokens)
        return self._known(logits), state

    def read_ahead(self, state: Any, tokens: Ids) -> tuple[NDArray[Any], Any]:
        """As the model's, with -inf for tokens that are not known."""
        logits, state = self.model.read_ahead(state, tokens)
        return self._known(logits), state

    def take_back(self, state: Any, count: int) -> Any:
        """The state without the last tokens."""
        return self.model.take_back(state, count)

    def select(self, state: Any, rows: Ids) -> Any:
        """The state of other rows."""
        return self.model.select(state, rows)

    def _known(self, logits: NDArray[Any]) -> NDArray[Any]:
        if logits.shape[-1] > self.num_tokens:
            logits = logits.copy()
            logits[..., self.num_tokens :] = -np.inf
        return logits

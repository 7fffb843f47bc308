"""What a model need not read again when a text begins like the one before it."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_transformer._build import Ids
from foundation_transformer._causal_lm import CausalLM, TextState


class Memory:
    """A language model that keeps its caches from one text to the next; a ``DraftReader``.

    Keys and values depend on the tokens before them alone: those of a shared beginning hold for
    both texts. In a conversation that is all that was said so far; when its oldest turns go, the
    system prompt.

    Parameters
    ----------
    model : CausalLM

    Attributes
    ----------
    ids : list of int
        The tokens whose keys and values are held.
    num_read : int
        Tokens of prompts that had to be read.
    """

    def __init__(self, model: CausalLM) -> None:
        self.model = model
        self.ids: list[int] = []
        self.state = TextState(model.stack.new_caches(), np.zeros(1, int))
        self.num_read = 0

    def start(
        self,
        prompt: Ids,
        lengths: Ids,  # noqa: ARG002 - one row, all of it real
        capacity: int,  # noqa: ARG002 - the caches grow
    ) -> tuple[NDArray[Any], TextState]:
        """Read what is new of a prompt of one row, at least its last token."""
        ids = prompt[0].tolist()
        pairs = zip(self.ids, ids[:-1], strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        # Whoever interrupts the reading leaves some layers further than others, but none behind.
        self.ids = ids[:shared]
        for cache in self.state.caches:
            cache.shorten(shared)
        logits = self.model.next_logits(self.state, prompt[:, shared:])
        self.ids = ids
        self.num_read += len(ids) - shared
        return logits, self.state

    def step(self, state: TextState, tokens: Ids) -> tuple[NDArray[Any], TextState]:
        """Append a token."""
        logits, state = self.model.step(state, tokens)
        self.ids += tokens.tolist()
        return logits, state

    def read_ahead(self, state: TextState, tokens: Ids) -> tuple[NDArray[Any], TextState]:
        """Append several tokens."""
        logits, state = self.model.read_ahead(state, tokens)
        self.ids += tokens[0].tolist()
        return logits, state

    def take_back(self, state: TextState, count: int) -> TextState:
        """Forget the last tokens."""
        del self.ids[len(self.ids) - count :]
        return self.model.take_back(state, count)

    def select(self, state: TextState, rows: Ids) -> TextState:
        """The state of other rows; of one row there is no other."""
        return self.model.select(state, rows)

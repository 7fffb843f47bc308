"""Choosing the next token of each row, and remembering what that needs."""

from __future__ import annotations

import numpy as np
from foundation_nn import init, padding_mask
from numpy.typing import NDArray

from foundation_seq.generation._sampling import (
    SamplingConfig,
    draw,
    require_usable,
    token_probabilities,
)
from foundation_seq.generation._stepwise import Ids, Logits


class TokenChooser:
    """Chooses the next token of each row: the likeliest, or one that is drawn.

    Parameters
    ----------
    ids : (B, T) integer array
        The prompts.
    lengths : (B,) integer array
        How much of each prompt is real.
    sampling : SamplingConfig or None
        None chooses the likeliest token.
    rng : numpy.random.Generator or None
        Each row gets a generator of its own from it, so that what is drawn for a row depends on no
        other row.
    """

    def __init__(
        self,
        ids: Ids,
        lengths: Ids,
        sampling: SamplingConfig | None,
        rng: np.random.Generator | None,
    ) -> None:
        self.ids = ids
        self.lengths = lengths
        self.sampling = sampling
        self.seen: NDArray[np.bool_] | None = None  # (B, V), for the repetition penalty alone
        if sampling is not None:
            self.generators = init.generator(rng).spawn(len(lengths))

    def __call__(self, logits: Logits, rows: Ids) -> Ids:
        """The next tokens of some rows, whose logits are given, (len(rows), V)."""
        if self.sampling is None:
            require_usable(logits)
            return np.asarray(logits.argmax(axis=1))
        if self.sampling.repetition_penalty == 1:
            seen = None
        else:
            if self.seen is None:
                self.seen = self._seen_in_prompts(logits.shape[1])
            seen = self.seen[rows]
        probabilities = token_probabilities(logits, self.sampling, seen)
        uniforms = np.array([self.generators[row].random() for row in rows])
        tokens = draw(probabilities, uniforms)
        if self.seen is not None:
            self.seen[rows, tokens] = True
        return tokens

    def _seen_in_prompts(self, vocab_size: int) -> NDArray[np.bool_]:
        real = padding_mask(self.lengths, self.ids.shape[1])
        row_of_token = np.nonzero(real)[0]
        seen = np.zeros((len(self.lengths), vocab_size), bool)
        seen[row_of_token, self.ids[real]] = True
        return seen

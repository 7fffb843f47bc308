"""Decoder-only language models: GPT-2, Llama and everything between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from foundation_attn import KVCache
from foundation_attn.masks import Mask, real_positions
from foundation_nn import Embedding, Linear, Module, Tensor, init, no_grad
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._build import (
    Ids,
    absolute_positions,
    init_normal,
    layer_options,
    real_ids,
    require_ids,
)
from foundation_transformer._positions import Positions, require_room
from foundation_transformer._ragged import align_right, real_and_positions, rotary_positions
from foundation_transformer._stacks import TransformerEncoder
from foundation_transformer.config import TransformerConfig


@dataclass
class TextState:
    """What is remembered of each row of text.

    Attributes
    ----------
    caches : list of KVCache
        Keys and values of all columns so far.
    padding : (B,) integer array
        How many columns of each row, on its left, are not real.
    """

    caches: list[KVCache]
    padding: Ids


class CausalLM(Module):
    """From each token, and those before it, to logits for the next one [1]_.

    A stack of causal encoder layers between an embedding and an output layer. What makes it a
    GPT-2 or a Llama is its configuration alone: ``TransformerConfig.gpt2()`` or ``.llama()``.

    Implements :class:`foundation_seq.StepwiseModel`, so that ``generate``, ``stream_tokens`` and
    ``beam_search`` can write with it.

    Parameters
    ----------
    config : TransformerConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights: normal with standard deviation 0.02, and 0.02 / √(2 layers) for
        what ends a residual branch, as in GPT-2; biases start at zero.

    Attributes
    ----------
    embedding : Embedding
    positions : Module or None
        Sinusoidal or learned ones; rotary and ALiBi live in the layers.
    stack : TransformerEncoder
    output : Linear
        Without bias; its weight is the embedding's when tied.

    Raises
    ------
    ValueError
        If the configuration has fields for other kinds of models.

    References
    ----------
    .. [1] A. Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> config = TransformerConfig.gpt2(vocab_size=65, d_model=32, num_heads=4, num_layers=2)
    >>> model = CausalLM(config)
    >>> model(np.array([[1, 2, 3, 4, 5]])).shape
    (1, 5, 65)
    """

    def __init__(
        self, config: TransformerConfig, *, rng: np.random.Generator | None = None
    ) -> None:
        config.check_model("CausalLM")
        rng = init.generator(rng)
        self.config = c = config
        self.embedding = Embedding(c.vocab_size, c.d_model, 0.02, rng=rng)
        self.positions = absolute_positions(c, rng)
        self.stack = TransformerEncoder(
            c.num_layers,
            c.d_model,
            c.num_heads,
            c.feed_forward_width,
            final_norm=c.norm_first,  # post-norm layers end in a normalisation already
            **layer_options(c, rng),
        )
        self.output = Linear(c.d_model, c.vocab_size, bias=False, rng=rng)
        if c.tie_embeddings:
            self.output.weight = self.embedding.weight
        init_normal(self, rng, branches_of=self.stack)

    def forward(
        self,
        ids: Ids,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """Logits for the token after each.

        Parameters
        ----------
        ids : (B, T) integer array
        key_mask : (B, T) bool array, optional
            Padding: True where a token is real. Padding after the real tokens needs no mask:
            nobody looks at it.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern beside causality: True where a token may attend to another, such as within
            its own text where a row holds several.
        positions : (T,) or (B, T) integer array, optional
            From 0 on by default. For rows that hold several texts.

        Returns
        -------
        (B, T, V) tensor

        Raises
        ------
        ContextLengthError
            If the text is longer than the model's positions; without positions, and with ALiBi,
            no text is.
        """
        places = 0 if positions is None else positions
        return self.output(self._hidden(ids, key_mask, mask, places))  # type: ignore[no-any-return]

    def _hidden(
        self,
        ids: Ids,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        positions: int | Positions = 0,
        caches: list[KVCache] | None = None,
    ) -> Tensor:
        require_ids(ids)
        earlier = None if caches is None else caches[0].length
        real = real_positions(np.shape(ids), key_mask, mask, causal=True, earlier=earlier)
        x = self.embedding(real_ids(ids, real))
        if self.positions is not None:
            x = self.positions(x, positions)
        x = F.dropout(x, self.config.dropout)
        for_layers = rotary_positions(self.config.positions, positions)
        return self.stack(x, key_mask, mask, True, caches, for_layers)  # type: ignore[no-any-return]

    def start(self, prompt: Ids, lengths: Ids, capacity: int) -> tuple[NDArray[Any], TextState]:
        """Read prompts; see :class:`foundation_seq.StepwiseModel`.

        Raises
        ------
        ContextLengthError
            If prompt and new tokens together are longer than the model's positions.
        """
        if self.config.positions not in ("alibi", "none"):
            require_room(capacity, self.config.max_len)
        ids, padding = align_right(prompt, lengths)
        state = TextState(self.stack.new_caches(), padding)
        return self.extend(state, ids), state

    def step(self, state: TextState, tokens: Ids) -> tuple[NDArray[Any], TextState]:
        """Append one token to each row; see :class:`foundation_seq.StepwiseModel`."""
        return self.extend(state, tokens[:, None]), state

    def select(self, state: TextState, rows: Ids) -> TextState:
        """The state in which row i is the former row ``rows[i]``; the former state is used up."""
        for cache in state.caches:
            cache.reorder(rows)
        return TextState(state.caches, state.padding[rows])

    def extend(self, state: TextState, ids: Ids) -> NDArray[Any]:
        """Append ids (B, T) to the rows of a state; the logits (B, V) after them."""
        start = state.caches[0].length
        real, positions = real_and_positions(state.padding, start, start + ids.shape[1])
        with no_grad():
            h = self._hidden(ids, real, None, positions, state.caches)
            return self.output(h[:, -1]).data  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """The configuration, for a checkpoint."""
        return self.config.to_dict()

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new model of a configuration."""
        return cls(TransformerConfig.from_dict(config))

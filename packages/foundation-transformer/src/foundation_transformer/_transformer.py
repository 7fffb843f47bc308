"""The encoder-decoder transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from foundation_attn.masks import Mask, check_key_mask
from foundation_nn import Embedding, Linear, Module, Tensor, init
from foundation_nn import functional as F

from foundation_transformer._build import (
    Ids,
    absolute_positions,
    layer_options,
    real_ids,
    require_ids,
)
from foundation_transformer._positions import Positions
from foundation_transformer._stacks import TransformerDecoder, TransformerEncoder
from foundation_transformer.config import TransformerConfig


class Transformer(Module):
    """From source ids and the target so far to logits for the next target token [1]_.

    Embeddings are scaled by √D (section 3.4), unless the configuration says otherwise, and drawn
    with standard deviation 1/√D, so that tied to the output layer they give logits of the order of
    one.

    Parameters
    ----------
    config : TransformerConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights: Xavier-uniform projections, as in the original code.

    Attributes
    ----------
    source_embedding, target_embedding : Embedding
    positions : Module or None
    encoder : TransformerEncoder
    decoder : TransformerDecoder
    output : Linear
        Its weight is the target embedding's when tied.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """

    def __init__(
        self, config: TransformerConfig, *, rng: np.random.Generator | None = None
    ) -> None:
        rng = init.generator(rng)
        config.check_model("Transformer")
        self.config = c = config
        D, std = c.d_model, c.d_model**-0.5
        self.source_embedding = Embedding(c.vocab_size, D, std, rng=rng)
        self.target_embedding = (
            self.source_embedding
            if c.shares_embeddings
            else Embedding(c.decoder_vocab_size, D, std, rng=rng)
        )
        self.positions = absolute_positions(c, rng)
        shape = (D, c.num_heads, c.feed_forward_width)
        self.encoder = TransformerEncoder(
            c.num_layers,
            *shape,
            final_norm=c.has_final_norm,
            **layer_options(c, rng, causal=False),
        )
        self.decoder = TransformerDecoder(
            c.decoder_layers,
            *shape,
            final_norm=c.has_final_norm,
            **layer_options(c, rng, causal=True),
        )
        self.output = Linear(D, c.decoder_vocab_size, c.output_bias, rng=rng)
        if c.tie_embeddings:
            self.output.weight = self.target_embedding.weight
        for p in (*self.encoder.parameters(), *self.decoder.parameters()):
            if p.ndim > 1:
                p.data = init.xavier_uniform(rng, p.shape)

    def forward(
        self,
        source: Ids,
        target: Ids,
        source_mask: Mask | None = None,
        target_mask: Mask | None = None,
    ) -> Tensor:
        """Logits for the token after each target position.

        Parameters
        ----------
        source : (B, S) integer array
        target : (B, T) integer array
            Begins with ``bos_id``.
        source_mask : (B, S) bool array, optional
            Padding: True where a source token is real.
        target_mask : (B, T) bool array, optional
            Padding: True where a target token is real. The decoder is causal by itself.

        Returns
        -------
        (B, T, V) tensor
        """
        memory = self.encode(source, source_mask)
        return self.decode(target, memory, target_mask, source_mask)

    def encode(self, source: Ids, source_mask: Mask | None = None) -> Tensor:
        """The memory (B, S, D) of source ids (B, S)."""
        require_ids(source)
        check_key_mask(source_mask, np.shape(source), "source_mask")
        x = self.embed(self.source_embedding, real_ids(source, source_mask))
        return self.encoder(x, source_mask)

    def decode(
        self,
        target: Ids,
        memory: Tensor,
        target_mask: Mask | None = None,
        source_mask: Mask | None = None,
    ) -> Tensor:
        """Logits (B, T, V) for target ids (B, T), given the memory."""
        require_ids(target)
        check_key_mask(target_mask, np.shape(target), "target_mask")
        x = self.embed(self.target_embedding, real_ids(target, target_mask))
        return self.logits(self.decoder(x, memory, target_mask, source_mask))

    def logits(self, h: Tensor) -> Tensor:
        """What the decoder returns (..., D) as logits (..., V)."""
        scale = self.config.logit_scale
        return self.output(h if scale == 1 else h * scale)

    def embed(self, table: Embedding, ids: Ids, positions: int | Positions = 0) -> Tensor:
        """√D · embedding + position, (B, T) ids to (B, T, D).

        ``positions`` is the position of the first token, or of each, (T,) or (B, T).
        """
        x = table(ids)
        if self.config.scale_embeddings is not False:
            x = x * math.sqrt(self.config.d_model)
        if self.positions is not None:
            x = self.positions(x, positions)
        return F.dropout(x, self.config.dropout)

    def to_dict(self) -> dict[str, Any]:
        """The configuration, for a checkpoint."""
        return self.config.to_dict()

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new model of a configuration."""
        return cls(TransformerConfig.from_dict(config))

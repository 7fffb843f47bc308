"""Encoder-only models: BERT and its relatives, from text to vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from foundation_attn.masks import Mask, check_key_mask, real_positions
from foundation_nn import Embedding, Linear, Module, Tensor, init
from foundation_nn import functional as F

from foundation_transformer._build import (
    Ids,
    absolute_positions,
    init_normal,
    layer_options,
    real_ids,
    refuse_compact,
    require_ids,
)
from foundation_transformer._layer_parts import make_norm
from foundation_transformer._stacks import TransformerEncoder
from foundation_transformer.config import TransformerConfig


class TextEncoder(Module):
    """One vector for each token, from the whole text around it [1]_.

    Parameters
    ----------
    config : TransformerConfig
        BERT's is ``TransformerConfig.bert()``.
    rng : numpy.random.Generator, optional
        Draws the initial weights: normal with standard deviation 0.02.

    Attributes
    ----------
    embedding : Embedding
    positions : Module or None
    token_types : Embedding or None
        One vector for each kind of token, such as those of the first and the second sentence.
    embedding_norm : Module or None
    stack : TransformerEncoder
    pooler : Linear or None

    Raises
    ------
    ValueError
        If the configuration has fields for other kinds of models.

    References
    ----------
    .. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
       Understanding", NAACL 2019, arXiv:1810.04805.

    Examples
    --------
    >>> import numpy as np
    >>> config = TransformerConfig.bert(vocab_size=97, d_model=32, num_heads=4, num_layers=2)
    >>> model = TextEncoder(config)
    >>> model(np.array([[1, 2, 3, 4, 5]])).shape
    (1, 5, 32)
    """

    def __init__(
        self, config: TransformerConfig, *, rng: np.random.Generator | None = None
    ) -> None:
        config.check_model("TextEncoder")
        rng = init.generator(rng)
        self.config = c = config
        self.embedding = Embedding(c.vocab_size, c.d_model, 0.02, rng=rng)
        self.positions = absolute_positions(c, rng)
        self.token_types = (
            Embedding(c.num_token_types, c.d_model, 0.02, rng=rng) if c.num_token_types else None
        )
        self.embedding_norm = (
            make_norm(c.d_model, c.norm, c.norm_eps, c.has_norm_bias) if c.embedding_norm else None
        )
        self.stack = TransformerEncoder(
            c.num_layers,
            c.d_model,
            c.num_heads,
            c.feed_forward_width,
            final_norm=c.has_final_norm,
            first_norm=c.first_norm,
            **layer_options(c, rng, causal=False),
        )
        self.pooler = Linear(c.d_model, c.d_model, c.bias, rng=rng) if c.pooler else None
        init_normal(self, rng)

    def forward(
        self,
        ids: Ids,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        token_types: Ids | None = None,
    ) -> Tensor:
        """A vector for each token.

        Parameters
        ----------
        ids : (B, T) integer array
        key_mask : (B, T) bool array, optional
            Padding: True where a token is real.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern: True where a token may attend to another.
        token_types : (B, T) integer array, optional
            All 0 by default.

        Returns
        -------
        (B, T, D) tensor

        Raises
        ------
        ContextLengthError
            If the text is longer than the model's positions.
        ValueError
            If shapes do not fit, or token types are given that the model does not tell apart.
        """
        require_ids(ids)
        real = real_positions(np.shape(ids), key_mask, mask)
        x = self.embedding(real_ids(ids, real))
        if self.config.scale_embeddings:
            x = x * math.sqrt(self.config.d_model)
        if self.positions is not None:
            x = self.positions(x)
        if self.token_types is not None:
            types = np.zeros_like(ids) if token_types is None else np.asarray(token_types)
            if types.shape != np.shape(ids):
                raise ValueError(
                    f"expected token_types of the shape of ids, {np.shape(ids)}, got {types.shape}"
                )
            x = x + self.token_types(real_ids(types, real))
        elif token_types is not None:
            raise ValueError("token_types: this model has none (num_token_types=0); leave them out")
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        x = F.dropout(x, self.config.dropout)
        return self.stack(x, key_mask, mask)

    def pool(self, hidden: Tensor) -> Tensor:
        """tanh(W h₀ + b) of the first token, (B, T, D) to (B, D): BERT's vector of a text.

        With ``pooler_activation="relu"`` the largest of that and zero instead of tanh.

        Raises
        ------
        ValueError
            If the model has no pooler.
        """
        if self.pooler is None:
            raise ValueError("pool: this model has no pooler (pooler=False); see mean_pool")
        pooled = self.pooler(hidden[:, 0])
        return F.relu(pooled) if self.config.pooler_activation == "relu" else F.tanh(pooled)

    def to_dict(self) -> dict[str, Any]:
        """The configuration, for a checkpoint.

        Raises
        ------
        TypeError
            If the model is compact, see :func:`load_pretrained`: its weights are no longer there.
        """
        refuse_compact(self)
        return self.config.to_dict()

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new model of a configuration."""
        return cls(TransformerConfig.from_dict(config))


def mean_pool(hidden: Tensor, key_mask: Mask | None = None) -> Tensor:
    """The mean of the vectors of real tokens, scaled to length one, (B, T, D) to (B, D) [1]_.

    So the product of two texts' vectors is the cosine of their angle.

    Parameters
    ----------
    hidden : (B, T, D) tensor
    key_mask : (B, T) bool array, optional
        True where a token is real; padding may hold anything.

    Returns
    -------
    (B, D) tensor
        Zeros where the mean is zero, which has no direction.

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If the mask does not fit, or a row has no real token.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese
       BERT-Networks", EMNLP 2019, arXiv:1908.10084.
    """
    if key_mask is None:
        if hidden.shape[1] == 0:
            raise ValueError(f"mean_pool: expected at least one token, got shape {hidden.shape}")
        total = hidden.sum(axis=1)
    else:
        check_key_mask(key_mask, hidden.shape[:2], "mean_pool: key_mask")
        if not key_mask.any(axis=1).all():
            raise ValueError(f"mean_pool: row {key_mask.any(axis=1).argmin()} has no real token")
        total = F.mask_rows(hidden, key_mask).sum(axis=1)
    # The mean and the sum point the same way, and so does the sum divided by its largest number,
    # whose squares neither overflow nor vanish.
    largest = np.abs(total.data).max(axis=1, keepdims=True, initial=0)  # (B, 1)
    is_zero = largest == 0
    total = total / np.where(is_zero, 1, largest)
    squares = (total * total).sum(axis=1, keepdims=True) + is_zero
    direction: Tensor = total * squares**-0.5
    return direction

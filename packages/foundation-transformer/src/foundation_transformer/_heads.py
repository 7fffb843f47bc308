"""Heads: what a model says of a whole text, or of tokens that were hidden from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from foundation_attn.masks import Mask, check_key_mask
from foundation_nn import LayerNorm, Linear, Module, Tensor, init
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._build import Ids, refuse_compact
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig

#: The models that may stand beneath a head, by the names that checkpoints have for them.
_BODIES: dict[str, type[CausalLM] | type[TextEncoder]] = {
    "CausalLM": CausalLM,
    "TextEncoder": TextEncoder,
}
_POOLINGS = ("pooler", "first", "last", "mean")
_SCORES = ("softmax", "sigmoid", "identity")


class TextClassifier(Module):
    """Scores a text, or two texts that are read together: W v + b, from one vector v of the text.

    A model of any kind reads the text and says a vector for each token; ``pooling`` makes one of
    them, and a linear layer scores the labels. Of an encoder that has a pooler, v is
    tanh(W h₀ + b) of the first token [1]_. Of a decoder it is the vector of the last real token,
    the only one that has seen the whole text [2]_. Padding has no influence, whatever stands there.

    With one label and an encoder it is a cross-encoder, which says how well one text answers
    another.

    Parameters
    ----------
    body : TextEncoder or CausalLM
        Trained before, usually. It is part of this model, and trained with it unless it is frozen.
        The output layer of a CausalLM takes no part; if it is not the embedding's, it is frozen.
    labels : sequence of str
        What the scores are for.
    score : {"softmax", "sigmoid", "identity"}
        How logits become scores: one label a text, each label by itself, or as they are.
    pooling : {"pooler", "first", "last", "mean"}, optional
        By default "last" for a CausalLM, "pooler" for an encoder that has one, and "mean", the mean
        of all real tokens, for one that has none.
    rng : numpy.random.Generator, optional
        Draws the weights of the head: normal with standard deviation 0.02.

    Attributes
    ----------
    body : TextEncoder or CausalLM
    classifier : Linear

    Raises
    ------
    TypeError
        If the body is another kind of model.
    ValueError
        If there is no label, or no such kind of score or pooling.

    References
    ----------
    .. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
       Understanding", NAACL 2019, arXiv:1810.04805.
    .. [2] A. Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_transformer import CausalLM, TextClassifier, TransformerConfig
    >>> config = TransformerConfig.gpt2(vocab_size=97, d_model=32, num_heads=4, num_layers=2)
    >>> model = TextClassifier(CausalLM(config), ["bad", "good"])
    >>> model(np.array([[1, 2, 3]])).shape
    (1, 2)
    """

    def __init__(
        self,
        body: TextEncoder | CausalLM,
        labels: Sequence[str],
        score: str = "softmax",
        pooling: str | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if not isinstance(body, TextEncoder | CausalLM):
            raise TypeError(
                "TextClassifier: expected a TextEncoder or a CausalLM to read the texts, got "
                f"{type(body).__name__}; write TextClassifier(TextEncoder(config), labels)"
            )
        if isinstance(labels, str) or not labels:
            raise ValueError(f"TextClassifier: expected a list of labels, got {labels!r:.60}")
        if score not in _SCORES:
            raise ValueError(
                f"TextClassifier: expected score to be one of {', '.join(_SCORES)}, got {score!r}"
            )
        if pooling is None:
            has_pooler = isinstance(body, TextEncoder) and body.pooler is not None
            pooling = "last" if isinstance(body, CausalLM) else "pooler" if has_pooler else "mean"
        _check_pooling(body, pooling)
        self.labels = tuple(labels)
        self.score = score
        self.pooling = pooling
        self.body = body
        rng = init.generator(rng)
        self.classifier = Linear(body.config.d_model, len(self.labels), rng=rng)
        self.classifier.weight.data = init.normal(rng, self.classifier.weight.shape, 0.02)
        self.classifier.bias.data = np.zeros(len(self.labels))  # type: ignore[union-attr]
        if isinstance(body, CausalLM) and body.output.weight is not body.embedding.weight:
            body.output.freeze()

    @property
    def config(self) -> TransformerConfig:
        """The body's."""
        return self.body.config

    def forward(
        self, ids: Ids, key_mask: Mask | None = None, token_types: Ids | None = None
    ) -> Tensor:
        """Logits (B, labels).

        Parameters
        ----------
        ids : (B, T) integer array
        key_mask : (B, T) bool array, optional
            Padding: True where a token is real.
        token_types : (B, T) integer array, optional
            For an encoder that tells them apart.

        Raises
        ------
        ValueError
            If a row has no real token, or token types are given to a decoder.
        """
        vectors = self.vectors(ids, key_mask, token_types)
        return self.classifier(F.dropout(vectors, self.config.dropout))

    def vectors(
        self, ids: Ids, key_mask: Mask | None = None, token_types: Ids | None = None
    ) -> Tensor:
        """One vector for each text, (B, D): what the head reads."""
        if isinstance(self.body, CausalLM):
            if token_types is not None:
                raise ValueError("token_types: a CausalLM does not tell them apart; leave them out")
            hidden = self.body.hidden(ids, key_mask)
        else:
            hidden = self.body(ids, key_mask, token_types=token_types)  # (B, T, D)
        if self.pooling == "pooler":
            return self.body.pool(hidden)  # type: ignore[union-attr]
        return _pooled(hidden, key_mask, self.pooling)

    def to_dict(self) -> dict[str, Any]:
        """What makes such a model, for a checkpoint."""
        refuse_compact(self)
        return {
            "body": "CausalLM" if isinstance(self.body, CausalLM) else "TextEncoder",
            "config": self.body.to_dict(),
            "labels": self.labels,
            "score": self.score,
            "pooling": self.pooling,
        }

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new model of a configuration."""
        body = config["body"]
        if body not in _BODIES:
            raise ValueError(f"body: expected one of {', '.join(_BODIES)}, got {body!r}")
        model = _BODIES[body].from_dict(config["config"])
        return cls(model, config["labels"], config["score"], config["pooling"])


def _check_pooling(body: TextEncoder | CausalLM, pooling: str) -> None:
    if pooling not in _POOLINGS:
        raise ValueError(
            f"TextClassifier: expected pooling to be one of {', '.join(_POOLINGS)}, got {pooling!r}"
        )
    if pooling == "pooler" and (isinstance(body, CausalLM) or body.pooler is None):
        raise ValueError(
            "TextClassifier: pooling='pooler' is for an encoder that has one (pooler=True); see "
            "'mean', 'first' and 'last'"
        )


def _pooled(hidden: Tensor, key_mask: Mask | None, pooling: str) -> Tensor:
    """The vector of the first or the last real token, or the mean of all, (B, T, D) to (B, D)."""
    B, T = hidden.shape[:2]
    real: NDArray[np.bool_] = np.ones((B, T), bool)
    if key_mask is not None:
        check_key_mask(key_mask, (B, T), "TextClassifier: key_mask")
        real = key_mask
    if not real.any(axis=1).all():
        row = int(real.any(axis=1).argmin()) if T else 0
        raise ValueError(f"TextClassifier: row {row} has no real token")
    if pooling == "mean":
        total = F.mask_rows(hidden, real).sum(axis=1)  # (B, D)
        mean: Tensor = total / real.sum(axis=1, keepdims=True).astype(hidden.dtype)
        return mean
    place = real.argmax(axis=1) if pooling == "first" else T - 1 - real[:, ::-1].argmax(axis=1)
    vectors: Tensor = hidden[np.arange(B), place]
    return vectors


class MaskedLM(Module):
    """Tells tokens that were hidden, from both sides: how BERT is trained [1]_.

    The encoder reads a text in which some tokens are replaced. Of the vector h of each, the head
    makes logits for what stood there:

        E · norm(GELU(W h + b)) + c

    E is the embedding's own table (V, D), so that a token is written as it is read.

    Parameters
    ----------
    encoder : TextEncoder
        It is part of this model; when that is trained, the encoder is.
    rng : numpy.random.Generator, optional
        Draws W, normal with standard deviation 0.02; b and c start at zero.

    Attributes
    ----------
    encoder : TextEncoder
    dense : Linear
    norm : LayerNorm
    output : Linear
        Its weight is the embedding's.

    References
    ----------
    .. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
       Understanding", NAACL 2019, arXiv:1810.04805.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_transformer import MaskedLM, TextEncoder, TransformerConfig
    >>> config = TransformerConfig.bert(vocab_size=97, d_model=32, num_heads=4, num_layers=2)
    >>> model = MaskedLM(TextEncoder(config))
    >>> model(np.array([[1, 2, 3]])).shape
    (1, 3, 97)
    """

    def __init__(self, encoder: TextEncoder, *, rng: np.random.Generator | None = None) -> None:
        if not isinstance(encoder, TextEncoder):
            raise TypeError(
                f"MaskedLM: expected a TextEncoder, got {type(encoder).__name__}; write "
                "MaskedLM(TextEncoder(config))"
            )
        c = encoder.config
        rng = init.generator(rng)
        self.encoder = encoder
        self.dense = Linear(c.d_model, c.d_model, rng=rng)
        self.dense.weight.data = init.normal(rng, self.dense.weight.shape, 0.02)
        self.dense.bias.data = np.zeros(c.d_model)  # type: ignore[union-attr]
        self.norm = LayerNorm(c.d_model, c.norm_eps)
        self.output = Linear(c.d_model, c.vocab_size, rng=rng)
        self.output.weight = encoder.embedding.weight
        self.output.bias.data = np.zeros(c.vocab_size)  # type: ignore[union-attr]

    @property
    def config(self) -> TransformerConfig:
        """The encoder's."""
        return self.encoder.config

    def forward(
        self,
        ids: Ids,
        key_mask: Mask | None = None,
        token_types: Ids | None = None,
        at: Mask | None = None,
    ) -> Tensor:
        """Logits for the token at each place.

        Parameters
        ----------
        ids : (B, T) integer array
        key_mask : (B, T) bool array, optional
            Padding: True where a token is real.
        token_types : (B, T) integer array, optional
        at : (B, T) bool array, optional
            The places whose logits are wanted; the others are not computed.

        Returns
        -------
        (B, T, V) tensor, or (N, V) with ``at``, row after row
        """
        hidden = self.encoder(ids, key_mask, token_types=token_types)  # (B, T, D)
        if at is not None:
            check_key_mask(at, hidden.shape[:2], "MaskedLM: at")
            row, place = np.nonzero(at)
            hidden = hidden[row, place]  # (N, D)
        return self.output(self.norm(F.gelu(self.dense(hidden))))

    def to_dict(self) -> dict[str, Any]:
        """The configuration, for a checkpoint."""
        return self.encoder.to_dict()

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new model of a configuration."""
        return cls(TextEncoder.from_dict(config))

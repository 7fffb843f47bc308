"""Vectors of texts for search: two texts that belong together come to lie near each other.

A batch holds B pairs, such as questions and their answers. Each question shall find its answer
among the B answers of the batch, so that the answers of the others are what it must tell apart:
examples that cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer

from foundation_transformer._build import Ids
from foundation_transformer._text_encoder import TextEncoder, mean_pool
from foundation_transformer.recipes._fit import fit, trimmed


def info_nce(
    queries: Tensor, texts: Tensor, temperature: float = 0.05, symmetric: bool = False
) -> Tensor:
    """The mean of −log softmax_j(q_i · t_j / τ) at j = i: query i shall find text i [1]_.

    Parameters
    ----------
    queries : (B, D) tensor
        Of length one each, as :func:`mean_pool` makes them; then q · t is a cosine.
    texts : (B, D) or (M, D) tensor, M ≥ B
        Text i belongs to query i. Those behind, if there are any, belong to none: hard examples.
    temperature : float
        τ. The smaller, the more the nearest wrong text counts.
    symmetric : bool
        The mean of this loss and the other way round, where text i shall find query i among the
        queries.

    Returns
    -------
    () tensor
        log M where nothing was learnt.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the temperature is not positive.

    References
    ----------
    .. [1] A. van den Oord, Y. Li and O. Vinyals, "Representation Learning with Contrastive
       Predictive Coding", 2018, arXiv:1807.03748.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import Tensor
    >>> from foundation_transformer.recipes import info_nce
    >>> q, t = np.random.default_rng(0).standard_normal((2, 3, 5))
    >>> e = np.exp(q @ t.T / 0.5)  # (3, 3): how near each query is to each text
    >>> loss = -np.log(np.diag(e) / e.sum(axis=1)).mean()
    >>> np.allclose(info_nce(Tensor(q), Tensor(t), temperature=0.5).data, loss)
    True
    """
    if queries.ndim != 2 or texts.ndim != 2 or queries.shape[1] != texts.shape[1]:
        raise ValueError(
            f"info_nce: expected queries (B, D) and texts (M, D), got {queries.shape} and "
            f"{texts.shape}"
        )
    B = len(queries.data)
    if not 0 < B <= len(texts.data):
        raise ValueError(
            f"info_nce: expected a text for each query, got {B} queries and {len(texts.data)} texts"
        )
    if not temperature > 0:
        raise ValueError(f"info_nce: expected temperature > 0, got {temperature}")
    scores = queries @ texts.swapaxes(0, 1) * (1 / temperature)  # (B, M)
    own = np.arange(B)
    loss = F.cross_entropy(scores, own)
    if symmetric:
        loss = (loss + F.cross_entropy(scores[:, :B].swapaxes(0, 1), own)) * 0.5
    return loss


def sentence_loss(
    temperature: float = 0.05, symmetric: bool = True
) -> Callable[[TextEncoder, Any], tuple[Tensor, int]]:
    """The loss of :func:`train_sentences`, for a trainer of one's own: ``loss(model, batch)``.

    A batch is (ids, key_mask) of the queries and (ids, key_mask) of the texts, four arrays.
    """

    def vectors(model: TextEncoder, ids: Ids, key_mask: Any) -> Tensor:
        ids, key_mask = trimmed(ids, key_mask)
        return mean_pool(model(ids, key_mask), key_mask)  # (B, D)

    def loss(model: TextEncoder, batch: Any) -> tuple[Tensor, int]:
        query_ids, query_mask, text_ids, text_mask = batch
        queries = vectors(model, query_ids, query_mask)
        texts = vectors(model, text_ids, text_mask)
        return info_nce(queries, texts, temperature, symmetric), len(query_ids)

    return loss


def train_sentences(
    model: TextEncoder,
    batches: Iterable[Any],
    *,
    steps: int,
    temperature: float = 0.05,
    symmetric: bool = True,
    validation: Iterable[Any] | None = None,
    lr: float = 1e-4,
    final_lr: float | None = None,
    warmup: int = 20,
    weight_decay: float = 0.01,
    accumulate: int = 1,
    max_seconds: float | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train an encoder so that the means of its vectors find the texts that belong together [1]_.

    A text that stands twice in one batch would be told apart from itself: leave doubles out. With
    ``accumulate`` and with several processes the loss is another one, because each part of a batch
    tells apart its own texts alone.

    Parameters
    ----------
    model : TextEncoder
        :func:`mean_pool` makes its vectors.
    batches : iterable of (query ids, query mask, text ids, text mask)
        Such as ``training.batches(*padded(queries), *padded(texts), batch_size=64, rng=rng)``; the
        larger a batch, the more there is to tell apart.
    steps : int
        Updates.
    temperature, symmetric
        See :func:`info_nce`.
    validation, lr, final_lr, warmup, weight_decay, accumulate, max_seconds, rng, callbacks, comm
        As for :func:`train_lm`.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese
       BERT-Networks", EMNLP 2019, arXiv:1908.10084.
    """
    return fit(
        model,
        sentence_loss(temperature, symmetric),
        batches,
        steps=steps,
        validation=validation,
        lr=lr,
        final_lr=final_lr,
        warmup=warmup,
        betas=(0.9, 0.999),
        weight_decay=weight_decay,
        accumulate=accumulate,
        max_seconds=max_seconds,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )

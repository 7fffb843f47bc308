"""From texts to vectors and scores, with a text encoder that was made for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from foundation_nn import no_grad, padding_mask
from numpy.typing import NDArray

from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.pretrained._load import Pretrained

if TYPE_CHECKING:
    from foundation_data import Tokenizer


def embed(
    loaded: Pretrained,
    texts: Sequence[str],
    prompt: str | None = None,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """One vector for each text, as the model's folder says it is made.

    Texts are read in batches of about one length. What is longer than the model may read is cut
    off.

    Parameters
    ----------
    loaded : Pretrained
        A text encoder such as MiniLM, with its tokenizer.
    texts : sequence of str
    prompt : str, optional
        What the texts are for, such as "query" or "document", if the model has prompts for it.
    batch_size : int

    Returns
    -------
    (N, D) array
        Mostly of length one; then a product of two is how alike their texts are.

    Raises
    ------
    TypeError
        If ``texts`` is a single str, or the model is no text encoder.
    ValueError
        If there is no tokenizer, or no such prompt.
    """
    if isinstance(texts, str):
        raise TypeError("embed: expected a sequence of texts, got one str; write [text]")
    model, pooling = loaded.model, loaded.pooling
    if not isinstance(model, TextEncoder):
        raise TypeError(f"embed: expected a TextEncoder, got {type(model).__name__}")
    frame = _tokenizer_of(loaded).frame
    encode = _tokenizer_of(loaded).encode
    before = pooling.prompt(prompt)
    room = _longest(loaded) - frame.size
    encoded = [frame.around(encode(before + text)[:room]) for text in texts]
    without = 0 if pooling.with_prompt or not before else len(frame.before) + len(encode(before))
    rows = [_Row(ids, [0] * len(ids)) for ids in encoded]
    vectors = np.empty((len(texts), pooling.width(model.config.d_model)), np.float32)
    for batch, ids, real, _ in _batches(rows, batch_size):
        with no_grad():
            hidden = model(ids, real).data
        counts = real.copy()
        counts[:, :without] = False
        vectors[batch] = pooling(hidden, counts)
    return vectors


def rerank(
    loaded: Pretrained, query: str, texts: Sequence[str], batch_size: int = 32
) -> NDArray[np.float32]:
    """How well each text answers a query, by a model that reads the two together [1]_.

    Parameters
    ----------
    loaded : Pretrained
        A cross-encoder: a :class:`TextClassifier` with one label, and its tokenizer.
    query : str
    texts : sequence of str
    batch_size : int

    Returns
    -------
    (N,) array
        From 0 to 1, unless the folder asks for scores as they are.

    Raises
    ------
    TypeError
        If it is another kind of model, or ``texts`` is a single str.
    ValueError
        If it has several labels, or no tokenizer.

    References
    ----------
    .. [1] R. Nogueira and K. Cho, "Passage Re-ranking with BERT", 2019, arXiv:1901.04085.
    """
    if isinstance(texts, str):
        raise TypeError("rerank: expected a sequence of texts, got one str; write [text]")
    model = _classifier_of(loaded, "rerank")
    if len(model.labels) != 1:
        raise ValueError(
            f"rerank: expected a model with one label, this has {', '.join(model.labels)}; see "
            "classify"
        )
    logits = _logits(loaded, model, [(query, text) for text in texts], batch_size)[:, 0]
    if model.score != "identity":
        np.divide(1, 1 + np.exp(-logits), out=logits)
    return logits


def classify(
    loaded: Pretrained, texts: Sequence[str], batch_size: int = 32
) -> list[dict[str, float]]:
    """The probability of each label, for each text.

    Parameters
    ----------
    loaded : Pretrained
        A :class:`TextClassifier` and its tokenizer.
    texts : sequence of str
    batch_size : int

    Returns
    -------
    list of dict
        From labels to probabilities, which sum to one unless a text may have several labels.

    Raises
    ------
    TypeError
        If it is another kind of model, or ``texts`` is a single str.
    ValueError
        If it has no tokenizer.
    """
    if isinstance(texts, str):
        raise TypeError("classify: expected a sequence of texts, got one str; write [text]")
    model = _classifier_of(loaded, "classify")
    logits = _logits(loaded, model, [(text, None) for text in texts], batch_size).astype(np.float64)
    if model.score == "sigmoid":
        shares = 1 / (1 + np.exp(-logits))
    elif model.score == "softmax":
        shares = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        shares /= shares.sum(axis=1, keepdims=True)
    else:
        shares = logits
    return [dict(zip(model.labels, row, strict=True)) for row in shares.tolist()]


class _Row(NamedTuple):
    """The ids of one or two texts, and the type of each."""

    ids: list[int]
    types: list[int]


def _logits(
    loaded: Pretrained,
    model: TextClassifier,
    pairs: Sequence[tuple[str, str | None]],
    batch_size: int,
) -> NDArray[np.float32]:
    tokenizer = _tokenizer_of(loaded)
    rows = [_framed(tokenizer, first, second, _longest(loaded)) for first, second in pairs]
    logits = np.empty((len(pairs), len(model.labels)), np.float32)
    for batch, ids, real, types in _batches(rows, batch_size):
        with no_grad():
            told = types if model.config.num_token_types else None
            logits[batch] = model(ids, real, token_types=told).data
    return logits


def _framed(tokenizer: Tokenizer, first: str, second: str | None, longest: int) -> _Row:
    """One or two texts with what stands around them; of two the longer one is cut first."""
    frame = tokenizer.frame
    one = tokenizer.encode(first)
    if second is None:
        ids = frame.around(one[: longest - frame.size])
        return _Row(ids, [0] * len(ids))
    two = tokenizer.encode(second)
    excess = len(one) + len(two) + frame.pair_size - longest
    for _ in range(max(0, excess)):
        (one if len(one) > len(two) else two).pop()
    return _Row(*frame.around_pair(one, two))


def _batches(
    rows: Sequence[_Row], batch_size: int
) -> Iterator[tuple[list[int], NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]]:
    """Rows of about one length: which, their ids, which of these are real, and their types."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        lengths = np.array([len(rows[i].ids) for i in batch])
        real = padding_mask(lengths, lengths.max())
        ids = np.zeros(real.shape, np.int64)
        types = np.zeros(real.shape, np.int64)
        ids[real] = np.concatenate([rows[i].ids for i in batch])
        types[real] = np.concatenate([rows[i].types for i in batch])
        yield batch, ids, real, types


def _longest(loaded: Pretrained) -> int:
    """How many tokens the model reads at most."""
    limit = loaded.pooling.max_tokens
    most = loaded.model.config.max_len
    return most if limit is None else min(limit, most)


def _tokenizer_of(loaded: Pretrained) -> Tokenizer:
    if loaded.tokenizer is None:
        raise ValueError("expected a model with its tokenizer; this was loaded without one")
    return loaded.tokenizer


def _classifier_of(loaded: Pretrained, caller: str) -> TextClassifier:
    if not isinstance(loaded.model, TextClassifier):
        raise TypeError(f"{caller}: expected a TextClassifier, got {type(loaded.model).__name__}")
    return loaded.model

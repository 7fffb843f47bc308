"""From sentences to sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from foundation_nn import padding_mask
from foundation_seq import beam_search, generate
from numpy.typing import NDArray

from foundation_transformer._transformer import Transformer
from foundation_transformer._translator import Translator


class SpecialIds(Protocol):
    """The ids with a meaning of their own."""

    @property
    def bos_id(self) -> int: ...
    @property
    def eos_id(self) -> int: ...


class TextVocabulary(Protocol):
    """A vocabulary, as far as translation needs one."""

    @property
    def specials(self) -> SpecialIds: ...


class TextTokenizer(Protocol):
    """A tokenizer, as far as translation needs one; foundation-data's are."""

    @property
    def vocabulary(self) -> TextVocabulary: ...
    def encode(self, text: str, add_bos: bool = False, add_eos: bool = False) -> list[int]: ...
    def decode(self, ids: Iterable[int]) -> str: ...


def translate(
    model: Transformer,
    sentences: Sequence[str],
    source_tokenizer: TextTokenizer,
    target_tokenizer: TextTokenizer,
    *,
    max_new_tokens: int | None = None,
    batch_size: int = 64,
    beam_size: int = 1,
    length_penalty: float = 0.6,
) -> list[str]:
    """Translate sentences.

    Parameters
    ----------
    model : Transformer
    sentences : sequence of str
    source_tokenizer, target_tokenizer : TextTokenizer
        Those the model was trained with.
    max_new_tokens : int, optional
        The longest translation. By default twice the source and ten more, within the model's
        positions.
    batch_size : int
        Sentences at once; does not change the result beyond rounding.
    beam_size : int
        1 takes the likeliest token each time, more is :func:`foundation_seq.beam_search`.
    length_penalty : float
        Of the beam search.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError
        If a single string is given.
    ValueError
        If a sentence is longer than the model's positions, or an option is out of its range.
    """
    if isinstance(sentences, str):
        raise TypeError("translate: expected a list of sentences, got one str; wrap it: [sentence]")
    if batch_size < 1:
        raise ValueError(f"translate: expected batch_size >= 1, got {batch_size}")
    sources = encode_sources(model, sentences, source_tokenizer)
    specials = target_tokenizer.vocabulary.specials
    # Neighbours in length share a batch, so that little of it is padding.
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    translations = [""] * len(sources)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        if max_new_tokens is None:
            limits = default_limits(model, [sources[i] for i in chosen])
        else:
            limits = np.minimum(max_new_tokens, model.config.max_len)
        source, mask = pad([sources[i] for i in chosen])
        translator = Translator(model, source, mask)
        prompt, stops = [[specials.bos_id]] * len(chosen), {specials.eos_id}
        if beam_size == 1:
            written = generate(translator, prompt, limits, stop_ids=stops)
        else:
            found = beam_search(
                translator,
                prompt,
                limits,
                beam_size=beam_size,
                length_penalty=length_penalty,
                stop_ids=stops,
            )
            written = [hypotheses[0].tokens for hypotheses in found]
        for i, ids in zip(chosen, written, strict=True):
            translations[i] = target_tokenizer.decode(ids)
    return translations


def encode_sources(
    model: Transformer, sentences: Sequence[str], tokenizer: TextTokenizer
) -> list[list[int]]:
    """The ids of sentences that the model can read.

    Raises
    ------
    ValueError
        If one is longer than the model's positions.
    """
    sources = [tokenizer.encode(sentence, add_eos=True) for sentence in sentences]
    longest = model.config.max_len
    for sentence, ids in zip(sentences, sources, strict=True):
        if len(ids) > longest:
            raise ValueError(
                f"translate: {_shorten(sentence)!r} has {len(ids)} tokens, the model reads "
                f"{longest}; split the sentence, or train with a larger max_len"
            )
    return sources


def default_limits(model: Transformer, sources: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """The longest translation of each source: twice as long and ten more."""
    lengths = np.array([len(ids) for ids in sources])
    limits: NDArray[np.int64] = np.minimum(2 * lengths + 10, model.config.max_len)
    return limits


def pad(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of ids as one (B, S) array, zeros behind the shorter ones, and the mask of the real."""
    mask = padding_mask([len(row) for row in rows])
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, mask


def _shorten(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

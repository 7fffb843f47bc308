"""A transformer with its tokenizers: from sentences to sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from foundation_nn import padding_mask
from numpy.typing import NDArray

from foundation_transformer._build import IntArray
from foundation_transformer._decoding import Decoding, Written
from foundation_transformer._transformer import Transformer


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


class SentenceTranslator:
    """A transformer, the tokenizers of both languages, and how it writes.

    Parameters
    ----------
    model : Transformer
    source_tokenizer, target_tokenizer : TextTokenizer
        Those the model was trained with.
    decoding : Decoding, optional

    Attributes
    ----------
    start_id : int
        What translations begin with.
    decoding : Decoding
        With the ids that end them.
    """

    def __init__(
        self,
        model: Transformer,
        source_tokenizer: TextTokenizer,
        target_tokenizer: TextTokenizer,
        decoding: Decoding | None = None,
    ) -> None:
        decoding = Decoding() if decoding is None else decoding
        specials = target_tokenizer.vocabulary.specials
        self.model = model
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.start_id = specials.bos_id if decoding.start_id is None else decoding.start_id
        if decoding.stop_ids is None:
            decoding = replace(decoding, stop_ids=(specials.eos_id,))
        self.decoding = decoding

    def with_options(self, **options: Any) -> SentenceTranslator:
        """The same with other fields of ``decoding``; what is None stays as it is."""
        given = {name: value for name, value in options.items() if value is not None}
        decoding = replace(self.decoding, **given)
        return SentenceTranslator(
            self.model, self.source_tokenizer, self.target_tokenizer, decoding
        )

    def translate(self, sentences: Sequence[str], batch_size: int = 64) -> list[str]:
        """The translation of each sentence.

        Raises
        ------
        ValueError
            If a sentence is longer than the model's positions.
        """
        sources = self.encode(sentences)
        # Neighbours in length share a batch, so that little of it is padding.
        order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
        translations = [""] * len(sources)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            written = self.write([sources[i] for i in chosen])
            for i, each in zip(chosen, written, strict=True):
                translations[i] = self.target_tokenizer.decode(each.ids)
        return translations

    def n_best(self, sentences: Sequence[str]) -> list[list[tuple[str, float]]]:
        """All that a beam search finds for each sentence, the best first, with their scores.

        Raises
        ------
        ValueError
            If a sentence is longer than the model's positions.
        """
        sources = self.encode(sentences)
        found = self.decoding.search(self.model, *pad(sources), self.start_id, self.limits(sources))
        decode = self.target_tokenizer.decode
        return [[(decode(h.tokens), h.score) for h in each] for each in found]

    def write(self, sources: Sequence[Sequence[int]]) -> list[Written]:
        """The ids of the translation of each source, which :meth:`encode` gave."""
        return self.decoding.write(self.model, *pad(sources), self.start_id, self.limits(sources))

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """The ids of sentences that the model can read.

        Raises
        ------
        ValueError
            If one is longer than the model's positions.
        """
        sources = [self._ids(sentence) for sentence in sentences]
        longest = self.model.config.max_len
        for sentence, ids in zip(sentences, sources, strict=True):
            if self._is_too_long(ids):
                raise ValueError(
                    f"translate: {_shorten(sentence)!r} has {len(ids)} tokens, the model reads "
                    f"{longest}; split the sentence, or train with a larger max_len"
                )
        return sources

    def why_not(self, sentence: str) -> str:
        """Why a sentence cannot be translated; "" if it can."""
        try:
            ids = self._ids(sentence)
        except ValueError as error:  # such as a language that the translator does not know
            return f"{error}; left empty"
        if not self._is_too_long(ids):
            return ""
        longest = self.model.config.max_len
        return f"has {len(ids)} tokens, the model reads {longest}; left empty: split the sentence"

    def limits(self, sources: Sequence[Sequence[int]]) -> IntArray:
        """How long each translation may be, its end included.

        By default, twice as long as the source and ten more, within the model's positions.
        """
        longest = self.decoding.max_new_tokens
        if longest is None:
            limits = 2 * np.array([len(ids) for ids in sources], int) + 10
        else:
            limits = np.full(len(sources), longest)
        within = self.model.config.has_length_limit or longest is None
        return np.minimum(limits, self.model.config.max_len) if within else limits

    def _ids(self, sentence: str) -> list[int]:
        return self.source_tokenizer.encode(self.decoding.prefix + sentence, add_eos=True)

    def _is_too_long(self, ids: Sequence[int]) -> bool:
        config = self.model.config
        return config.has_length_limit and len(ids) > config.max_len


def pad(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of ids as one (B, S) array, zeros behind the shorter ones, and the mask of the real."""
    mask = padding_mask([len(row) for row in rows])
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, mask


def _shorten(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

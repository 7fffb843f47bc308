"""Byte pairs on characters instead of bytes: SentencePiece's BPE, as in Llama 2, Mistral, Gemma.

The merges are those of ``_bpe_tokenizer.py``: of two neighbours that are a pair, the one that was
learnt first becomes one token, again and again. But a word begins as characters, so that a token is
text that can be read, and a space is ``▁``. What that costs is that there are more characters than
anybody wants as tokens: those that are in none are written in tokens of bytes.

>>> tokenizer = SentencePieceBPETokenizer.train(["low lower lowest slow"], max_size=300)
>>> tokenizer.tokenize("slow é")
['▁', 's', 'low', '▁', '<0xC3>', '<0xA9>']
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._decoder import byte_token
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.subwords._apply_merges import apply_merges
from foundation_data.tokenizers.subwords._bpe_model import (
    BPEModel,
    model_from_json,
    model_to_json,
    new_ids_of,
)
from foundation_data.tokenizers.subwords._learn_merges import learn_merges
from foundation_data.tokenizers.subwords._sentencepiece_tokenizer import SentencePieceTokenizer
from foundation_data.tokenizers.subwords._subword_tokenizer import check_limits
from foundation_data.tokenizers.subwords._training_words import (
    BLANK_PIPELINE,
    count_characters,
    count_words,
    parts_between,
    training_pipeline,
)


class SentencePieceBPETokenizer(SentencePieceTokenizer):
    """Byte-pair encoding of characters, with tokens of bytes for those that are in no token.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    merges : sequence of (str, str)
        Which tokens become one, in the order in which they were learnt.
    pipeline : Pipeline
        How a text is normalised, cut, and put together again.
    byte_fallback : bool
        Whether a character that is in no token is written in tokens of bytes.
    unk_token : str, optional
        The token of a character that cannot be written at all.
    fuse_unk : bool
        Whether several unknown characters beside each other are one unknown token.
    ignore_merges : bool
        Whether a word that is a token becomes that token at once, without looking at the merges.

    Raises
    ------
    ValueError
        If a merge needs or makes a token that is not in the vocabulary.

    References
    ----------
    Kudo, Richardson, "SentencePiece: a simple and language independent subword tokenizer and
    detokenizer for neural text processing", 2018.
    """

    __slots__ = ("_fuse_unk", "_ignore_merges", "_merges", "_new_ids", "_ranks")
    kind = "sentencepiece-bpe"

    def __init__(
        self,
        vocabulary: Vocabulary,
        merges: Sequence[tuple[str, str]],
        pipeline: Pipeline = BLANK_PIPELINE,
        byte_fallback: bool = False,
        unk_token: str | None = None,
        fuse_unk: bool = False,
        ignore_merges: bool = False,
    ) -> None:
        super().__init__(vocabulary, pipeline, byte_fallback, unk_token)
        self._merges = tuple(merges)
        self._fuse_unk = bool(fuse_unk)
        self._ignore_merges = bool(ignore_merges)
        ids = {token: index for index, token in enumerate(vocabulary)}
        self._new_ids = new_ids_of(self._merges, ids)
        self._ranks = {
            (ids[first], ids[second]): rank
            for rank, (first, second) in enumerate(self._merges)
            # Text must not become a special token because its letters are merged.
            if first + second in self._plain_ids
        }

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        min_freq: int = 2,
        max_size: int | None = 8192,
        lossless: bool = True,
    ) -> Self:
        """Learn merges from `texts`, as `BPETokenizer.train` does, but of characters.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            What is seen fewer times gets no token of its own: neither characters nor pairs.
        max_size : int, optional
            The largest number of tokens: four specials, 256 bytes, the characters and the merges.
        lossless : bool
            Whether text is taken as it is. If not, it is normalised first, here and in `encode`,
            see :func:`foundation_data.normalize`. Even of a text that is taken as it is, a ``▁``
            comes back as the space that it stands for.

        Returns
        -------
        SentencePieceBPETokenizer
            The trained tokenizer.

        Raises
        ------
        TypeError
            If `texts` is a single string, or holds something that is no string.
        ValueError
            If `texts` are empty, or an option is out of range.
        """
        cls._check_texts(texts, "train")
        caller = f"{cls.__name__}.train"
        specials = SpecialTokens()
        tokens = [*specials.tokens, *map(byte_token, range(256))]
        max_size = check_limits(
            caller, min_freq, max_size, smallest=len(tokens) + 1, why="the specials and a character"
        )
        pipeline = training_pipeline(lossless)
        words = count_words(pipeline, texts, caller)
        characters = count_characters(words, max_size - len(tokens), min_freq)
        tokens += sorted(characters)
        # `learn_merges` takes words as strings with the character chr(id) for each symbol. No pair
        # goes across a character that is no token.
        symbols = {ord(token): index for index, token in enumerate(tokens) if len(token) == 1}
        pairs = learn_merges(
            {
                part.translate(symbols): count
                for part, count in parts_between(words, characters).items()
            },
            first_new_id=len(tokens),
            max_size=max_size,
            min_freq=min_freq,
        )
        merges: list[tuple[str, str]] = []
        for first, second in pairs:
            merges.append((tokens[first], tokens[second]))
            tokens.append(tokens[first] + tokens[second])
        vocabulary = Vocabulary.without_counts(tokens, specials)
        return cls(vocabulary, merges, pipeline, byte_fallback=True, unk_token=specials.unk)

    @property
    def merges(self) -> tuple[tuple[str, str], ...]:
        """Which tokens become one, in the order in which they were learnt."""
        return self._merges

    def _ids_of_piece(self, piece: str) -> Sequence[int]:
        if self._ignore_merges and piece in self._plain_ids:
            return [self._plain_ids[piece]]
        symbols: list[int] = []
        unknown_before = False
        for character in piece:
            index = self._plain_ids.get(character)
            if index is not None:
                symbols.append(index)
                unknown_before = False
                continue
            ids = self._ids_of_unknown(character)
            is_unknown = ids == self._unknown_ids
            if not (is_unknown and unknown_before and self._fuse_unk):
                symbols += ids
            unknown_before = is_unknown
        return apply_merges(symbols, self._ranks, self._new_ids)

    def _model_to_json(self) -> dict[str, Any]:
        return model_to_json(
            BPEModel(
                self._merges,
                self._ignore_merges,
                self._unk_token,
                self._byte_fallback,
                self._fuse_unk,
            )
        )

    @classmethod
    def _unknown_token(cls, model: Mapping[str, Any]) -> str | None:
        return model_from_json(model).unk_token

    @classmethod
    def _from_model(
        cls, vocabulary: Vocabulary, model: Mapping[str, Any], pipeline: Pipeline
    ) -> Self:
        read = model_from_json(model)
        return cls(
            vocabulary,
            read.merges,
            pipeline,
            read.byte_fallback,
            read.unk_token,
            read.fuse_unk,
            read.ignore_merges,
        )

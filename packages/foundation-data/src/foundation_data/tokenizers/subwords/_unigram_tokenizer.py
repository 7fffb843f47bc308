"""Pieces by their probability: the unigram model of T5, XLM-R and Marian."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import inf, isfinite
from typing import Any, Self

import numpy as np
from foundation_nn.files import field

from foundation_data._text import require_str
from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._byte_alphabet import text_to_bytes
from foundation_data.tokenizers.pipeline._decoder import byte_token
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.subwords._learn_pieces import learn_pieces
from foundation_data.tokenizers.subwords._sentencepiece_tokenizer import SentencePieceTokenizer
from foundation_data.tokenizers.subwords._subword_tokenizer import PieceCache, check_limits
from foundation_data.tokenizers.subwords._training_words import (
    BLANK_PIPELINE,
    count_words,
    training_pipeline,
)
from foundation_data.tokenizers.subwords._viterbi import Pieces


class UnigramTokenizer(SentencePieceTokenizer):
    """Words cut into the pieces that are the most probable together.

    Each piece has a score, the logarithm of its probability. Of all ways to cut a word, the one is
    taken whose scores add up to the most; ``_viterbi.py`` tells how it is found.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    scores : sequence of float, length V
        The score of each token. Those of special tokens do not matter.
    pipeline : Pipeline
        How a text is normalised, cut into words, and put together again.
    byte_fallback : bool
        Whether a character that is in no token is written in tokens of bytes.
    unk_token : str, optional
        The token of characters that are in no other. Without one, such a text is refused.

    Raises
    ------
    ValueError
        If there is not one finite score for each token.

    References
    ----------
    Kudo, "Subword regularization: improving neural network translation models with multiple
    subword candidates", 2018.
    """

    __slots__ = ("_cuts", "_pieces", "_scores")
    kind = "unigram"

    def __init__(
        self,
        vocabulary: Vocabulary,
        scores: Sequence[float],
        pipeline: Pipeline = BLANK_PIPELINE,
        byte_fallback: bool = False,
        unk_token: str | None = None,
    ) -> None:
        super().__init__(vocabulary, pipeline, byte_fallback, unk_token)
        self._scores = tuple(map(float, scores))
        if len(self._scores) != len(vocabulary):
            raise ValueError(
                f"UnigramTokenizer: expected {len(vocabulary)} scores, one for each token, got "
                f"{len(self._scores)}"
            )
        if not all(map(isfinite, self._scores)):
            raise ValueError("UnigramTokenizer: expected finite scores, got one that is not")
        self._pieces = Pieces(
            {token: self._scores[index] for token, index in self._plain_ids.items()},
            lowest=min(self._scores),
        )
        self._cuts = PieceCache(self._cut_word)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        min_freq: int = 2,
        max_size: int | None = 8192,
        lossless: bool = True,
        byte_fallback: bool = True,
    ) -> Self:
        """Learn pieces from `texts`, and how probable each is.

        ``_learn_pieces.py`` tells how. The same texts give the same pieces on every machine, up to
        the rounding of sums.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            What is seen fewer times gets no token of its own.
        max_size : int, optional
            The largest number of tokens: four specials, 256 bytes if there is a fallback to them,
            and the pieces. None: all parts of words that are worth it.
        lossless : bool
            Whether text is taken as it is. If not, it is normalised first, here and in `encode`,
            see :func:`foundation_data.normalize`. Even of a text that is taken as it is, a ``▁``
            comes back as the space that it stands for.
        byte_fallback : bool
            Whether a character that is in no piece is written in tokens of bytes. Without them it
            is unknown.

        Returns
        -------
        UnigramTokenizer
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
        tokens = [*specials.tokens, *(map(byte_token, range(256)) if byte_fallback else ())]
        max_size = check_limits(
            caller, min_freq, max_size, smallest=len(tokens) + 1, why="the specials and a piece"
        )
        pipeline = training_pipeline(lossless)
        words = count_words(pipeline, texts, caller)
        scores = learn_pieces(words, size=max_size - len(tokens), min_freq=min_freq)
        # A piece of a text may look like a special token, which it must not become.
        for token in tokens:
            scores.pop(token, None)
        vocabulary = Vocabulary.without_counts([*tokens, *scores], specials)
        scores_of_all = [*[0.0] * len(tokens), *scores.values()]
        return cls(vocabulary, scores_of_all, pipeline, byte_fallback, specials.unk)

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of each token, which is the logarithm of its probability."""
        return self._scores

    def cut(self, text: str) -> list[str]:
        """The pieces of a text; where `tokenize` says unknown, the unknown characters themselves.

        What becomes of these is for the caller to say.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """
        require_str(f"{type(self).__name__}.cut", text)
        words = self._words_of(self._normalized(text), is_start=True)
        return list(chain.from_iterable(map(self._cuts.__getitem__, words)))

    def sample(self, text: str, rng: np.random.Generator, alpha: float = 0.1) -> list[int]:
        """Return the ids of some way to cut `text` (subword regularisation).

        A model that reads a text cut in another way each time learns that these are the same, and
        gets better where there is little text to learn from. A text that is read to be answered is
        cut in the best way, which `encode` does.

        Parameters
        ----------
        text : str
            Any text; special tokens in it are text.
        rng : numpy.random.Generator
            What draws.
        alpha : float
            How much the probability of a cut counts: 0 makes all of them equally likely, and the
            larger it is, the more often the best one is drawn.

        Raises
        ------
        TypeError
            If `text` is not a string.
        ValueError
            If `alpha` is negative or not finite.

        Examples
        --------
        >>> tokenizer = UnigramTokenizer.train(["low lower lowest slower"])
        >>> rng = np.random.default_rng(0)
        >>> for _ in range(3):
        ...     print(*tokenizer.vocabulary.to_tokens(tokenizer.sample("lower", rng)))
        ▁lowe r
        ▁ lower
        ▁low e r
        """
        require_str(f"{type(self).__name__}.sample", text)
        if not 0 <= alpha < inf:
            raise ValueError(
                f"UnigramTokenizer.sample: expected an alpha of 0 or more, got {alpha}"
            )
        ids: list[int] = []
        for word in self._words_of(self._normalized(text), is_start=True):
            for part in self._pieces.draw(word, rng, alpha):
                index = self._plain_ids.get(part)
                ids += self._ids_of_unknown(part) if index is None else (index,)
        return ids

    def _cut_word(self, word: str) -> list[str]:
        cut: list[str] = []
        for part in self._pieces.cut(word):
            known = part in self._plain_ids or not self._byte_fallback
            cut += [part] if known else map(byte_token, text_to_bytes(part))
        return cut

    def _ids_of_piece(self, piece: str) -> Sequence[int]:
        ids: list[int] = []
        for part in self._pieces.cut(piece):
            index = self._plain_ids.get(part)
            ids += self._ids_of_unknown(part) if index is None else (index,)
        return ids

    def _model_to_json(self) -> dict[str, Any]:
        unk_token = self._unk_token
        return {
            "type": "Unigram",
            "unk_id": None if unk_token is None else self._vocabulary.token_to_id(unk_token),
            "byte_fallback": self._byte_fallback,
        }

    def _tokens_to_json(self) -> list[list[Any]]:
        return [[token, score] for token, score in zip(self._vocabulary, self._scores, strict=True)]

    @classmethod
    def _ids_from_json(cls, model: Mapping[str, Any]) -> dict[str, int]:
        ids: dict[str, int] = {}
        for index, (token, _) in enumerate(_read_pieces(model)):
            if token in ids:
                raise ValueError(
                    f"vocab: {token!r:.60} stands there twice, with the ids {ids[token]} and "
                    f"{index}"
                )
            ids[token] = index
        return ids

    @classmethod
    def _unknown_token(cls, model: Mapping[str, Any]) -> str | None:
        unk_id: int | None = field(model, "unk_id", int | None, default=None)
        pieces = _read_pieces(model)
        if unk_id is None:
            return None
        if not 0 <= unk_id < len(pieces):
            raise ValueError(f"model.unk_id: {unk_id} is not one of {len(pieces)} tokens")
        return pieces[unk_id][0]

    @classmethod
    def _from_model(
        cls, vocabulary: Vocabulary, model: Mapping[str, Any], pipeline: Pipeline
    ) -> Self:
        scores = [score for _, score in _read_pieces(model)]
        added = len(vocabulary) - len(scores)
        return cls(
            vocabulary,
            [*scores, *[0.0] * added],
            pipeline,
            field(model, "byte_fallback", bool, default=False),
            cls._unknown_token(model),
        )


def _read_pieces(model: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The pieces of a file with their scores, in the order of their ids."""
    pieces: list[tuple[str, float]] = []
    for index, entry in enumerate(field(model, "vocab", list)):
        if (
            not isinstance(entry, list)
            or len(entry) != 2
            or not isinstance(entry[0], str)
            or isinstance(entry[1], bool)
            or not isinstance(entry[1], int | float)
        ):
            raise ValueError(f"vocab[{index}]: expected a piece and its score, got {entry!r:.60}")
        pieces.append((entry[0], float(entry[1])))
    return pieces

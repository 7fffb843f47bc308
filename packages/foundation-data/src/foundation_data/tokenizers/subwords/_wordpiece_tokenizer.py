"""Word pieces as tokens: BERT's way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from foundation_nn.files import field

from foundation_data.tokenizers._added_tokens import AddedToken
from foundation_data.tokenizers._frame import Frame
from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._cleaning import BertNormalizer
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import BertWords
from foundation_data.tokenizers.subwords._learn_merges import learn_merges
from foundation_data.tokenizers.subwords._subword_tokenizer import (
    SubwordTokenizer,
    check_limits,
    count_pieces,
)

_SPECIALS = SpecialTokens(
    pad="[PAD]", unk="[UNK]", bos="[CLS]", eos="[SEP]", pad_id=0, unk_id=1, bos_id=2, eos_id=3
)
_FRAME = Frame.from_json({"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]})
_PREFIX = "##"
_LONGEST_WORD = 100
_LONGEST_ALLOWED = 10_000

# What `detokenize` replaces in each token, so that the spacing is that of English.
_SPACING = (
    *((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't")),
    *((" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")),
)


class WordPieceTokenizer(SubwordTokenizer):
    """Words in lower case, without accents, cut into the longest known pieces.

    A piece that continues a word begins with ``##``. A word with a letter that is in no token
    becomes ``[UNK]``, so this is not lossless: `decode` gives readable text, not the same text.
    ``[CLS]`` has the role of ``bos`` and ``[SEP]`` that of ``eos``. BERT reads a text between the
    two, which is ``encode(text, framed=True)``.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids; an unknown word gets ``specials.unk_id``.
    pipeline : Pipeline
        How a text is normalised and cut.
    prefix : str
        What a piece that continues a word begins with.
    longest_word : int
        Words of more characters are unknown. The time for a word grows with the square of that.

    Raises
    ------
    ValueError
        If ``longest_word`` is below 1, or above 10,000.

    Examples
    --------
    >>> tokenizer = WordPieceTokenizer.train(["low lower lowest slow"], max_size=18)
    >>> tokenizer.tokenize("Slowest, LÖWER")
    ['s', '##l', '##ow', '##e', '##s', '##t', '[UNK]', 'lowe', '##r']

    References
    ----------
    Devlin et al., "BERT: Pre-training of deep bidirectional transformers for language
    understanding", 2019.
    """

    __slots__ = ("_longest_word", "_lookup", "_prefix")
    kind = "wordpiece"

    def __init__(
        self,
        vocabulary: Vocabulary,
        pipeline: Pipeline,
        prefix: str = _PREFIX,
        longest_word: int = _LONGEST_WORD,
    ) -> None:
        super().__init__(vocabulary, pipeline)
        if not 1 <= longest_word <= _LONGEST_ALLOWED:
            raise ValueError(
                f"WordPieceTokenizer: expected a longest word of 1 to {_LONGEST_ALLOWED:,} "
                f"characters, got {longest_word:,}"
            )
        self._prefix = prefix
        self._longest_word = longest_word
        # Text must not become a special token by looking like one.
        added = {token.content for token in self.pipeline.added}
        self._lookup = {
            token: index for index, token in enumerate(vocabulary) if token not in added
        }

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        min_freq: int = 2,
        max_size: int | None = 8192,
        lowercase: bool = True,
    ) -> Self:
        """Learn pieces from `texts`, by merging like `BPETokenizer.train`.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            Stop when the commonest pair of pieces is seen fewer times than this.
        max_size : int, optional
            The largest number of tokens: five specials, the letters, the merges. If there is no
            room for all letters, the frequent ones stay. None: as many as `min_freq` leaves. Never
            more than 1,114,112, see ``_learn_merges.py``.
        lowercase : bool
            Lower-case all text and take its accents off, here and in `encode`.

        Returns
        -------
        WordPieceTokenizer
            The trained tokenizer.

        Raises
        ------
        TypeError
            If `texts` is a single string, or holds something that is no string.
        ValueError
            If `texts` are empty, `min_freq` is below 1, or `max_size` below 6 or too large.
        """
        cls._check_texts(texts, "train")
        reserved = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # in the order of their ids
        caller = f"{cls.__name__}.train"
        max_size = check_limits(
            caller, min_freq, max_size, smallest=len(reserved) + 1, why="the specials and a letter"
        )
        pipeline = Pipeline(
            added=tuple(map(AddedToken, reserved)),
            normalizers=(BertNormalizer(lowercase=lowercase),),
            steps=(BertWords(),),
            around={
                "post_processor": _FRAME.to_json(),
                "decoder": {"type": "WordPiece", "prefix": _PREFIX, "cleanup": True},
            },
        )
        pieces = count_pieces(pipeline, texts, caller)
        letters_of = {piece: _letters(piece) for piece in pieces if len(piece) <= _LONGEST_WORD}
        counts: Counter[str] = Counter()
        for piece, letters in letters_of.items():
            for letter in letters:
                counts[letter] += pieces[piece]
        commonest = sorted(counts, key=lambda letter: (-counts[letter], letter))
        tokens = [*reserved, *sorted(commonest[: max_size - len(reserved)])]
        # `learn_merges` takes words as strings with the character chr(id) for each symbol. A word
        # with a letter for which there was no room is left out.
        symbols = {token: chr(index) for index, token in enumerate(tokens)}
        words = {
            "".join(symbols[letter] for letter in letters): pieces[piece]
            for piece, letters in letters_of.items()
            if all(letter in symbols for letter in letters)
        }
        pairs = learn_merges(words, first_new_id=len(tokens), max_size=max_size, min_freq=min_freq)
        for first, second in pairs:
            # No merge makes a special token: `BertWords` leaves no piece with both [ and a letter.
            tokens.append(_join(tokens[first], tokens[second]))
        return cls(Vocabulary.without_counts(tokens, _SPECIALS), pipeline)

    def _ids_of_piece(self, piece: str) -> Sequence[int]:
        """Take the longest known beginning of what is left, again and again."""
        unknown = [self._vocabulary.specials.unk_id]
        if len(piece) > self._longest_word:
            return unknown
        ids: list[int] = []
        start = 0
        while start < len(piece):
            prefix = self._prefix if start else ""
            for stop in range(len(piece), start, -1):
                index = self._lookup.get(prefix + piece[start:stop])
                if index is not None:
                    break
            else:
                return unknown
            ids.append(index)
            start = stop
        return ids

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again, with the spaces that English has."""
        decoder = self.pipeline.around.get("decoder") or {}
        parts: list[str] = []
        for token in tokens:
            if not parts:
                part = token
            elif token.startswith(self._prefix):
                part = token.removeprefix(self._prefix)
            else:
                part = f" {token}"
            if decoder.get("cleanup", True):
                for spaced, closed in _SPACING:
                    part = part.replace(spaced, closed)
            parts.append(part)
        return "".join(parts)

    def _model_to_json(self) -> dict[str, Any]:
        return {
            "type": "WordPiece",
            "unk_token": self._vocabulary.specials.unk,
            "continuing_subword_prefix": self._prefix,
            "max_input_chars_per_word": self._longest_word,
        }

    @classmethod
    def _from_model(
        cls, vocabulary: Vocabulary, model: Mapping[str, Any], pipeline: Pipeline
    ) -> Self:
        unk_token = field(model, "unk_token", str)
        if unk_token != vocabulary.specials.unk:
            raise ValueError(
                f"model.unk_token: expected the special token {vocabulary.specials.unk!r}, got "
                f"{unk_token!r}"
            )
        prefix = field(model, "continuing_subword_prefix", str)
        longest_word = field(model, "max_input_chars_per_word", int)
        field(pipeline.around.get("decoder") or {}, "cleanup", bool, default=True)
        return cls(vocabulary, pipeline, prefix, longest_word)


def _letters(word: str) -> list[str]:
    """The smallest pieces of a word: "low" gives "l", "##o", "##w"."""
    return [word[0], *(_PREFIX + letter for letter in word[1:])]


def _join(first: str, second: str) -> str:
    """The piece that two neighbours make: "lo" and "##w" give "low"."""
    return first + second.removeprefix(_PREFIX)

"""What the tokenizers of SentencePiece share: ``▁`` for a space, and bytes for the unknown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from foundation_data._text import require_str
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._byte_alphabet import text_to_bytes
from foundation_data.tokenizers.pipeline._cleaning import CleanText
from foundation_data.tokenizers.pipeline._decoder import byte_token, decode_with, decoder_from_json
from foundation_data.tokenizers.pipeline._normalizer import Prepend, Replace
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import Split, cut_text
from foundation_data.tokenizers.subwords._subword_tokenizer import SubwordTokenizer, count_pieces

#: How a space is written in a token.
BLANK = "▁"
_BLANK_INSIDE = re.compile(f"[^{BLANK}]{BLANK}", re.DOTALL)
_WORDS = re.compile(f"{BLANK}*[^{BLANK}]+|{BLANK}+")


#: Words with the blank before them, single digits, other signs, and what is left of white space.
_WORD = (
    rf"{BLANK}?[\p{{L}}\p{{M}}]+|{BLANK}?\p{{N}}|{BLANK}?[^\s{BLANK}\p{{L}}\p{{M}}\p{{N}}]+"
    rf"|{BLANK}+(?={BLANK})|{BLANK}|\s+"
)
_DECODERS = [
    {"type": "Replace", "pattern": {"String": BLANK}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
]
#: The way of what is trained here: nothing is lost, but that a ``▁`` becomes a space.
WORDS_WITH_BLANK = Pipeline(
    normalizers=(Prepend(BLANK), Replace(" ", BLANK)),
    steps=(Split(_WORD),),
    around={"decoder": {"type": "Sequence", "decoders": _DECODERS}},
)
# Training cuts longer words.
_LONGEST_TRAINED = 256


def training_pipeline(lossless: bool) -> Pipeline:
    """The way of a text to the words that training sees; if not `lossless`, it is cleaned first."""
    if lossless:
        return WORDS_WITH_BLANK
    normalizers = (CleanText(), *WORDS_WITH_BLANK.normalizers)
    return replace(WORDS_WITH_BLANK, normalizers=normalizers)


def count_words(pipeline: Pipeline, texts: Iterable[str], name: str) -> Counter[str]:
    """Count the words of all texts, very long ones in parts; errors are those of `count_pieces`."""
    words: Counter[str] = Counter()
    for word, count in count_pieces(pipeline, texts, name).items():
        for start in range(0, len(word), _LONGEST_TRAINED):
            words[word[start : start + _LONGEST_TRAINED]] += count
    return words


def count_characters(words: Mapping[str, int], size: int, min_freq: int) -> dict[str, int]:
    """The frequent characters, with how often each is seen; at most `size` of them."""
    counts: Counter[str] = Counter()
    for word, frequency in words.items():
        for character in word:
            counts[character] += frequency
    frequent = [character for character, count in counts.items() if count >= min_freq]
    frequent.sort(key=lambda character: (-counts[character], character))
    return {character: counts[character] for character in frequent[:size]}


def parts_between(words: Mapping[str, int], characters: Mapping[str, int]) -> Counter[str]:
    """The parts of words between characters that are not among these `characters`."""
    parts: Counter[str] = Counter()
    for word, frequency in words.items():
        known = "".join(letter if letter in characters else "\0" for letter in word)
        for part in known.split("\0"):
            if part:
                parts[part] += frequency
    return parts


class SentencePieceTokenizer(SubwordTokenizer):
    """A tokenizer whose tokens are pieces of text in which a space is ``▁``.

    Not each character is in a token, as there are too many. One that is in none is written in the
    256 tokens of bytes, ``<0x00>`` to ``<0xFF>``, if there are such tokens (*byte fallback*), or
    else becomes the unknown token.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    pipeline : Pipeline
        The way of a text to its pieces, and back.
    byte_fallback : bool
        Whether a character that is in no token is written in tokens of bytes.
    unk_token : str, optional
        The token of a character that cannot be written at all. Without one, such a text is refused.
    """

    __slots__ = (
        "_byte_fallback",
        "_byte_ids",
        "_decoder",
        "_plain_ids",
        "_unk_token",
        "_unknown_ids",
        "_words",
    )

    def __init__(
        self,
        vocabulary: Vocabulary,
        pipeline: Pipeline,
        byte_fallback: bool = False,
        unk_token: str | None = None,
    ) -> None:
        super().__init__(vocabulary, pipeline)
        if unk_token is not None and unk_token not in vocabulary:
            raise ValueError(f"unk_token: {unk_token!r:.60} is not in the vocabulary")
        self._byte_fallback = bool(byte_fallback)
        self._unk_token = unk_token
        self._unknown_ids = [] if unk_token is None else [vocabulary.token_to_id(unk_token)]
        self._decoder = decoder_from_json(pipeline.around.get("decoder"))
        ids = {token: index for index, token in enumerate(vocabulary)}
        self._byte_ids = [ids.get(byte_token(byte)) for byte in range(256)]
        # Text must not become a special token, or a byte, by looking like its name.
        reserved = {token.content for token in self.pipeline.added if token.special} | {unk_token}
        if byte_fallback:
            reserved |= set(map(byte_token, range(256)))
        self._plain_ids = {token: index for token, index in ids.items() if token not in reserved}
        # Where no token goes on behind a word, words can be encoded one by one, and remembered.
        inside = any(_BLANK_INSIDE.search(token) for token in self._plain_ids)
        self._words = BLANK in self._plain_ids and not inside

    @property
    def byte_fallback(self) -> bool:
        """Whether a character that is in no token is written in tokens of bytes."""
        return self._byte_fallback

    def _words_of(self, text: str, is_start: bool) -> list[str]:
        pieces = super()._words_of(text, is_start)
        return list(chain.from_iterable(map(_WORDS.findall, pieces))) if self._words else pieces

    def _ids_of_unknown(self, text: str) -> Sequence[int]:
        """The ids of characters that are in no token."""
        if self._byte_fallback:
            ids = [self._byte_ids[byte] for byte in text_to_bytes(text)]
            if None not in ids:
                return ids  # type: ignore[return-value]
        if self._unk_token is None:
            raise ValueError(
                f"{type(self).__name__}: {text!r:.60} is in no token, and there is none for what "
                "is unknown; leave it out of the text"
            )
        return self._unknown_ids

    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """
        require_str(f"{type(self).__name__}.normalize", text)
        pieces = cut_text(self._pipeline.steps, self._normalized(text))
        return self.detokenize(chain.from_iterable(pieces))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == normalize(text)``."""
        return decode_with(self._decoder, tokens)

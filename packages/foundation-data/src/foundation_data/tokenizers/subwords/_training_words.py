"""The words that the training of SentencePiece's kinds sees, and the characters in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from foundation_data.tokenizers.pipeline._cleaning import CleanText
from foundation_data.tokenizers.pipeline._normalizer import Prepend, Replace
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import BLANK, Split
from foundation_data.tokenizers.subwords._subword_tokenizer import count_pieces

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

"""The words that the training of SentencePiece's kinds sees, and the characters in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from foundation_data.tokenizers._patterns import WORDS_WITH_BLANK
from foundation_data.tokenizers.pipeline._cleaning import CleanText
from foundation_data.tokenizers.pipeline._normalizer import Prepend, Replace
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import BLANK, Split
from foundation_data.tokenizers.subwords._subword_tokenizer import count_pieces

_DECODERS = [
    {"type": "Replace", "pattern": {"String": BLANK}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
]
#: The way of what is trained here: nothing is lost, but that a ``▁`` becomes a space.
BLANK_PIPELINE = Pipeline(
    normalizers=(Prepend(BLANK), Replace(" ", BLANK)),
    steps=(Split(WORDS_WITH_BLANK),),
    around={"decoder": {"type": "Sequence", "decoders": _DECODERS}},
)
# Training cuts longer words.
_LONGEST_TRAINED = 256


def training_pipeline(lossless: bool) -> Pipeline:
    """The way of a text to the words that training sees; if not `lossless`, it is cleaned first."""
    if lossless:
        return BLANK_PIPELINE
    normalizers = (CleanText(), *BLANK_PIPELINE.normalizers)
    return replace(BLANK_PIPELINE, normalizers=normalizers)


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

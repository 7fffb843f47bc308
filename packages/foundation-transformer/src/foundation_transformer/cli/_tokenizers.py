"""Which tokenizer a run has: one of a kind, trained on its data, or one from a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from foundation_data import (
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    UnigramTokenizer,
    WordPieceTokenizer,
    WordTokenizer,
    load_tokenizer,
)

from foundation_transformer.cli._settings import TOKENIZERS, Settings

#: The most tokens of a vocabulary, if nothing else is said.
VOCAB_SIZE = 16_000
#: Where a tokenizer comes from, which decides what a number on held-out text is worth.
TRAINED_HERE = "trained without what is held out"
TRAINED_BEFORE = "trained before, perhaps with what is held out"

_KINDS: dict[str, Any] = {
    "word": WordTokenizer,
    "char": CharTokenizer,
    "bpe": BPETokenizer,
    "wordpiece": WordPieceTokenizer,
    "unigram": UnigramTokenizer,
}


def train_tokenizer(
    kind: str, texts: Iterable[str], vocab_size: int | None = None, lossless: bool = True
) -> Tokenizer:
    """Learn from texts; words and word pieces normalise them, others only if not ``lossless``."""
    options = {"lossless": lossless} if kind in ("char", "bpe", "unigram") else {}
    tokenizer: Tokenizer = _KINDS[kind].train(texts, max_size=vocab_size or VOCAB_SIZE, **options)
    return tokenizer


def tokenizer_for(settings: Settings, texts: Iterable[str], lossless: bool) -> Tokenizer:
    """The tokenizer that a run is begun with.

    Sentences that look the same must get the same ids, also when the model is used: the tokenizer
    sees to it, because everything goes through it. A language model must see the text as it is.

    Raises
    ------
    OSError, ValueError
        If its file cannot be read.
    """
    return tokenizer_from_file(settings) or train_tokenizer(
        settings.tokenizer_kind, texts, settings.vocab_size, lossless
    )


def origin_of(settings: Settings) -> str:
    """Where the tokenizers of a run come from, for people."""
    is_kind = settings.tokenizer is None or settings.tokenizer in TOKENIZERS
    return TRAINED_HERE if is_kind else TRAINED_BEFORE


def tokenizer_from_file(settings: Settings) -> Tokenizer | None:
    """What ``--tokenizer FILE`` names; None if it names a kind, or nothing.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read.
    """
    if settings.tokenizer is None or settings.tokenizer in TOKENIZERS:
        return None
    return load_tokenizer(Path(settings.tokenizer))

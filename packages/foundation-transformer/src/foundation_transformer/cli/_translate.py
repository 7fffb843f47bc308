"""``foundation translate``: lines in, translations out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from foundation_nn import checkpoint

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate

#: The checkpoint within the folder of a run.
CHECKPOINT = "checkpoint"


def load_translator(folder: Path) -> tuple[Transformer, Any, Any]:
    """The model of a run or checkpoint, and its source and target tokenizers.

    Raises
    ------
    FileNotFoundError
        If there is nothing to load.
    ValueError
        If it is not a translator.
    """
    inner = folder / CHECKPOINT
    loaded = checkpoint.load(inner if inner.is_dir() else folder)
    tokenizers = [loaded.extras.get(f"{side}_tokenizer") for side in ("source", "target")]
    if not isinstance(loaded.model, Transformer) or None in tokenizers:
        raise ValueError(f"{folder}: holds a {type(loaded.model).__name__}, not a translator")
    return loaded.model, tokenizers[0], tokenizers[1]


def translate_lines(folder: Path) -> None:
    """Translate standard input line by line; on a terminal, with a prompt."""
    model, source_tokenizer, target_tokenizer = load_translator(folder)
    live = sys.stdin.isatty()
    if live:
        print("Type a sentence and press Enter; an empty line or Ctrl-D ends.")
    while True:
        try:
            line = input("> " if live else "")
        except (EOFError, KeyboardInterrupt):
            if live:
                print()
            return
        if not line.strip():
            if live:
                return
            print()
            continue
        try:
            (translation,) = translate(model, [line], source_tokenizer, target_tokenizer)
        except ValueError as error:
            if not live:
                raise
            print(f"  {error}")
            continue
        print(f"  {translation}" if live else translation, flush=True)
        unknown = [
            t for t in source_tokenizer.tokenize(line) if t not in source_tokenizer.vocabulary
        ]
        if unknown and live:
            print(f"  (words it has never seen: {', '.join(unknown)})")

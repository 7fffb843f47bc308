"""``foundation translate``: lines in, translations out."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from foundation_nn import checkpoint

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._folder import find_checkpoint


def load_translator(folder: Path) -> tuple[Transformer, Any, Any]:
    """The model of a run or checkpoint, and its source and target tokenizers.

    Raises
    ------
    OSError
        If there is nothing to load.
    ValueError
        If it is not a translator.
    """
    loaded = checkpoint.load(find_checkpoint(folder))
    tokenizers = [loaded.extras.get(f"{side}_tokenizer") for side in ("source", "target")]
    if not isinstance(loaded.model, Transformer) or None in tokenizers:
        raise ValueError(f"{folder}: holds a {type(loaded.model).__name__}, not a translator")
    return loaded.model, tokenizers[0], tokenizers[1]


def translate_lines(folder: Path) -> None:
    """Translate standard input line by line; on a terminal, with a prompt."""
    translator = load_translator(folder)
    if sys.stdin.isatty():
        _converse(*translator)
    else:
        _filter(*translator)


def _converse(model: Transformer, source_tokenizer: Any, target_tokenizer: Any) -> None:
    print("Type a sentence and press Enter; an empty line or Ctrl-D ends.")
    while True:
        try:
            line = input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not line.strip():
            return
        try:
            (translation,) = translate(model, [line], source_tokenizer, target_tokenizer)
        except ValueError as error:
            print(f"  {error}")
            continue
        print(f"  {translation}")
        known = source_tokenizer.vocabulary
        unknown = [token for token in source_tokenizer.tokenize(line) if token not in known]
        if unknown:
            print(f"  (words it has never seen: {', '.join(unknown)})")


def _filter(model: Transformer, source_tokenizer: Any, target_tokenizer: Any) -> None:
    if isinstance(sys.stdin, io.TextIOWrapper):  # some locales let broken bytes pass
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")
    lines = enumerate(sys.stdin, 1)
    number = 0
    while True:
        try:
            number, line = next(lines, (0, ""))
            if not number:
                return
            translations = translate(
                model, [line] if line.strip() else [], source_tokenizer, target_tokenizer
            )
        except UnicodeDecodeError:
            raise ValueError(
                f"standard input, after line {number}: not UTF-8; convert it first, e.g. with iconv"
            ) from None
        except ValueError as error:
            raise ValueError(f"standard input, line {number}: {error}") from None
        print(*translations, flush=True)

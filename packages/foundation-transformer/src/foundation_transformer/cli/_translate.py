"""``foundation translate``: lines in, translations out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from foundation_nn import checkpoint

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._n_best import n_best
from foundation_transformer.cli._streams import is_typed

Translate = Callable[[list[str]], list[list[str]]]


def translator_of(folder: Path, loaded: checkpoint.Checkpoint) -> tuple[Transformer, Any, Any]:
    """The model of a checkpoint, and its source and target tokenizers.

    Raises
    ------
    ValueError
        If it is not a translator.
    """
    tokenizers = [loaded.extras.get(f"{side}_tokenizer") for side in ("source", "target")]
    if not isinstance(loaded.model, Transformer) or None in tokenizers:
        raise ValueError(f"{folder}: holds a {type(loaded.model).__name__}, not a translator")
    return loaded.model, tokenizers[0], tokenizers[1]


def translate_lines(options: argparse.Namespace) -> None:
    """Translate standard input line by line; on a terminal, with a prompt.

    Raises
    ------
    OSError, ValueError
        If there is nothing to load, or a line cannot be translated.
    """
    loaded = checkpoint.load(find_checkpoint(options.folder))
    model, source_tokenizer, target_tokenizer = translator_of(options.folder, loaded)
    if options.n_best and options.n_best > max(options.beam_size, 1):
        raise ValueError(
            f"--n-best {options.n_best} needs a beam as wide: --beam-size {options.n_best}"
        )

    def all_of(lines: list[str]) -> list[list[str]]:
        """What to print for each line."""
        if options.n_best:
            found = n_best(
                model,
                lines,
                source_tokenizer,
                target_tokenizer,
                options.beam_size,
                options.length_penalty,
            )
            return [
                [f"{score:.4f}\t{text}" for text, score in each[: options.n_best]] for each in found
            ]
        written = translate(
            model,
            lines,
            source_tokenizer,
            target_tokenizer,
            beam_size=options.beam_size,
            length_penalty=options.length_penalty,
        )
        return [[text] for text in written]

    if is_typed():
        _converse(all_of, source_tokenizer)
    else:
        _filter(all_of, options.batch_size, numbered=bool(options.n_best))


def _converse(all_of: Translate, source_tokenizer: Any) -> None:
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
            (found,) = all_of([line])
        except ValueError as error:
            print(f"  {error}")
            continue
        for text in found:
            print(f"  {text}")
        known = source_tokenizer.vocabulary
        unknown = [token for token in source_tokenizer.tokenize(line) if token not in known]
        if unknown:
            print(f"  (words it has never seen: {', '.join(unknown)})")


def _filter(all_of: Translate, batch_size: int, numbered: bool) -> None:
    number = 0
    for lines in _batches(batch_size):
        try:
            found = iter(_fill(all_of, lines))
        except ValueError:
            found = (_fill(all_of, [line])[0] for line in lines)  # up to the one to blame
        for _ in lines:
            number += 1
            try:
                texts = next(found)
            except ValueError as error:
                raise ValueError(f"standard input, line {number}: {error}") from None
            for text in texts:
                print(f"{number}\t{text}" if numbered else text)
        sys.stdout.flush()


def _fill(all_of: Translate, lines: list[str]) -> list[list[str]]:
    """Nothing for empty lines."""
    full = [line for line in lines if line.strip()]
    found = iter(all_of(full) if full else [])
    return [next(found) if line.strip() else [""] for line in lines]


def _batches(size: int) -> Iterator[list[str]]:
    """Lines of standard input; what came before a broken one is not lost."""
    lines: list[str] = []
    count = 0
    while True:
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError:
            if lines:
                yield lines
            raise ValueError(
                f"standard input, after line {count}: not UTF-8; convert it first, e.g. with iconv"
            ) from None
        if line:
            count += 1
            lines.append(line)
        if lines and (len(lines) == size or not line):
            yield lines
            lines = []
        if not line:
            return

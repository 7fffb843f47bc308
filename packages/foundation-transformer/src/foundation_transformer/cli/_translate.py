"""``foundation translate``: lines in, translations out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from foundation_nn import checkpoint
from foundation_nn.files import new_file, open_file

from foundation_transformer._sentence_translator import SentenceTranslator
from foundation_transformer._transformer import Transformer
from foundation_transformer.cli._folder import kind_of
from foundation_transformer.cli._pretrained import load_any
from foundation_transformer.cli._status import DONE, FAILED
from foundation_transformer.cli._streams import is_typed, standard_input

#: Characters of a line. A file may be one line without an end.
_LONGEST_LINE = 1 << 24

Translate = Callable[[list[str]], list[list[str]]]


def translator_of(folder: Path, loaded: checkpoint.Checkpoint) -> SentenceTranslator:
    """The translator of a checkpoint, or of a published model that was loaded as one.

    Raises
    ------
    ValueError
        If it is not a translator.
    """
    source, target = (loaded.extras.get(f"{side}_tokenizer") for side in ("source", "target"))
    if not isinstance(loaded.model, Transformer) or source is None or target is None:
        raise ValueError(
            f"{folder}: holds {kind_of(loaded.model)}, not a translator with its tokenizers"
        )
    return SentenceTranslator(loaded.model, source, target, loaded.extras.get("decoding"))


def written_ids(translator: SentenceTranslator, sentence: str) -> tuple[list[int], list[int]]:
    """What the model reads, and what it writes: from the beginning of the sentence to its end.

    The latter are the very ids that were generated, not those of the text that they stand for,
    which may be others. Where the translation has no end within the model's positions, they have
    none.

    Raises
    ------
    ValueError
        If the sentence is longer than the model's positions.
    """
    (source,) = translator.encode([sentence])
    (written,) = translator.write([source])
    end = [translator.target_tokenizer.vocabulary.specials.eos_id] if written.stopped else []
    return source, [translator.start_id, *written.ids, *end]


def translate_lines(options: argparse.Namespace) -> int:
    """Translate a file or standard input line by line; on a terminal, with a prompt.

    Returns the exit status: a failure if a line could not be translated.

    Raises
    ------
    OSError, ValueError
        If there is nothing to load, the text cannot be read, or a flag would do nothing.
    """
    translator = translator_of(options.folder, load_any(options.folder)).with_options(
        beam_size=options.beam_size, length_penalty=options.length_penalty, prefix=options.prefix
    )
    decoding = translator.decoding
    if options.n_best and options.n_best > decoding.beam_size:
        raise ValueError(
            f"--n-best {options.n_best} needs a beam as wide: --beam-size {options.n_best}"
        )
    if options.length_penalty is not None and decoding.beam_size == 1:
        raise ValueError("--length-penalty: does nothing without a beam; add --beam-size 4")
    if decoding.ignored:
        print(f"not obeyed: {', '.join(decoding.ignored)}", file=sys.stderr)

    def all_of(lines: list[str]) -> list[list[str]]:
        """What to print for each line."""
        if options.n_best:
            found = translator.n_best(lines)
            return [
                [f"{score:.4f}\t{text}" for text, score in each[: options.n_best]] for each in found
            ]
        return [[text] for text in translator.translate(lines)]

    reads_a_file = options.file not in (None, "-")
    if not reads_a_file and options.out is None and is_typed():
        _converse(all_of, translator.source_tokenizer)
        return DONE
    with ExitStack() as files:
        name = options.file if reads_a_file else "standard input"
        source = files.enter_context(_open(options.file)) if reads_a_file else standard_input()
        output = sys.stdout
        if options.out is not None:
            place = files.enter_context(new_file(options.out))
            output = files.enter_context(place.open("w", encoding="utf-8", newline="\n"))

        batches = _batches(source, name, options.batch_size)
        why_not = translator.why_not
        left_out = _filter(all_of, why_not, batches, output, numbered=bool(options.n_best))
    for number, reason in left_out:
        print(f"foundation translate: {name}, line {number}: {reason}", file=sys.stderr)
    if len(left_out) > 1:
        print(f"foundation translate: {len(left_out):,} lines were left empty", file=sys.stderr)
    return FAILED if left_out else DONE


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


def _open(file: str) -> TextIO:
    return TextIOWrapper(open_file(file), encoding="utf-8", newline="\n")


def _filter(
    all_of: Translate,
    why_not: Callable[[str], str],
    batches: Iterable[list[str]],
    output: TextIO,
    numbered: bool,
) -> list[tuple[int, str]]:
    """Write what all lines are translated to; the numbers of those that are not, and why.

    An empty line stays one. What is too long becomes one, so that the lines of both texts
    still belong together.
    """
    left_out: list[tuple[int, str]] = []
    number = 0
    for lines in batches:
        reasons = [why_not(line) for line in lines]
        fitting = [
            line for line, reason in zip(lines, reasons, strict=True) if line.strip() and not reason
        ]
        translations = iter(all_of(fitting) if fitting else [])
        for line, reason in zip(lines, reasons, strict=True):
            number += 1
            if reason:
                left_out.append((number, reason))
            texts = next(translations) if line.strip() and not reason else [""]
            for text in texts:
                text = " ".join(text.splitlines())  # each line has one, whatever is written
                print(f"{number}\t{text}" if numbered else text, file=output)
        output.flush()
    return left_out


def _batches(source: TextIO, name: str, size: int) -> Iterator[list[str]]:
    """Lines of a text; what came before a broken one is not lost."""
    lines: list[str] = []
    count = 0
    while True:
        try:
            line = source.readline(_LONGEST_LINE + 1)
        except UnicodeDecodeError:
            if lines:
                yield lines
            raise ValueError(
                f"{name}, after line {count}: not UTF-8; convert it first, e.g. with iconv"
            ) from None
        if len(line) > _LONGEST_LINE:
            raise ValueError(
                f"{name}, line {count + 1}: longer than {_LONGEST_LINE:,} characters; split it"
            )
        if line:
            count += 1
            # The end of a line is no part of the sentence, and would be a token for some models.
            lines.append(line.removesuffix("\n").removesuffix("\r"))
        if lines and (len(lines) == size or not line):
            yield lines
            lines = []
        if not line:
            return

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
from foundation_seq import generate

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import default_limits, encode_sources, pad, translate
from foundation_transformer._translator import Translator
from foundation_transformer.cli._folder import find_checkpoint, kind_of
from foundation_transformer.cli._n_best import n_best
from foundation_transformer.cli._status import DONE, FAILED
from foundation_transformer.cli._streams import is_typed, standard_input

#: Of a beam, if nothing else is said.
LENGTH_PENALTY = 0.6
#: Characters of a line. A file may be one line without an end.
_LONGEST_LINE = 1 << 24

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
        raise ValueError(
            f"{folder}: holds {kind_of(loaded.model)}, not a translator with its tokenizers"
        )
    return loaded.model, tokenizers[0], tokenizers[1]


def written_ids(
    model: Transformer, sentence: str, source_tokenizer: Any, target_tokenizer: Any
) -> tuple[list[int], list[int]]:
    """What the model reads, and what it writes: from the beginning of the sentence to its end.

    The latter are the very ids that were generated, not those of the text that they stand for,
    which may be others. Where the translation has no end within the model's positions, they have
    none.

    Raises
    ------
    ValueError
        If the sentence is longer than the model's positions.
    """
    sources = encode_sources(model, [sentence], source_tokenizer)
    specials = target_tokenizer.vocabulary.specials
    limits = default_limits(model, sources)
    (ids,) = generate(
        Translator(model, *pad(sources)), [[specials.bos_id]], limits, stop_ids={specials.eos_id}
    )
    end = [specials.eos_id] if len(ids) < limits[0] else []
    return sources[0], [specials.bos_id, *ids, *end]


def translate_lines(options: argparse.Namespace) -> int:
    """Translate a file or standard input line by line; on a terminal, with a prompt.

    Returns the exit status: a failure if a line could not be translated.

    Raises
    ------
    OSError, ValueError
        If there is nothing to load, the text cannot be read, or a flag would do nothing.
    """
    loaded = checkpoint.load(find_checkpoint(options.folder))
    model, source_tokenizer, target_tokenizer = translator_of(options.folder, loaded)
    if options.n_best and options.n_best > max(options.beam_size, 1):
        raise ValueError(
            f"--n-best {options.n_best} needs a beam as wide: --beam-size {options.n_best}"
        )
    if options.length_penalty is not None and options.beam_size == 1:
        raise ValueError("--length-penalty: does nothing without a beam; add --beam-size 4")
    penalty = LENGTH_PENALTY if options.length_penalty is None else options.length_penalty

    def all_of(lines: list[str]) -> list[list[str]]:
        """What to print for each line."""
        if options.n_best:
            found = n_best(
                model,
                lines,
                source_tokenizer,
                target_tokenizer,
                options.beam_size,
                penalty,
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
            length_penalty=penalty,
        )
        return [[text] for text in written]

    reads_a_file = options.file not in (None, "-")
    if not reads_a_file and options.out is None and is_typed():
        _converse(all_of, source_tokenizer)
        return DONE
    with ExitStack() as files:
        name = options.file if reads_a_file else "standard input"
        source = files.enter_context(_open(options.file)) if reads_a_file else standard_input()
        output = sys.stdout
        if options.out is not None:
            place = files.enter_context(new_file(options.out))
            output = files.enter_context(place.open("w", encoding="utf-8", newline="\n"))

        def why_not(line: str) -> str:
            return _why_not(model, source_tokenizer, line)

        batches = _batches(source, name, options.batch_size)
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


def _why_not(model: Transformer, tokenizer: Any, line: str) -> str:
    """Why a line cannot be translated; "" if it can."""
    length = len(tokenizer.encode(line, add_eos=True))
    longest = model.config.max_len
    if length <= longest:
        return ""
    return f"has {length} tokens, the model reads {longest}; left empty: split the sentence"


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
            lines.append(line)
        if lines and (len(lines) == size or not line):
            yield lines
            lines = []
        if not line:
            return

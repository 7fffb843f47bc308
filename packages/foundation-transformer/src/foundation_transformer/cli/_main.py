"""Arguments in, exit code out, and no traceback for a user's mistake."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

DEMO = """\
Train an encoder-decoder transformer on sentence pairs, measure it on pairs it has never seen, and
leave a checkpoint and pictures. Without --data the pairs are the names of all emoji in two
languages, which come with the package "emoji". Ctrl-C stops early and keeps what was learnt.
"""
TRANSLATE = """\
Translate lines from standard input, or what one types, with the model of a checkpoint.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "demo":
        _refuse_idle_options(parser, options)
    try:
        # Imported late, so that --help is there at once.
        if options.command == "demo":
            from foundation_transformer.cli._demo import demo

            demo(options)
        else:
            from foundation_transformer.cli._translate import translate_lines

            translate_lines(options.checkpoint)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, TypeError, ImportError, FloatingPointError) as error:
        message = " ".join(str(error).split()) if "\n" not in str(error) else str(error)
        print(f"foundation {options.command}: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nfoundation {options.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="foundation", description="Train and use transformers on NumPy."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="train a translator and show what it can do", description=DEMO
    )
    demo.add_argument(
        "--from",
        dest="source",
        metavar="LANG",
        help="source language of the emoji names (default: en)",
    )
    demo.add_argument(
        "--to",
        dest="target",
        metavar="LANG",
        help="target language of the emoji names (default: fr)",
    )
    demo.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="your own pairs: source and target in two tab-separated columns (.tsv, .csv; .gz)",
    )
    demo.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: runs/emoji-en-fr, or runs/ and the name of the file)",
    )
    demo.add_argument(
        "--epochs",
        type=_positive,
        metavar="N",
        help="passes over the data (default: by its size, from 4 to 30)",
    )
    demo.add_argument(
        "--max-seconds", type=_positive, metavar="S", help="stop training after so many seconds"
    )
    demo.add_argument(
        "--seed", type=_natural, metavar="N", help="of all that is random (default: 0)"
    )
    demo.add_argument(
        "--interactive",
        action="store_true",
        help="translate what you type with the model of an earlier run",
    )

    translate = commands.add_parser(
        "translate", help="translate with a trained model", description=TRANSLATE
    )
    translate.add_argument(
        "checkpoint", type=Path, metavar="FOLDER", help="the folder of a run or of a checkpoint"
    )
    return parser


def _refuse_idle_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Say so when an option would do nothing, and fill in the defaults of the others."""
    if options.data is not None and (options.source or options.target):
        parser.error("--from and --to choose among the emoji names; with --data they do nothing")
    if options.interactive:
        for name in ("epochs", "max_seconds", "seed"):
            if getattr(options, name) is not None:
                parser.error(f"--{name.replace('_', '-')} does nothing with --interactive")
    options.source = options.source or "en"
    options.target = options.target or "fr"
    options.seed = options.seed or 0


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)

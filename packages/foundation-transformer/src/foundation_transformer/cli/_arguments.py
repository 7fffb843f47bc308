"""What one may type after ``foundation``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from foundation_nn import did_you_mean

from foundation_transformer.cli._arguments_pretrained import add_pretrained, add_sampling
from foundation_transformer.cli._settings import add_flags

TOP = """\
Train and use transformers on NumPy. A first run, on sentence pairs of your own, in two columns
with a tab between them:

  foundation train translation --data pairs.tsv --out runs/mine
  (Ctrl-C)
  foundation resume runs/mine
  echo "a sentence" | foundation translate runs/mine
  foundation report runs/mine
"""
DEMO = """\
Train an encoder-decoder transformer on sentence pairs, measure it on pairs it has never seen, and
leave a checkpoint and pictures. Without --data the pairs are the names of all emoji in two
languages, which come with the package "emoji". Ctrl-C stops early and keeps what was learnt.
"""
TRAIN = """\
Train a model in a folder of its own, which will hold
  checkpoint/     the best model so far, for translate, generate, evaluate, inspect, attention
  last/           the last few states, for resume and average
  history.jsonl   every step and evaluation, for report
  run.json        the settings

WHAT is "translation", "language-model", or a TOML file such as
  task = "translation"
  data = "pairs.tsv"
  epochs = 20
  [model]
  d_model = 256
Flags come before what the file says. Ctrl-C or SIGTERM stops after the present step.
"""
RESUME = """\
Go on with a run that was interrupted or killed. It ends with the very bits it would have had
without the interruption, on the same machine with the same number of threads. With --epochs,
--steps or --max-seconds a run that has ended is prolonged; its learning rate follows the curve of
the longer run from there.
"""
TRANSLATE = """\
Translate the lines of a file or of standard input, or what one types, with the model of a
checkpoint. A line that is longer than the model can read is left empty and named at the end, where
the exit status is 1 then.
"""
GENERATE = """\
Let a language model go on with a text. Prompt and continuation are printed as the model's tokens
stand for them. Beyond what the model can read at once it goes on from the later half of that.
"""
EVALUATE = """\
Translation: BLEU, chrF and exact matches on pairs. Language model: loss, perplexity and bits per
byte on a text.
"""
INSPECT = "Verify a checkpoint, or read a published model, and tell what is in it."
REPORT = """\
Write a page with the best score, curves of loss, learning rate and gradient norms, samples below
what was expected, and all settings with what they came to. It can be written while the run goes on.
"""
AVERAGE = """\
Average the parameters of the last checkpoints of a run, or of those given, into a new checkpoint:
often a little better than each of them.
"""
ATTENTION = """\
Write a page on which one sees where each head of each layer looks. It opens with the attention to
the source, if the model has one, or with the layer that tells most.
"""
REPLAY = """\
Run a step again whose loss or gradient was not finite, with every operation watched. BUNDLE is the
folder failed_step_N in that of the run.
"""


#: What the commands are for, in the order in which one needs them.
GROUPS = {
    "train": ("demo", "train", "resume", "average"),
    "use a model": ("translate", "generate", "chat", "embed", "search"),
    "measure and look inside": (
        "evaluate",
        "report",
        "inspect",
        "attention",
        "surprisal",
        "replay",
    ),
}


def make_parser() -> argparse.ArgumentParser:
    """The parser; ``run`` of what it returns is a module and a function."""
    parser = _Parser(
        prog="foundation",
        usage="foundation [--version] COMMAND ...",
        description=TOP,
        formatter_class=_Raw,
    )
    parser.add_argument("--version", action=_Version, help="the version, and exit")
    commands = parser.add_subparsers(
        dest="command",
        prog="foundation",
        metavar="COMMAND",
        help="one of those below; foundation COMMAND --help tells all about it",
    )
    summaries: dict[str, str] = {}

    def command(name: str, short: str, text: str, module: str, function: str) -> Any:
        new = commands.add_parser(name, description=text, formatter_class=_Raw)
        trains = name in GROUPS["train"] and name != "average"
        new.set_defaults(run=(module, function), trains=trains, quiet=False)
        new.add_argument(
            "-v", "--verbose", action="store_true", help="show where an error came from"
        )
        if trains:
            new.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
        summaries[name] = short
        return new

    train = command("train", "train a model of your own", TRAIN, "_train", "train")
    train.add_argument("what", metavar="WHAT", help="translation, language-model, or FILE.toml")
    train.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="of the run (default: runs/ and the name of the data)",
    )
    add_flags(train)

    resume = command("resume", "go on with a run", RESUME, "_train", "resume")
    _folder(resume)
    resume.add_argument(
        "--from",
        dest="checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="one of the folder's last/step_N (default: the newest)",
    )

    for flag, unit in (
        ("--epochs", "passes"),
        ("--steps", "updates"),
        ("--max-seconds", "seconds"),
    ):
        resume.add_argument(
            flag,
            type=positive,
            metavar="N",
            help=f"end after so many {unit} in all (default: as the run was begun)",
        )

    translate = command(
        "translate", "translate with a trained model", TRANSLATE, "_translate", "translate_lines"
    )
    _folder(translate)
    translate.add_argument(
        "file", nargs="?", metavar="FILE", help="with lines to translate (default: standard input)"
    )
    translate.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="OUT",
        help="a file for the translations, which is there when all are (default: standard output)",
    )
    translate.add_argument(
        "--batch-size",
        type=positive,
        default=1,
        metavar="N",
        help="lines at once: quicker for a file; 1 answers each line at once (default: 1)",
    )
    translate.add_argument(
        "--beam-size", type=positive, default=1, metavar="N", help="1 is greedy (default: 1)"
    )
    translate.add_argument(
        "--length-penalty", type=float, metavar="X", help="of the beam (default: 0.6)"
    )
    translate.add_argument(
        "--n-best",
        type=positive,
        metavar="N",
        help="print so many translations of each line, after its number and their score",
    )

    generate = command(
        "generate", "let a language model write", GENERATE, "_generate", "generate_text"
    )
    _model(generate)
    generate.add_argument(
        "prompts",
        nargs="*",
        metavar="PROMPT",
        help="the beginning, or several; - is standard input (default: that)",
    )
    generate.add_argument(
        "--file",
        action="append",
        metavar="FILE",
        help="with a prompt, instead or besides; may be given several times",
    )
    generate.add_argument(
        "--max-bytes",
        type=positive,
        default=1 << 24,
        metavar="N",
        help="how large a prompt from a file may be (default: 16777216)",
    )
    generate.add_argument(
        "--samples",
        type=positive,
        default=1,
        metavar="N",
        help="continuations of each prompt (default: 1)",
    )
    add_sampling(generate, positive, natural, tokens=200)

    evaluate = command(
        "evaluate", "measure a model on your data", EVALUATE, "_evaluate", "evaluate"
    )
    _model(evaluate)
    evaluate.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="pairs as for train, or a text"
    )
    evaluate.add_argument(
        "--max-bytes",
        type=positive,
        metavar="N",
        help="how large a text may be (default: 67108864)",
    )
    evaluate.add_argument(
        "--beam-size", type=positive, metavar="N", help="of translation (default: 1)"
    )
    _columns(evaluate)
    evaluate.add_argument(
        "--target-language",
        metavar="TEXT",
        help="code such as zh or ja: how BLEU finds the words (default: that of the run)",
    )
    evaluate.add_argument("--json", action="store_true", help="for other programs")

    _model(command("inspect", "what is in a model", INSPECT, "_inspect", "inspect"))

    report = command("report", "a run as a page for the browser", REPORT, "_report", "report")
    _folder(report)
    report.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html in the folder)",
    )

    average = command(
        "average", "one model from several checkpoints", AVERAGE, "_average", "average"
    )
    average.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="of a run, or of checkpoints"
    )
    average.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER", help="the new checkpoint"
    )
    average.add_argument("--force", action="store_true", help="replace what is there")

    attention = command("attention", "where a model looks", ATTENTION, "_attention", "attention")
    _model(attention)
    attention.add_argument("sentence", metavar="SENTENCE", help="what it reads")
    attention.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: attention.html, in the folder of the run if it is one)",
    )

    replay = command("replay", "why a step failed", REPLAY, "_replay", "replay")
    replay.add_argument("folder", type=Path, metavar="BUNDLE", help="a failed_step_N")

    add_pretrained(command, positive, natural)
    _add_demo(command("demo", "train a translator and show what it can do", DEMO, "_demo", "demo"))
    parser.epilog = "\n\n".join(
        "\n".join([f"to {purpose}:", *(f"  {name:10} {summaries[name]}" for name in names)])
        for purpose, names in GROUPS.items()
    )
    return parser


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a run, or of a checkpoint")


def _model(parser: argparse.ArgumentParser) -> None:
    text = "of a run or of a published model; or a file .gguf"
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=text)


def _columns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--columns",
        metavar="A,B",
        help="where source and target stand: numbers from 1, or names of fields in .jsonl",
    )
    parser.add_argument(
        "--skip-header", action="store_true", help="the first line names the columns"
    )
    parser.add_argument(
        "--delimiter", metavar="TEXT", help="what separates the columns, such as ';' or tab"
    )


def _add_demo(demo: argparse.ArgumentParser) -> None:
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
    _columns(demo)
    demo.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: runs/emoji-en-fr, or runs/ and the name of the file)",
    )
    demo.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help="passes over the data (default: by its size, from 4 to 30)",
    )
    demo.add_argument(
        "--max-seconds", type=positive, metavar="S", help="stop training after so many seconds"
    )
    demo.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        help="of weights, order, dropout and samples (default: 0)",
    )
    demo.add_argument(
        "--interactive",
        action="store_true",
        help="translate what you type with the model of an earlier run",
    )


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of a description."""


class _Parser(argparse.ArgumentParser):
    """Proposes the nearest name for one it does not know, and knows what would do nothing."""

    def __init__(self, **options: Any) -> None:
        # A prefix of a flag would become ambiguous, or another one, with the next version.
        super().__init__(**options, allow_abbrev=False)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse(options.command, unknown)
        if options.command is None:
            self.print_help()
            self.exit()
        if options.command == "demo":
            _refuse_idle_options(self, options)
        return options

    def _refuse(self, command: str | None, unknown: list[str]) -> NoReturn:
        """Say what was not understood, with the flag that may have been meant."""
        parsers = self._commands()
        parser = parsers.get(command or "", self)
        flag = unknown[0].partition("=")[0]
        owners = [name for name, other in parsers.items() if flag in other._option_string_actions]
        if owners:
            hint = f"; {flag} belongs to foundation {' and '.join(owners)}"
        else:
            hint = did_you_mean(flag, list(parser._option_string_actions), or_all=False)
        argparse.ArgumentParser.error(parser, f"unrecognized arguments: {' '.join(unknown)}{hint}")

    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"invalid choice: '(\S+)'", message)
        if unknown:
            message += did_you_mean(unknown[1], list(self._commands()), or_all=False)
        super().error(message)

    def _commands(self) -> dict[str, argparse.ArgumentParser]:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from foundation_transformer import __version__

        print(f"foundation {__version__}")
        parser.exit()


def _refuse_idle_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Say so when an option would do nothing, and fill in the defaults of the others."""
    if options.data is not None and (options.source or options.target):
        parser.error("--from and --to choose among the emoji names; with --data they do nothing")
    if options.data is None:
        for name in ("columns", "skip_header", "delimiter"):
            if getattr(options, name):
                parser.error(f"--{name.replace('_', '-')} does nothing without --data")
    if options.interactive:
        for name in ("epochs", "max_seconds", "seed"):
            if getattr(options, name) is not None:
                parser.error(f"--{name.replace('_', '-')} does nothing with --interactive")
    options.source = options.source or "en"
    options.target = options.target or "fr"
    options.seed = options.seed or 0


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)

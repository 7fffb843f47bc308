"""What one may type after ``foundation train``, ``resume``, ``average`` and ``demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

from foundation_transformer.cli._parser import (
    Commands,
    Parser,
    add_base,
    add_columns,
    natural,
    positive,
    refuse_if_given,
)
from foundation_transformer.cli._settings import FROM_SCRATCH, add_flags

DEMO = """\
Train an encoder-decoder transformer on sentence pairs, measure it on pairs it has never seen, and
leave a checkpoint and pictures. Without --data the pairs are the names of all emoji in two
languages, which come with the package "emoji". Ctrl-C stops early and keeps what was learnt.
"""
TRAIN = """\
Train a model in a folder of its own, which will hold
  checkpoint/     the best model so far, for translate, generate, evaluate
  last/           the last few states, for resume and average
  history.jsonl   every step and evaluation, for report
  run.json        the settings
  train_ids/      of a language model on more than 64 MiB of text: the text as
  held_out_ids/   numbers, and what of it is held out

WHAT is "translation", "language-model", or a TOML file such as
  task = "translation"
  data = "pairs.tsv"
  epochs = 20
  [model]
  d_model = 256
A flag wins over what the file says. Ctrl-C or SIGTERM stops after the present step.
"""
FINETUNE = """\
Teach a model something new: a published one, such as SmolLM2, or one of your own. FILE holds an
example in each line of JSON, as one of
  {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
  {"prompt": "2 + 2 =", "completion": " 4"}
  {"text": "All of this is learnt."}
  {"text": "What a beautiful film.", "label": "praise"}
The answers alone are learnt, and not the questions. What is learnt is a small change beside the
weights (LoRA), or with --full the weights themselves; labels are learnt by a head, together with
either. The run is a folder as that of foundation train; chat, generate, classify, evaluate, merge
and export take it.
"""
RESUME = """\
Go on with a run that was interrupted or killed. It ends with the very bits it would have had
without the interruption, on the same machine with the same number of threads. With --epochs,
--steps or --max-seconds, a run that has ended goes on for longer. From there its learning rate
follows the curve of the longer run.
"""
AVERAGE = """\
Average the parameters of the last checkpoints of a run, or of the given ones, into a new
checkpoint. It is often a little better than each of them. Of changes beside a model (LoRA) it is a
change whose rank is the sum of theirs.
"""


def add_training(commands: Commands) -> None:
    """Add the commands that leave a model."""
    _add_demo(commands)
    train = commands.add(
        "train",
        "train a model of your own",
        TRAIN,
        ("_train", "train"),
        trains=True,
        quiet=True,
        example="foundation train translation --data pairs.tsv --out runs/mine",
    )
    train.add_argument("what", metavar="WHAT", help="translation, language-model, or FILE.toml")
    train.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="the folder for the run (default: runs/ and the name of the data)",
    )
    train.add_argument(
        "--find-lr",
        action="store_true",
        help="train for a few steps at ever larger learning rates, propose one, and leave "
        "find_lr.png in the folder; nothing else is done",
    )
    add_flags(train, FROM_SCRATCH)

    _add_finetune(commands)

    resume = commands.add(
        "resume",
        "go on with a run",
        RESUME,
        ("_train", "resume"),
        trains=True,
        quiet=True,
        example="foundation resume runs/mine --epochs 20",
    )
    resume.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of the run")
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
            help=f"end after N {unit} in all (default: the limit with which the run was begun)",
        )
    add_base(resume)

    average = commands.add(
        "average",
        "one model from several checkpoints",
        AVERAGE,
        ("_average", "average"),
        quiet=True,
        example="foundation average runs/mine -o runs/averaged",
    )
    average.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="the folder of a run, or several of checkpoints",
    )
    average.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER", help="the new checkpoint"
    )
    average.add_argument("--force", action="store_true", help="replace what is there")


def _add_finetune(commands: Commands) -> None:
    finetune = commands.add(
        "finetune",
        "teach a model something new",
        FINETUNE,
        ("_train", "finetune"),
        trains=True,
        quiet=True,
        example="foundation finetune smollm2.gguf --data talks.jsonl --lora 8 --out runs/mine",
    )
    finetune.add_argument(
        "base", metavar="MODEL", help="its folder, a file .gguf, or a run of your own"
    )
    finetune.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="the folder for the run (default: runs/ and the name of the data)",
    )
    finetune.add_argument(
        "--show",
        action="store_true",
        help="print the first example with what is learnt of it in colour; nothing else is done",
    )
    finetune.add_argument(
        "--find-lr",
        action="store_true",
        help="propose a learning rate, and leave find_lr.png in the folder; nothing else is done",
    )
    add_flags(finetune, ["finetune"], _HELP_OF_TUNING)


#: Where a setting is another one than in training, or has another default.
_HELP_OF_TUNING = {
    "data": "examples in lines of JSON, see above (.jsonl; .gz)",
    "validation": "the share of the examples that is held out, by a hash of what is asked; 0: none "
    "(default: 0.1)",
    "held_out": "hold out the examples of this file instead",
    "max_len": "the longest example and row, in tokens; a longer conversation is cut after an "
    "answer (default: 512, or what the model can read)",
    "batch_size": "rows in a batch; short examples share a row (default: 4)",
    "epochs": "passes over the examples (default: 3)",
    "steps": "updates, instead of epochs",
    "lr": "the learning rate at its peak (default: 0.0005 for a change beside the weights, 0.00003 "
    "with --full; less or more with another optimiser)",
    "samples": "questions that are held out and answered at each evaluation (default: 3)",
    "seed": "the seed of the first change, the order of the batches and dropout (default: 0)",
}


def _add_demo(commands: Commands) -> None:
    demo = commands.add(
        "demo",
        "train a translator and show what it can do",
        DEMO,
        ("_demo", "demo"),
        trains=True,
        quiet=True,
        example="foundation demo --to de",
    )
    demo.check = _refuse_idle_options
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
    add_columns(demo)
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
        "--max-seconds", type=positive, metavar="N", help="stop training after N seconds"
    )
    demo.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        help="the seed of weights, order, dropout and samples (default: 0)",
    )
    demo.add_argument(
        "--interactive",
        action="store_true",
        help="translate what you type with the model of an earlier run",
    )


def _refuse_idle_options(parser: Parser, options: argparse.Namespace) -> None:
    """Say so when an option would do nothing, and fill in the defaults of the others."""
    if options.data is not None and (options.source or options.target):
        parser.error("--from and --to choose among the emoji names; with --data they do nothing")
    table = ("columns", "skip_header", "delimiter")
    if options.data is None:
        refuse_if_given(parser, options, table, "without --data")
    if options.interactive:
        idle = ("epochs", "max_seconds", "seed", *table)
        refuse_if_given(parser, options, idle, "with --interactive, which trains nothing")
    options.source = options.source or "en"
    options.target = options.target or "fr"
    options.seed = options.seed or 0

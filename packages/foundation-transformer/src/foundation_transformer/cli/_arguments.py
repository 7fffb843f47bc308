"""What one may type after ``foundation``."""

from __future__ import annotations

from foundation_transformer.cli._arguments_measure import add_measures
from foundation_transformer.cli._arguments_tokenizer import add_tokenizer
from foundation_transformer.cli._arguments_train import add_training
from foundation_transformer.cli._arguments_use import add_uses
from foundation_transformer.cli._parser import Commands, Parser, Raw, ShowVersion

TOP = """\
Train and use transformers on NumPy. A first run, on sentence pairs of your own, in two columns
with a tab between them:

  foundation train translation --data pairs.tsv --out runs/mine
  (Ctrl-C)
  foundation resume runs/mine
  echo "a sentence" | foundation translate runs/mine
  foundation report runs/mine
"""

#: What the commands are for, in the order in which one needs them.
GROUPS = {
    "train": ("demo", "train", "finetune", "resume", "average", "tokenizer"),
    "use a model": (
        *("translate", "generate", "chat", "merge", "export"),
        *("embed", "search", "rerank", "classify"),
    ),
    "measure and look inside": (
        "evaluate",
        "report",
        "inspect",
        "attention",
        "surprisal",
        "replay",
    ),
}


def make_parser() -> Parser:
    """The parser; ``run`` of what it returns is a module and a function."""
    parser = Parser(
        prog="foundation",
        usage="foundation [--version] COMMAND ...",
        description=TOP,
        formatter_class=Raw,
    )
    parser.add_argument("--version", action=ShowVersion, help="the version, and exit")
    commands = Commands(parser)
    add_training(commands)
    add_tokenizer(commands)
    add_uses(commands)
    add_measures(commands)
    parser.epilog = "\n\n".join(
        "\n".join(
            [f"to {purpose}:", *(f"  {name:10} {commands.summaries[name]}" for name in names)]
        )
        for purpose, names in GROUPS.items()
    )
    return parser

"""What one may type after ``foundation tokenizer``."""

from __future__ import annotations

from pathlib import Path

from foundation_transformer.cli._parser import Commands, Parser, positive
from foundation_transformer.cli._settings import TOKENIZERS

TOKENIZER = """\
Train a tokenizer on texts, write texts as numbers for foundation train language-model, and look at
how a text is split:

  foundation tokenizer train 'texts/*.txt' --vocab-size 8192 -o tokenizer.json
  foundation tokenizer inspect tokenizer.json "How is this split?"
  foundation tokenizer encode tokenizer.json 'texts/*.txt' -o shards
  foundation train language-model --data shards
"""
TRAIN = """\
Learn a vocabulary from texts. Kinds: "bpe", byte pairs, which can write every text; "unigram",
the most probable pieces, which can, too, as in T5; "wordpiece", as in BERT; "word", whole words;
"char", characters. If there are more than 64 MiB of text, the tokenizer learns from a sample of
that size, taken from all parts of the text.
"""
ENCODE = """\
Write texts as the numbers of their tokens, on all cores, into a folder that foundation train
language-model --data takes. It can be larger than the memory. Each file is a text of its own, each
line of a .jsonl is one; every text ends with the token for the end. What an interrupted command
leaves, the next one for the same folder replaces.
"""
INSPECT = """\
Tell the size of a vocabulary and its special tokens; and of a text, the tokens it is split into
and how many bytes each stands for on average.
"""


def add_tokenizer(commands: Commands) -> None:
    """Add ``tokenizer`` with its three commands."""
    group = commands.add_group("tokenizer", "train, use and look at tokenizers", TOKENIZER)
    own = Commands(group, "tokenizer ")

    train = own.add(
        "train",
        "learn a vocabulary",
        TRAIN,
        ("_tokenizer", "train"),
        comments=True,
        quiet=True,
        example="foundation tokenizer train 'texts/*.txt' --vocab-size 8192 -o tokenizer.json",
    )
    _add_texts(train)
    train.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="the tokenizer, a .json file"
    )
    train.add_argument(
        "--kind", choices=TOKENIZERS, default="bpe", help="what a token is (default: bpe)"
    )
    train.add_argument(
        "--vocab-size",
        type=positive,
        metavar="N",
        help="how many tokens to learn at most, special ones included (default: 16000)",
    )
    train.add_argument("--force", action="store_true", help="replace what is there")

    encode = own.add(
        "encode",
        "write texts as numbers",
        ENCODE,
        ("_tokenizer", "encode"),
        comments=True,
        quiet=True,
        example="foundation tokenizer encode tokenizer.json 'texts/*.txt' -o shards",
    )
    _add_tokenizer(encode)
    _add_texts(encode)
    encode.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER", help="the new folder"
    )
    encode.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="encode in N processes (default: one for each core)",
    )

    inspect = own.add(
        "inspect",
        "how a text is split",
        INSPECT,
        ("_tokenizer", "inspect"),
        example='foundation tokenizer inspect tokenizer.json "How is this split?"',
    )
    _add_tokenizer(inspect)
    inspect.add_argument(
        "text", nargs="?", metavar="TEXT", help="a text to split; - is standard input"
    )
    group.epilog = "\n".join(f"  {name:10} {text}" for name, text in own.summaries.items())


def _add_texts(parser: Parser) -> None:
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="files, or patterns such as 'texts/*.txt'",
    )
    parser.add_argument(
        "--field",
        default="text",
        metavar="NAME",
        help="the field of a .jsonl file that holds the text (default: text)",
    )


def _add_tokenizer(parser: Parser) -> None:
    parser.add_argument(
        "tokenizer",
        type=Path,
        metavar="TOKENIZER",
        help="a file that tokenizer train wrote; or a folder: shards, a published model, a run",
    )

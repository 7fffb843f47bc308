"""The commands for published models, and what may be typed after them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

CHAT = """\
Talk with a published model, such as SmolLM2: a folder as Hugging Face writes it, or a .gguf file.
Lines of standard input are answered one after the other.
"""
EMBED = """\
Write a vector for each line of standard input, with a published text encoder such as MiniLM. The
product of two is how alike their lines are.
"""
SEARCH = """\
Find the passages of a folder's Markdown files that are nearest in meaning to a question, with a
published text encoder such as MiniLM.
"""
SURPRISAL = """\
Show a text with each token shaded by how little a language model expected it, in bits: 1 for what
it gave one half, 10 for one in a thousand. Where that is no terminal: bits, probability and token.
"""


def add_sampling(
    parser: argparse.ArgumentParser,
    whole: Callable[[str], int],
    natural: Callable[[str], int],
    tokens: int,
) -> None:
    """Add the flags of how the next token is chosen: the same for all that write."""
    parser.add_argument(
        "--max-new-tokens",
        type=whole,
        default=tokens,
        metavar="N",
        help=f"at most so many (default: {tokens})",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="X",
        help="0 takes the likeliest each time (default: 0.5)",
    )
    parser.add_argument(
        "--top-k", type=whole, metavar="K", help="of the K likeliest only (default: of all)"
    )
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="of those with P together only (default: 0.9)"
    )
    parser.add_argument(
        "--min-p",
        type=float,
        metavar="P",
        help="of those P times as likely as the likeliest only (default: of all)",
    )
    parser.add_argument(
        "--repetition-penalty",
        type=float,
        metavar="X",
        help="above 1: what was said becomes less likely (default: 1)",
    )
    parser.add_argument(
        "--seed", type=natural, metavar="N", help="to get the same again (default: another)"
    )


def add_pretrained(
    command: Callable[..., argparse.ArgumentParser],
    whole: Callable[[str], int],
    natural: Callable[[str], int],
) -> None:
    """Add ``chat``, ``embed``, ``search`` and ``surprisal``; the last two read numbers."""
    chat = command("chat", "talk with a published model", CHAT, "_chat", "chat")
    chat.add_argument("model", type=Path, metavar="MODEL", help="a folder, or a file .gguf")
    chat.add_argument(
        "--system", metavar="TEXT", help="what it is told before all else (default: the model's)"
    )
    add_sampling(chat, whole, natural, tokens=512)
    chat.add_argument(
        "--compact", action="store_true", help="weights of one byte: a quarter of the memory"
    )

    embed = command("embed", "vectors of texts", EMBED, "_embed", "embed_lines")
    embed.add_argument("model", type=Path, metavar="MODEL", help="the folder of a text encoder")

    search = command("search", "nearest passages of .md files", SEARCH, "_search", "search")
    search.add_argument("model", type=Path, metavar="MODEL", help="the folder of a text encoder")
    search.add_argument("folder", type=Path, metavar="FOLDER", help="with .md files")
    search.add_argument("question", metavar="QUESTION", help="what one wants to know")
    search.add_argument(
        "--top-k", type=whole, default=3, metavar="K", help="so many passages (default: 3)"
    )

    surprisal = command(
        "surprisal", "what a model did not expect", SURPRISAL, "_surprisal", "show_surprisal"
    )
    surprisal.add_argument(
        "model", type=Path, metavar="MODEL", help="a folder, or a file .gguf; or a run of yours"
    )
    surprisal.add_argument(
        "text", nargs="?", default="-", metavar="TEXT", help="(default: standard input)"
    )
    surprisal.add_argument("-o", "--out", type=Path, metavar="FILE", help="draw a picture instead")

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


def add_pretrained(
    command: Callable[..., argparse.ArgumentParser], whole: Callable[[str], int]
) -> None:
    """Add ``chat`` and ``embed``; ``whole`` reads a positive number."""
    chat = command("chat", "talk with a published model", CHAT, "_chat", "chat")
    chat.add_argument("model", type=Path, metavar="MODEL", help="a folder, or a file .gguf")
    chat.add_argument(
        "--system", metavar="TEXT", help="what it is told before all else (default: the model's)"
    )
    chat.add_argument(
        "--tokens", type=whole, default=512, metavar="N", help="of an answer (default: 512)"
    )
    chat.add_argument(
        "--temperature",
        type=float,
        default=0.2,
        metavar="T",
        help="0 takes the likeliest each time (default: 0.2)",
    )
    chat.add_argument("--top-k", type=whole, metavar="K", help="of the K likeliest only")
    chat.add_argument(
        "--top-p",
        type=float,
        default=0.9,
        metavar="P",
        help="of those with P together only (default: 0.9)",
    )
    chat.add_argument(
        "--min-p", type=float, metavar="P", help="of those P times as likely as the likeliest only"
    )
    chat.add_argument(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="R",
        help="above 1: what was said becomes less likely (default: 1)",
    )
    chat.add_argument("--seed", type=int, metavar="N", help="to get the same answers again")
    chat.add_argument(
        "--compact", action="store_true", help="weights of one byte: a quarter of the memory"
    )

    embed = command("embed", "vectors of texts", EMBED, "_embed", "embed_lines")
    embed.add_argument("model", type=Path, metavar="MODEL", help="the folder of a text encoder")

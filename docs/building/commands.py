"""The reference of the command, from the parser that answers ``foundation COMMAND --help``."""

import argparse
import re
from itertools import groupby
from pathlib import Path

from foundation_transformer.cli._arguments import GROUPS, make_parser
from foundation_transformer.cli._parser import Parser

INTRODUCTION = """\
What each command does, and every option that it has. The texts are those of ``foundation COMMAND
--help``. :doc:`From the command line </command>` explains how the commands work together.
"""


def write_page(path: Path) -> None:
    """Write the page, in reStructuredText."""
    parser = make_parser()
    commands = parser.commands()
    lines = [*_heading("Command reference", "="), INTRODUCTION]
    for purpose, names in GROUPS.items():
        lines += _heading(f"To {purpose}", "-")
        for name in names:
            for full, one in commands.items():
                if full == name or full.startswith(f"{name} "):
                    lines += _command(full, one)
    text = "\n".join(lines)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def _heading(text: str, rule: str) -> list[str]:
    return [text, rule * len(text), ""]


def _command(name: str, parser: Parser) -> list[str]:
    """One command: what it does, an example, and its options; those that all share come last."""
    lines = [f".. program:: foundation {name}", "", *_heading(f"foundation {name}", "~")]
    lines += _description(parser.description or "")
    if parser.example:
        lines += [".. code-block:: sh", "", f"   {parser.example}", ""]
    actions = [
        action
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    for action in sorted(actions, key=_rank):
        lines += _option(action)
    return lines


def _description(text: str) -> list[str]:
    """Paragraphs as they are, and indented lines as a block of their own."""
    lines: list[str] = []
    for is_block, group in groupby(text.splitlines(), key=lambda line: line.startswith("  ")):
        if is_block:
            lines += ["", ".. code-block:: text", "", *(f" {line}" for line in group), ""]
        else:
            lines += map(_plain, group)
    return [*lines, ""]


def _rank(action: argparse.Action) -> int:
    """What must be given first, then options, then those that nearly all commands have."""
    if not action.option_strings:
        return 0
    return 2 if action.dest in ("verbose", "quiet", "processes") else 1


def _option(action: argparse.Action) -> list[str]:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    value = value if isinstance(value, str) else " ".join(value)
    if action.option_strings:
        takes = "" if action.nargs == 0 else f" {value}"
        signature = ", ".join(f"{flag}{takes}" for flag in action.option_strings)
    else:
        signature = value + (" ..." if action.nargs in ("+", "*") else "")
    needed = " This option must be given." if action.required and action.option_strings else ""
    return [f".. option:: {signature}", "", f"   {_plain(action.help or '')}{needed}", ""]


def _plain(text: str) -> str:
    """Text in which no character has a meaning for reStructuredText; flags stay as they are."""
    text = re.sub(r"([*`|_\\])", r"\\\1", text.replace("%%", "%"))
    return re.sub(r"(?<!\S)(--[a-z-]+)", r"``\1``", text)

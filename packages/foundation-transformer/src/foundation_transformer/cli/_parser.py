"""What all commands have in common: how they are added, and how mistakes are answered."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

from foundation_nn import did_you_mean


class Commands:
    """The commands of a parser, in a single list or one within another.

    Parameters
    ----------
    parser : Parser
    prefix : str
        What is typed before their names.

    Attributes
    ----------
    summaries : dict of str to str
        What each is for, in a few words.
    """

    def __init__(self, parser: Parser, prefix: str = "") -> None:
        self._prefix = prefix
        self._parsers = parser.add_subparsers(
            dest="command",
            prog=f"foundation {prefix}".rstrip(),
            metavar="COMMAND",
            help=f"one of those below; foundation {prefix}COMMAND --help tells all about it",
        )
        if prefix:  # alone it is named, too
            parser.set_defaults(command=prefix.rstrip())
        self.summaries: dict[str, str] = {}

    def add(
        self,
        name: str,
        summary: str,
        text: str,
        run: tuple[str, str],
        *,
        trains: bool = False,
        comments: bool = False,
        quiet: bool = False,
        example: str = "",
    ) -> Parser:
        """Add a command.

        Parameters
        ----------
        name, summary, text : str
            What one types, what it is for, and what its help tells.
        run : (str, str)
            The module of this package and the function in it that runs the command.
        trains : bool
            Whether it trains, which several processes can do together.
        comments : bool
            Whether what it prints is a comment on what it does, which goes on without a reader. It
            is if it trains.
        quiet : bool
            Whether it can be told to print nothing.
        example : str
            A line as one would type it, for its help and for the reference on the site.
        """
        new: Parser = self._parsers.add_parser(name, description=text, formatter_class=Raw)
        # A command within another is named in full, which a default does.
        new.set_defaults(
            run=run,
            trains=trains,
            comments=trains or comments,
            quiet=False,
            command=f"{self._prefix}{name}",
        )
        new.add_argument(
            "-v", "--verbose", action="store_true", help="show where an error came from"
        )
        if trains:
            new.add_argument(
                "--processes",
                type=processes,
                metavar="N",
                help="train in N processes, each with a part of every batch; auto: one for "
                "each core, if the extra mpi of foundation-nn is installed (default: auto)",
            )
        if quiet:
            new.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
        if example:
            new.example = example
            new.epilog = f"example:\n  {example}"
        self.summaries[name] = summary
        return new

    def add_group(self, name: str, summary: str, text: str) -> Parser:
        """Add a command that has commands of its own; alone it shows its help."""
        new: Parser = self._parsers.add_parser(name, description=text, formatter_class=Raw)
        self.summaries[name] = summary
        return new


class Raw(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of indented lines, and fills paragraphs to the width of a terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002
        filled: list[str] = []
        lines = text.splitlines()
        for stays, group in groupby(lines, key=lambda line: line[:1] in ("", " ")):
            paragraph = list(group)
            filled += paragraph if stays else [textwrap.fill(" ".join(paragraph), width)]
        return "\n".join(filled)


class Parser(argparse.ArgumentParser):
    """Proposes the nearest name for one it does not know.

    Attributes
    ----------
    check : callable or None
        Told of the parser and of what was typed, to refuse what would do nothing.
    example : str
        A line that shows how the command is used; empty where it has commands of its own.
    """

    def __init__(self, **options: Any) -> None:
        # A prefix of a flag would become ambiguous, or another one, with the next version.
        super().__init__(**options, allow_abbrev=False)
        self.check: Callable[[Parser, argparse.Namespace], None] | None = None
        self.example = ""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = self.parse_known_args(args, namespace)
        commands = self.commands()
        parser = commands.get(options.command or "", self)
        if unknown:
            self._refuse(parser, unknown)
        if not hasattr(options, "run"):
            parser.print_help()
            self.exit()
        if parser.check is not None:
            parser.check(parser, options)
        return options

    def commands(self) -> dict[str, Parser]:
        """All of them by what one types, with those within others."""
        found: dict[str, Parser] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, parser in action.choices.items():
                    found[name] = parser
                    found.update({f"{name} {n}": p for n, p in parser.commands().items()})
        return found

    def _refuse(self, parser: Parser, unknown: list[str]) -> NoReturn:
        """Say what was not understood, with the flag that may have been meant."""
        flag = unknown[0].partition("=")[0]
        commands = self.commands()
        owners = [name for name, other in commands.items() if flag in other._option_string_actions]
        if owners:
            hint = f"; {flag} belongs to foundation {' and '.join(owners)}"
        elif Path(flag).exists() and "--data" in parser._option_string_actions:
            hint = "; a pattern that stands for several files is written in quotes"
        else:
            hint = did_you_mean(flag, list(parser._option_string_actions), or_all=False)
        argparse.ArgumentParser.error(parser, f"unrecognized arguments: {' '.join(unknown)}{hint}")

    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"invalid choice: '(\S+)'", message)
        if unknown:
            names = [name for name in self.commands() if " " not in name]
            message += did_you_mean(unknown[1], names, or_all=False)
        super().error(message)


class ShowVersion(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from foundation_transformer import __version__

        print(f"foundation {__version__}")
        parser.exit()


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def processes(text: str) -> str:
    """A number of processes, or "auto"."""
    return text if text == "auto" else str(positive(text))


def natural(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def add_columns(parser: Parser) -> None:
    """Add the flags of a table that has more than two columns, or others."""
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


def refuse_if_given(
    parser: Parser, options: argparse.Namespace, names: tuple[str, ...], why: str
) -> None:
    """End with a message if one of these flags was typed."""
    for name in names:
        if getattr(options, name) not in (None, False):
            parser.error(f"--{name.replace('_', '-')} does nothing {why}")


def add_base(parser: Parser) -> None:
    """Add the flag for a model that was learnt as a change beside another one."""
    parser.add_argument(
        "--base",
        type=Path,
        metavar="MODEL",
        help="of a run of finetune: where its base is now (default: where it was then)",
    )

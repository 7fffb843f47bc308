"""Arguments in, exit status out, and no traceback for a user's mistake."""

from __future__ import annotations

import argparse
import dis
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from foundation_transformer.cli._arguments import make_parser
from foundation_transformer.cli._status import DONE, FAILED, INTERRUPTED, OUR_FAULT
from foundation_transformer.cli._streams import Output, in_one_line, printable, safe_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0 is success, 1 a failure that the message explains, 2 a mistake in the arguments, 70 a fault
    of this program, and 130 an interruption, also of a run that was stopped by a signal and can be
    resumed.
    """
    with safe_streams() as output:
        try:
            options = make_parser().parse_args(arguments)
            options.arguments = sys.argv[1:] if arguments is None else list(arguments)
        finally:
            output.flush()  # --help and --version end by SystemExit
        return _run(options, output)


def _run(options: argparse.Namespace, output: Output) -> int:
    # What a training prints is a comment: whoever stops reading it does not want to lose the run.
    output.needed = not (options.comments or options.quiet)
    crew = None
    if options.trains:  # the others have no use for it, and start sooner without
        crew = import_module("foundation_transformer.cli._processes").Crew()
        options.crew = crew
    if options.quiet or not (crew is None or crew.leads):
        output.stream = None
    try:
        # Imported late, so that --help is there at once.
        module, function = options.run
        status = getattr(import_module(f"foundation_transformer.cli.{module}"), function)(options)
        output.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        return DONE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - shown whole if our fault
        if crew is None:
            return _explain(options, error)
        told_by_us = crew.meet(error)
        return int(crew.leave(_explain(options, error) if told_by_us else FAILED))
    return status or DONE


def _explain(options: argparse.Namespace, error: Exception | KeyboardInterrupt) -> int:
    """Say what went wrong; returns the exit status."""
    name = f"foundation {options.command}"
    if isinstance(error, KeyboardInterrupt):
        print(f"\n{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    if not is_explained(error):
        traceback.print_exception(error)
        print(
            f"{name}: this is a fault of the program, not yours. Please report it with the lines "
            "above and what you typed.",
            file=sys.stderr,
        )
        return OUR_FAULT
    if options.verbose:
        traceback.print_exception(error)
    print(f"{name}: {_message(error, options)}", file=sys.stderr)
    return FAILED


def is_explained(error: Exception) -> bool:
    """Whether the message was written for the user, by us or by the operating system.

    Our packages document ``ValueError``, ``TypeError``, ``ImportError`` and ``FloatingPointError``
    for what a user can cause, and raise them in a ``raise`` statement. The same errors from an
    operation, such as adding a number to a string, are faults of ours; so is every other kind of
    error.
    """
    if isinstance(error, OSError | ModuleNotFoundError | MemoryError):
        return True
    origin = error.__traceback__
    if not isinstance(error, ValueError | TypeError | ImportError | ArithmeticError) or not origin:
        return False
    while origin.tb_next is not None:
        origin = origin.tb_next
    module = str(origin.tb_frame.f_globals.get("__name__"))
    instruction = origin.tb_frame.f_code.co_code[origin.tb_lasti]
    return module.startswith("foundation_") and dis.opname[instruction] == "RAISE_VARARGS"


def _message(error: Exception, options: argparse.Namespace) -> str:
    """The sentence for people, in which nothing acts on a terminal or looks like another line."""
    text = str(error)
    if isinstance(error, MemoryError):
        text = f"there is not enough memory {text}".rstrip()
    elif isinstance(error, ModuleNotFoundError) and error.name:
        text = f"{text}; install foundation-transformer[cli]"
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    for value in vars(options).values():
        typed = str(value)  # a path, most of the time
        if isinstance(value, str | Path) and not typed.isprintable():
            text = text.replace(typed, in_one_line(typed))
    return printable(text if "\n" in text else " ".join(text.split()))

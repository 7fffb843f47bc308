"""Check exercises: ``python exercises/check.py``, ``… 3`` for a chapter, ``… 3.2`` for one.

Marks: ``✓`` solved, ``·`` your turn, ``✗`` something to look at.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

try:
    import foundation_data  # noqa: F401
    import foundation_transformer  # noqa: F401 - the top of the house stands on all the others
except ModuleNotFoundError as error:
    sys.exit(
        f"check.py: {error.name} is not installed in this Python. Either\n"
        "    python3 noxfile.py -s exercises        prepares everything in .nox, or\n"
        "    python3 -m pip install ./packages/*    in a virtual environment, does it here"
    )

from checker.catalogue import choose, find_exercises
from checker.report import print_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the arguments name; 0 if all of it is solved, 1 if not, 2 for a wrong name."""
    parser = argparse.ArgumentParser(
        prog="check.py", description="Check exercises and say what to look at."
    )
    parser.add_argument(
        "which", nargs="*", metavar="N", help="a chapter (3) or an exercise (3.2); default: all"
    )
    parser.add_argument(
        "--solutions", action="store_true", help="check the reference solutions instead of yours"
    )
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # marks and formulas, on any terminal
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        chosen = choose(find_exercises(solutions=options.solutions), options.which)
    except ValueError as error:
        parser.error(str(error))
    try:
        return print_report(chosen)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())

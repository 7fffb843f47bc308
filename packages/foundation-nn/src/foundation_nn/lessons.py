# ruff: noqa: T201 - it prints for the examples
"""What the runnable examples of all packages share: options, answers and pictures.

So that the source of an example is the lesson alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["answered", "options", "pictures", "whole_number"]


def options(
    example: str,
    description: str,
    amount: int,
    quick: int,
    unit: str = "steps",
    of: str = "updates",
) -> argparse.ArgumentParser:
    """The options that all examples have: ``--seed``, ``--out``, ``--steps`` and ``--quick``.

    Parameters
    ----------
    example : str
        The module, such as ``foundation_nn.examples.xor``.
    description : str
        One sentence.
    amount : int
        How much work the example does, such as the updates in training.
    quick : int
        How much of it is enough to see that everything works, in a few seconds.
    unit : str
        The name of the option that changes the amount.
    of : str
        What is counted, for the help.

    Returns
    -------
    argparse.ArgumentParser

    Examples
    --------
    >>> parser = options("foundation_nn.examples.xor", "Learn exclusive or.", 300, quick=100)
    >>> args = parser.parse_args(["--quick", "--seed", "7"])
    >>> args.steps, args.seed
    (100, 7)
    """
    parser = argparse.ArgumentParser(prog=f"python -m {example}", description=description)
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of all chance (default: 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("plots"),
        metavar="FOLDER",
        help="folder for pictures (default: plots)",
    )
    parser.add_argument(
        f"--{unit}",
        type=whole_number(1),
        default=amount,
        metavar="N",
        help=f"{of} (default: {amount})",
    )
    parser.add_argument(
        "--quick",
        dest=unit,
        action="store_const",
        const=quick,
        help=f"a short run, the same as --{unit} {quick}",
    )
    return parser


def whole_number(at_least: int) -> Callable[[str], int]:
    """For ``type=`` of an argument: reads a whole number, at least ``at_least``."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < at_least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {at_least}, got {text}"
            )
        return int(text)

    return read


def answered(question: str, answer: str, wanted: str) -> str:
    """A question, the answer of a model after ``=``, and after ``≠`` the right one if it differs.

    Examples
    --------
    >>> print(answered("eighty", "quatre vingts", "quatre vingts"))
      eighty
        = quatre vingts
    >>> print(answered("ninety", "quatre vingt", "quatre vingt dix"))
      ninety
        = quatre vingt
        ≠ quatre vingt dix
    """
    lines = [f"  {question}", f"    = {answer}"]
    if answer != wanted:
        lines.append(f"    ≠ {wanted}")
    return "\n".join(lines)


def pictures(folder: Path, drawings: Mapping[str, Callable[[Path], object]]) -> int:
    """Draw pictures into a folder and say where they are; the exit code of an example.

    Where matplotlib is not installed, what was printed stands alone: that is no failure.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    drawings : mapping from str to callable
        By the name of the file: what draws the picture into the path it is given.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in drawings.items():
            draw(folder / name)
            print(f"Picture: {folder / name}")
    except ImportError as error:
        print(f"No pictures: {error}")
    except OSError as error:
        print(f"No pictures: {folder} cannot be written ({error.strerror or error})")
        return 1
    return 0

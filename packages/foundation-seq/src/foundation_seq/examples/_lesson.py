# ruff: noqa: T201 - an example prints
"""What the examples share: options of the command line, and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def options(name: str, description: str, steps: int) -> argparse.ArgumentParser:
    """A parser with the options that all examples have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m foundation_seq.examples.{name}", description=description
    )
    parser.add_argument(
        "--steps", type=_at_least(1), default=steps, help="updates (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=_at_least(0), default=0, help="seed of the random numbers (default: 0)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("plots"), help="folder for pictures (default: plots)"
    )
    return parser


def _at_least(minimum: int) -> Callable[[str], int]:
    """Reads a whole number of at least ``minimum``."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"expected at least {minimum}, got {text}")
        return int(text)

    return read


def picture(draw: Callable[[Path], object], path: Path) -> None:
    """Draw and say where, or why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(path)
    except ImportError:
        print("No picture: install the extra foundation-seq[plot]")
    except OSError as error:
        print(f"No picture: {path} cannot be written ({error.strerror or error})")
    else:
        print(f"Picture: {path}")

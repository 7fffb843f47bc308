# ruff: noqa: T201 - an example prints
"""What the examples share: their options and their last line, so that a lesson is only a lesson."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def options(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options all examples have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m foundation_nn.examples.{name}", description=description
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of all chance (default: 0)")
    parser.add_argument(
        "--out", type=Path, default=Path("plots"), help="folder for pictures (default: plots)"
    )
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def picture(draw: Callable[[Path], object], path: Path) -> int:
    """Draw, and say where; the exit code of the example."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(path)
    except ImportError as error:  # the extra is not installed: the numbers above stand
        print(f"No picture: {error}")
    except OSError as error:
        print(f"No picture: {path} cannot be written ({error.strerror or error})")
        return 1
    else:
        print(f"Picture: {path}")
    return 0

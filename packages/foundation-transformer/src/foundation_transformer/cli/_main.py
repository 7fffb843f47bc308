"""Arguments in, exit code out, and no traceback for a user's mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from foundation_transformer.cli._arguments import make_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 is success, 1 a failure that the message explains, 2 a mistake in the arguments, and 130 an
    interruption.
    """
    options = make_parser().parse_args(arguments)
    try:
        # Imported late, so that --help is there at once.
        module, function = options.run
        getattr(import_module(f"foundation_transformer.cli.{module}"), function)(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, TypeError, ImportError, FloatingPointError) as error:
        message = " ".join(str(error).split()) if "\n" not in str(error) else str(error)
        print(f"foundation {options.command}: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nfoundation {options.command}: interrupted", file=sys.stderr)
        return 130
    return 0

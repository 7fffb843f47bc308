"""``foundation embed``: lines in, vectors out."""

from __future__ import annotations

import argparse
from itertools import islice

from foundation_transformer.cli._pretrained import text_encoder
from foundation_transformer.cli._streams import standard_input
from foundation_transformer.pretrained import embed

#: Lines that are read before the first vector is written.
_AT_ONCE = 256


def embed_lines(options: argparse.Namespace) -> None:
    """Write a line of numbers for each line of standard input.

    Raises
    ------
    OSError, ValueError
        If there is no such model, or it is no text encoder.
    """
    loaded = text_encoder(options.model)
    while lines := [line.rstrip("\n") for line in islice(standard_input(), _AT_ONCE)]:
        for vector in embed(loaded, lines, options.prompt):
            print(" ".join(f"{number:.6f}" for number in vector), flush=True)

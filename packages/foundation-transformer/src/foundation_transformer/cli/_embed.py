"""``foundation embed``: lines in, vectors out."""

from __future__ import annotations

import argparse
import sys
from itertools import islice

from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.cli._pretrained import load_with_tokenizer
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
    loaded, tokenizer = load_with_tokenizer(options.model)
    if not isinstance(loaded.model, TextEncoder):
        raise ValueError(
            f"{options.model}: holds a {type(loaded.model).__name__}, which writes text; expected "
            "a text encoder such as MiniLM"
        )
    while lines := [line.rstrip("\n") for line in islice(sys.stdin, _AT_ONCE)]:
        for vector in embed(loaded.model, lines, tokenizer):
            print(" ".join(f"{number:.6f}" for number in vector), flush=True)

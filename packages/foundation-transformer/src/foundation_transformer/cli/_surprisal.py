"""``foundation surprisal``: what a language model did not expect."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from foundation_transformer.cli._labels import labels
from foundation_transformer.cli._pretrained import language_model
from foundation_transformer.cli._streams import obeying, printable, read_standard_input
from foundation_transformer.evaluation import surprisal
from foundation_transformer.plotting import plot_surprisal, surprisal_text


def show_surprisal(options: argparse.Namespace) -> None:
    """Print a text shaded by surprisal; a table where that is no terminal; or draw it.

    Raises
    ------
    OSError, ValueError
        If there is no language model, or the text is empty or too long for it.
    """
    writer = language_model(options.model, base=options.base)
    tokenizer = writer.tokenizer
    text = read_standard_input().rstrip("\n") if options.text == "-" else options.text
    ids = tokenizer.encode(text)
    if not ids:
        raise ValueError("there is nothing to read; give a text")
    before = tokenizer.frame.before  # what the model reads before every text
    bits = surprisal(writer.model, before + ids)[len(before) :]
    tokens = labels(tokenizer, ids)
    if options.out is not None:
        plot_surprisal(tokens, bits, options.out)
        print(options.out)
    elif sys.stdout.isatty():
        print(surprisal_text(list(map(printable, tokens)), bits), file=obeying(sys.stdout))
        known = bits[~np.isnan(bits)]
        print(f"{known.mean() if len(known) else 0:.2f} bits a token, {known.sum():.0f} in all")
    else:
        for token, value in zip(tokens, bits.tolist(), strict=True):
            numbers = "–\t–" if np.isnan(value) else f"{value:.2f}\t{2.0**-value:.4f}"
            print(f"{numbers}\t{token!r}")

"""``foundation classify`` and ``foundation rerank``: what a head says of texts."""

from __future__ import annotations

import argparse
from itertools import islice

from foundation_transformer.cli._pretrained import text_classifier
from foundation_transformer.cli._streams import printable, standard_input
from foundation_transformer.pretrained import classify, rerank

#: Lines that are read before the first is answered.
_AT_ONCE = 256


def classify_lines(options: argparse.Namespace) -> None:
    """Write the likeliest label of each line of standard input, its probability, and the line.

    Raises
    ------
    OSError, ValueError
        If there is no such model.
    """
    loaded = text_classifier(options.model, options.base)
    while lines := [line.rstrip("\n") for line in islice(standard_input(), _AT_ONCE)]:
        for line, shares in zip(lines, classify(loaded, lines), strict=True):
            label = max(shares, key=shares.__getitem__)
            print(f"{printable(label)}\t{shares[label]:.4f}\t{line}", flush=True)


def rerank_lines(options: argparse.Namespace) -> None:
    """Write the lines of standard input, the one that answers a question best first.

    Raises
    ------
    OSError, ValueError
        If there is no such model, or no question.
    """
    if not options.question.strip():
        raise ValueError("there is nothing to answer; ask a question")
    loaded = text_classifier(options.model)
    lines = [line.rstrip("\n") for line in standard_input()]
    scores = rerank(loaded, options.question, lines)
    for i in scores.argsort(kind="stable")[::-1].tolist():
        print(f"{scores[i]:.4f}\t{lines[i]}")

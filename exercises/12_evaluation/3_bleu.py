"""12.3 BLEU.

Chapter 12, how good a model is.

How near is a translation to one that a person has written? BLEU counts which pieces of n words
they have in common, for n = 1 to 4. Such pieces are called n-grams:

    matches_n   = the sum over the different n-grams of the translation of
                  min(how often it stands in the translation, how often in the reference)
    precision_n = matches_n / the number of all n-grams of the translation

The minimum is called clipping. Without it, "the the the the" would have a precision of 1.

Whoever writes a single word that is surely right has a precision of 1 as well. So translations
that are shorter than the reference are punished. With c words in the translation and r in the
reference:

    brevity = 1 if c >= r, otherwise exp(1 - r / c)
    BLEU    = 100 · brevity · exp(the mean of log precision_1, ..., log precision_4)

If one of the precisions is 0, so is BLEU. (For a whole test set, the matches and the n-grams of
all sentences are added up before they are divided.)

Shapes: translation and reference are lists of words; the translation has at least one.

Write `precision`, `brevity` and `bleu`. A translation with fewer than n words has no n-grams, and
then its precision is 0. `collections.Counter` counts the n-grams of a list."""

from collections import Counter

import numpy as np


def n_grams(words, n):
    """All pieces of n words, in order, as tuples."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def precision(translation, reference, n):
    """The share of the translation's n-grams that the reference has, too, clipped."""
    raise NotImplementedError(
        "your turn: count the n-grams of both, take the smaller number of each"
    )


def brevity(c, r):
    """What a translation of c words loses beside a reference of r."""
    raise NotImplementedError("your turn: 1, or less if the translation is shorter")


def bleu(translation, reference):
    """From 0 to 100."""
    raise NotImplementedError("your turn: four precisions, and what their logarithms give")

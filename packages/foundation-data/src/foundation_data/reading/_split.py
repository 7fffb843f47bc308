"""Splitting pairs so that what is tested was never trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from foundation_data._text import source_key


def _position(source: str) -> float:
    """Return where `source` falls in [0, 1): spread evenly, and the same on every machine."""
    digest = hashlib.blake2b(source_key(source).encode("utf-8"), digest_size=8).digest()
    # 53 bits are what a float holds, so the quotient stays below 1.
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def split_pairs(
    pairs: Iterable[tuple[str, str]], validation: float = 0.1, test: float = 0.1
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    """Split pairs into training, validation and test lists by a hash of the source.

    A pair's place depends on nothing but its own source (normalised, ignoring case and spacing), so
    pairs stay where they are when others are added, removed or reordered, and all translations of a
    source fall into the same list. The test list does not change with `validation`: a larger
    `validation` only moves pairs from training to validation. A larger `test` takes pairs from
    validation, which then takes others from training.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Source and target sentences.
    validation, test : float
        The share of the sources to hold out for each; met on average, not exactly.

    Returns
    -------
    training, validation, test : list of (str, str)
        Each in the order of `pairs`.

    Raises
    ------
    ValueError
        If a share is negative or nothing is left for training.

    Examples
    --------
    >>> pairs = [("Go.", "Va !"), ("go.", "Allez !"), ("Hi.", "Salut !")]
    >>> training, validation, test = split_pairs(pairs)
    >>> len(training) + len(validation) + len(test)
    3
    >>> pairs = [(f"sentence {n}", f"phrase {n}") for n in range(100)]
    >>> few, many = (split_pairs(pairs, validation=share) for share in (0.1, 0.2))
    >>> set(few[1]) < set(many[1]), few[2] == many[2]
    (True, True)
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ValueError(
            "split_pairs: expected shares of at least 0 that leave something for training, "
            f"got validation={validation} and test={test}"
        )
    training_pairs: list[tuple[str, str]] = []
    validation_pairs: list[tuple[str, str]] = []
    test_pairs: list[tuple[str, str]] = []
    for pair in pairs:
        position = _position(pair[0])
        if position < test:
            test_pairs.append(pair)
        elif position < test + validation:
            validation_pairs.append(pair)
        else:
            training_pairs.append(pair)
    return training_pairs, validation_pairs, test_pairs

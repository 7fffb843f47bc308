"""The checks that every corpus of pairs goes through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from foundation_data._report import DropCounter, Pairs
from foundation_data._text import normalize


class RawPair(NamedTuple):
    """A pair as it was found, and where (``line 17``)."""

    place: str
    source: str
    target: str


def clean_pairs(
    raw: Iterable[RawPair],
    name: str,
    *,
    counter: DropCounter | None = None,
    min_words: int = 1,
    max_words: int | None = None,
    max_ratio: float | None = None,
    drop_copies: bool = True,
    drop_duplicates: bool = True,
) -> Pairs:
    """Normalise pairs and drop the ones that cannot teach a translation, counting each reason.

    Parameters
    ----------
    raw : iterable of RawPair
        The pairs as found; consumed one at a time.
    name : str
        What the report calls the corpus.
    counter : DropCounter, optional
        The counter of a reader that drops items itself, so that one report tells of all.
    min_words, max_words : int
        Bounds on the words (runs between spaces) of each side.
    max_ratio : float, optional
        The most words one side may have for each word of the other.
    drop_copies : bool
        Whether to drop a pair whose two sides are equal: mostly lines nobody translated.
    drop_duplicates : bool
        Whether to drop a pair that came before; another translation of the same source stays.

    Returns
    -------
    Pairs
        The pairs that passed, in their order, with the report.

    Raises
    ------
    ValueError
        If an option is out of range, or not one pair is left.
    """
    if min_words < 1:
        raise ValueError(f"{name}: expected min_words of at least 1, got {min_words}")
    if max_words is not None and max_words < min_words:
        raise ValueError(
            f"{name}: expected max_words of at least min_words={min_words}, got {max_words}"
        )
    if max_ratio is not None and not max_ratio >= 1:
        raise ValueError(f"{name}: expected max_ratio of at least 1, got {max_ratio}")

    counter = DropCounter() if counter is None else counter
    seen: set[tuple[str, str]] = set()
    kept: list[tuple[str, str]] = []
    for place, raw_source, raw_target in raw:
        pair = source, target = normalize(raw_source), normalize(raw_target)
        # Normalised text has single spaces, so counting them counts the words.
        few, many = sorted((source.count(" ") + 1, target.count(" ") + 1))
        if not source or not target:
            reason = "empty"
        elif few < min_words:
            reason = "too short"
        elif max_words is not None and many > max_words:
            reason = "too long"
        elif max_ratio is not None and many > max_ratio * few:
            reason = "length ratio"
        elif drop_copies and source == target:
            reason = "copy"
        elif drop_duplicates and pair in seen:
            reason = "duplicate"
        else:
            seen.add(pair)
            kept.append(pair)
            continue
        counter.drop(reason, f"{place}: {source!r} → {target!r}")
    report = counter.report(name, len(kept))
    if not kept:
        raise ValueError(f"{name}: expected at least one usable pair: {report.summary}")
    return Pairs(kept, report)

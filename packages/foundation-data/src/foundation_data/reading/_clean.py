"""The checks that every corpus goes through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypedDict, Unpack

from foundation_data._text import normalize
from foundation_data.reading._report import DropCounter, Pairs, Texts


class RawPair(NamedTuple):
    """A pair as it was found, and where (``line 17``)."""

    place: str
    source: str
    target: str


class PairFilters(TypedDict, total=False):
    """What every reader of pairs takes as keywords: which pairs to drop.

    Attributes
    ----------
    min_words, max_words : int
        Bounds on the words (runs between spaces) of each side; at least 1 by default.
    max_ratio : float
        The most words one side may have for each word of the other; no limit by default.
    drop_copies : bool
        Whether to drop a pair whose two sides are equal, which is mostly a line that nobody has
        translated. True by default.
    drop_duplicates : bool
        Whether to drop a pair that came before. Another translation of the same source stays.
        True by default.
    """

    min_words: int
    max_words: int | None
    max_ratio: float | None
    drop_copies: bool
    drop_duplicates: bool


def clean_pairs(
    raw: Iterable[RawPair],
    name: str,
    *,
    counter: DropCounter | None = None,
    **filters: Unpack[PairFilters],
) -> Pairs:
    """Normalise pairs and drop those from which no translation can be learnt, with the reasons.

    Parameters
    ----------
    raw : iterable of RawPair
        The pairs as found; consumed one at a time.
    name : str
        What the report calls the corpus.
    counter : DropCounter, optional
        The counter of a reader that drops items itself, so that one report covers both.
    **filters
        See `PairFilters`.

    Returns
    -------
    Pairs
        The pairs that passed, in their order, with the report.

    Raises
    ------
    TypeError
        If there is no such filter.
    ValueError
        If a filter is out of range, or not one pair is left.
    """
    unknown = sorted(filters.keys() - PairFilters.__annotations__.keys())
    if unknown:
        raise TypeError(
            f"{name}: no option {unknown[0]!r}; the filters are "
            f"{', '.join(PairFilters.__annotations__)}"
        )
    min_words = filters.get("min_words", 1)
    max_words = filters.get("max_words")
    max_ratio = filters.get("max_ratio")
    drop_copies = filters.get("drop_copies", True)
    drop_duplicates = filters.get("drop_duplicates", True)
    _check_words(name, min_words, max_words)
    if max_ratio is not None and not max_ratio >= 1:
        raise ValueError(f"{name}: expected max_ratio of at least 1, got {max_ratio}")

    counter = DropCounter() if counter is None else counter
    seen: set[tuple[str, str]] = set()
    usable: list[tuple[str, str]] = []
    for place, raw_source, raw_target in raw:
        source = normalize(raw_source)
        target = normalize(raw_target)
        pair = (source, target)
        shorter, longer = sorted((_num_words(source), _num_words(target)))
        if not source or not target:
            reason = "empty"
        elif shorter < min_words:
            reason = "too short"
        elif max_words is not None and longer > max_words:
            reason = "too long"
        elif max_ratio is not None and longer > max_ratio * shorter:
            reason = "length ratio"
        elif drop_copies and source == target:
            reason = "copy"
        elif drop_duplicates and pair in seen:
            reason = "duplicate"
        else:
            seen.add(pair)
            usable.append(pair)
            continue
        counter.drop(reason, f"{place}: {source!r} → {target!r}")
    report = counter.report(name, len(usable))
    if not usable:
        raise ValueError(f"{name}: expected at least one usable pair: {report.summary}")
    return Pairs(usable, report)


def clean_texts(
    raw: Iterable[tuple[str, str]],
    name: str,
    *,
    min_words: int = 1,
    max_words: int | None = None,
    drop_duplicates: bool = True,
) -> Texts:
    """Normalise texts, given as (place, text), and drop useless ones; see `clean_pairs`."""
    _check_words(name, min_words, max_words)
    counter = DropCounter()
    seen: set[str] = set()
    usable: list[str] = []
    for place, raw_text in raw:
        text = normalize(raw_text)
        if not text:
            reason = "empty"
        elif _num_words(text) < min_words:
            reason = "too short"
        elif max_words is not None and _num_words(text) > max_words:
            reason = "too long"
        elif drop_duplicates and text in seen:
            reason = "duplicate"
        else:
            seen.add(text)
            usable.append(text)
            continue
        counter.drop(reason, f"{place}: {text!r}")
    report = counter.report(name, len(usable))
    if not usable:
        raise ValueError(f"{name}: expected at least one usable text: {report.summary}")
    return Texts(usable, report)


def _num_words(text: str) -> int:
    return text.count(" ") + 1  # normalised text has single spaces


def _check_words(name: str, min_words: int, max_words: int | None) -> None:
    if min_words < 1:
        raise ValueError(f"{name}: expected min_words of at least 1, got {min_words}")
    if max_words is not None and max_words < min_words:
        raise ValueError(
            f"{name}: expected max_words of at least min_words={min_words}, got {max_words}"
        )

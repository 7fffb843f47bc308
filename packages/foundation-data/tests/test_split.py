"""Splitting: stable, complete, and without leaks."""

import random
import unicodedata

import pytest
from foundation_data import split_pairs
from hypothesis import given
from hypothesis import strategies as st

PAIRS = [(f"sentence {number}", f"phrase {number}") for number in range(3000)]

# Few letters in both cases, spaces and a decomposed accent: many sources are the same sentence.
source = st.text(st.sampled_from("aAé \u0301e"), max_size=4)
pairs_of_any_kind = st.lists(st.tuples(source, st.text(max_size=2)), max_size=30)


def key(text: str) -> str:
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return unicodedata.normalize("NFC", composed.casefold())


@given(pairs_of_any_kind)
def test_no_source_is_in_two_parts_and_nothing_is_lost(pairs: list[tuple[str, str]]) -> None:
    parts = split_pairs(pairs, validation=0.3, test=0.3)
    assert sorted(pair for part in parts for pair in part) == sorted(pairs)
    training, validation, test = ({key(source) for source, _ in part} for part in parts)
    assert not training & validation
    assert not training & test
    assert not validation & test


@given(pairs_of_any_kind, pairs_of_any_kind, st.randoms(use_true_random=False))
def test_adding_and_reordering_move_nothing(
    pairs: list[tuple[str, str]], more: list[tuple[str, str]], rng: random.Random
) -> None:
    before = split_pairs(pairs, validation=0.3, test=0.3)
    grown = pairs + more
    rng.shuffle(grown)
    after = split_pairs(grown, validation=0.3, test=0.3)
    for old, new in zip(before, after, strict=True):
        assert set(old) <= set(new)


def test_planted_duplicates_stay_together() -> None:
    planted = [(f"  SENTENCE   {number}", "again") for number in range(3000)]
    once, both = split_pairs(PAIRS), split_pairs(PAIRS + planted)
    for part, doubled in zip(once, both, strict=True):
        assert len(doubled) == 2 * len(part)


def test_the_shares_are_about_right_and_order_is_kept() -> None:
    parts = split_pairs(PAIRS, validation=0.2, test=0.1)
    # Three standard deviations of a binomial count are at most 66.
    for part, expected in zip(parts, (2100, 600, 300), strict=True):
        assert abs(len(part) - expected) < 70
        assert part == sorted(part, key=PAIRS.index)


def test_the_test_part_does_not_depend_on_validation() -> None:
    assert split_pairs(PAIRS, validation=0.0)[2] == split_pairs(PAIRS, validation=0.5)[2]
    assert split_pairs(PAIRS, validation=0.0)[1] == []
    smaller, larger = split_pairs(PAIRS, test=0.05)[2], split_pairs(PAIRS, test=0.2)[2]
    assert set(smaller) < set(larger)


def test_these_places_never_change() -> None:
    # Recorded once: with another result a new release would train on what an older one tested.
    for word, place in (("one", 2), ("two", 0), ("three", 2), ("four", 1), ("Five ", 0)):
        parts = split_pairs([(word, "")], validation=0.3, test=0.3)
        assert [len(part) for part in parts].index(1) == place


@pytest.mark.parametrize(
    ("validation", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (1.0, 0.0), (float("nan"), 0.1)]
)
def test_shares_that_are_refused(validation: float, test: float) -> None:
    with pytest.raises(ValueError, match="expected shares of at least 0 that leave something"):
        split_pairs(PAIRS, validation=validation, test=test)

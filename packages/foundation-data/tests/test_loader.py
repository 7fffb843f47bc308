"""Batches over an epoch: complete, reproducible, little padded, and resumable."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from foundation_data import Batch, BatchLoader, TranslationDataset, WordTokenizer, read_pairs
from hypothesis import given
from hypothesis import strategies as st


def numbered(lengths: list[tuple[int, int]]) -> TranslationDataset:
    """A dataset whose every example holds its own number, which tells where it went."""
    return TranslationDataset.from_ids(
        [([4 + i] * s, [4 + i] * t) for i, (s, t) in enumerate(lengths)]
    )


def numbers(batch: Batch) -> list[int]:
    return [int(first) - 4 for first in batch.source[:, 0]]


def orders(batches: Iterator[Batch] | BatchLoader[Batch]) -> list[list[int]]:
    return [numbers(batch) for batch in batches]


RNG = np.random.default_rng(5)
MANY = numbered([(int(s), int(s + d)) for s, d in RNG.integers(1, 12, size=(397, 2))])

lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=40)
options = st.fixed_dictionaries(
    {
        "shuffle": st.booleans(),
        "bucket": st.none() | st.booleans(),
        "bucket_size": st.integers(1, 50),
        "seed": st.integers(0, 3),
    }
)
size = st.builds(lambda n: {"batch_size": n}, st.integers(1, 9)) | st.builds(
    lambda n: {"max_tokens": n}, st.integers(10, 60)
)


@given(lengths, options, size)
def test_every_example_comes_once_an_epoch_within_the_size(
    shape: list[tuple[int, int]], option: dict, size: dict
) -> None:
    loader = BatchLoader(numbered(shape), **size, **option)
    for epoch in range(2):
        assert loader.epoch == epoch
        announced = len(loader)
        batches = list(loader)
        assert len(batches) == announced
        assert sorted(n for batch in batches for n in numbers(batch)) == list(range(len(shape)))
        for batch in batches:
            assert len(batch) <= size.get("batch_size", len(batch))
            widest = max(batch.source.shape[1], batch.target_in.shape[1])
            assert len(batch) * widest <= size.get("max_tokens", len(batch) * widest)
        assert sum(batch.num_tokens for batch in batches) == sum(t + 1 for _, t in shape)


@given(lengths, options, size, st.integers(0, 2), st.data())
def test_resuming_equals_never_having_stopped(
    shape: list[tuple[int, int]], option: dict, size: dict, epochs: int, data: st.DataObject
) -> None:
    dataset = numbered(shape)
    reference = BatchLoader(dataset, **size, **option)
    uninterrupted = [orders(reference) for _ in range(epochs + 2)]
    stop = data.draw(st.integers(0, len(uninterrupted[epochs])))

    first = BatchLoader(dataset, **size, **option)
    for _ in range(epochs):
        assert list(first)
    seen = []
    if stop:
        for batch in first:
            seen.append(numbers(batch))
            if len(seen) == stop:
                break
    assert first.position == stop
    state = json.loads(json.dumps(first.state_dict()))

    second = BatchLoader(dataset, **size, **option)
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert seen + orders(second) == uninterrupted[epochs]
    assert orders(second) == uninterrupted[epochs + 1]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, second = (BatchLoader(MANY, batch_size=16, seed=3) for _ in range(2))
    np.random.default_rng(0).random()  # other generators have no say
    epoch_0, epoch_1 = orders(first), orders(first)
    assert orders(second) == epoch_0
    assert orders(second) == epoch_1
    assert epoch_0 != epoch_1
    assert orders(BatchLoader(MANY, batch_size=16, seed=4)) != epoch_0


def test_without_shuffling_the_dataset_keeps_its_order() -> None:
    loader = BatchLoader(numbered([(3, 1), (1, 1), (5, 1), (2, 2), (1, 4)]), 2, shuffle=False)
    assert orders(loader) == [[0, 1], [2, 3], [4]]
    assert orders(loader) == [[0, 1], [2, 3], [4]]


def test_buckets_by_hand() -> None:
    # Positions (S, T) = (4, 2), (2, 2), (6, 2), (3, 3), (2, 5): the longest side orders them.
    dataset = numbered([(3, 1), (1, 1), (5, 1), (2, 2), (1, 4)])
    loader = BatchLoader(dataset, batch_size=2, shuffle=False, bucket=True)
    assert orders(loader) == [[1, 3], [0, 4], [2]]
    # Two buckets, [0, 1, 2] rising and [3, 4] falling.
    loader = BatchLoader(dataset, batch_size=2, shuffle=False, bucket=True, bucket_size=3)
    assert orders(loader) == [[1, 0], [2, 4], [3]]


def test_among_equal_widths_shapes_stand_together() -> None:
    # Width 5 leans (S - T) upwards: -3, 0, 3; width 6 downwards: 5, -5.
    dataset = numbered([(4, 1), (1, 4), (4, 4), (0, 5), (5, 0)])
    loader = BatchLoader(dataset, batch_size=1, shuffle=False, bucket=True)
    sources = [batch.source.shape[1] for batch in loader]
    assert sources == [2, 5, 5, 6, 1]


def test_a_token_budget_by_hand() -> None:
    # Widths 4, 2, 6, 3, 5 in the order of the dataset: 2*4 fit in 8, then 6 alone, 3, 5 alone.
    dataset = numbered([(3, 1), (1, 1), (5, 1), (2, 2), (1, 4)])
    loader = BatchLoader(dataset, max_tokens=8, shuffle=False)
    assert orders(loader) == [[0, 1], [2], [3], [4]]
    assert orders(BatchLoader(dataset, max_tokens=18, shuffle=False)) == [[0, 1, 2], [3, 4]]


def test_buckets_save_padding_and_still_mix() -> None:
    def waste(loader: BatchLoader[Batch]) -> float:
        batches = list(loader)
        positions = sum(batch.source.size + batch.target_in.size for batch in batches)
        return sum(
            batch.padding * (batch.source.size + batch.target_in.size) for batch in batches
        ) / (positions)

    bucketed = BatchLoader(MANY, batch_size=16)
    plain = BatchLoader(MANY, batch_size=16, bucket=False)
    assert waste(bucketed) < 0.15 < 0.35 < waste(plain)
    # The batches themselves come in no order of length.
    widths = [max(batch.source.shape[1], batch.target_in.shape[1]) for batch in bucketed]
    assert widths != sorted(widths)
    assert widths != sorted(widths, reverse=True)


def test_a_loop_left_early_starts_its_epoch_again() -> None:
    loader = BatchLoader(MANY, batch_size=50)
    whole = orders(BatchLoader(MANY, batch_size=50))
    assert numbers(next(iter(loader))) == whole[0]
    assert loader.position == 1
    assert loader.epoch == 0
    assert orders(loader) == whole
    assert (loader.epoch, loader.position) == (1, 0)


def test_states_of_others_are_refused() -> None:
    loader = BatchLoader(MANY, batch_size=16, seed=1)
    state = loader.state_dict()
    other = numbered([(1, 1)])
    with pytest.raises(ValueError, match="the state belongs to another dataset"):
        BatchLoader(other, batch_size=16, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="taken with seed=1, but this loader has seed=2"):
        BatchLoader(MANY, batch_size=16, seed=2).load_state_dict(state)
    with pytest.raises(
        ValueError, match="taken with batch_size=16, but this loader has batch_size=8"
    ):
        BatchLoader(MANY, batch_size=8, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="malformed state: epoch, position missing"):
        loader.load_state_dict({"options": {}, "fingerprint": ""})
    with pytest.raises(ValueError, match="a position from 0 to 25, got 26"):
        loader.load_state_dict({**state, "position": 26})
    with pytest.raises(ValueError, match="malformed state: epoch='1', position=0"):
        loader.load_state_dict({**state, "epoch": "1"})
    for field, value in [("epoch", True), ("position", False), ("options", None), ("options", [1])]:
        with pytest.raises(ValueError, match=f"malformed state: .*{field}="):
            loader.load_state_dict({**state, field: value})
    with pytest.raises(ValueError, match="malformed state: expected a mapping, got None"):
        loader.load_state_dict(None)  # type: ignore[arg-type]
    # A refused state changes nothing.
    assert loader.state_dict() == state


def test_options_that_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"either batch_size .* got batch_size=None and max_tokens=No"
    ):
        BatchLoader(MANY)
    with pytest.raises(ValueError, match="got batch_size=3 and max_tokens=4"):
        BatchLoader(MANY, batch_size=3, max_tokens=4)
    with pytest.raises(ValueError, match="batch_size of at least 1, got 0"):
        BatchLoader(MANY, batch_size=0)
    with pytest.raises(ValueError, match="seed of at least 0, got -1"):
        BatchLoader(MANY, batch_size=1, seed=-1)
    with pytest.raises(TypeError, match=r"an integer as batch_size, got 2\.5"):
        BatchLoader(MANY, batch_size=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an integer as seed, got True"):
        BatchLoader(MANY, batch_size=1, seed=True)
    dataset = numbered([(1, 1), (9, 2), (3, 3)])
    with pytest.raises(
        ValueError, match="max_tokens of at least 10, the length of example 1, got 9"
    ):
        BatchLoader(dataset, max_tokens=9)


@pytest.mark.skipif(
    "FOUNDATION_DATA" not in os.environ,
    reason="FOUNDATION_DATA does not name a folder with tatoeba-en-fr.tsv.gz",
)
def test_real_sentences_are_padded_little() -> None:
    pairs = read_pairs(Path(os.environ["FOUNDATION_DATA"]) / "tatoeba-en-fr.tsv.gz")
    sides = zip(*pairs, strict=True)
    english, french = (WordTokenizer.train(side, max_size=8000) for side in sides)
    batches = list(BatchLoader(TranslationDataset(pairs, english, french), max_tokens=4000))
    sizes = [batch.source.size + batch.target_in.size for batch in batches]
    assert np.average([batch.padding for batch in batches], weights=sizes) < 0.05
    assert sum(map(len, batches)) == len(pairs)

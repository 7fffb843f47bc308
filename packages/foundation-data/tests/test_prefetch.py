"""Batches prepared in the background: the same ones, from a thread that always ends."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from foundation_data import Batch, BatchLoader, TranslationDataset
from foundation_data.batches._prefetch import map_ahead

RNG = np.random.default_rng(5)
DATASET = TranslationDataset.from_ids(
    [([4 + i] * n, [4 + i]) for i, n in enumerate(RNG.integers(1, 9, 100))]
)


def loader(prefetch: int) -> BatchLoader[Batch]:
    return BatchLoader(DATASET, batch_size=7, seed=2, prefetch=prefetch)


def sources(batches: BatchLoader[Batch]) -> list[list[list[int]]]:
    return [batch.source.tolist() for batch in batches]


def threads() -> int:
    return sum(thread.name.startswith("foundation-data") for thread in threading.enumerate())


@pytest.mark.parametrize("prefetch", [1, 3, 1000])
def test_the_same_batches_epoch_after_epoch(prefetch: int) -> None:
    ahead, plain = loader(prefetch), loader(0)
    for _ in range(3):
        assert sources(ahead) == sources(plain)
        assert ahead.state_dict() == plain.state_dict()
        assert threads() == 0


def test_the_state_counts_what_was_given_out_not_what_is_ready() -> None:
    whole = sources(loader(0))
    first = loader(5)
    batches = iter(first)
    seen = [next(batches).source.tolist() for _ in range(4)]
    state = first.state_dict()
    assert state["position"] == 4
    for prefetch in (0, 5):  # with or without the thread, the state is the same
        second = loader(prefetch)
        second.load_state_dict(state)
        assert seen + sources(second) == whole


def test_results_are_computed_early_but_not_too_early() -> None:
    made: list[int] = []
    results = map_ahead(lambda n: made.append(n) or n, range(100), ahead=3)
    assert next(results) == 0
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert made == [0, 1, 2, 3]
    results.close()
    assert threads() == 0
    assert made == [0, 1, 2, 3]


def test_no_thread_without_prefetch() -> None:
    made: list[int] = []
    results = map_ahead(lambda n: made.append(n) or n, range(100), ahead=0)
    assert next(results) == 0
    assert made == [0]
    assert threads() == 0


def test_a_loop_left_early_ends_the_thread() -> None:
    for _ in loader(4):
        assert threads() == 1
        break
    assert threads() == 0


class Broken:
    """Fails at its fourth batch."""

    fingerprint = "broken"
    lengths = np.ones((10, 1), np.int64)

    def __len__(self) -> int:
        return 10

    def batch(self, indices: np.ndarray) -> int:
        if indices[0] == 3:
            raise OSError("the disk is gone")
        return int(indices[0])


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_an_exception_comes_where_its_batch_would_have(prefetch: int) -> None:
    broken = BatchLoader(Broken(), batch_size=1, shuffle=False, prefetch=prefetch)
    seen: list[int] = []

    def run(batches: Iterator[int]) -> None:
        for number in batches:
            seen.append(number)

    with pytest.raises(OSError, match="the disk is gone"):
        run(iter(broken))
    assert seen == [0, 1, 2]
    assert broken.state_dict()["position"] == 3
    assert threads() == 0


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="prefetch of at least 0, got -1"):
        loader(-1)
    with pytest.raises(TypeError, match="an integer as prefetch, got True"):
        loader(True)

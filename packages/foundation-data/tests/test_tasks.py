"""Synthetic tasks."""

from datetime import date, datetime

import numpy as np
import pytest
from foundation_data import TranslationDataset
from foundation_data.tasks import adding_task, copy_task, date_task, reverse_task, sort_task


@pytest.mark.parametrize("task", [copy_task, reverse_task, sort_task])
def test_bounds_are_met_and_reached(task) -> None:
    pairs = task(np.random.default_rng(0), 500, vocab_size=7, min_len=2, max_len=5)
    assert len(pairs) == 500
    assert {len(source) for source, _ in pairs} == {2, 3, 4, 5}
    assert {int(token) for source, _ in pairs for token in source} == {4, 5, 6}


def test_the_answers() -> None:
    copied = copy_task(np.random.default_rng(1), 50)
    reversed_ = reverse_task(np.random.default_rng(1), 50)
    for (source, same), (again, backwards) in zip(copied, reversed_, strict=True):
        assert source.tolist() == same.tolist() == again.tolist() == backwards.tolist()[::-1]
        same[:] = backwards[:] = 0
        assert min(source.min(), again.min()) >= 4  # the two sides share no memory


def test_sorting_keeps_every_token() -> None:
    unsorted = copy_task(np.random.default_rng(1), 50)
    for (source, _), (again, rising) in zip(
        unsorted, sort_task(np.random.default_rng(1), 50), strict=True
    ):
        assert source.tolist() == again.tolist()
        assert rising.tolist() == sorted(again.tolist())


def test_adding_by_its_definition() -> None:
    inputs, targets = adding_task(np.random.default_rng(0), 2000, length=7)
    values, marks = inputs[..., 0], inputs[..., 1]
    assert inputs.dtype == targets.dtype == np.float32
    assert 0 <= values.min() < 0.01 < 0.99 < values.max() < 1
    assert (marks[:, :3].sum(axis=1) == 1).all()
    assert (marks[:, 3:].sum(axis=1) == 1).all()
    assert (marks.sum(axis=0) > 0).all()  # every place is marked some time
    np.testing.assert_array_equal((values * marks).sum(axis=1), targets)
    # The variance of a sum of two uniform numbers is 2/12; its error over 2000 draws is 0.005.
    assert np.mean((targets - 1) ** 2) == pytest.approx(1 / 6, abs=0.015)


def test_dates_mean_what_they_say() -> None:
    pairs = date_task(np.random.default_rng(0), 3000)
    seen = set()
    for written, iso in pairs:
        day = date.fromisoformat(iso)
        for way in ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%A %d %B %Y", "%d.%m.%Y"):
            try:
                read = datetime.strptime(written, way)
            except ValueError:
                continue
            assert read.date() == day
            assert "%A" not in way or read.strftime("%A").lower() == written.split()[0]
            seen.add(way)
            break
        else:
            pytest.fail(f"cannot read {written!r}")
    assert len(seen) == 5
    years = {iso[:4] for _, iso in pairs}
    assert min(years) == "1900"
    assert max(years) == "2099"


def test_the_generator_alone_decides() -> None:
    first, second = (copy_task(np.random.default_rng(2), 9) for _ in range(2))
    assert [s.tolist() for s, _ in first] == [s.tolist() for s, _ in second]
    rng = np.random.default_rng(2)
    assert [s.tolist() for s, _ in copy_task(rng, 9)] != [s.tolist() for s, _ in copy_task(rng, 9)]


def test_pairs_become_a_dataset() -> None:
    pairs = reverse_task(np.random.default_rng(3), 11)
    example = TranslationDataset.from_ids(pairs)[10]
    assert example.source.tolist() == [*pairs[10][0], 2]
    assert example.target_in.tolist() == [1, *pairs[10][0][::-1]]


def test_what_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match=r"copy_task: expected a numpy\.random\.Generator, got int"):
        copy_task(0, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reverse_task: expected count of at least 1, got 0"):
        reverse_task(rng, 0)
    with pytest.raises(ValueError, match=r"vocab_size above 4 .* got 4"):
        copy_task(rng, 1, vocab_size=4)
    with pytest.raises(ValueError, match="1 <= min_len <= max_len, got 3 and 2"):
        copy_task(rng, 1, min_len=3, max_len=2)
    with pytest.raises(ValueError, match="adding_task: expected length of at least 2, got 1"):
        adding_task(rng, 3, length=1)
    with pytest.raises(ValueError, match="date_task: expected count of at least 1, got -1"):
        date_task(rng, -1)

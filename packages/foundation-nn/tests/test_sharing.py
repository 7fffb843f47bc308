"""The rows of a batch are shared out among processes: each row once, in order, and evenly."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn.distributed import share
from foundation_nn.distributed._sharing import digest
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 20), st.integers(1, 7))
def test_every_row_goes_to_one_process(rows, size):
    array = np.arange(rows * 2).reshape(rows, 2)
    parts = [share(array, rank, size) for rank in range(size)]
    if size > 1:
        lengths = [0 if part is None else len(part) for part in parts]
        assert sorted(lengths, reverse=True) == lengths  # the first have one more
        assert max(lengths) - min(lengths) <= 1
        assert all(part is None for part, length in zip(parts, lengths, strict=True) if not length)
    found = [part for part in parts if part is not None]
    np.testing.assert_array_equal(np.concatenate([array[:0], *found]), array)


Pair = namedtuple("Pair", "x y")


@dataclass(frozen=True)
class Rows:
    x: Any
    scale: float


@pytest.mark.parametrize(
    ("batch", "second"),
    [
        ([10, 11, 12], [12]),
        ((np.array([1, 2, 3]), ["a", "b", "c"], 5), (np.array([3]), ["c"], 5)),
        (Pair(np.array([1, 2, 3]), np.array(7)), Pair(np.array([3]), np.array(7))),
        ({"x": np.array([1, 2, 3]), "name": "text"}, {"x": np.array([3]), "name": "text"}),
        (Rows(np.array([1, 2, 3]), 0.5), Rows(np.array([3]), 0.5)),
    ],
)
def test_batches_of_many_kinds(batch, second):
    found = share(batch, 1, 2)
    assert type(found) is type(second)
    assert repr(found) == repr(second)
    assert share(batch, 3, 4) is None
    assert share(batch, 0, 1) is batch


def test_tensors_are_cut():
    part = share(Tensor([[1.0], [2.0], [3.0]]), 0, 2)
    np.testing.assert_array_equal(part.data, [[1], [2]])


def test_a_batch_that_can_split_itself_does():
    class Batch:
        def split(self, n):
            return [f"{i} of {n}" for i in range(2)]

    assert [share(Batch(), rank, 3) for rank in range(3)] == ["0 of 3", "1 of 3", None]


def test_what_has_no_rows_is_refused_with_the_fix():
    with pytest.raises(TypeError, match=r"a method split\(n\), got an object"):
        share(object(), 0, 2)
    with pytest.raises(TypeError, match=r"a method split\(n\), got the str 'a text'"):
        share("a text", 0, 2)
    with pytest.raises(
        TypeError, match="cut along their first axis, got .the int 3, the str 'text'"
    ):
        share((3, "text"), 0, 2)
    with pytest.raises(ValueError, match="arrays of a batch have 2, 3 rows"):
        share((np.ones(3), np.ones((2, 3))), 0, 2)


def test_equal_batches_have_one_digest_and_others_another():
    def batches():
        yield np.arange(6)
        yield np.arange(6).reshape(2, 3)
        yield np.arange(6, dtype=np.float32)
        yield {"x": np.arange(3)}
        yield {"y": np.arange(3)}
        yield (np.arange(3), "text")
        yield [np.arange(3), "tent"]
        yield Rows(np.arange(3), 0.5)
        yield Rows(np.arange(3), 1.5)

    digests = [digest(batch) for batch in batches()]
    assert len(set(digests)) == len(digests)
    assert digests == [digest(batch) for batch in batches()]
    assert digest(Tensor([1.0, 2.0])) == digest(np.array([1.0, 2.0], np.float32))
    assert digest([object()]) == digest([object()])  # nothing is known of them

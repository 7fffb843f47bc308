"""A batch shared out among processes: every row once, masks with it, and no needless padding."""

import numpy as np
import pytest
from foundation_data import CharTokenizer, Example, TextDataset, collate
from hypothesis import given
from hypothesis import strategies as st


def examples(lengths):
    rng = np.random.default_rng(len(lengths))
    for source, target in lengths:
        ids = rng.integers(3, 50, size=target)
        yield Example(
            rng.integers(3, 50, size=source), np.append(1, ids[:-1]), np.append(ids[1:], 2)
        )


LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=9)


@given(LENGTHS, st.integers(1, 5))
def test_parts_of_a_batch_are_the_batches_of_its_parts(lengths, n):
    rows = list(examples(lengths))
    parts = collate(rows).split(n)
    assert len(parts) == min(n, len(rows))
    sizes = [len(part) for part in parts]
    assert sum(sizes) == len(rows)
    assert max(sizes) - min(sizes) <= 1
    first = 0
    for part in parts:
        expected = collate(rows[first : first + len(part)])
        first += len(part)
        for name in ("source", "source_mask", "target_in", "target_out", "target_mask"):
            np.testing.assert_array_equal(getattr(part, name), getattr(expected, name), name)
        assert part.num_tokens == expected.num_tokens


def test_parts_of_a_batch_of_text():
    texts = ["abcdefg", "ab", "abc", "a", "abcd"]
    tokenizer = CharTokenizer.train(texts)
    dataset = TextDataset(texts, tokenizer, length=12)
    batch = dataset.batch(range(len(dataset)))
    parts = batch.split(2)
    assert sum(len(part) for part in parts) == len(batch)
    assert sum(part.num_tokens for part in parts) == batch.num_tokens
    row = 0
    for part in parts:
        assert part.key_mask[:, -1].any()  # no column of padding alone
        for i in range(len(part)):
            real = part.key_mask[i]
            for name in ("ids", "targets", "segments", "positions"):
                expected = getattr(batch, name)[row][batch.key_mask[row]]
                np.testing.assert_array_equal(getattr(part, name)[i][real], expected, name)
            row += 1


def test_a_batch_is_not_split_into_nothing():
    with pytest.raises(ValueError, match="at least 1 part, got 0"):
        collate(list(examples([(2, 2)]))).split(0)

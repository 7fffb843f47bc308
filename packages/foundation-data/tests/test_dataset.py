"""Encoded pairs, and batches of them with their masks."""

import numpy as np
import pytest
from foundation_data import (
    Batch,
    CharTokenizer,
    Dropped,
    Example,
    SpecialTokens,
    TranslationDataset,
    Vocabulary,
    WordTokenizer,
    collate,
)
from hypothesis import given
from hypothesis import strategies as st

PAIRS = [("go", "va !"), ("go home now", "rentre"), ("now", "tout de suite")]
ENGLISH = WordTokenizer.train(source for source, _ in PAIRS)
FRENCH = WordTokenizer.train(target for _, target in PAIRS)


def test_the_ids_by_hand() -> None:
    assert ENGLISH.vocabulary.tokens[4:] == ("go", "now", "home")
    assert FRENCH.vocabulary.tokens[4:] == ("!", "de", "rentre", "suite", "tout", "va")
    dataset = TranslationDataset(PAIRS, ENGLISH, FRENCH)
    assert len(dataset) == 3
    assert [
        [array.tolist() for array in example] for example in map(dataset.__getitem__, range(3))
    ] == [
        [[4, 2], [1, 9, 4], [9, 4, 2]],
        [[4, 6, 5, 2], [1, 6], [6, 2]],
        [[5, 2], [1, 8, 5, 7], [8, 5, 7, 2]],
    ]
    assert dataset.lengths.tolist() == [[2, 3], [4, 2], [2, 4]]
    assert dataset[-1].source.tolist() == [5, 2]
    assert all(array.dtype == np.int64 for array in dataset[0])
    dataset[0].source[:] = 9
    assert dataset[0].source.tolist() == [4, 2]


def test_a_batch_by_hand() -> None:
    batch = TranslationDataset(PAIRS, ENGLISH, FRENCH).batch([1, 0])
    assert batch.source.tolist() == [[4, 6, 5, 2], [4, 2, 0, 0]]
    assert batch.source_mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.target_in.tolist() == [[1, 6, 0], [1, 9, 4]]
    assert batch.target_out.tolist() == [[6, 2, 0], [9, 4, 2]]
    assert batch.target_mask.astype(int).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch.target_pattern.dtype == np.bool_
    assert batch.target_pattern.astype(int).tolist() == [
        [[1, 0, 0], [1, 1, 0], [0, 0, 0]],
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
    ]
    assert batch.num_tokens == 5
    assert len(batch) == 2
    assert batch.padding == pytest.approx(1 - (6 + 5) / (8 + 6))
    assert {batch.source.dtype, batch.target_in.dtype, batch.target_out.dtype} == {
        np.dtype("int64")
    }


ids = st.lists(st.integers(4, 30), max_size=7)


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=9), st.data())
def test_flat_storage_equals_collate_and_padding_is_never_counted(
    pairs: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    dataset = TranslationDataset.from_ids(pairs)
    chosen = data.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=12))
    fast = dataset.batch(chosen)
    slow = collate([dataset[index] for index in chosen])
    for name in ("source", "source_mask", "target_in", "target_out", "target_mask"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))
    assert fast.num_tokens == slow.num_tokens == int((fast.target_out != 0).sum())
    for row, index in enumerate(chosen):
        source, target = pairs[index]
        assert fast.source[row][fast.source_mask[row]].tolist() == [*source, 2]
        real = fast.target_mask[row]
        assert fast.target_in[row][real].tolist() == [1, *target]
        assert fast.target_out[row][real].tolist() == [*target, 2]
        width = fast.target_in.shape[1]
        for t in range(width):
            expected = [s <= t <= len(target) for s in range(width)]
            assert fast.target_pattern[row, t].tolist() == expected


def test_another_pad_id() -> None:
    specials = SpecialTokens(pad_id=3, unk_id=0)
    batch = TranslationDataset.from_ids([([7], [8]), ([7, 7], [])], specials).batch([0, 1])
    assert batch.source.tolist() == [[7, 2, 3], [7, 7, 2]]
    assert batch.target_in.tolist() == [[1, 8], [1, 3]]
    assert collate([Example(*map(np.array, ([7, 2], [1], [2])))], pad_id=3).source.tolist() == [
        [7, 2]
    ]


def test_too_long_pairs_are_dropped_and_counted_or_refused() -> None:
    # Positions: ("go", "va !") 2 and 3, ("go home now", "rentre") 4 and 2, the last 2 and 4.
    assert len(TranslationDataset(PAIRS, ENGLISH, FRENCH, max_len=4)) == 3
    dataset = TranslationDataset(PAIRS, ENGLISH, FRENCH, max_len=3)
    assert len(dataset) == 1
    assert dataset.report.read == 3
    assert dataset.report.kept == 1
    assert dataset.report.dropped == {
        "longer than 3 positions": Dropped(2, "pair 1 with 4 positions: 'go home now'")
    }
    with pytest.raises(
        ValueError, match="at most max_len=3 positions, got pair 1 with 4 positions"
    ):
        TranslationDataset(PAIRS, ENGLISH, FRENCH, max_len=3, too_long="error")
    with pytest.raises(ValueError, match=r"at least one usable pair: 3 read, .* \(3 longer than 2"):
        TranslationDataset(PAIRS, ENGLISH, FRENCH, max_len=2)


def test_the_fingerprint_tells_contents_apart() -> None:
    pairs = [([5, 6], [7]), ([8], [9])]
    first = TranslationDataset.from_ids(pairs).fingerprint
    assert TranslationDataset.from_ids(pairs).fingerprint == first
    for other in (
        pairs[::-1],
        [([5], [6, 7]), ([8], [9])],
        [([5, 6], [7]), ([8], [10])],
        pairs[:1],
    ):
        assert TranslationDataset.from_ids(other).fingerprint != first


def test_a_dataset_refuses() -> None:
    with pytest.raises(TypeError, match="target_tokenizer to be a trained tokenizer, got str"):
        TranslationDataset(PAIRS, ENGLISH, "fr")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected pairs of two strings, got 'go'"):
        TranslationDataset(["go"], ENGLISH, FRENCH)
    with pytest.raises(TypeError, match="expected pairs of two strings"):
        TranslationDataset([("a", "b", "c")], ENGLISH, FRENCH)
    with pytest.raises(ValueError, match=r"at least one usable pair: 0 read, 0 kept, 0 dropped$"):
        TranslationDataset([], ENGLISH, FRENCH)
    with pytest.raises(ValueError, match="max_len of at least 2, got 1"):
        TranslationDataset(PAIRS, ENGLISH, FRENCH, max_len=1)
    with pytest.raises(ValueError, match='expected too_long "drop" or "error", got \'cut\''):
        TranslationDataset(PAIRS, ENGLISH, FRENCH, too_long="cut")
    other = CharTokenizer(Vocabulary.build([["a"]], specials=SpecialTokens(pad="_")))
    with pytest.raises(ValueError, match=r"the same SpecialTokens in both tokenizers"):
        TranslationDataset(PAIRS, ENGLISH, other)
    dataset = TranslationDataset(PAIRS, ENGLISH, FRENCH)
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"expected an index below 3, got {index}"):
            dataset[index]
    with pytest.raises(ValueError, match=r"indices of shape \(B,\) with B >= 1, got \(0,\)"):
        dataset.batch([])
    with pytest.raises(IndexError):
        dataset.batch([3])


def test_from_ids_refuses() -> None:
    with pytest.raises(TypeError, match="integer ids in pair 0, got float64"):
        TranslationDataset.from_ids([([1.5], [4])])
    with pytest.raises(ValueError, match=r"shape \(length,\) in pair 0, got \(1, 1\)"):
        TranslationDataset.from_ids([([[4]], [4])])
    with pytest.raises(ValueError, match="pair 1 holds the id 2; expected ids"):
        TranslationDataset.from_ids([([4], [4]), ([4], [4, 2])])
    with pytest.raises(ValueError, match="pair 0 holds the id -1"):
        TranslationDataset.from_ids([([-1], [4])])
    with pytest.raises(ValueError, match="expected at least one pair, got none"):
        TranslationDataset.from_ids([])


def test_collate_refuses() -> None:
    with pytest.raises(ValueError, match="expected at least one example, got none"):
        collate([])
    good = Example(np.array([4, 2]), np.array([1]), np.array([2]))
    with pytest.raises(ValueError, match=r"example 1 .* got lengths 2, 1 and 0"):
        collate([good, good._replace(target_out=np.array([], dtype=np.int64))])


def test_a_batch_refuses() -> None:
    good = {
        "source": np.array([[4, 2]]),
        "source_mask": np.array([[True, True]]),
        "target_in": np.array([[1]]),
        "target_out": np.array([[2]]),
        "target_mask": np.array([[True]]),
        "num_tokens": 1,
    }
    assert Batch(**good).num_tokens == 1
    with pytest.raises(TypeError, match=r"source_mask of bool \(True: is real\), got int64"):
        Batch(**{**good, "source_mask": np.array([[1, 1]], dtype=np.int64)})
    with pytest.raises(TypeError, match="source of integers, got float64"):
        Batch(**{**good, "source": np.array([[4.0, 2.0]])})
    with pytest.raises(ValueError, match=r"target_mask of shape \(1, 1\), got \(1, 1, 1\)"):
        Batch(**{**good, "target_mask": np.array([[[True]]])})
    with pytest.raises(ValueError, match=r"target_in of shape \(B, length\), got \(1,\)"):
        Batch(**{**good, "target_in": np.array([1])})

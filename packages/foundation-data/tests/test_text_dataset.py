"""Language-model rows: windows of a stream, and packed documents that cannot see one another."""

from itertools import islice

import numpy as np
import pytest
from foundation_data import (
    BatchLoader,
    Dropped,
    TextBatch,
    TextDataset,
    TokenStream,
    WordTokenizer,
)
from foundation_data.batches._packing import pack
from hypothesis import given
from hypothesis import strategies as st

DOCUMENTS = [[1, 5, 6, 2], [1, 7, 2], [1, 8, 9, 4, 5, 6, 7, 2]]

documents_of_any_kind = st.lists(st.lists(st.integers(4, 99), max_size=12), max_size=12).filter(
    lambda documents: any(len(document) > 1 for document in documents)
)
length = st.integers(1, 9)


def everything(dataset: TextDataset) -> TextBatch:
    return dataset.batch(np.arange(len(dataset)))


def test_windows_by_hand() -> None:
    dataset = TextDataset.from_ids(DOCUMENTS, length=6)
    assert dataset.lengths.tolist() == [[6], [6], [2]]
    batch = everything(dataset)
    assert batch.ids.tolist() == [[1, 5, 6, 2, 1, 7], [2, 1, 8, 9, 4, 5], [6, 7, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [[5, 6, 2, 1, 7, 2], [1, 8, 9, 4, 5, 6], [7, 2, 0, 0, 0, 0]]
    assert batch.positions[2].tolist() == [0, 1, 0, 0, 0, 0]
    assert batch.num_tokens == 14
    assert batch.padding == pytest.approx(4 / 18)
    assert (batch.mask[0] == np.tri(6, dtype=bool)).all()
    assert batch.mask[2].sum() == 1 + 2  # padding neither looks nor is looked at
    assert batch.key_mask[2].tolist() == [True, True, False, False, False, False]
    assert batch.key_mask.dtype == np.bool_


def test_packed_by_hand() -> None:
    # Predictions 3, 2 and 7; the last is cut into 5 and 2, and the row of 3 has room for a 2.
    dataset = TextDataset.from_ids(DOCUMENTS, length=5, pack=True)
    assert dataset.lengths.tolist() == [[5], [5], [2]]
    batch = everything(dataset)
    assert batch.ids.tolist() == [[1, 8, 9, 4, 5], [1, 5, 6, 1, 7], [6, 7, 0, 0, 0]]
    assert batch.targets.tolist() == [[8, 9, 4, 5, 6], [5, 6, 2, 7, 2], [7, 2, 0, 0, 0]]
    assert batch.segments.tolist() == [[1] * 5, [1, 1, 1, 2, 2], [1, 1, 0, 0, 0]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 4], [0, 1, 2, 0, 1], [0, 1, 0, 0, 0]]


@given(documents_of_any_kind, length)
def test_windows_tell_every_token_of_the_stream_once(
    documents: list[list[int]], length: int
) -> None:
    stream = [token for document in documents for token in document]
    batch = everything(TextDataset.from_ids(documents, length))
    real = batch.segments > 0
    assert batch.ids[real].tolist() == stream[:-1]
    assert batch.targets[real].tolist() == stream[1:]
    assert batch.num_tokens == len(stream) - 1
    assert not batch.ids[~real].any()
    assert not batch.targets[~real].any()


@given(documents_of_any_kind, length)
def test_packing_tells_every_token_of_its_own_document_once(
    documents: list[list[int]], length: int
) -> None:
    dataset = TextDataset.from_ids(documents, length, pack=True)
    assert dataset.lengths.max() <= length
    batch = everything(dataset)
    found = []
    for ids, targets, segments, positions, mask in zip(
        batch.ids, batch.targets, batch.segments, batch.positions, batch.mask, strict=True
    ):
        for segment in range(1, segments.max() + 1):
            here = np.flatnonzero(segments == segment)
            assert positions[here].tolist() == list(range(len(here)))
            assert (np.diff(here) == 1).all()
            found.append([ids[here[0]], *targets[here]])
            assert ids[here[1:]].tolist() == targets[here[:-1]].tolist()
            for t in here:
                assert np.flatnonzero(mask[t]).tolist() == [s for s in here if s <= t]
        assert not mask[:, segments == 0].any()
    wanted = [
        document[start : start + length + 1]
        for document in documents
        for start in range(0, len(document) - 1, length)
    ]
    assert sorted(map(list, found)) == sorted(wanted)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_packing_is_tight(sizes: list[int]) -> None:
    rows = pack(np.array(sizes), 9)
    loads = np.bincount(rows, weights=sizes)
    assert loads.max() <= 9
    # Any two rows together overflow, or one would have gone into the other.
    assert np.sort(loads)[:2].sum() > 9 or len(loads) == 1
    # Best fit decreasing needs at most 11/9 of the rows of the best packing, and one more.
    assert len(loads) <= 11 / 9 * -(-sum(sizes) // 9) + 4


def test_texts_become_documents() -> None:
    tokenizer = WordTokenizer.train(["go home", "go"])
    batch = everything(TextDataset(["go home", "go"], tokenizer, length=3, pack=True))
    go, home = tokenizer.vocabulary.to_ids(["go", "home"])
    assert batch.ids.tolist() == [[1, go, home], [1, go, 0]]
    assert batch.targets.tolist() == [[go, home, 2], [go, 2, 0]]


def test_documents_with_nothing_to_predict_are_counted() -> None:
    documents = [[1, 5, 2], [], [7], [1, 2]]
    report = TextDataset.from_ids(documents, 4, pack=True).report
    assert (report.read, report.kept) == (4, 2)
    assert report.dropped == {"nothing to predict": Dropped(2, "document 1")}
    report = TextDataset.from_ids(documents, 4).report
    assert (report.read, report.kept, report.dropped) == (4, 4, {})


def test_another_pad_id() -> None:
    batch = everything(TextDataset.from_ids([[5, 6], [7, 8, 9]], 2, pad_id=3))
    assert batch.ids.tolist() == [[5, 6], [7, 8]]
    batch = everything(TextDataset.from_ids([[5, 6], [7, 8, 9]], 3, pad_id=3))
    assert batch.ids.tolist() == [[5, 6, 7], [8, 3, 3]]
    assert batch.targets.tolist() == [[6, 7, 8], [9, 3, 3]]


@pytest.mark.parametrize("packed", [False, True])
def test_a_loader_gives_every_row_once_and_resumes(packed: bool) -> None:
    rng = np.random.default_rng(0)
    documents = [[1, *rng.integers(4, 99, n), 2] for n in rng.integers(0, 30, 200)]
    dataset = TextDataset.from_ids(documents, 16, pack=packed)

    def loader() -> BatchLoader[TextBatch]:
        return BatchLoader(dataset, max_tokens=64, seed=5, prefetch=2)

    first = loader()
    whole = [batch.ids.tolist() for batch in first]
    rows = everything(dataset).ids
    assert sum(len(ids) for ids in whole) == len(rows)
    assert sum(token for ids in whole for row in ids for token in row) == rows.sum()

    interrupted = loader()
    seen = [batch.ids.tolist() for batch in islice(interrupted, 3)]
    second = loader()
    second.load_state_dict(interrupted.state_dict())
    assert seen + [batch.ids.tolist() for batch in second] == whole


def test_the_fingerprint_knows_content_and_layout() -> None:
    prints = {
        TextDataset.from_ids(DOCUMENTS, 5).fingerprint,
        TextDataset.from_ids(DOCUMENTS, 6).fingerprint,
        TextDataset.from_ids(DOCUMENTS, 5, pack=True).fingerprint,
        TextDataset.from_ids(DOCUMENTS, 5, pad_id=3).fingerprint,
        TextDataset.from_ids(DOCUMENTS[::-1], 5).fingerprint,
    }
    assert len(prints) == 5
    again = TextDataset.from_ids(TokenStream.from_ids(DOCUMENTS), 5)
    assert again.fingerprint in prints


def test_what_is_refused() -> None:
    tokenizer = WordTokenizer.train(["go"])
    with pytest.raises(TypeError, match=r"got one str; wrap it: \[text\]"):
        TextDataset("go", tokenizer, 4)
    with pytest.raises(TypeError, match="tokenizer to be a trained tokenizer, got str"):
        TextDataset(["go"], "tokenizer", 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="TextDataset: expected length >= 1, got 0"):
        TextDataset(["go"], tokenizer, 0)
    for packed in (False, True):
        for nothing in ([], [[5]], [[]]):
            with pytest.raises(ValueError, match="a document of at least two tokens, got none"):
                TextDataset.from_ids(nothing, 4, pack=packed)
    dataset = TextDataset.from_ids([[5, 6]], 4)
    with pytest.raises(ValueError, match=r"indices of shape \(B,\) with B >= 1, got \(0,\)"):
        dataset.batch([])
    with pytest.raises(IndexError):
        dataset.batch([1])


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        ([1, 2.9], TypeError, r"document 1 to be a sequence of integer ids, got \[1, 2\.9\]"),
        ("12", TypeError, "got '12'"),
        (["1", "2"], TypeError, "integer ids"),
        ([[1, 2]], TypeError, "integer ids"),
        (5, TypeError, "got 5"),
        ([1, -2], ValueError, r"ids from 0 to 2\*\*31 - 1, got -2 to 1 in document 1"),
        ([1, 2**31], ValueError, "got 1 to 2147483648"),
    ],
    ids=str,
)
def test_documents_that_are_no_ids(document: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"from_ids: expected .*{message}"):
        TextDataset.from_ids([[1, 5, 2], document], length=4)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("length", "error", "message"),
    [
        (2.5, ValueError, "TextDataset: expected length to be a whole number, got 2.5"),
        (True, TypeError, "TextDataset: expected length to be a number"),
        ("4", TypeError, "TextDataset: expected length to be a number"),
    ],
)
def test_a_length_is_a_whole_number(length, error, message):
    with pytest.raises(error, match=message):
        TextDataset.from_ids([[1, 2, 3]], length=length)


# --- targets that count


def test_marks_move_with_their_tokens() -> None:
    ids = [[1, 5, 6, 7, 2], [1, 8, 2]]
    learnt = [[False, False, True, False, True], [True, True, False]]
    for length in (3, 4, 8):
        dataset = TextDataset.from_ids(ids, length, pack=True, trained=learnt)
        found = []
        for row in range(len(dataset)):
            batch = dataset.batch([row])
            assert batch.trained is not None
            found += batch.targets[batch.trained].tolist()
            assert batch.num_tokens == batch.trained.sum()
            assert not (batch.trained & ~batch.key_mask).any()
        assert sorted(found) == [2, 6, 8], length


def test_a_part_with_nothing_to_learn_is_left_out() -> None:
    dataset = TextDataset.from_ids(
        [[1, 5, 6, 7, 2], [1, 8, 2]], 2, pack=True, trained=[[False] * 3 + [True] * 2, [False] * 3]
    )
    assert len(dataset) == 1
    assert dataset.batch([0]).targets.tolist() == [[7, 2]]
    with pytest.raises(ValueError, match="expected a document of at least two tokens"):
        TextDataset.from_ids([[1, 5, 6]], 2, pack=True, trained=[[True, False, False]])


def test_marks_are_as_many_as_tokens_and_part_of_the_fingerprint() -> None:
    with pytest.raises(ValueError, match="expected trained to hold a flag for each token"):
        TextDataset.from_ids([[1, 5, 6]], 2, pack=True, trained=[[True, False]])
    one, other, none = (
        TextDataset.from_ids([[1, 5, 6]], 2, pack=True, trained=trained).fingerprint
        for trained in ([[False, True, True]], [[False, False, True]], None)
    )
    assert len({one, other, none}) == 3


def test_a_share_of_a_batch_has_its_own_marks() -> None:
    learnt = [[False, False, True, True, True], [False, True, True]]
    dataset = TextDataset.from_ids([[1, 5, 6, 7, 2], [1, 8, 2]], 4, pack=True, trained=learnt)
    parts = dataset.batch([0, 1]).split(2)
    assert [part.num_tokens for part in parts] == [3, 2]
    assert [part.trained is not None and part.trained.shape for part in parts] == [(1, 4), (1, 2)]

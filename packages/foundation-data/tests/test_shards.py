"""Token shards: what is written is what is read, from files that are whole or refused."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foundation_data import TextDataset, TokenStream, open_shards, write_shards
from foundation_data._files import write_json
from hypothesis import given
from hypothesis import strategies as st

DOCUMENTS = [[1, 5, 6, 2], [], [1, 7, 2], [9], [1, 8, 9, 4, 5, 6, 7, 2]]


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=10).filter(any),
    st.integers(1, 12),
    st.data(),
)
def test_shards_read_like_one_array(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[list[int]],
    shard_tokens: int,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("shards") / "corpus"
    stream = write_shards(documents, folder, vocab_size=10, shard_tokens=shard_tokens)
    flat = [token for document in documents for token in document]
    assert len(stream) == len(flat)
    assert stream.num_documents == len(documents)
    assert stream.document_lengths.tolist() == [len(document) for document in documents]
    start = data.draw(st.integers(0, len(flat)))
    stop = data.draw(st.integers(start, len(flat)))
    again = open_shards(folder)
    for read in (stream.read(start, stop), again.read(start, stop)):
        assert read.tolist() == flat[start:stop]
        assert read.dtype == np.int64
    assert again.fingerprint == stream.fingerprint


def test_the_files(tmp_path: Path) -> None:
    write_shards(DOCUMENTS, tmp_path / "a", vocab_size=1 << 16, shard_tokens=5)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "ids-00000.npy",
        "ids-00001.npy",
        "lengths-00000.npy",
        "lengths-00001.npy",
        "manifest.json",
    ]
    first = np.load(tmp_path / "a" / "ids-00000.npy")
    assert first.tolist() == [1, 5, 6, 2, 1, 7, 2]
    assert first.dtype == np.uint16
    assert np.load(tmp_path / "a" / "lengths-00001.npy").tolist() == [1, 8]
    write_shards(DOCUMENTS, tmp_path / "b", vocab_size=(1 << 16) + 1)
    assert np.load(tmp_path / "b" / "ids-00000.npy").dtype == np.uint32
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_dataset_of_shards_is_the_one_in_memory(tmp_path: Path, packed: bool) -> None:
    stream = write_shards(DOCUMENTS, tmp_path / "corpus", vocab_size=10, shard_tokens=5)
    filed = TextDataset.from_ids(stream, 4, pack=packed)
    held = TextDataset.from_ids(DOCUMENTS, 4, pack=packed)
    assert len(filed) == len(held)
    rows = np.arange(len(held))
    a, b = filed.batch(rows), held.batch(rows)
    for name in ("ids", "targets", "segments", "positions", "mask"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    def documents(count: int) -> object:
        rng = np.random.default_rng(0)
        return (rng.integers(0, 1000, 100).tolist() for _ in range(count))

    peaks = []
    for count in (100, 2000):
        tracemalloc.start()
        stream = write_shards(
            documents(count),  # type: ignore[arg-type]
            tmp_path / f"{count}",
            vocab_size=1000,
            shard_tokens=5000,
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(stream) == 100 * count
    assert peaks[1] < peaks[0] + 100_000  # 200,000 ids, of which 5,000 are held at a time


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> object:
        yield [1, 2]
        yield [3, 4]
        raise RuntimeError("the reader stopped")

    with pytest.raises(RuntimeError, match="the reader stopped"):
        write_shards(broken(), tmp_path / "corpus", vocab_size=10, shard_tokens=1)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    for wrong in ([3, 10], [-1, 3]):
        with pytest.raises(ValueError, match=r"from 0 to vocab_size - 1 = 9, got .* in document 1"):
            write_shards([[1], wrong], folder, vocab_size=10)
    for empty in ([], [[]]):
        with pytest.raises(ValueError, match="at least one document with an id in it, got none"):
            write_shards(empty, folder, vocab_size=10)
    with pytest.raises(ValueError, match="vocab_size and shard_tokens of at least 1, got 10 and 0"):
        write_shards([[1]], folder, vocab_size=10, shard_tokens=0)
    assert list(tmp_path.iterdir()) == []
    folder.mkdir()
    (folder / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="exists already; choose another name or remove it"):
        write_shards([[1]], folder, vocab_size=10)


def test_files_that_were_altered_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    write_shards(DOCUMENTS, folder, vocab_size=10, shard_tokens=5)
    ids = folder / "ids-00001.npy"
    whole = ids.read_bytes()

    ids.write_bytes(whole[:-2] + b"\x03\x00")
    with pytest.raises(ValueError, match=r"ids-00001\.npy: the content does not match"):
        open_shards(folder)
    assert len(open_shards(folder, verify=False)) == 16  # the shape is right

    ids.write_bytes(whole[:-2])
    with pytest.raises(ValueError, match=r"ids-00001\.npy: no whole \.npy file"):
        open_shards(folder, verify=False)
    np.save(ids, np.arange(3, dtype=np.uint16))
    with pytest.raises(
        ValueError, match=r"ids-00001\.npy: expected 9 integers, got uint16 .*\(3,\)"
    ):
        open_shards(folder, verify=False)
    ids.unlink()
    with pytest.raises(FileNotFoundError, match=r"ids-00001\.npy: missing, though the manifest"):
        open_shards(folder)

    manifest = folder / "manifest.json"
    document = json.loads(manifest.read_text())
    document["content"]["vocab_size"] = 11
    manifest.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="altered after it was saved"):
        open_shards(folder)
    manifest.unlink()
    with pytest.raises(FileNotFoundError, match=r"manifest\.json: no such file"):
        open_shards(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shards: shards[0]["ids"].update(file="../ids-00000.npy"), "files of this folder"),
        (lambda shards: shards[0]["ids"].pop("sha256"), "malformed content: 'sha256' is missing"),
        (lambda shards: shards[0].update(ids=3), "ids: expected an object, got 3"),
        (lambda shards: shards[0]["ids"].update(sha256=3), "sha256: expected a string, got 3"),
        (lambda shards: shards[0]["ids"].update(sha256="3"), "does not match the manifest"),
        (lambda shards: shards.append([]), "expected an object with 'ids'"),
        (lambda shards: shards[0].update(lengths=shards[0]["ids"]), "do not add up"),
    ],
)
def test_a_manifest_made_by_hand(tmp_path: Path, change: Any, message: str) -> None:
    folder = tmp_path / "corpus"
    write_shards(DOCUMENTS, folder, vocab_size=10, shard_tokens=5)
    content = json.loads((folder / "manifest.json").read_text())["content"]
    change(content["shards"])
    write_json(folder / "manifest.json", "token shards", content)  # with a checksum that is right
    with pytest.raises(ValueError, match=message):
        open_shards(folder)


def test_an_empty_stream() -> None:
    stream = TokenStream.from_ids([])
    assert (len(stream), stream.num_documents, stream.document_lengths.tolist()) == (0, 0, [])
    assert stream.read(0, 0).tolist() == []

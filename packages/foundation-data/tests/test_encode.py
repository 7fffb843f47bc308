"""Files become ids: what comes out is what one would encode at once, however it was cut."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import killing
import numpy as np
import pytest
from foundation_data import (
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    TokenStream,
    WordPieceTokenizer,
    WordTokenizer,
    encode_files,
    open_shards,
    tokenizer_of_shards,
    write_shards,
)
from foundation_data.batches import _encode
from foundation_data.reading import _blocks, read_blocks
from hypothesis import given
from hypothesis import strategies as st

LINES = "to be, or  not\n\n to be: that\r\nis\tthe question.\n\n\nœuvre 👍\n"
KINDS = (CharTokenizer, WordTokenizer, BPETokenizer, WordPieceTokenizer)
TOKENIZERS = {kind.kind: kind.train([LINES] * 3) for kind in KINDS}  # type: ignore[attr-defined]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=st.text(alphabet=LINES, max_size=60), block_bytes=st.integers(1, 9))
def test_blocks_have_the_tokens_of_the_whole(
    kind: str, text: str, block_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("blocks") / "text.txt", text)
    blocks = list(read_blocks(path, block_bytes=block_bytes))
    assert "".join(block.text for block in blocks) == text
    assert [block.ends for block in blocks] == [False] * (len(blocks) - 1) + [True]
    encode = TOKENIZERS[kind].encode
    assert [token for block in blocks for token in encode(block.text)] == encode(text)


def test_a_long_text_is_really_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "text.txt", LINES * 50)
    assert len(list(read_blocks(path, block_bytes=100))) > 20
    monkeypatch.setattr(_blocks, "_LONGEST_BLOCK", 30)
    path = write(tmp_path / "one_line.txt", "é" * 100)
    blocks = [block.text for block in read_blocks(path, block_bytes=7)]
    assert "".join(blocks) == "é" * 100
    assert max(map(len, blocks)) < 40


def test_documents_are_files_or_lines_of_json(tmp_path: Path) -> None:
    first = write(tmp_path / "first.txt", "ab\nb")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("a\nb", "", "bb"))
    second = write(tmp_path / "second.jsonl", lines)
    tokenizer = CharTokenizer.train(["ab\n"])
    a, b, n = tokenizer.encode("ab\n")
    stream = encode_files([first, second], tokenizer)
    assert stream.read(0, len(stream)).tolist() == [a, b, n, b, 2, a, n, b, 2, 2, b, b, 2]
    assert stream.document_lengths.tolist() == [5, 4, 1, 3]
    with pytest.raises(ValueError, match=r"second\.jsonl, line 1: .*'txt'"):
        encode_files([second], tokenizer, field="txt")


def test_no_utf_8_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\n" + "é".encode()[:1] + b"\n")
    for block_bytes in (1, 3, 5, 99):
        with pytest.raises(ValueError, match=r"text\.txt, byte 4: not UTF-8"):
            list(read_blocks(path, block_bytes=block_bytes))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_processes_change_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_encode, "_TASK_CHARACTERS", 50)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 50)
    lines = "".join(json.dumps({"text": LINES[n:]}) + "\n" for n in range(30))
    path = write(tmp_path / "texts.jsonl", lines)
    told: list[int] = []
    tokenizer: Tokenizer = TOKENIZERS[kind]
    alone = encode_files([path], tokenizer, workers=1, on_progress=told.append)
    assert len(told) > 10
    assert sum(told) == sum(len(LINES[n:].encode()) for n in range(30))
    several = encode_files([path], tokenizer, tmp_path / "shards", workers=2, shard_tokens=100)
    assert several.read(0, len(several)).tolist() == alone.read(0, len(alone)).tolist()
    assert several.document_lengths.tolist() == alone.document_lengths.tolist()
    assert tokenizer_of_shards(tmp_path / "shards") == tokenizer
    assert len(list((tmp_path / "shards").glob("ids-*"))) > 2


def die(_: list[str]) -> None:
    os._exit(1)


def test_a_process_that_dies_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_encode, "_TASK_CHARACTERS", 1)
    monkeypatch.setattr(_encode, "_encode_in_worker", die)
    path = write(tmp_path / "texts.jsonl", '{"text": "a"}\n' * 9)
    with pytest.raises(OSError, match="a process that encodes has died; was there too little"):
        encode_files([path], TOKENIZERS["char"], tmp_path / "shards", workers=2)
    assert not (tmp_path / "shards").exists()


ENCODE = """
import sys
from foundation_data import CharTokenizer, encode_files
from foundation_data.batches import _encode
if __name__ == "__main__":
    _encode._TASK_CHARACTERS = 1
    def stop(_):
        print("encoding", flush=True)
        sys.stdin.read()
    files, folder = sys.argv[1:2], sys.argv[2]
    encode_files(files, CharTokenizer.train(["a"]), folder, workers=2, on_progress=stop)
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    path = write(tmp_path / "texts.jsonl", '{"text": "a"}\n' * 9)
    script = write(tmp_path / "encode.py", ENCODE)
    command = [sys.executable, str(script), str(path), str(tmp_path / "shards")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "encoding\n"
        assert len(of_session(process.pid)) >= 3
        process.kill()
    deadline = time.monotonic() + 20
    while of_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert of_session(process.pid) == []
    tokenizer = CharTokenizer.train(["a"])
    # What it has left is replaced.
    assert len(encode_files([path], tokenizer, tmp_path / "shards", workers=1)) == 18


def of_session(leader: int) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if place.name.isdigit() and int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(place.name))
    return found


DOCUMENTS = [[1, 5, 6, 2], [1, 7, 2], [9]]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_while_writing(tmp_path: Path) -> None:
    tokenizer = CharTokenizer.train(["abcdef"])

    def encode(folder: Path) -> None:
        write_shards(DOCUMENTS, folder, 10, shard_tokens=4, tokenizer=tokenizer)

    whole = tmp_path / "whole"
    calls = killing.run(lambda: encode(whole), whole)
    assert calls is not None
    assert calls > 20

    def check(fatal: int) -> None:
        folder = tmp_path / str(fatal)
        finished = killing.run(lambda: encode(folder), folder, fatal) is not None
        if finished or (folder / "manifest.json").exists():
            assert len(open_shards(folder)) == 8
        else:
            encode(folder)
            assert contents(folder) == contents(whole), fatal

    killing.for_each(range(1, calls + 1), check)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")
def test_killed_at_any_call_to_the_file_system() -> None:
    killing.in_a_process_of_its_own(__name__, "killed_while_writing")


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from foundation_nn.training import own_folder\n"
        "with own_folder(sys.argv[1]):\n    print('mine', flush=True); sys.stdin.read()"
    )
    folder = tmp_path / "shards"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(OSError, match="another process is at work there"):
            write_shards(DOCUMENTS, folder, 10)
        other.communicate("")
    assert len(write_shards(DOCUMENTS, folder, 10)) == 8
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "text.txt", "abab")
    encode_files([path], CharTokenizer.train(["ab"]), tmp_path / "shards")
    CharTokenizer.train(["bba"]).save(tmp_path / "shards" / "tokenizer.json")
    with pytest.raises(ValueError, match="not the tokenizer that the shards were encoded with"):
        tokenizer_of_shards(tmp_path / "shards")
    write_shards(DOCUMENTS, tmp_path / "bare", 10)
    assert tokenizer_of_shards(tmp_path / "bare") is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no shards, or not all of them"):
        open_shards(tmp_path / "empty")


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any), st.integers(1, 9), st.data()
)
def test_a_stream_is_split(lengths: list[int], shard: int, data: st.DataObject) -> None:
    flat = np.arange(sum(lengths))
    documents = np.split(flat, np.cumsum(lengths)[:-1])
    folder_lengths = [documents[i : i + shard] for i in range(0, len(documents), shard)]
    stream = TokenStream(
        [np.concatenate(part) for part in folder_lengths],
        [np.array([len(d) for d in part]) for part in folder_lengths],
        "x",
    )
    place = data.draw(st.integers(0, len(flat)))
    before, after = stream.split(place)
    assert before.read(0, len(before)).tolist() == flat[:place].tolist() if place else True
    assert after.read(0, len(after)).tolist() == flat[place:].tolist() if len(after) else True
    assert before.document_lengths.sum() == place
    ends = set(np.cumsum(before.document_lengths)) | {
        place + n for n in np.cumsum(after.document_lengths)
    }
    assert ends == (set(np.cumsum(lengths)) | {place}) - {0}
    assert len({stream.fingerprint, before.fingerprint, after.fingerprint}) == 3

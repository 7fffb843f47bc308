"""Commands that are given pipes, devices, files without an end and texts that are too large."""

import io
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from foundation_data import BPETokenizer, CharTokenizer, WordTokenizer
from foundation_nn import checkpoint
from foundation_transformer import CausalLM, Transformer, TransformerConfig
from foundation_transformer.cli import main
from foundation_transformer.cli._search import passages

TEXTS = ["the cat sat on the mat", "a mask is true"] * 3


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writer")
    tokenizer = CharTokenizer.train(TEXTS)
    config = TransformerConfig.gpt2(
        vocab_size=len(tokenizer), max_len=20, d_model=8, num_heads=2, num_layers=1
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    return checkpoint.save(folder / "model", model, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translator")
    tokenizer = WordTokenizer.train(TEXTS)
    config = TransformerConfig(
        vocab_size=len(tokenizer), max_len=20, d_model=8, num_heads=2, num_layers=1
    )
    model = Transformer(config, rng=np.random.default_rng(0))
    tokenizers = {"source_tokenizer": tokenizer, "target_tokenizer": tokenizer}
    return checkpoint.save(folder / "model", model, **tokenizers)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says on its one line."""
    assert main([str(argument) for argument in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.mark.skipif(os.name != "posix", reason="there are no such files here")
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_commands_read_regular_files_alone(
    writer: Path,
    translator: Path,
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("text.txt", "pairs.tsv", "settings.toml", "page.md"):
        if kind == "pipe":
            os.mkfifo(tmp_path / name)
        else:
            (tmp_path / name).symlink_to("/dev/zero")
    told = f"expected a regular file, got a {kind}; write its content to a file"
    text, pairs = tmp_path / "text.txt", tmp_path / "pairs.tsv"
    assert told in refused(capsys, "generate", writer, "--file", text)
    assert told in refused(capsys, "evaluate", writer, "--data", text)
    assert told in refused(capsys, "translate", translator, text)
    assert told in refused(capsys, "evaluate", translator, "--data", pairs)
    assert told in refused(capsys, "train", "translation", "--data", pairs)
    assert told in refused(capsys, "train", "language-model", "--data", text)
    assert told in refused(capsys, "train", tmp_path / "settings.toml")
    with pytest.raises(ValueError, match=told):
        list(passages(tmp_path / "page.md"))


def test_texts_have_bounds_that_can_be_raised(
    writer: Path,
    translator: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat " * 9)
    told = "has 72 bytes, and at most 71 are read; if it is meant to be so large, raise --max-bytes"
    assert told in refused(capsys, "generate", writer, "--file", text, "--max-bytes", 71)
    assert told in refused(capsys, "evaluate", writer, "--data", text, "--max-bytes", 71)
    for command in (["generate", writer, "--file"], ["evaluate", writer, "--data"]):
        assert main([*map(str, command), str(text), "--max-bytes", "72"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat"))
    told = "standard input: has more than 5 characters"
    assert told in refused(capsys, "generate", writer, "--max-bytes", 5)
    pairs = ["--data", tmp_path / "pairs.tsv"]
    told = "--max-bytes: does nothing for a translator"
    assert told in refused(capsys, "evaluate", translator, *pairs, "--max-bytes", 5)


def test_a_file_with_holes_is_not_read_into_memory(
    writer: Path, translator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "text.txt"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    assert "has 1,099,511,627,776 bytes" in refused(capsys, "generate", writer, "--file", file)
    assert "has 1,099,511,627,776 bytes" in refused(capsys, "evaluate", writer, "--data", file)
    assert "line 1: longer than 16,777,216" in refused(capsys, "translate", translator, file)


def test_settings_that_are_nested_without_an_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep.toml"
    file.write_text("a = " + "[" * 50_000)
    assert "deep.toml: not valid TOML (nested too deep)" in refused(capsys, "train", file)
    file.write_text("a = " + "9" * 5000)
    assert "deep.toml: not valid TOML (" in refused(capsys, "train", file)


def test_code_takes_a_time_that_grows_with_their_length(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    fences = [("`" * length) + " x" for length in range(2000, 2, -1)]
    page.write_text("\n".join(fences) + "\ntext\n" * 2000)
    started = time.perf_counter()
    assert list(passages(page)) == []  # the first block of code never ends
    assert time.perf_counter() - started < 5


def test_a_block_of_code_ends_with_as_many_signs_or_more(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("one\n\n````\n```\ncode\n`````\ntwo\n```\ncode\n``` \nthree\n")
    assert [(p.line, p.text) for p in passages(page)] == [(1, "one"), (7, "two"), (11, "three")]


def test_a_tokenizer_with_half_a_character_can_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON may hold it; a page in UTF-8 may not."""
    tokenizer = BPETokenizer.train(TEXTS, max_size=300)
    config = TransformerConfig.gpt2(
        vocab_size=len(tokenizer), max_len=40, d_model=8, num_heads=2, num_layers=1
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    checkpoint.save(tmp_path / "model", model, tokenizer=tokenizer)
    page = tmp_path / "page.html"
    arguments = ["attention", str(tmp_path / "model"), "the \ud800 cat", "--out", str(page)]
    assert main(arguments) == 0
    assert page.read_text("utf-8")
    capsys.readouterr()

"""The command line from end to end: train, translate, be interrupted, be given nonsense."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foundation_data import read_pairs
from foundation_nn import checkpoint
from foundation_nn.training import Callback, Step, Trainer
from foundation_transformer import Transformer, translate
from foundation_transformer.cli import _demo, main

pytest.importorskip("matplotlib")
pytest.importorskip("sacrebleu")
from matplotlib.image import imread

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
NOMBRES = ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix"]
PICTURES = ["attention.png", "loss.png", "positions.png"]
PAGES = ["attention.html", "report.html"]


def write_pairs(path: Path) -> Path:
    lines = [
        f"{NUMBERS[i]} and {NUMBERS[j]} .\t{NOMBRES[i]} et {NOMBRES[j]} .\n"
        for i in range(10)
        for j in range(10)
    ]
    path.write_text("".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a finished demo, and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    data = write_pairs(folder / "numbers.tsv")
    out = folder / "out"
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", printed)
        code = main(["demo", "--data", str(data), "--epochs", "1", "--out", str(out)])
    assert code == 0
    return out, printed.getvalue()


def test_the_demo_leaves_a_checkpoint_pictures_and_pages(run: tuple[Path, str]) -> None:
    out, _ = run
    assert sorted(path.name for path in out.iterdir()) == sorted([*PICTURES, *PAGES, "checkpoint"])
    for name in PICTURES:
        assert imread(out / name)[..., :3].std() > 0.02  # not blank
    curve, heads = ((out / name).read_text("utf-8") for name in reversed(PAGES))
    assert "Held-out loss" in curve
    assert "decoder layer 2, attention to the source" in heads


def test_the_demo_says_what_it_does(run: tuple[Path, str]) -> None:
    out, printed = run
    for part in (
        "100",  # pairs read
        "held out",
        "source vocabulary",
        "target vocabulary",
        "Training for 1 epochs",
        "BLEU",
        "chrF",
        "exact match",
        str(out / "checkpoint"),
        *(str(out / name) for name in [*PICTURES, *PAGES]),
        f"foundation translate {out}",
    ):
        assert part in printed


def test_the_checkpoint_translates_what_was_printed(run: tuple[Path, str]) -> None:
    out, printed = run
    model, extras, optimizer = checkpoint.load(out / "checkpoint")
    assert isinstance(model, Transformer)
    assert optimizer is not None
    assert len(extras["history"].steps) == 2  # about ninety pairs, 64 at once
    shown = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    pairs = [(s, t[2:]) for s, t in pairwise(shown) if t.startswith("= ")]
    assert len(pairs) >= 5
    tokenizers = extras["source_tokenizer"], extras["target_tokenizer"]
    translations = translate(model, [source for source, _ in pairs], *tokenizers)
    assert translations == [target.strip() for _, target in pairs]


@pytest.mark.parametrize("inner", ["", "checkpoint"])
def test_translate_reads_standard_input(
    run: tuple[Path, str],
    inner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = run
    lines = ["two and three .", "", "ten and one .", "quux"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
    assert main(["translate", str(out / inner)]) == 0
    model, extras, _ = checkpoint.load(out / "checkpoint")
    tokenizers = extras["source_tokenizer"], extras["target_tokenizer"]
    expected = [translate(model, [line], *tokenizers)[0] if line else "" for line in lines]
    captured = capsys.readouterr()
    assert captured.out.splitlines() == expected
    assert captured.err == ""


def test_interactive_takes_the_model_of_an_earlier_run(
    run: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for arguments in (["translate", str(run[0])], ["demo", "--interactive", "--out", str(run[0])]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("two and three .\n"))
        assert main(arguments) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != ""


def test_on_a_terminal_words_it_has_never_seen_are_named(
    run: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    lines = ["two and quux .", "one " * 70, "two and three .", "", "never reached"]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(lines) + "\n"))
    assert main(["translate", str(run[0])]) == 0
    printed = capsys.readouterr().out
    assert "words it has never seen: quux" in printed
    assert "71 tokens, the model reads 64" in printed  # said, and on it goes
    assert printed.count("> ") == 4


def test_the_same_seed_gives_the_same_weights_and_replaces_an_older_run(
    tmp_path: Path, run: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_pairs(tmp_path / "numbers.tsv")
    out = tmp_path / "out"
    monkeypatch.setattr(_demo, "draw", lambda *_: [])  # pictures take longest
    states = [checkpoint.load(run[0] / "checkpoint").model.state_dict()]
    for seed in ("1", "0"):
        arguments = ["demo", "--data", str(data), "--epochs", "1", "--seed", seed]
        assert main([*arguments, "--out", str(out)]) == 0
        states.append(checkpoint.load(out / "checkpoint").model.state_dict())
    for name, value in states[0].items():
        np.testing.assert_array_equal(states[2][name], value)
    assert any((states[1][name] != value).any() for name, value in states[0].items())
    assert [path.name for path in out.iterdir()] == ["checkpoint"]


class Impatient(Callback):
    """A person who presses Ctrl-C during the third step."""

    def on_step(self, trainer: Trainer, step: Step) -> None:
        if trainer.steps == step.step == 3:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_leaves_a_usable_checkpoint_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pairs(tmp_path / "numbers.tsv")
    out = tmp_path / "out"
    monkeypatch.setattr(_demo, "Progress", lambda _: Impatient())
    assert main(["demo", "--data", str(data), "--epochs", "50", "--out", str(out)]) == 130
    captured = capsys.readouterr()
    assert "Trained 3 steps" in captured.out
    assert "Interrupted" in captured.out
    assert f"foundation translate {out}" in captured.out
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("two and three .\n"))
    assert main(["translate", str(out)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- bad input


def refused(arguments: list[Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command; the one line with which it was refused."""
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert code != 0
    assert captured.err.startswith(f"foundation {arguments[0]}: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert "Training for" not in captured.out  # found out before, not after
    return captured.err


def empty(folder: Path) -> Path:
    path = folder / "empty.tsv"
    path.write_bytes(b"")
    return path


def one_column(folder: Path) -> Path:
    path = write_pairs(folder / "pairs.tsv")
    lines = path.read_text("utf-8").splitlines()
    lines[6] = "no tab here"
    path.write_text("\n".join(lines), "utf-8")
    return path


def latin1(folder: Path) -> Path:
    path = folder / "latin1.tsv"
    path.write_bytes("one\tun\nsummer\tété\n".encode("latin-1"))
    return path


def missing(folder: Path) -> Path:
    return folder / "nowhere.tsv"


def unknown_ending(folder: Path) -> Path:
    return write_pairs(folder / "pairs.docx")


def too_few(folder: Path) -> Path:
    path = folder / "few.tsv"
    path.write_text("one\tun\n", "utf-8")
    return path


def a_folder(folder: Path) -> Path:
    path = folder / "folder.tsv"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty, ["empty.tsv", "empty"]),
        (one_column, ["pairs.tsv, line 7", "two columns", "tab"]),
        (latin1, ["latin1.tsv, line 2", "UTF-8", "0xe9"]),
        (missing, ["nowhere.tsv", "no such file"]),
        (unknown_ending, ["pairs.docx", ".tsv"]),
        (too_few, ["few.tsv", "too few"]),
        (a_folder, ["folder.tsv", "expected a file, got a folder"]),
    ],
)
def test_data_that_cannot_be_used(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    words: list[str],
) -> None:
    out = tmp_path / "out"
    line = refused(["demo", "--data", make(tmp_path), "--out", out], capsys)
    for word in words:
        assert word in line
    assert not list(out.rglob("*"))  # nothing half-written


@pytest.mark.parametrize("option", ["--to", "--from"])
def test_an_unknown_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    pytest.importorskip("emoji")
    line = refused(["demo", option, "xx", "--out", tmp_path / "out"], capsys)
    assert "'xx'" in line
    for language in ("de", "en", "fr", "ja"):
        assert language in line  # those there are
    assert not list(tmp_path.rglob("out/*"))


def test_the_same_language_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("emoji")
    line = refused(["demo", "--to", "en", "--out", tmp_path / "out"], capsys)
    assert "two different languages" in line


@pytest.mark.parametrize("inner", ["", "deeper"])
def test_a_file_in_the_way_of_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], inner: str
) -> None:
    data = write_pairs(tmp_path / "pairs.tsv")
    (tmp_path / "file").write_text("mine")
    line = refused(["demo", "--data", data, "--out", tmp_path / "file" / inner], capsys)
    assert str(tmp_path / "file") in line
    assert "--out" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_something_else_in_the_way_of_the_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    data = write_pairs(tmp_path / "pairs.tsv")
    place = tmp_path / "out" / "checkpoint"
    mine = place if kind == "file" else place / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    line = refused(["demo", "--data", data, "--epochs", "1", "--out", tmp_path / "out"], capsys)
    assert str(place) in line
    assert mine.read_text() == "mine"
    assert len(list((tmp_path / "out").rglob("*"))) == (1 if kind == "file" else 2)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_a_truncated_checkpoint(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: tuple[Path, str],
    name: str,
    keep: float,
) -> None:
    shutil.copytree(run[0] / "checkpoint", tmp_path / "checkpoint")
    file = tmp_path / "checkpoint" / name
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])
    line = refused(["translate", tmp_path], capsys)
    assert str(file) in line
    assert "altered" in line


def test_a_checkpoint_without_its_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: tuple[Path, str]
) -> None:
    shutil.copytree(run[0] / "checkpoint", tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "model.safetensors").unlink()
    line = refused(["translate", tmp_path], capsys)
    assert "model.safetensors: missing" in line


def test_a_checkpoint_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: tuple[Path, str]
) -> None:
    checkpoint.save(tmp_path / "bare", checkpoint.load(run[0] / "checkpoint").model)
    line = refused(["translate", tmp_path / "bare"], capsys)
    assert str(tmp_path / "bare") in line
    assert "translator" in line


@pytest.mark.parametrize("arguments", [["translate"], ["demo", "--interactive", "--out"]])
def test_no_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    line = refused([*arguments, tmp_path / "nowhere"], capsys)
    assert str(tmp_path / "nowhere") in line
    assert not list(tmp_path.iterdir())


def test_a_source_longer_than_the_positions(
    run: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one " * 70 + "\n"))
    line = refused(["translate", run[0]], capsys)
    assert "71 tokens, the model reads 64" in line
    assert "split the sentence" in line


def test_as_a_program_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "foundation_transformer.cli", "translate", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("foundation translate: nowhere: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["demo", "--epochs", "0"], "whole number of at least 1"),
        (["demo", "--epochs", "many"], "whole number of at least 1"),
        (["fly"], "invalid choice"),
    ],
)
def test_arguments_that_are_none(
    capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert word in capsys.readouterr().err


def test_the_test_data_are_as_intended(tmp_path: Path) -> None:
    assert len(read_pairs(write_pairs(tmp_path / "numbers.tsv"))) == 100

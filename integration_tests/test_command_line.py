"""What the command line does when a run is interrupted, misused, or read only in part."""

import io
import itertools
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from foundation_nn import checkpoint
from foundation_nn.training import Callback, Progress
from foundation_transformer import Transformer
from foundation_transformer.cli import main
from test_demo import write_pairs


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data file and the folder of a finished run on it."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_pairs(folder / "numbers.tsv")
    out = folder / "out"
    assert main(["demo", "--data", str(data), "--epochs", "1", "--out", str(out)]) == 0
    return data, out


def interrupting_progress(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def test_half_a_run_does_not_replace_a_finished_one(
    finished: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = finished
    mine = tmp_path / "out"
    shutil.copytree(out, mine)
    (mine / "holiday.png").write_bytes(b"mine")
    before = (mine / "checkpoint" / "model.safetensors").read_bytes()
    monkeypatch.setattr(Progress, "on_step", interrupting_progress)
    assert main(["demo", "--data", str(data), "--seed", "7", "--out", str(mine)]) == 130
    printed = capsys.readouterr().out
    assert (mine / "checkpoint" / "model.safetensors").read_bytes() == before
    place = mine / "checkpoint-interrupted"
    assert f"foundation translate {place}" in printed
    assert "holiday.png" not in printed
    assert "loss.png" not in printed  # of the earlier run
    assert isinstance(checkpoint.load(place).model, Transformer)


def test_ctrl_c_while_scoring_says_that_the_model_is_saved(
    finished: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from foundation_transformer.cli import _demo

    def impatient(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_demo, "show_translations", impatient)
    out = tmp_path / "out"
    assert main(["demo", "--data", str(finished[0]), "--epochs", "1", "--out", str(out)]) == 130
    assert "the trained model is saved" in capsys.readouterr().out
    assert checkpoint.load(out / "checkpoint").model


def test_a_replacement_that_was_cut_short_is_found(
    finished: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[1], out)
    # Killed when the new description was in its place, and the new arrays not yet in theirs.
    content = json.loads((out / "checkpoint" / "checkpoint.json").read_text("utf-8"))
    arrays = out / "checkpoint" / "model.safetensors"
    digest = content["files"]["model.safetensors"]
    arrays.rename(arrays.with_name(f".model.{digest[:16]}.part.safetensors"))
    arrays.write_bytes(b"the older ones")
    monkeypatch.setattr(sys, "stdin", io.StringIO("one two\n"))
    assert main(["translate", str(out)]) == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "x.tsv", "--to", "de"], "--from and --to choose among the emoji names"),
        (["--columns", "1,2"], "--columns does nothing without --data"),
        (["--interactive", "--epochs", "3"], "--epochs does nothing with --interactive"),
        (["--interactive", "--seed", "3"], "--seed does nothing with --interactive"),
        (["--seed", "-3"], "--seed: expected a whole number of at least 0, got '-3'"),
        (["--max-seconds", "soon"], "--max-seconds: expected a whole number of at least 1"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_nothing_is_left_behind_where_nothing_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["demo", "--to", "xx", "--out", str(out)]) == 1
    assert "expected a language among" in capsys.readouterr().err
    assert not out.exists()
    assert main(["demo", "--interactive", "--out", str(out)]) == 1
    assert "no trained model there; train one with: foundation demo" in capsys.readouterr().err


def test_a_file_is_no_checkpoint(
    finished: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", str(finished[0])]) == 1
    assert "a file; expected the folder of a run" in capsys.readouterr().err


def run_translate(out: Path, text: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "foundation_transformer.cli", "translate", str(out)]
    return subprocess.run(command, input=text, capture_output=True, check=False)


def test_bad_lines_of_standard_input_are_named(finished: tuple[Path, Path]) -> None:
    latin = run_translate(finished[1], b"one\n" + "été\n".encode("latin-1") * 2)
    assert latin.returncode == 1
    assert b"not UTF-8; convert it first" in latin.stderr
    assert b"Traceback" not in latin.stderr
    long = run_translate(finished[1], b"one\n\n" + b"two " * 99 + b"\n")
    assert long.returncode == 1
    assert b"standard input, line 3" in long.stderr
    assert long.stdout.count(b"\n") == 3  # the others have their answers, in their lines


def test_a_reader_that_stops_reading_is_no_error(finished: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "foundation_transformer.cli", "translate", str(finished[1])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(b"one\n" * 50)
    assert errors == b""
    assert process.returncode == 0


def test_the_learning_rate_comes_down_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time

    from foundation_data import BatchLoader, TranslationDataset, WordTokenizer
    from foundation_transformer import TransformerConfig, recipes

    class Rates(Callback):
        def __init__(self) -> None:
            self.rates: list[float] = []

        def on_step(self, _: object, step: object) -> None:
            self.rates.append(step.lr)  # type: ignore[attr-defined]

    pairs = [("one two", "un deux"), ("two", "deux")] * 8
    tokenizers = [WordTokenizer.train([pair[i] for pair in pairs]) for i in (0, 1)]
    loader = BatchLoader(TranslationDataset(pairs, *tokenizers), batch_size=4)
    config = TransformerConfig.tiny(
        vocab_size=len(tokenizers[0]), target_vocab_size=len(tokenizers[1]), d_model=16, max_len=8
    )
    rates = Rates()
    ticks = itertools.count()  # a clock that a busy machine does not slow down
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 1000)
    trainer = recipes.train_translator(
        Transformer(config), loader, epochs=10**6, max_seconds=0.6, callbacks=[rates]
    )
    assert trainer.stopped_by == "seconds"
    assert max(rates.rates) > 2e-3
    assert rates.rates[-1] < 2e-4


@pytest.mark.parametrize("command", [["inspect"], ["report"], ["resume"], ["search", "x"]])
def test_a_name_in_a_message_neither_acts_nor_looks_like_another_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[31mb\nfoundation: all is well"
    folder.mkdir()
    rest = ["question"] if command == ["search", "x"] else []
    assert main([*command, str(folder), *rest]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "a\\x1b[31mb\\nfoundation: all is well" in err

"""The command where its streams, its folder or its terminal are gone or unusual."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from foundation_nn.training import checkpoints_of
from foundation_transformer.cli import _main as shell
from foundation_transformer.cli import main
from foundation_transformer.cli._streams import printable
from test_demo import write_pairs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors and signals of POSIX")

COMMAND = [sys.executable, "-m", "foundation_transformer.cli"]
SMALL = ["--model", "d_model=16", "--model", "num_layers=1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "numbers.tsv")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out = data.parent / "run"
    assert main([*train(data, out), "--epochs", "1"]) == 0
    return out


def train(data: Path, out: Path) -> list[str]:
    return ["train", "translation", "--data", str(data), "--out", str(out), *SMALL]


def in_shell(line: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which ``"$@"`` stands for the command with its arguments."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize(
    "line",
    [
        '"$@" | head -1; exit ${PIPESTATUS[0]}',
        '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}',
        '"$@" >&- 2>&-',
        '"$@" <&- >&- 2>&-',
        '"$@" > /dev/full',
    ],
)
def test_a_training_is_not_lost_when_nobody_reads_what_it_says(
    data: Path, tmp_path: Path, line: str
) -> None:
    done = in_shell(line, *train(data, tmp_path / "run"), "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(checkpoints_of(tmp_path / "run")) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"$@" <&-', "standard input is closed"),
        ('echo one | "$@" >&-', "standard output: Bad file descriptor"),
        ('echo one | "$@" > /dev/full', "standard output: No space left on device"),
    ],
)
def test_a_translation_that_cannot_be_read_or_written_is_a_failure(
    run: Path, line: str, message: str
) -> None:
    done = in_shell(line, "translate", run)
    assert done.returncode == 1
    assert done.stderr == f"foundation translate: {done.stderr.partition(': ')[2]}"
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_lines_end_where_other_programs_end_them(run: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"one\rtwo\r\nsix\n")
    for line, arguments in (('"$@" < ' + str(text), []), ('"$@"', [text])):
        done = in_shell(line, "translate", run, *arguments)
        assert (done.returncode, done.stdout.count("\n")) == (0, 2)


def test_nothing_is_written_into_a_file_that_took_the_number_of_a_closed_stream(
    run: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = in_shell('"$@" 2>&- >&-', "attention", run, "one", "--out", page)
    assert page.read_text("utf-8").startswith("<!doctype html>"), done


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_of_few_characters(data: Path, tmp_path: Path, encoding: str) -> None:
    done = in_shell('"$@"', "train", "--help", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    pairs = tmp_path / "pairs.tsv"
    # A pair is dropped, and the report shows it with an arrow.
    pairs.write_text(data.read_text("utf-8") + "дом\t\n", "utf-8")
    done = in_shell(
        '"$@"', *train(pairs, tmp_path / "run"), "--epochs", "1", PYTHONIOENCODING=encoding
    )
    assert done.returncode == 0, done.stderr
    assert "'\\u0434\\u043e\\u043c' -> ''" in done.stdout


def stopped_by(number: int, command: list[str], out: Path) -> subprocess.Popen[bytes]:
    """The process of a run that has begun and was sent a signal."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not (out / "history.jsonl").exists():
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    process.wait()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_keeps_its_step_and_says_so(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    process = stopped_by(number, [*COMMAND, *train(data, out), "--epochs", "9999"], out)
    assert process.returncode == 130
    assert len(checkpoints_of(out)) >= 1


def test_a_run_whose_folder_was_deleted_fails(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with subprocess.Popen(
        [*COMMAND, *train(data, out), "--epochs", "9999"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not checkpoints_of(out):
            time.sleep(0.02)
        out.rename(tmp_path / "gone")  # at once: it may be writing there just now
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 1
    assert f"{out}: was removed while the run went on" in errors
    assert "Traceback" not in errors


def test_a_full_disk_is_told_with_the_name_of_the_file(data: Path, tmp_path: Path) -> None:
    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    out = tmp_path / "run"
    done = subprocess.run(
        [*COMMAND, *train(data, out), "--epochs", "2"],
        capture_output=True,
        text=True,
        preexec_fn=no_large_files,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"foundation train: {out}")
    assert "safetensors" in last
    assert "File too large" in last


# --- what an error is called


def raising(error: Exception) -> None:
    raise error


def fails_with(monkeypatch: pytest.MonkeyPatch, function: object) -> int:
    from foundation_transformer.cli import _inspect

    monkeypatch.setattr(_inspect, "inspect", function)
    return main(["inspect", "x"])


def test_a_fault_of_ours_shows_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for fault in (
        lambda _: {}["x"],
        lambda _: 1 / 0,
        lambda _: next(iter(())),
        lambda _: "x" + 1,  # type: ignore[operator]
        lambda _: int("x"),
        lambda _: raising(RecursionError("deep")),
    ):
        assert fails_with(monkeypatch, fault) == shell.OUR_FAULT
        errors = capsys.readouterr().err
        assert errors.startswith("Traceback")
        assert "this is a fault of the program, not yours" in errors


def test_what_a_library_refuses_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from foundation_seq import SamplingConfig

    for refused, words in (
        (lambda _: SamplingConfig(temperature=-1), "temperature"),
        (lambda _: raising(MemoryError()), "not enough memory"),
        (
            lambda _: raising(FileNotFoundError(2, "No such file or directory", "a.txt")),
            "a.txt: No",
        ),
        (lambda _: __import__("not_there"), "install foundation-transformer[cli]"),
    ):
        assert fails_with(monkeypatch, refused) == 1
        errors = capsys.readouterr().err
        assert errors.startswith("foundation inspect: ")
        assert words in errors
        assert errors.count("\n") == 1


def test_control_characters_are_shown() -> None:
    assert printable("a\x1b[2Jb\rc\x9bd\u202ee\tf\n") == "a\\x1b[2Jb\\rc\\x9bd\\u202ee\tf\n"
    assert printable("→ é 日本 🙂") == "→ é 日本 🙂"


def on_a_terminal(*arguments: object) -> str:
    """What the command shows on a terminal."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # nobody writes there any longer
            break
        if not piece:
            break
        shown += piece
    process.wait()
    os.close(ours)
    return shown.decode()


def test_what_a_file_holds_does_not_steer_the_terminal(tmp_path: Path) -> None:
    evil = tmp_path / "\x1b[2J\x1b]0;title\x07.txt"
    for arguments in (["inspect", evil], ["train", "language-model", "--data", evil]):
        shown = on_a_terminal(*arguments)
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\\x1b[2J\\x1b]0;title\\x07.txt" in shown


def test_the_bar_of_a_training_fits_its_terminal_and_leaves_no_half_line(
    data: Path, tmp_path: Path
) -> None:
    shown = on_a_terminal(*train(data, tmp_path / "run"), "--epochs", "1")
    frames = [line.rstrip("\r") for part in shown.split("\n") for line in part.split("\r")]
    bars = [frame for frame in frames if "%|" in frame]
    assert bars
    assert max(map(len, bars)) <= 80
    assert "\\x" not in shown
    assert shown.endswith("\n")

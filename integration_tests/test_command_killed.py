"""The command, killed at any moment: what is typed again goes on to the same bytes."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import killing
import pytest
from foundation_nn.training import checkpoints_of
from foundation_transformer.cli import _corpus, main
from test_command_train import contents

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")

TEXT = "one and two makes three.\n" * 12
SMALL = ["--model", "d_model=8", "--model", "num_layers=1", "--model", "num_heads=2"]
SMALL += ["--batch-size", "4", "--max-len", "8", "--samples", "0", "--quiet"]


def begin_or_go_on(text: Path, folder: Path) -> None:
    """What one types after a kill: ``resume`` if the folder holds a run, else ``train`` again."""
    if (folder / "run.json").exists():
        status = main(["resume", str(folder), "--quiet"])
    else:
        options = ["--data", str(text), "--steps", "4", "--evaluate-every", "2", *SMALL]
        status = main(["train", "language-model", *options, "--out", str(folder)])
    assert status == 0


def killed_while_training_on_ids_in_files(folder: Path) -> None:
    """Before many of the calls to the file system, most of all the first ones, and twice."""
    os.environ["FOUNDATION_PROCESSES"] = "1"
    _corpus.LARGE = 100
    text = folder / "text.txt"
    text.write_text(TEXT, "utf-8")
    whole = folder / "whole"
    calls = killing.run(lambda: begin_or_go_on(text, whole), whole)
    assert calls is not None
    assert calls > 100
    expected = contents(whole)
    assert {Path(name).parts[0] for name in expected} >= {"train_ids", "held_out_ids", "last"}

    def check(fatal: int) -> None:
        place = folder / f"run_{fatal}"
        for _ in range(2):  # the second time, its end may come before
            killing.run(lambda: begin_or_go_on(text, place), place, fatal)
        killing.run(lambda: begin_or_go_on(text, place), place)
        assert contents(place) == expected, f"killed before call {fatal}"
        names = sorted(path.name for path in place.iterdir())
        assert names == sorted(path.name for path in whole.iterdir()), names
        shutil.rmtree(place)

    killing.for_each([*range(1, 60, 4), *range(60, calls, 23)], check)


def test_killed_while_training_on_ids_in_files() -> None:
    killing.in_a_process_of_its_own(__name__, "killed_while_training_on_ids_in_files")


@pytest.mark.skipif(
    not Path(sys.executable).with_name("mpiexec").exists()
    or importlib.util.find_spec("mpi4py") is None,
    reason="needs the extra mpi",
)
def test_one_of_two_processes_is_killed(tmp_path: Path) -> None:
    """The other one ends, too; both go on to the bytes that they would have had."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "foundation_transformer.cli", *map(str, arguments)]
        return subprocess.Popen([*command, "--processes", "2"], env=environment)

    def train(folder: Path) -> subprocess.Popen[bytes]:
        options = ["--data", text, "--steps", 400, "--save-every", 40, *SMALL, "--out", folder]
        return start("train", "language-model", *options)

    assert train(tmp_path / "whole").wait(100) == 0
    expected = contents(tmp_path / "whole")
    run = tmp_path / "run"
    process = train(run)
    deadline = time.monotonic() + 60
    while not checkpoints_of(run) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(json.loads((run / ".lock").read_text("utf-8"))["pid"], signal.SIGKILL)
    assert process.wait(60) not in (0, 130)
    assert start("resume", run, "--quiet").wait(100) == 0
    assert contents(run) == expected

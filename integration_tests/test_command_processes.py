"""Commands that train start themselves in several processes, and end as one would."""

import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from foundation_nn.distributed import launch
from foundation_nn.training import FolderInUseError, checkpoints_of, own_folder, read_history
from test_demo import write_pairs

SMALL = ["--model", "d_model=16", "--model", "num_layers=1", "--model", "dropout=0.0"]
SMALL += ["--batch-size", "16"]
needs_mpi = pytest.mark.skipif(
    not Path(sys.executable).with_name("mpiexec").exists()
    or importlib.util.find_spec("mpi4py") is None,
    reason="needs the extra mpi",
)


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "foundation_transformer.cli", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
    )


def run(*arguments, **environment):
    """Status, standard output and standard error."""
    with start(*arguments, **environment) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data") / "numbers.tsv")


def train(data, out, *more, **environment):
    return run("train", "translation", "--data", data, *SMALL, "--out", out, *more, **environment)


@needs_mpi
def test_two_processes_train_what_one_does(data, tmp_path):
    """The same run but for rounding; it remembers its number and is resumed by as many."""
    status, out, err = train(data, tmp_path / "two", "--epochs", 2, "--processes", 2)
    assert status == 0, err
    assert out.count("2 processes × 1 thread, MPICH") == 1
    assert out.count("Ended after step") == 1  # the second process says nothing
    status, out, err = train(data, tmp_path / "one", "--epochs", 2)
    assert status == 0, err
    assert "processes ×" not in out
    two, one = (read_history(tmp_path / name / "history.jsonl") for name in ("two", "one"))
    losses = [[step.loss for step in history.steps] for history in (two, one)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert [step.tokens for step in two.steps] == [step.tokens for step in one.steps]
    assert [each.step for each in two.evaluations] == [each.step for each in one.evaluations]

    def environment():
        return json.loads((tmp_path / "two" / "run.json").read_text("utf-8"))["tables"][
            "Environment"
        ]

    assert environment()["processes"] == "2"
    del os.environ["FOUNDATION_PROCESSES"]
    try:
        status, out, err = run("resume", tmp_path / "two", "--epochs", 3)
    finally:
        os.environ["FOUNDATION_PROCESSES"] = "1"
    assert status == 0, err
    assert "2 processes" in out
    status, out, err = run("resume", tmp_path / "two", "--epochs", 4, "--processes", 1)
    assert status == 0, err
    assert "processes ×" not in out
    assert environment()["processes"] == "1"


@needs_mpi
def test_a_language_model_with_shards_in_two_processes(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one and two makes three.\n" * 40, "utf-8")
    options = ["--data", text, *SMALL, "--steps", 5, "--max-len", 16, "--out", tmp_path / "run"]
    status, out, err = run("train", "language-model", *options, "--processes", 2)
    assert status == 0, err
    assert "Ended after step 5" in out
    status, out, err = run("generate", tmp_path / "run", "one", "--max-new-tokens", 3)
    assert status == 0, err


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_of_two_processes_goes_on(data, tmp_path, number):
    options = ["--epochs", 500, "--processes", 2, "--save-every", 2]
    with start("train", "translation", "--data", data, *SMALL, "--out", tmp_path, *options) as run_:
        deadline = time.monotonic() + 60
        while not checkpoints_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        run_.send_signal(number)
        out, err = run_.communicate(timeout=60)
    assert run_.returncode == 130, err
    assert "interrupted" in out
    assert "Traceback" not in err
    steps = int(checkpoints_of(tmp_path)[-1].name.removeprefix("step_"))
    _, out, err = run("resume", tmp_path, "--processes", 2, "--max-seconds", 1)
    assert f"Going on after step {steps:,}" in out, err


@needs_mpi
def test_a_run_in_the_background_of_a_script_ends_politely(data, tmp_path):
    """There Ctrl-C is ignored, also by all processes that are started, but a kill is not."""
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        options = ["--out", tmp_path, "--epochs", 500, "--processes", 2, "--save-every", 2]
        run_ = start("train", "translation", "--data", data, *SMALL, *options)
    finally:
        signal.signal(signal.SIGINT, usual)
    deadline = time.monotonic() + 60
    while not checkpoints_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    run_.send_signal(signal.SIGTERM)
    out, err = run_.communicate(timeout=60)
    assert run_.returncode == 130, err
    assert "interrupted" in out


@needs_mpi
def test_a_command_that_is_killed_leaves_no_process(data, tmp_path):
    options = ["--epochs", 500, "--processes", 2, "--save-every", 2]
    with start("train", "translation", "--data", data, *SMALL, "--out", tmp_path, *options) as run_:
        deadline = time.monotonic() + 60
        while not checkpoints_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        run_.kill()
        run_.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while True:
        try:
            with own_folder(tmp_path):  # nobody holds it any more
                break
        except FolderInUseError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert (tmp_path / "checkpoint").is_dir()


@needs_mpi
def test_a_folder_that_another_run_holds(data, tmp_path):
    with own_folder(tmp_path):
        status, _, err = train(data, tmp_path, "--processes", 2)
    assert status == 1
    assert err.count("foundation train:") == 1
    assert str(os.getpid()) in err


@needs_mpi
@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full", "| head -1"])
def test_nobody_reads_what_two_processes_print(data, tmp_path, streams):
    """The run is what matters: it goes on, as one of a single process does."""
    options = ["--data", data, *SMALL, "--epochs", 1, "--processes", 2, "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "foundation_transformer.cli", "train", "translation", *options]
    shell = f"set -o pipefail; {shlex.join(map(str, command))} {streams}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        ["bash", "-c", shell], env=environment, capture_output=True, timeout=100, check=False
    )
    assert done.returncode == 0
    history = read_history(tmp_path / "run" / "history.jsonl")
    assert len(history.evaluations) == 1
    assert (tmp_path / "run" / "checkpoint").is_dir()


@needs_mpi
def test_a_mistake_is_told_once(tmp_path):
    missing = tmp_path / "missing.tsv"
    status, _, err = train(missing, tmp_path / "run", "--processes", 2)
    assert status == 1
    assert err.splitlines() == [f"foundation train: {missing}: no such file"]
    assert not (tmp_path / "run").exists()


@needs_mpi
def test_the_demo_trains_in_two_processes_and_shows_in_one(data, tmp_path):
    options = ["--data", data, "--out", tmp_path, "--epochs", 1, "--processes", 2]
    status, out, err = run("demo", *options)
    assert status == 0, err
    for once in ("2 processes × 1 thread", "Held-out pairs: BLEU", "Trained ", "Written:"):
        assert out.count(once) == 1, once
    assert (tmp_path / "attention.png").is_file()


def test_where_processes_cannot_start_one_line_says_why(tmp_path, monkeypatch):
    """As root without leave, without shared memory, or without the library."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "python").symlink_to(sys.executable)
    (bin_ / "mpiexec").write_text("#!/bin/sh\necho '-----'\necho 'not as root, please'\nexit 1\n")
    (bin_ / "mpiexec").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bin_ / "python"))
    reason = launch.obstacle(2)
    if importlib.util.find_spec("mpi4py") is None:
        assert reason == "mpi4py is not installed; pip install 'foundation-nn[mpi]'"
    else:
        assert reason == "mpiexec ended with status 1: not as root, please"


def test_the_number_of_processes_is_a_number(data, tmp_path):
    status, _, err = train(data, tmp_path / "run", "--processes", "many")
    assert status == 2
    assert "--processes: expected a whole number of at least 1, got 'many'" in err
    status, _, err = train(data, tmp_path / "run", FOUNDATION_PROCESSES="many")
    assert status == 1
    assert "FOUNDATION_PROCESSES: expected a number of processes, such as 2, got 'many'" in err

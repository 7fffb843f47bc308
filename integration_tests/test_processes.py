"""Several processes train as one would, and whatever happens to one of them, none hangs."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from foundation_nn.training import FailedStep, checkpoints_of

SCRIPTS = Path(__file__).with_name("processes")
LAUNCHER = Path(sys.executable).with_name("mpiexec")
sys.path.insert(0, str(SCRIPTS))
import cases  # noqa: E402

sys.path.pop(0)

pytestmark = pytest.mark.skipif(
    not LAUNCHER.exists() or importlib.util.find_spec("mpi4py") is None,
    reason="needs the extra mpi",
)


def start(count, script, *arguments):
    command = [LAUNCHER, "-n", str(count), sys.executable, SCRIPTS / script, *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPTS), *filter(None, sys.path)])},
    )


def run(count, script, *arguments, timeout=300):
    """Status, standard output and standard error; all processes end in time or the test fails."""
    with start(count, script, *arguments) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out, err


def until(process, line):
    """Read what a run says up to some line."""
    for said in process.stdout:
        if said.strip() == line:
            return
    raise AssertionError(f"the run ended before {line!r}: {process.stderr.read()}")


def digest(out):
    """What the run ended with: reason, steps, and a digest of the parameters."""
    reason, steps, bits = out.splitlines()[-1].split()
    return reason, int(steps), bits


#: What three processes train: with more of them than cores all is slow.
BY_THREE = ("translator", "adamw", "muon", "adafactor")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two folders with the results of cases, as two and as three processes have trained them."""
    folders = {}
    for count, names in ((2, cases.CASES), (3, BY_THREE)):
        folders[count] = tmp_path_factory.mktemp(f"by_{count}")
        status, _, err = run(count, "cases.py", folders[count], *names)
        assert status == 0, err
    return folders


@pytest.mark.parametrize(
    ("count", "name"), [*((2, name) for name in cases.CASES), *((3, name) for name in BY_THREE)]
)
def test_they_train_like_one(trained, count, name):
    """Parameters, state, EMA, losses and norms, in float64: only the order of sums differs."""
    expected = cases.run(name)
    with np.load(trained[count] / f"{name}.npz") as found:
        assert set(found) == set(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-12, err_msg=key)


def test_a_run_goes_on_with_any_number_of_processes(tmp_path):
    """Saved by two, resumed by one and then by three: as if one had done it all."""
    for count, steps in ((2, 4), (1, 7), (3, 12)):
        status, out, err = run(count, "faulty.py", tmp_path / "changing", steps)
        assert status == 0, err
    assert digest(out)[:2] == ("steps", 12)
    run(1, "faulty.py", tmp_path / "alone", 12)
    found, expected = (
        np.concatenate([v.ravel() for v in load_state(tmp_path / name).values()])
        for name in ("changing", "alone")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def load_state(folder):
    from foundation_nn import checkpoint

    loaded = checkpoint.load(checkpoints_of(folder)[-1])
    return loaded.model.state_dict()


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    """One of two processes is killed; the next run, of as many, ends as one that was not."""
    status, out, err = run(2, "faulty.py", tmp_path / "whole", 12, "--dropout")
    assert status == 0, err
    begun = time.monotonic()
    status, _, _ = run(2, "faulty.py", tmp_path / "killed", 12, "kill", 1, 8, "--dropout")
    assert status != 0
    assert time.monotonic() - begun < 60
    assert [place.name for place in checkpoints_of(tmp_path / "killed")][-1] == "step_000006"
    status, resumed, err = run(2, "faulty.py", tmp_path / "killed", 12, "--dropout")
    assert status == 0, err
    assert digest(resumed) == digest(out)


def test_a_killed_launcher_leaves_no_process(tmp_path):
    with start(2, "faulty.py", tmp_path, 10_000) as process:
        until(process, "step 4")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        process.stdout.read()  # at its end when the last process has gone
    deadline = time.monotonic() + 10
    while left := subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).stdout:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    status, out, err = run(2, "faulty.py", tmp_path, 4)
    assert status == 0, err
    assert digest(out)[0] == "steps"


def test_an_interrupted_run_is_saved_by_all(tmp_path):
    with start(2, "faulty.py", tmp_path, 10_000) as process:
        until(process, "step 4")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    reason, steps, _ = digest(out)
    assert reason == "interrupt"
    assert checkpoints_of(tmp_path)[-1].name == f"step_{steps:06d}"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_ends_the_run_of_all(tmp_path, rank):
    status, out, err = run(2, "faulty.py", tmp_path, 100, "interrupt", rank, 5)
    assert status == 130, err
    assert digest(out)[:2] == ("interrupt", 5)


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_in_one_process_ends_all_with_its_message(tmp_path, rank):
    begun = time.monotonic()
    status, _, err = run(2, "faulty.py", tmp_path, 100, "error", rank, 5)
    assert status not in (0, 130)
    assert time.monotonic() - begun < 60
    assert err.count("ValueError: something is wrong with this batch") == 1
    assert "ProcessFailedError" not in err


def test_a_step_that_is_not_finite_in_one_process_ends_the_run_and_is_kept(tmp_path):
    status, _, err = run(2, "faulty.py", tmp_path, 100, "nan", 1, 5)
    assert status not in (0, 130)
    assert err.count("FloatingPointError: step 5: the loss is nan") == 1
    failed = FailedStep.load(tmp_path / "failed_step_5")
    windows = cases.gpt()[2]
    batch = [batch for batch, _ in zip(windows, range(5), strict=False)][-1]
    np.testing.assert_array_equal(failed.batch.ids, batch.ids[3:])  # its rows: the last 2 of 5


def test_a_step_that_is_not_finite_in_one_process_is_skipped_by_all(tmp_path):
    status, out, err = run(2, "faulty.py", tmp_path, 7, "nan", 1, 5, "--skip")
    assert status == 0, err
    assert digest(out)[:2] == ("steps", 7)
    assert re.findall(r"step (\d+)", out)[-1] == "7"
    assert (tmp_path / "failed_step_5").is_dir()


def test_processes_that_go_through_different_batches_are_told(tmp_path):
    status, _, err = run(2, "faulty.py", tmp_path, 5, "--unseeded")
    assert status not in (0, 130)
    assert err.count("ValueError: Trainer: the processes go through different batches") == 1

"""The folder of a run: one owner at a time, and what a process that was killed has left."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from foundation_nn import MLP, Tensor, checkpoint, optim
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.training import (
    Callback,
    Checkpoints,
    FolderInUseError,
    Trainer,
    checkpoints_of,
    own_folder,
)

posix = pytest.mark.skipif(os.name != "posix", reason="there are no locks on files here")
ROWS = np.random.default_rng(1).standard_normal((6, 4, 2)).astype(np.float32)

HOLD = """
import sys
from foundation_nn.training import own_folder
with own_folder(sys.argv[1]):
    print("it is mine", flush=True)
    sys.stdin.read()
"""


def square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), len(batch)


def make(*callbacks):
    model = MLP([2, 3, 1], rng=np.random.default_rng(0))
    return Trainer(model, square, optim.Adam(model, lr=0.1), callbacks=callbacks)


@pytest.fixture
def holder(tmp_path):
    """Another process that owns the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert process.stdout.readline() == "it is mine\n"
    yield process
    process.kill()
    process.communicate()


@posix
def test_another_process_is_refused_and_told_who_is_at_work(tmp_path, holder):
    message = rf"another process is at work there \(process {holder.pid} on .+, since \d{{4}}-.*-c"
    with pytest.raises(FolderInUseError, match=message), own_folder(tmp_path):
        pass
    before = sorted(p.name for p in tmp_path.iterdir())
    trainer = make(Checkpoints(tmp_path, every=2))
    with pytest.raises(OSError, match=f"{tmp_path.name}: another process .*or choose another fol"):
        trainer.fit(ROWS, max_steps=3)
    assert trainer.steps == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@posix
@pytest.mark.parametrize("how", ["end", "kill"])
def test_a_process_that_ends_owns_nothing(tmp_path, holder, how):
    if how == "end":
        holder.communicate("")
        assert list(tmp_path.iterdir()) == []
    else:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == holder.pid
    with own_folder(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@posix
def test_within_a_process_it_may_be_asked_for_again(tmp_path):
    with own_folder(tmp_path):
        with own_folder(tmp_path / "." / ""):
            pass
        assert (tmp_path / ".lock").exists()
        make(Checkpoints(tmp_path)).fit(ROWS, max_steps=2)
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


def test_a_run_gives_its_folder_back_also_if_it_fails(tmp_path):
    class Failing(Callback):
        def on_step(self, trainer, step):
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        make(Checkpoints(tmp_path), Failing()).fit(ROWS, max_steps=2)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_has_left_is_completed_or_removed(tmp_path):
    make(Checkpoints(tmp_path, every=1, keep=9)).fit(ROWS, max_steps=4)
    last = tmp_path / "last"
    (last / "step_000004").rename(last / ".step_000004.removed")  # its removal had begun,
    (last / ".step_000004.removed" / "checkpoint.json").unlink()
    (last / "step_000009").mkdir()  # another one was being written,
    (last / "step_000009" / ".model.0123456789abcdef.part.safetensors").write_bytes(b"half")
    (last / "step_000003" / ".checkpoint.0123456789abcdef.part.json").write_text("{")
    (tmp_path / ".history.0123456789abcdef.part.jsonl").write_text("{")
    (tmp_path / "checkpoint" / "old.safetensors").write_bytes(b"no longer named")
    (tmp_path / "last" / "notes.txt").write_text("mine")
    (tmp_path / "last" / "step_of_mine").mkdir()

    assert [p.name for p in checkpoints_of(tmp_path)] == [f"step_00000{n}" for n in (1, 2, 3)]
    trainer = make(Checkpoints(tmp_path, every=9, keep=9))
    trainer.resume(checkpoints_of(tmp_path)[-1])
    trainer.fit(ROWS, max_steps=3)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "checkpoint",
        "checkpoint/checkpoint.json",
        "checkpoint/model.safetensors",
        "last",
        "last/notes.txt",
        *(
            f"last/step_00000{n}{rest}"
            for n in (1, 2, 3)
            for rest in (
                "",
                "/checkpoint.json",
                "/model.safetensors",
                "/optimizer.safetensors",
            )
        ),
        "last/step_of_mine",
    ]


def test_a_folder_of_somebody_else_among_them_is_neither_listed_nor_removed(tmp_path):
    place = tmp_path / "last" / "step_000002"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("years of work")
    assert checkpoints_of(tmp_path) == []
    with pytest.raises(CheckpointError, match="step_000002: exists and is not a checkpoint"):
        make(Checkpoints(tmp_path, every=2)).fit(ROWS, max_steps=2)
    assert (place / "thesis.txt").read_text() == "years of work"


def test_a_damaged_one_is_told_not_removed(tmp_path):
    make(Checkpoints(tmp_path, every=1, keep=9)).fit(ROWS, max_steps=2)
    newest = checkpoints_of(tmp_path)[-1]
    (newest / "checkpoint.json").write_text("{")
    trainer = make(Checkpoints(tmp_path, every=9, keep=9))
    with pytest.raises(CheckpointError, match="not valid JSON"):
        trainer.resume(newest)
    assert newest in checkpoints_of(tmp_path)
    with pytest.raises(CheckpointError, match="not valid JSON"):
        checkpoint.load(newest)


def test_a_new_run_does_not_mix_with_another_one(tmp_path):
    mine = tmp_path / "mine"
    make(Checkpoints(mine, every=2)).fit(ROWS, max_steps=6)
    before = checkpoints_of(mine)
    message = "holds the checkpoints of another run, step_000006 the last .*trainer.resume"
    for steps in (0, 1):
        again = make()
        again.fit(ROWS, max_steps=steps)
        again.callbacks = [Checkpoints(mine, every=1)]
        with pytest.raises(ValueError, match=message):
            again.fit(ROWS, max_steps=3)
        assert again.steps == steps
    elsewhere = make(Checkpoints(tmp_path / "elsewhere", every=2))
    elsewhere.fit(ROWS, max_steps=2)
    other = make(Checkpoints(mine))
    other.resume(checkpoints_of(tmp_path / "elsewhere")[-1])
    with pytest.raises(ValueError, match=message):
        other.fit(ROWS, max_steps=3)
    assert checkpoints_of(mine) == before


def test_a_run_that_goes_on_from_an_older_one_gives_up_the_later_ones(tmp_path):
    make(Checkpoints(tmp_path, every=2)).fit(ROWS, max_steps=6)
    again = make(Checkpoints(tmp_path, every=3))
    again.resume(checkpoints_of(tmp_path)[0])
    assert again.steps == 2
    again.fit(ROWS, max_steps=5)
    assert [p.name for p in checkpoints_of(tmp_path)] == [
        "step_000002",
        "step_000003",
        "step_000005",
    ]
    again.fit(ROWS, max_steps=1)  # the same trainer goes on
    assert checkpoints_of(tmp_path)[-1].name == "step_000006"


def _train(folder, go, ended):
    go.wait()
    try:
        make(Checkpoints(folder, every=1)).fit(ROWS, max_steps=40)
    except (FolderInUseError, ValueError):
        ended.put("refused")
    else:
        ended.put("trained")


@posix
def test_of_several_that_begin_at_once_one_trains(tmp_path):
    context = multiprocessing.get_context("spawn")
    go, ended = context.Event(), context.Queue()
    processes = [context.Process(target=_train, args=(tmp_path, go, ended)) for _ in range(3)]
    for process in processes:
        process.start()
    go.set()
    told = sorted(ended.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert told == ["refused", "refused", "trained"]
    assert len(checkpoints_of(tmp_path)) == 3
    assert not (tmp_path / ".lock").exists()


def test_what_is_left_of_a_failed_step_is_removed_or_completed(tmp_path):
    def failing(model, batch):
        value, count = square(model, batch)
        return value * np.float32(np.nan), count

    trainer = make()
    trainer.loss, trainer.folder = failing, tmp_path
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError):
        trainer.fit(ROWS, max_steps=1)
    kept = tmp_path / "failed_step_1"
    before = sorted(file.name for file in kept.iterdir())
    (kept / ".batch.0123456789abcdef.part.safetensors").write_bytes(b"half")
    (tmp_path / "failed_step_7").mkdir()
    (tmp_path / "failed_step_7" / ".model.0123456789abcdef.part.safetensors").write_bytes(b"half")
    make(Checkpoints(tmp_path, every=9)).fit(ROWS, max_steps=1)
    assert sorted(file.name for file in kept.iterdir()) == before
    assert not (tmp_path / "failed_step_7").exists()


def test_a_folder_that_was_removed_is_missed_also_where_nothing_new_is_to_be_saved(tmp_path):
    """A run that is interrupted may end with the very step that it saved last."""
    saver = Checkpoints(tmp_path / "run", every=2)
    trainer = make(saver)
    trainer.fit(list(ROWS), max_steps=2)
    saver._save(trainer)  # nothing to do
    (tmp_path / "run").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="run: was removed while the run went on"):
        saver._save(trainer)
    assert checkpoints_of(tmp_path / "gone")
    assert not (tmp_path / "run").exists()

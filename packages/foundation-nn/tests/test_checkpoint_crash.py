"""Whatever happens while a checkpoint is written, the one before it stays."""

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import MLP, checkpoint, optim
from foundation_nn.checkpoint import CheckpointError


def model(width):
    return MLP([2, width, 1], rng=np.random.default_rng(width))


def save(path, width):
    network = model(width)
    return checkpoint.save(path, network, optim.AdamW(network), width=width)


def assert_whole(path, width):
    loaded = checkpoint.load(path)
    assert loaded.extras == {"width": width}
    for name, value in model(width).state_dict().items():
        assert loaded.model.state_dict()[name].tobytes() == value.tobytes()


class Killed(BaseException):
    """Stands for kill -9 and power cuts: after it the process does nothing more."""


class Disk:
    """Lets ``fatal`` operations on files pass, then fails; counts them all."""

    def __init__(self, monkeypatch, fatal, error):
        self.calls, self.fatal, self.error, self.dead = 0, fatal, error, False
        for owner, name in ((os, "fsync"), (Path, "rename")):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name)))
        monkeypatch.setattr(shutil, "rmtree", self.unless_dead(shutil.rmtree))

    def counted(self, function):
        def call(*args):
            if self.dead:
                raise self.error
            self.calls += 1
            if self.calls - 1 == self.fatal:
                self.dead = isinstance(self.error, Killed)
                raise self.error
            return function(*args)

        return call

    def unless_dead(self, function):
        def call(*args, **kwargs):
            if not self.dead:
                function(*args, **kwargs)

        return call


def number_of_operations(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, fatal=-1, error=Killed())
        save(tmp_path / "count", 3)
        first = disk.calls
        save(tmp_path / "count", 5)
        return first, disk.calls - first


def test_killed_at_any_moment_the_previous_checkpoint_is_loaded(tmp_path):
    _, operations = number_of_operations(tmp_path)
    assert operations >= 6  # three files, two folders, and the renames
    outcomes = []
    for fatal in range(operations):
        path = tmp_path / f"{fatal}" / "run"
        save(path, 3)
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            Disk(patch, fatal, Killed())
            save(path, 5)
        try:
            assert_whole(path, 3)
            outcomes.append("old")
        except AssertionError:
            assert_whole(path, 5)
            outcomes.append("new")
        save(path, 7)  # and life goes on
        assert_whole(path, 7)
    # Once it is the new one, it stays so: no later moment brings the old one back.
    assert outcomes == sorted(outcomes, reverse=True)
    assert outcomes[0] == "old"
    assert outcomes[-1] == "new"


def test_killed_in_the_first_save_there_is_none_or_a_whole_one(tmp_path):
    operations, _ = number_of_operations(tmp_path)
    for fatal in range(operations):
        path = tmp_path / f"{fatal}" / "run"
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            Disk(patch, fatal, Killed())
            save(path, 3)
        try:
            assert_whole(path, 3)
        except FileNotFoundError:
            assert fatal < operations - 1
        save(path, 5)
        assert_whole(path, 5)


def test_a_full_disk_at_any_moment_is_told_and_leaves_no_debris(tmp_path):
    _, operations = number_of_operations(tmp_path)
    for fatal in range(operations):
        path = tmp_path / f"{fatal}" / "run"
        save(path, 3)
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, fatal, OSError(28, "No space left on device"))
            with pytest.raises(OSError, match="No space left"):
                save(path, 5)
        if fatal < operations - 1:
            assert_whole(path, 3)
            assert [p.name for p in path.parent.iterdir()] == ["run"]
        else:  # only the last flush failed, the new one is in its place
            assert_whole(path, 5)


def test_a_first_save_that_fails_tells_of_its_own_cause(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        Disk(patch, 4, OSError(28, "No space left on device"))
        with pytest.raises(OSError, match="No space left"):
            save(tmp_path / "run", 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run", ".run.previous"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_of_somebody_else_is_never_deleted(tmp_path, name, times):
    precious = tmp_path / name / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for _ in range(times):
        with pytest.raises(CheckpointError, match=f"{name}: exists and is not a checkpoint; it is"):
            save(tmp_path / "run", 3)
    assert precious.read_text() == "years of work"


def test_a_file_in_its_place_is_never_deleted(tmp_path):
    (tmp_path / "run").write_text("years of work")
    with pytest.raises(CheckpointError, match="run: exists and is not a checkpoint"):
        save(tmp_path / "run", 3)
    assert (tmp_path / "run").read_text() == "years of work"


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save(tmp_path / "file" / "run", 3)
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(tmp_path):
    save(tmp_path / "run", 3)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            save(tmp_path / "run", 5)
    finally:
        tmp_path.chmod(0o755)
    assert_whole(tmp_path / "run", 3)

"""Whatever happens while a checkpoint is written, there is the older one or the new one."""

import os
from pathlib import Path

import killing
import numpy as np
import pytest
from foundation_nn import MLP, checkpoint, optim
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.checkpoint._folder import mend_folder
from foundation_nn.files import remove_folder, remove_removed

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")


def model(width):
    return MLP([2, width, 1], rng=np.random.default_rng(width))


def save(path, width):
    """The second of two widths has no optimiser: its file goes."""
    network = model(width)
    optimizer = optim.AdamW(network) if width != 5 else None
    return checkpoint.save(path, network, optimizer, width=width)


def whole(path):
    """The width of a checkpoint that is read as it was written."""
    loaded = checkpoint.load(path)
    width = loaded.extras["width"]
    for name, value in model(width).state_dict().items():
        assert loaded.model.state_dict()[name].tobytes() == value.tobytes()
    assert (loaded.optimizer is None) == (width == 5)
    return width


def names(path):
    return sorted(file.name for file in path.iterdir())


BARE = ["checkpoint.json", "model.safetensors"]


def saved(path, width, fatal):
    """Save in another process; whether it came to its end instead of being killed."""
    return killing.run(lambda: save(path, width), path.parent, fatal) is not None


def replacing(tmp_path):
    outcomes = []
    survived = False
    while not survived:
        fatal = len(outcomes) + 1
        path = save(tmp_path / str(fatal) / "run", 3)
        survived = saved(path, 5, fatal)
        outcomes.append(whole(path))
        mend_folder(path, "checkpoint")
        assert whole(path) == outcomes[-1]
        expected = BARE if outcomes[-1] == 5 else [*BARE, "optimizer.safetensors"]
        assert names(path) == expected, fatal
    # Once it is the new one, it stays so: no later moment brings the old one back.
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {3, 5}
    assert len(outcomes) > 15


def replacing_after_a_kill(tmp_path):
    """Each first moment with every seventh second one, each of which comes with some first."""
    path = save(tmp_path / "whole" / "run", 3)
    calls = killing.run(lambda: save(path, 5), path.parent)
    assert calls > 15

    def check_from(first):
        second = 1 + first % 7
        survived = False
        while not survived:
            path = save(tmp_path / f"{first}_{second}" / "run", 3)
            assert not saved(path, 5, first)
            before = whole(path)
            survived = saved(path, 7, second)
            assert whole(path) in (before, 7), (first, second)
            save(path, 5)
            assert (whole(path), names(path)) == (5, BARE), (first, second)
            second += 7

    killing.for_each(range(1, calls + 1), check_from)


def saving_the_same_again(tmp_path):
    survived = False
    fatal = 1
    while not survived:
        path = save(tmp_path / str(fatal) / "run", 5)
        survived = saved(path, 5, fatal)
        assert whole(path) == 5
        saved(path, 5, fatal)
        assert whole(path) == 5
        fatal += 1


def saving_for_the_first_time(tmp_path):
    outcomes = []
    survived = False
    while not survived:
        fatal = len(outcomes) + 1
        path = tmp_path / str(fatal) / "run"
        path.parent.mkdir()
        survived = saved(path, 5, fatal)
        outcomes.append(checkpoint.exists(path))
        if outcomes[-1]:
            assert whole(path) == 5
        save(path, 7)
        assert (whole(path), len(names(path))) == (7, 3), fatal
    assert outcomes == sorted(outcomes)
    assert not outcomes[0]
    assert outcomes[-1]


def removing(tmp_path):
    fatal = 1
    survived = False
    while not survived:
        parent = tmp_path / str(fatal)
        path = save(parent / "run", 3)
        survived = killing.run(lambda path=path: remove_folder(path), parent, fatal) is not None
        assert not path.exists() or whole(path) == 3
        remove_removed(parent)
        if path.exists():
            remove_folder(path)
        assert list(parent.iterdir()) == []
        fatal += 1
    assert fatal > 5


@posix
@pytest.mark.parametrize(
    "scene",
    [replacing, saving_the_same_again, saving_for_the_first_time, removing],
    ids=lambda scene: scene.__name__,
)
def test_killed_at_any_call_to_the_file_system(scene):
    killing.in_a_process_of_its_own(__name__, scene.__name__)


@posix
def test_killed_again_at_any_call():
    killing.in_a_process_of_its_own(__name__, "replacing_after_a_kill")


class Failing:
    """Lets so many operations on files pass, and fails once."""

    def __init__(self, monkeypatch, fatal, error):
        self.calls, self.fatal, self.error = 0, fatal, error
        for owner, name in ((os, "fsync"), (os, "replace"), (Path, "unlink"), (Path, "mkdir")):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, function):
        def call(*args, **options):
            self.calls += 1
            if self.calls - 1 == self.fatal:
                raise self.error
            return function(*args, **options)

        return call


def operations(path):
    with pytest.MonkeyPatch.context() as patch:
        disk = Failing(patch, fatal=-1, error=OSError())
        save(path, 5)
        return disk.calls


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_moment_leaves_the_old_one_or_the_new_one(tmp_path, error):
    save(tmp_path / "count" / "run", 3)
    outcomes = []
    for fatal in range(operations(tmp_path / "count" / "run")):
        path = tmp_path / f"{fatal}" / "run"
        save(path, 3)
        with pytest.MonkeyPatch.context() as patch:
            Failing(patch, fatal, error)
            with pytest.raises(type(error), match="No space left" if str(error) else None):
                save(path, 5)
        outcomes.append(whole(path))
        assert [p.name for p in path.parent.iterdir()] == ["run"]
        assert not [name for name in names(path) if name.startswith(".")], fatal
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {3, 5}


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, monkeypatch):
    for fatal, name in ((1, "model.safetensors"), (3, "checkpoint.json")):
        left = iter([False] * (fatal - 1) + [True] + [False] * 9)

        def full(descriptor, left=left):
            if next(left):
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=rf"No space left on device: '.*run/{name}'$"):
            save(tmp_path / "run", 5)


def test_a_first_save_that_fails_leaves_nothing(tmp_path):
    for fatal in range(operations(tmp_path / "count")):
        path = tmp_path / str(fatal)
        with pytest.MonkeyPatch.context() as patch:
            Failing(patch, fatal, OSError(28, "No space left on device"))
            with pytest.raises(OSError, match="No space left"):
                save(path, 5)
        assert not path.exists() or whole(path) == 5


@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_of_somebody_else_is_never_deleted(tmp_path, times):
    precious = tmp_path / "run" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for _ in range(times):
        with pytest.raises(CheckpointError, match="run: exists and is not a checkpoint; it is"):
            save(tmp_path / "run", 3)
    assert precious.read_text() == "years of work"


def test_what_somebody_else_has_put_beside_it_stays(tmp_path):
    path = save(tmp_path / "run", 3)
    (path / "notes.txt").write_text("years of work")
    save(path, 5)
    assert (path / "notes.txt").read_text() == "years of work"
    assert whole(path) == 5


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


def test_a_damaged_one_is_left_as_it_is_until_it_is_replaced(tmp_path):
    path = save(tmp_path / "run", 3)
    (path / "model.safetensors").write_bytes(b"half")
    before = names(path)
    mend_folder(path, "checkpoint")
    assert names(path) == before
    save(path, 3)  # of the same content as the damaged one should have
    assert whole(path) == 3
    (path / "checkpoint.json").write_text("{")
    mend_folder(path, "checkpoint")
    assert names(path) == before
    save(path, 5)
    assert (whole(path), names(path)) == (5, BARE)


def test_one_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    from foundation_nn.checkpoint import _folder

    path = save(tmp_path / "run", 3)
    read = _folder._read
    replaced = []

    def slowly(file, kind, max_bytes=None):
        content = read(file, kind)
        if file.name == "checkpoint.json" and not replaced:
            replaced.append(True)
            save(path, 7)
        return content

    monkeypatch.setattr(_folder, "_read", slowly)
    assert whole(path) == 7


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.json"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_only_regular_files_are_read(tmp_path, name):
    path = save(tmp_path / "run", 5)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(CheckpointError, match=f"{name}: expected a regular file, got a pipe"):
        checkpoint.load(path)
    (path / name).unlink()
    (path / name).symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match=f"{name}: expected a regular file, got a device"):
        checkpoint.load(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(tmp_path):
    path = save(tmp_path / "run", 3)
    path.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            save(path, 5)
    finally:
        path.chmod(0o755)
    assert whole(path) == 3

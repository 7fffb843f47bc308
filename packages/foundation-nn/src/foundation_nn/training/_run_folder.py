"""The folder of a run: what in it is whole, what a crash has left, and whose it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundation_nn import checkpoint
from foundation_nn.checkpoint._folder import mend_folder
from foundation_nn.files import read_json, remove_folder, remove_removed, remove_unfinished

#: Within the folder of a run: the checkpoints to resume from, and the model to use.
LAST = "last"
TO_USE = "checkpoint"
#: The file that the owner of the folder holds a lock on.
LOCK = ".lock"
_STEP = re.compile(r"step_(\d+)")


@dataclass
class _Owned:
    """A folder of this process: how often it was asked for, and the locked file."""

    count: int
    descriptor: int | None


_owned: dict[Path, _Owned] = {}
_owned_guard = threading.Lock()


class FolderInUseError(OSError):
    """Another process is at work in the folder of a run."""

    __module__ = "foundation_nn.training"


def checkpoints_of(folder: str | os.PathLike[str]) -> list[Path]:
    """What a run can be resumed from, the newest at the end. All of them are whole."""
    found = {
        int(match[1]): place
        for place in Path(folder, LAST).glob("step_*")
        if (match := _STEP.fullmatch(place.name)) and checkpoint.exists(place)
    }
    return [found[step] for step in sorted(found)]


def checkpoints_after(folder: Path, step: int) -> list[Path]:
    """Those of later steps."""
    return [place for place in checkpoints_of(folder) if int(place.name.partition("_")[2]) > step]


def place_for_step(folder: Path, step: int) -> Path:
    """Where :func:`checkpoints_of` finds the checkpoint of a step."""
    return folder / LAST / f"step_{step:06}"


def mend_run(folder: Path) -> None:
    """Complete or remove what a crash has interrupted; call it as the owner of the folder."""
    steps = [place for place in Path(folder, LAST).glob("step_*") if _STEP.fullmatch(place.name)]
    for place in [folder / TO_USE, *steps]:
        if place.is_dir():
            mend_folder(place, "checkpoint")
            if not any(place.iterdir()):
                remove_folder(place)
    for place in folder.glob("failed_step_*"):
        if place.is_dir():
            mend_folder(place, "failed_step")
            if not any(place.iterdir()):
                remove_folder(place)
    for parent in (folder, folder / LAST):
        if parent.is_dir():
            remove_removed(parent)
            remove_unfinished(parent)


@contextmanager
def own_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Within, no other process may train in this folder. A process that is killed owns nothing.

    Within a process it may be asked for again. Where there are no locks on files, as on Windows,
    nothing is refused.

    Parameters
    ----------
    folder : path
        It is made if it is not there.

    Raises
    ------
    FolderInUseError
        If another process has it; the message says which.
    OSError
        If nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> from foundation_nn.training import own_folder
    >>> with own_folder(tempfile.mkdtemp()):
    ...     pass  # train
    """
    place = Path(os.path.realpath(folder))
    place.mkdir(parents=True, exist_ok=True)
    with _owned_guard:
        if place not in _owned:
            _owned[place] = _Owned(0, _lock(place, folder) if os.name == "posix" else None)
        _owned[place].count += 1
    try:
        yield
    finally:
        with _owned_guard:
            _owned[place].count -= 1
            if not _owned[place].count:
                _unlock(place, _owned.pop(place).descriptor)


def _lock(place: Path, shown: str | os.PathLike[str]) -> int:
    """The descriptor of the locked file; the lock ends with the process, however that ends."""
    import fcntl  # where there is such a thing

    file = place / LOCK
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUseError(
                    f"{os.fspath(shown)}: another process is at work there{_owner(file)}; wait for "
                    "its end, or choose another folder"
                ) from None
            # The owner before may have removed the file between our opening and locking it.
            if file.exists() and os.path.samestat(os.fstat(descriptor), file.stat()):
                os.truncate(descriptor, 0)
                os.write(descriptor, json.dumps(_ourselves()).encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _unlock(place: Path, descriptor: int | None) -> None:
    if descriptor is not None:
        (place / LOCK).unlink(missing_ok=True)  # while it is ours
        os.close(descriptor)


def _ourselves() -> dict[str, str | int]:
    """What others are told of this process."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(sys.argv),
        "since": datetime.now().isoformat(" ", "seconds"),
    }


def _owner(file: Path) -> str:
    """Who wrote it, as a part of a sentence; nothing if that cannot be read."""
    try:
        owner = read_json(file)
        command = str(owner["command"])[:80]
        return f" (process {owner['pid']} on {owner['host']}, since {owner['since']}: {command})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""

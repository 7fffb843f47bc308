"""Kill a process before its n-th call to the file system, for every n.

A child process is forked for each run, and watched by an audit hook of Python's: it sees every
opening, renaming, removing and making of files and folders. To these come the calls of ``fsync``,
before which the file is also cut to half, as if not all of it had reached the disk. Nothing is
really synchronised: what is written survives a kill, if not a power cut, and disks are slow.
"""

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

EVENTS = {
    *("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "os.listdir", "os.scandir", "shutil.rmtree"),
}


class Watch:
    """Counts the calls on files in a folder, and kills the process at one of them."""

    def __init__(self, folder, fatal):
        self.folder = os.fspath(folder)
        self.fatal = fatal
        self.count = 0
        os.fsync = self.before_fsync
        sys.addaudithook(self.before_event)

    def at_a_call(self):
        self.count += 1
        return self.count == self.fatal

    def before_event(self, event, args):
        if event in EVENTS and args and isinstance(args[0], str | bytes | os.PathLike):
            path = os.fsdecode(args[0])
            # Names without a folder are those that a removal of a whole folder goes through.
            if (path.startswith(self.folder) or not os.path.isabs(path)) and self.at_a_call():
                os.kill(os.getpid(), signal.SIGKILL)

    def before_fsync(self, descriptor):
        if self.at_a_call():
            if os.path.isfile(f"/proc/self/fd/{descriptor}"):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.at_a_call():
            os.kill(os.getpid(), signal.SIGKILL)


def run(function, watched, fatal=0):
    """Call ``function()`` in a process of its own; None if it was killed at call ``fatal``.

    Returns the number of calls on files within ``watched`` if it came to its end.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            watch = Watch(watched, fatal)
            function()
            os.write(writing, str(watch.count).encode())
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if status:
        raise RuntimeError(f"the process ended with {status}")
    return int(told)


def for_each(moments, check):
    """Call ``check(moment)`` for all of them, shared out to a process for each core."""
    moments = list(moments)
    count = os.cpu_count() or 1
    children = []
    for n in range(count):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for moment in moments[n::count]:
                    check(moment)
                status = 0
            except BaseException:  # noqa: BLE001, the status tells the parent
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise AssertionError("a check has failed: its traceback stands above")


def in_a_process_of_its_own(module, scene):
    """Run a function of a test file where processes may be forked: in one that has one thread.

    It is given an empty folder; disks are slow, so that is in memory where there is such a place.
    """
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        code = (
            "import os, pathlib; os.fsync = lambda _: None\n"
            f"import {module} as module\n"
            f"module.{scene}(pathlib.Path({os.path.realpath(folder)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise AssertionError(done.stderr)

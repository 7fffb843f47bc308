"""Starting a program in several processes of this machine, for commands that do so by themselves.

The processes are started by ``mpiexec``, which comes with the MPI library. Between the command and
its processes there is a pipe, their standard input. When the command is interrupted it closes the
pipe, and when it is killed the pipe is closed as well: either way the first process notices, and
ends the run as after Ctrl-C. So no process is left behind, whatever MPI library there is.

What the processes print comes through pipes, too, and the command passes it on. Launchers end a run
when nobody reads its output any longer; here it goes on.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from foundation_nn._signals import heard_politely
from foundation_nn.distributed._team import team_of
from foundation_nn.distributed._world import abort, meet_at_the_end

__all__ = [
    "abort",
    "is_launched",
    "meet_at_the_end",
    "obstacle",
    "on_terminal",
    "physical_cores",
    "run",
    "team_of",
    "watch_launcher",
]

#: Set for processes that :func:`run` starts, to "terminal" if the command writes to one.
_LAUNCHED = "FOUNDATION_LAUNCHED"
#: What MPI libraries set for the processes that they start.
_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID")
#: Seconds that it may take to start processes which do nothing.
_PATIENCE = 30.0
_NOTHING = "from mpi4py import MPI; MPI.COMM_WORLD.Barrier()"


def is_launched() -> bool:
    """Whether this process is one of several that ``mpiexec`` has started."""
    return any(name in os.environ for name in _RANKS)


def on_terminal() -> bool:
    """Whether this process was started by :func:`run` from a terminal, to which it writes."""
    return os.environ.get(_LAUNCHED) == "terminal"


def physical_cores() -> int:
    """The cores that this process may run on, where two threads of one core count as one."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cores = set()
    for cpu in allowed or ():
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text())
        except OSError:  # not Linux, or hidden from a container
            cores.add(str(cpu))
    return len(cores) or os.cpu_count() or 1


def obstacle(processes: int) -> str:
    """Why this number of processes cannot be started here; "" if it can.

    Found out by starting them: an MPI library may be missing, lack memory to share, or refuse to
    run for the user root.
    """
    if importlib.util.find_spec("mpi4py") is None:
        return "mpi4py is not installed; pip install 'foundation-nn[mpi]'"
    launcher = _mpiexec()
    if launcher is None:
        return "there is no mpiexec; pip install 'foundation-nn[mpi]' brings one"
    command = [launcher, "-n", str(processes), sys.executable, "-c", _NOTHING]
    try:
        tried = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"mpiexec did not start them within {_PATIENCE:g} s"
    except OSError as error:
        return f"mpiexec could not be started ({error})"
    if tried.returncode:
        lines = [line.strip(" =") for line in (tried.stdout + tried.stderr).splitlines()]
        said = next((line for line in lines if any(map(str.isalpha, line))), "no reason given")
        return f"mpiexec ended with status {tried.returncode}: {said}"
    return ""


def run(processes: int, program: Sequence[str]) -> int:
    """Run a Python program in several processes, and wait for it.

    Parameters
    ----------
    processes : int
    program : sequence of str
        The arguments of the Python interpreter, such as ``["-m", "package", "--option"]``. The
        program should call :func:`watch_launcher`.

    Returns
    -------
    int
        Its exit status, by the rules of a shell.
    """
    launcher = _mpiexec()
    if launcher is None:
        raise FileNotFoundError("mpiexec: not found; see obstacle()")
    kind = "terminal" if sys.stderr is not None and sys.stderr.isatty() else "pipe"
    child = subprocess.Popen(
        [launcher, "-n", str(processes), sys.executable, *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {_LAUNCHED: kind},
        process_group=0,  # Ctrl-C reaches this process alone, which passes it on
    )
    with _passing_on_signals(child), _passing_on_output(child):
        status = child.wait()
    return 128 - status if status < 0 else status


@contextmanager
def _passing_on_signals(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """The first signal asks the processes to end, by closing the pipe; a second one makes them."""

    def close_the_pipe() -> None:
        if child.stdin is not None:
            child.stdin.close()

    try:
        with heard_politely(close_the_pipe, child.terminate):
            yield
    finally:
        close_the_pipe()


@contextmanager
def _passing_on_output(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within, what the processes print is printed; at the end, all of it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()
    threads = [
        threading.Thread(target=_pass_on, args=(source, descriptor), daemon=True)
        for source, descriptor in ((child.stdout, 1), (child.stderr, 2))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def _pass_on(source: IO[bytes], descriptor: int) -> None:
    """Copy a stream to its end, as long as somebody reads the copy and beyond."""
    is_read = True
    while data := os.read(source.fileno(), 1 << 16):
        while is_read and data:
            try:
                data = data[os.write(descriptor, data) :]
            except OSError:  # closed, its reader has left, or the disk is full
                is_read = False
    source.close()


def watch_launcher(rank: int) -> None:
    """Let the first process end as after Ctrl-C when the command that started it ends.

    Parameters
    ----------
    rank : int
        Only process 0 has the standard input.
    """
    if _LAUNCHED in os.environ and rank == 0:
        watch: Callable[[], None] = _interrupt_at_the_end_of_input
        threading.Thread(target=watch, name="launcher", daemon=True).start()


def _interrupt_at_the_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    # In the background of a script Ctrl-C is ignored; a polite kill is not.
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)


def _mpiexec() -> str | None:
    """The launcher of the MPI library beside this Python, or the one on the path."""
    for name in ("mpiexec", "mpiexec.exe"):
        beside = Path(sys.executable).with_name(name)
        if beside.exists():
            return str(beside)
    return shutil.which("mpiexec")

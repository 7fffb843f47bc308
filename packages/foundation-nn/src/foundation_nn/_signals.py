"""The signals by which somebody asks a program to end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Ctrl-C, a polite kill, and a terminal that was closed, where there is such a thing.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def heard_politely(first: Callable[[], None], again: Callable[[], None]) -> Iterator[None]:
    """Within, the first of these signals calls one function, and each later one another.

    A signal that the process was started to ignore, as ``nohup`` does, stays ignored. Only the main
    thread may use this.
    """
    received = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal received
        answer = again if received else first
        received = True
        answer()

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = [signal.signal(number, handle) for number in heard]
    try:
        yield
    finally:
        for number, handler in zip(heard, previous, strict=True):
            signal.signal(number, handler)

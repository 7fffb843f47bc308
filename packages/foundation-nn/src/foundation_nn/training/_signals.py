"""A run that is asked to end finishes its step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def finish_on_signal() -> Iterator[list[int]]:
    """Turn the first Ctrl-C or SIGTERM into an entry of the list; a second one ends at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread is told of signals
        return

    def handle(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = [signal.signal(number, handle) for number in _SIGNALS]
    try:
        yield received
    finally:
        for number, handler in zip(_SIGNALS, previous, strict=True):
            signal.signal(number, handler)

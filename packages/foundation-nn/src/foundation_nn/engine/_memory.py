"""Keeping the memory of one training step for the next."""

from __future__ import annotations

import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


@cache
def keep_freed_memory() -> bool:
    """Ask the C library to keep freed arrays for reuse; ``backward`` and ``Trainer.fit`` do so.

    By default glibc returns a large array to the system when it is freed, and the system has to
    clear and map every page of the next one: a fifth of the time of a small transformer's step.
    The setting holds for the whole process, whose memory then stays at its peak.

    Returns
    -------
    bool
        Whether the C library knows the setting; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # e.g. musl
        return False
    largest = 2**31 - 1
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_M_TRIM_THRESHOLD, largest))

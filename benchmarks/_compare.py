"""Timing contenders side by side: in turns, in one process, medians and ratios."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import foundation_nn as fn
from threadpoolctl import threadpool_info

Step = Callable[[], object]


def say_where(threads: int | None = None) -> None:
    """The CPU, the BLAS kernel and the number of threads that the numbers below belong to."""
    kernels = {
        f"{info['internal_api']} {info.get('architecture', '')}".strip()
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    names = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    settings = ", ".join(f"{name} {os.environ.get(name, 'unset')}" for name in names)
    count = fn.get_num_threads() if threads is None else threads
    print(f"CPU: {cpu_name()}, {os.cpu_count()} cores")
    print(f"BLAS: {', '.join(sorted(kernels))} ({settings})")
    print(f"{count} thread{'s' * (count > 1)}, medians of rounds in turn\n")


def cpu_name() -> str:
    """What the CPU calls itself, as far as the operating system tells."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def in_turn(
    contenders: dict[str, Step], rounds: int = 15, seconds: float = 0.2
) -> dict[str, float]:
    """Seconds a call takes, the median over the rounds; each round lasts about ``seconds``.

    The first call of a turn is not timed: it finds the caches full of the other's data, and the
    other's threads still spinning.
    """
    calls: dict[str, int] = {}
    for name, step in contenders.items():
        step()
        started = time.perf_counter()
        step()
        once = time.perf_counter() - started
        calls[name] = max(1, round(seconds / max(once, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, step in contenders.items():
            step()
            started = time.perf_counter()
            for _ in range(calls[name]):
                step()
            times[name].append((time.perf_counter() - started) / calls[name])
    return {name: statistics.median(values) for name, values in times.items()}


def row(what: str, seconds: dict[str, float]) -> None:
    """One line: milliseconds of each contender, and how many times faster the first one is."""
    first, *others = seconds
    text = "".join(f"{name} {1000 * value:9.3f} ms   " for name, value in seconds.items())
    ratios = ", ".join(f"{seconds[name] / seconds[first]:.2f}x {name}'s speed" for name in others)
    print(f"{what:44} {text}{ratios}")


def torch_or_none() -> object:
    """PyTorch on as many threads as ours, if it is installed."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed, its columns are left out: pass --torch\n")
        return None
    torch.set_num_threads(fn.get_num_threads())
    torch.manual_seed(0)
    return torch

"""Each operation on one thread and on several, alone and beside a busy neighbour.

nox -s bench -- threads

No operation may take longer on two threads than on one. Milliseconds of forward and backward
together; the numbers of threads take turns.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foundation_nn as fn
import numpy as np
from foundation_attn import attention
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_seq import GRU, LSTM, RNN
from foundation_transformer._feed_forward import swiglu

sys.path.insert(0, str(Path(__file__).parent))
from _compare import say_where

Case = Callable[[], object]
#: Longer on two threads than on one by more than this is a fault.
LIMIT = 1.1


def through(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Case:
    """Forward and backward of a function of tensors of these shapes."""
    rng = np.random.default_rng(0)
    inputs = [
        Tensor(rng.standard_normal(shape, dtype=np.float32), requires_grad=True) for shape in shapes
    ]
    g = np.ones(function(*inputs).shape, np.float32)

    def run() -> None:
        for x in inputs:
            x.grad = None
        function(*inputs).backward(g)

    return run


def recurrent(kind: type, batch: int, length: int, size: int) -> Case:
    layer = kind(size, size, rng=np.random.default_rng(0))
    return through(lambda x: layer(x)[0], (batch, length, size))


def adamw(count: int) -> Case:
    parameter = fn.Parameter(np.ones((count // 1000, 1000), np.float32))
    optimizer = fn.optim.AdamW([parameter])
    parameter.grad = np.ones(parameter.shape, np.float32)
    return optimizer.step


def cases() -> dict[str, Case]:
    targets = np.arange(2048) % 8192
    result: dict[str, Case] = {
        "linear 2048 x 512 -> 2048": through(F.linear, (2048, 512), (2048, 512), (2048,)),
        "linear 512 x 128 -> 384": through(F.linear, (512, 128), (384, 128), (384,)),
        "linear 64 x 64 -> 64": through(F.linear, (64, 64), (64, 64), (64,)),
        "matmul 16 of 256 x 64 x 256": through(F.matmul, (16, 256, 64), (16, 64, 256)),
        "cross-entropy 2048 x 8192": through(lambda z: F.cross_entropy(z, targets), (2048, 8192)),
        "embedding 2048 of 8192 x 384": through(lambda w: F.embedding(targets, w), (8192, 384)),
        "sum 2048 x 1536": through(lambda x: x.sum(-1), (2048, 1536)),
        "x * y 2048 x 1536": through(F.multiply, (2048, 1536), (2048, 1536)),
    }
    one = {
        "layer norm": lambda x: F.layer_norm(x, x.data[0], x.data[1]),
        "rms norm": lambda x: F.rms_norm(x, x.data[0]),
        "gelu": F.gelu,
        "gelu tanh": lambda x: F.gelu(x, "tanh"),
        "silu": F.silu,
        "swiglu": swiglu,
        "relu": F.relu,
        "tanh": F.tanh,
        "sigmoid": F.sigmoid,
        "softmax": F.softmax,
        "log softmax": F.log_softmax,
        "dropout": lambda x: F.dropout(x, 0.1, np.random.default_rng(0)),
    }
    for name, function in one.items():
        result[f"{name} 2048 x 1536"] = through(function, (2048, 1536))
        result[f"{name} 64 x 128"] = through(function, (64, 128))
    for T in (64, 256, 1024):
        shape = (4, 8, T, 64)
        result[f"attention 4 x 8 x {T} x 64"] = through(
            lambda q, k, v: attention(q, k, v, causal=True), shape, shape, shape
        )
    for kind in (RNN, LSTM, GRU):
        result[f"{kind.__name__} 32 x 64 x 256"] = recurrent(kind, 32, 64, 256)
    result["AdamW 10 million"] = adamw(10_000_000)
    return result


def timed(case: Case, seconds: float) -> float:
    case()
    started = time.perf_counter()
    count = 0
    while (passed := time.perf_counter() - started) < seconds:
        case()
        count += 1
    return passed / max(1, count)


def in_turns(case: Case, threads: tuple[int, ...], rounds: int, seconds: float) -> list[float]:
    """The median time of a call with each number of threads."""
    times: dict[int, list[float]] = {n: [] for n in threads}
    for _ in range(rounds):
        for n in threads:
            fn.set_num_threads(n)
            times[n].append(timed(case, seconds))
    return [statistics.median(times[n]) for n in threads]


def spin() -> None:
    while True:
        pass


def main() -> None:
    say_where()
    fn.keep_freed_memory()
    many = max(2, fn.get_num_threads())
    only = [word for word in sys.argv[1:] if not word.startswith("-")]
    rounds, seconds = (3, 0.05) if "--quick" in sys.argv else (7, 0.1)
    print(f"{'':34}{'1 thread':>10}{f'{many} threads':>11}{'':7}beside a busy neighbour")
    slower = []
    for name, case in cases().items():
        if only and not any(word in name for word in only):
            continue
        fn.set_num_threads(1)
        alone = in_turns(case, (1, many), rounds, seconds)
        neighbour = multiprocessing.get_context("fork").Process(target=spin, daemon=True)
        neighbour.start()
        beside = in_turns(case, (1, many), rounds, seconds)
        neighbour.terminate()
        neighbour.join()
        ratios = [alone[1] / alone[0], beside[1] / beside[0]]
        slower += [name] if max(ratios) > LIMIT else []
        print(
            f"{name:34}{alone[0] * 1e3:10.3f}{alone[1] * 1e3:11.3f}{ratios[0]:6.2f}x"
            f"{beside[0] * 1e3:10.3f}{beside[1] * 1e3:11.3f}{ratios[1]:6.2f}x",
            flush=True,
        )
    print(f"\nslower on {many} threads by more than {LIMIT:.1f}x: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()

"""Two states of this repository side by side: what has become slower, and by how much.

    python benchmarks/before_after.py BEFORE [AFTER] [--threads N] [--rounds N] [--only WORD ...]

BEFORE and AFTER are folders with a checkout, or revisions that Git knows, such as ``HEAD~5``.
Without AFTER it is the checkout that this script stands in, as it is.

Each state runs in a process of its own. Both are kept, and take turns many times: a turn lasts a
few hundredths of a second, so that whatever else the machine does hits both alike. The time of a
turn is that of its fastest half millisecond; with one thread it is the time of the processor, in
which others that use the machine do not count. For each case the table gives the median over the
turns of both states, and the median of their quotients, which is more than 1 where the later state
is slower. A case that one of the states cannot run is left out.

What was found on an AMD EPYC (Zen 4), one thread, between the last state in which kernels cut their
arrays themselves (82bd663) and this one; a repetition differs by 0.03:

* a step of a GPT 1.03, LSTM and GRU 0.99 to 1.02, attention 1.01 to 1.02, linear 0.90 to 1.01;
* arrays of 768 x 128 and more: softmax and log-softmax 0.86 to 1.0, sigmoid and SiLU 0.79 to 0.97,
  GELU 0.90 to 1.02, RMS norm 0.95 to 0.99, ReLU, tanh and dropout 0.97 to 1.06, layer norm 1.02 to
  1.06, cross-entropy 1.03 to 1.06: what the last two do more keeps digits, a second look at the
  mean, and the greatest logit and the sum apart;
* a few numbers: add, multiply, sum, linear, ReLU, tanh, sigmoid and GELU 0.79 to 1.00, layer norm
  and cross-entropy 1.03. SiLU 1.05 to 1.10 and softmax 1.11 to 1.15 take a microsecond more, since
  infinite products and differences have their limits, without a warning; log-softmax 1.03 to 1.06;
* AdamW of a thousand numbers 1.13 (13.3 instead of 11.8 microseconds): groups, what is frozen, and
  settings and state by name for whoever writes an optimiser. A network 2-8-2 with it: 1.05.

With two threads the same, but for products of half a millisecond: linear 512 x 128 -> 384 is 1.2, a
step of MLP 784-256-256-10 1.2 to 1.4. Threads of BLAS that spin begin at once; ours sleep, so that
they take no core from anybody, and are woken up. After a rest, the system may leave both on one
core for some hundredths of a second: --seconds 0.3 shows what follows. GPT 0.8 to 0.9.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("nn", "seq", "attn", "transformer", "data")
#: Slower by more than this on one thread is a fault, unless the kernel says why.
LIMIT = 1.05

#: Seconds between two looks at the clock: shorter than what other processes take at a time.
STRETCH = 5e-4
#: Seconds of rest before a turn: the threads of OpenBLAS stay awake for 25 ms after a product, and
#: would take a core from the other state.
REST = 0.06

Step = Callable[[], object]


# --- The cases, in the words that both states know


def cases() -> dict[str, Callable[[], Step]]:
    """What is timed: a name, and what makes the step that is repeated."""
    import foundation_nn as fn
    import numpy as np
    from foundation_attn import attention
    from foundation_nn import Tensor
    from foundation_nn import functional as F
    from foundation_seq import GRU, LSTM
    from foundation_transformer import CausalLM, TransformerConfig

    def tensor(*shape: int, learnt: bool = True) -> Tensor:
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        return Tensor(values, requires_grad=learnt)

    def through(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Step:
        """Forward and backward."""
        inputs = [tensor(*shape) for shape in shapes]
        g = np.ones(function(*inputs).shape, np.float32)

        def step() -> None:
            for x in inputs:
                x.grad = None
            function(*inputs).backward(g)

        return step

    def forward(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Step:
        """Nothing is recorded."""
        inputs = [tensor(*shape, learnt=False) for shape in shapes]
        return lambda: function(*inputs)

    def adamw(*shape: int) -> Step:
        parameter = fn.Parameter(np.ones(shape, np.float32))
        optimizer = fn.optim.AdamW([parameter], lr=1e-5)
        parameter.grad = np.ones(shape, np.float32)
        return optimizer.step

    def training(model: Any, loss: Callable[[Any], Tensor]) -> Step:
        """One whole step with AdamW."""
        optimizer = fn.optim.AdamW(model, lr=1e-5)

        def step() -> None:
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()

        return step

    def mlp(sizes: list[int], batch: int) -> Step:
        model = fn.MLP(sizes, rng=np.random.default_rng(0))
        x = tensor(batch, sizes[0], learnt=False)
        targets = np.arange(batch) % sizes[-1]
        return training(model, lambda model: F.cross_entropy(model(x), targets))

    def gpt(d_model: int, num_layers: int, batch: int, length: int) -> Step:
        config = TransformerConfig.gpt2(
            vocab_size=512, max_len=length, d_model=d_model, num_layers=num_layers, num_heads=4
        )
        model = CausalLM(config, rng=np.random.default_rng(0))
        ids = np.random.default_rng(0).integers(0, 512, (batch, length))
        return training(model, lambda model: F.cross_entropy(model(ids), ids))

    def recurrent(kind: type) -> Step:
        layer = kind(256, 256, rng=np.random.default_rng(0))
        return through(lambda x: layer(x)[0], (32, 64, 256))

    def dropout(x: Tensor) -> Tensor:
        return F.dropout(x, 0.1, np.random.default_rng(0))

    def of_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of what projections leave: (B, T, H, K), seen as (B, H, T, K) and back."""
        q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
        return attention(q, k, v, causal=True).swapaxes(1, 2)

    vector = np.linspace(0.5, 1.5, 128, dtype=np.float32)
    classes = np.arange(1024) % 512
    found: dict[str, Callable[[], Step]] = {
        "MLP 2-8-2, a step": lambda: mlp([2, 8, 2], 4),
        "MLP 784-256-256-10, a step": lambda: mlp([784, 256, 256, 10], 128),
        "GPT d 128, 4 layers, a step": lambda: gpt(128, 4, 8, 64),
        "LSTM 32 x 64 x 256": lambda: recurrent(LSTM),
        "GRU 32 x 64 x 256": lambda: recurrent(GRU),
        "AdamW of 1,000": lambda: adamw(10, 100),
        "AdamW of 1,000, no decay": lambda: adamw(1000),
        "AdamW of 1,000,000": lambda: adamw(1000, 1000),
        "add 4 x 4, forward": lambda: forward(F.add, (4, 4), (4, 4)),
        "add 4 x 4": lambda: through(F.add, (4, 4), (4, 4)),
        "multiply 4 x 4": lambda: through(F.multiply, (4, 4), (4, 4)),
        "sum 4 x 4": lambda: through(lambda x: x.sum(), (4, 4)),
        "linear 4 x 2 -> 8, forward": lambda: forward(F.linear, (4, 2), (8, 2), (8,)),
        "linear 4 x 2 -> 8": lambda: through(F.linear, (4, 2), (8, 2), (8,)),
        "linear 512 x 128 -> 384": lambda: through(F.linear, (512, 128), (384, 128), (384,)),
        "layer norm 768 x 128": lambda: through(
            lambda x: F.layer_norm(x, vector, vector), (768, 128)
        ),
        "layer norm 4 x 8": lambda: through(F.layer_norm, (4, 8)),
        "rms norm 768 x 128": lambda: through(lambda x: F.rms_norm(x, vector), (768, 128)),
        "cross-entropy 1024 x 512": lambda: through(
            lambda z: F.cross_entropy(z, classes), (1024, 512)
        ),
        "cross-entropy 64 x 512": lambda: through(
            lambda z: F.cross_entropy(z, classes[:64]), (64, 512)
        ),
        "cross-entropy 4 x 2": lambda: through(
            lambda z: F.cross_entropy(z, classes[:4] % 2), (4, 2)
        ),
        "attention 4 x 8 x 64 x 64": lambda: through(of_heads, *[(4, 64, 8, 64)] * 3),
        "attention 4 x 8 x 256 x 64": lambda: through(of_heads, *[(4, 256, 8, 64)] * 3),
    }
    of_one_array = {
        "gelu": F.gelu,
        "silu": F.silu,
        "relu": F.relu,
        "tanh": F.tanh,
        "sigmoid": F.sigmoid,
        "softmax": F.softmax,
        "log softmax": F.log_softmax,
        "dropout": dropout,
    }
    for name, function in of_one_array.items():
        for shape in ((4, 8), (768, 128), (2048, 512)):
            found[f"{name} {shape[0]} x {shape[1]}"] = lambda f=function, s=shape: through(f, s)
    return found


# --- One state: a process that does what it is told


def worker(threads: int) -> None:
    """Read "name seconds" from the one that started it, and answer with microseconds a call."""
    import foundation_nn as fn
    from threadpoolctl import threadpool_limits

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed goes to the error output
    threadpool_limits(threads)
    fn.set_num_threads(threads)
    keep_freed_memory()
    clock = time.thread_time if threads == 1 else time.perf_counter
    makers = cases()
    steps: dict[str, Step] = {}
    for line in sys.stdin:
        name, seconds = json.loads(line)
        try:
            if name not in steps:
                steps.clear()  # the memory of one case at a time
                steps[name] = makers[name]()
                steps[name]()
            answer: float | str = 1e6 * timed(steps[name], seconds, clock)
        except Exception as error:  # noqa: BLE001, an older state may not know what is asked for
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=answers, flush=True)


def keep_freed_memory() -> None:
    """In both states alike, whatever the name of it was."""
    import foundation_nn as fn

    keep = getattr(fn, "keep_freed_memory", None)
    if keep is not None:
        keep()


def timed(step: Step, seconds: float, clock: Callable[[], float]) -> float:
    """Seconds a call: of many short stretches of time, the one that was disturbed least."""
    step()  # finds the caches full of something else
    calls = 1
    best = math.inf
    ends = clock() + seconds
    while (started := clock()) < ends or best == math.inf:
        for _ in range(calls):
            step()
        passed = clock() - started
        if passed < STRETCH / 2:
            calls *= 2
        else:
            best = min(best, passed / calls)
    return best


class State:
    """One of the two: a process that imports its packages."""

    def __init__(self, checkout: Path, threads: int) -> None:
        sources = [str(checkout / "packages" / f"foundation-{name}" / "src") for name in PACKAGES]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "before_after.py"), "--worker", "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sources)},
            text=True,
        )

    def microseconds(self, name: str, seconds: float) -> float | str:
        """Of one call; a text says why there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        time.sleep(REST)
        print(json.dumps([name, seconds]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process has ended; run it with --worker to see why")
        answer: float | str = json.loads(line)
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def checkout_of(state: str, room: Path) -> Path:
    """A folder with the packages: the one that is named, or the files of a revision."""
    folder = Path(state)
    if (folder / "packages").is_dir():
        return folder.resolve()
    files = subprocess.run(
        ["git", "-C", str(HERE.parent), "archive", state, "--", "packages"],
        stdout=subprocess.PIPE,
        check=False,
    )
    if files.returncode:
        raise SystemExit(f"before_after: {state} is neither a checkout nor a revision")
    target = room / f"state_{len(list(room.iterdir()))}"
    with tarfile.open(fileobj=io.BytesIO(files.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target


# --- The comparison


def compare(before: State, after: State, only: list[str], rounds: int, seconds: float) -> list[str]:
    """Print a line for each case; the names of those that have become too slow."""
    slower = []
    print(f"{'microseconds a call':32}{'before':>11}{'after':>11}{'quotient':>11}")
    for name in cases():
        if only and not any(name.startswith(word) for word in only):
            continue
        failed = [s.microseconds(name, 0.0) for s in (before, after)]
        if any(isinstance(answer, str) for answer in failed):
            print(f"{name:32}  left out: {next(a for a in failed if isinstance(a, str))[:60]}")
            continue
        pairs: list[tuple[float, float]] = []
        for turn in range(rounds):
            states = (before, after) if turn % 2 else (after, before)
            times = {state: float(state.microseconds(name, seconds)) for state in states}
            pairs.append((times[before], times[after]))
        old = statistics.median(pair[0] for pair in pairs)
        new = statistics.median(pair[1] for pair in pairs)
        quotient = statistics.median(pair[1] / pair[0] for pair in pairs)
        mark = "  <-- slower" if quotient > LIMIT else ""
        slower += [name] if mark else []
        print(f"{name:32}{old:11.1f}{new:11.1f}{quotient:11.2f}{mark}", flush=True)
    return slower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("states", nargs="*", metavar="BEFORE [AFTER]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.03, help="of a turn")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="WORD", help="with which a case begins"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.threads)
        return
    sys.path.insert(0, str(HERE))
    from _compare import say_where

    if not 1 <= len(arguments.states) <= 2:
        print("nothing to compare: python benchmarks/before_after.py BEFORE [AFTER], see its top")
        return
    say_where(arguments.threads)
    with tempfile.TemporaryDirectory() as room:
        names = [*arguments.states, str(HERE.parent)][:2]
        folders = [checkout_of(name, Path(room)) for name in names]
        before, after = (State(folder, arguments.threads) for folder in folders)
        try:
            slower = compare(before, after, arguments.only, arguments.rounds, arguments.seconds)
        finally:
            before.end()
            after.end()
    print(f"\nslower by more than {LIMIT:.2f}: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()

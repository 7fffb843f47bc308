"""How far many processes carry: a cost model, checked here and extended to larger machines.

    nox -s bench -- scaling

A step of N processes is taken to last

    (compute + update) / N + fixed + 2 (N - 1) / N bytes / bandwidth + messages log2(N) latency

with the compute of the whole batch and a fixed part, fitted to four batch sizes in one process;
the update of all parameters; the bytes of all gradients, which are reduced and scattered, and whose
parameters are gathered again; and the small messages in which the processes agree. Bandwidth and
latency are measured between two processes on this machine. The sum is compared with steps of 1, 2
and 4 processes of one thread each.

Then it is extended to machines of 32 cores, of which each is a process as fast as one here. Within
a machine they exchange gradients as fast as here. Between machines, whose link they share, each
machine sends once what its processes have added up. These are assumptions; the table is no
measurement.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

#: Small messages in a step: the loss, the norm, twice the callbacks, twice the end.
MESSAGES = 6
STEPS = 40
#: Of the machines that the model is extended to.
CORES_OF_A_MACHINE = 32
#: Tokens of a step there, half a million as GPT-2 had.
TOKENS = 1 << 19


class Network(NamedTuple):
    """What connects processes or machines.

    Attributes
    ----------
    bandwidth : float
        Bytes a second that each can send.
    latency : float
        Seconds of a small message.
    """

    bandwidth: float
    latency: float


class Work(NamedTuple):
    """What a step has to do, in one process.

    Attributes
    ----------
    compute : float
        Seconds of forward and backward that shrink with the batch.
    fixed : float
        Those that do not.
    update : float
        Seconds of the optimiser.
    size : float
        Bytes of the gradients.
    """

    compute: float
    fixed: float
    update: float
    size: float


NETWORKS = {
    "10 Gb/s Ethernet": Network(10e9 / 8, 30e-6),
    "200 Gb/s InfiniBand": Network(200e9 / 8, 2e-6),
}


def sending(size: float, network: Network, n: int) -> float:
    """Seconds in which n processes or machines add up their gradients and share the results."""
    return 2 * (n - 1) / n * size / network.bandwidth + MESSAGES * math.log2(n) * network.latency


def predicted(work: Work, network: Network, n: int, cores: int) -> float:
    """Seconds of a step of n processes; if there are more of them than cores, they take turns."""
    turns = max(1.0, n / cores)
    computing = (work.compute + work.update) / n + work.fixed
    return computing * turns + sending(work.size, network, n)


def median_of(function: Callable[[], object], repeats: int = 40) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times[5:])


def measure_network() -> Network:
    """Between the processes of this run: reduce-scatter with all-gather, and a small message."""
    from foundation_nn import distributed

    comm = distributed.world()
    whole = np.ones(1 << 22, np.float32)
    part = np.empty(len(whole) // comm.size, np.float32)
    sizes = [len(part)] * comm.size

    def exchange() -> None:
        comm.Reduce_scatter(whole, part, sizes)
        comm.Allgatherv(part, [whole, sizes])

    sent = 2 * (comm.size - 1) / comm.size * whole.nbytes
    bandwidth = sent / median_of(exchange)
    return Network(bandwidth, median_of(lambda: comm.allgather(None), 400))


def measure_step(rows: int | None = None, comm: Any = None) -> float:
    """Seconds of a step of nanoGPT's model for CPUs, with some of the rows of its batch."""
    from foundation_nn import optim, set_num_threads
    from foundation_nn.training import Trainer
    from foundation_transformer.recipes import WindowBatch, language_model_loss
    from language_model import SMALL, batch_of, make

    set_num_threads(1)
    model, whole = make(SMALL), batch_of(SMALL)
    batch = WindowBatch(whole.ids[:rows], whole.targets[:rows])
    optimizer = optim.AdamW(model, 1e-3)
    trainer = Trainer(model, language_model_loss, optimizer, clip_norm=1.0, comm=comm)
    ends = [time.perf_counter()]

    def timed() -> Any:
        for _ in range(STEPS):
            yield batch
            ends.append(time.perf_counter())

    trainer.fit(timed(), max_steps=STEPS)
    return statistics.median(np.diff(ends)[5:])


def measure_work() -> tuple[Work, float]:
    """What the step has to do, and the floating-point operations a second that a core does."""
    from foundation_nn import optim
    from language_model import SMALL, make

    shares = (1.0, 0.75, 0.5, 0.25)
    rounds = [[measure_step(round(share * SMALL.rows)) for share in shares] for _ in range(3)]
    seconds = np.median(rounds, axis=0)
    slope, start_of_line = np.polyfit(shares, seconds, 1)
    model = make(SMALL)
    optimizer = optim.AdamW(model, 1e-3)
    optimizer.buffer.grad[...] = 1e-3
    update = median_of(optimizer.step)
    operations = 6 * model.num_parameters() * SMALL.rows * SMALL.length  # PaLM's count
    fixed = max(0.0, start_of_line - update)
    return Work(slope, fixed, update, optimizer.buffer.grad.nbytes), operations / seconds[0]


def start(processes: int, what: str) -> Any:
    """What so many processes of this script have measured."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [str(mpiexec), "-n", str(processes), sys.executable, __file__, "--measure", what]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(said)


def measure(what: str) -> None:
    from foundation_nn import distributed

    comm = distributed.world()
    result: Any = measure_network() if what == "network" else measure_step(comm=comm)
    if comm.rank == 0:
        print(json.dumps(result))


def check(work: Work, network: Network) -> None:
    """The model beside what it is a model of."""
    cores = os.cpu_count() or 1
    print(f"between two processes: {network.bandwidth / 1e9:.2f} GB/s, ", end="")
    print(f"{1e6 * network.latency:.0f} µs a message")
    print(
        f"a step: compute {1000 * work.compute:.1f} ms, fixed {1000 * work.fixed:.1f} ms, ", end=""
    )
    print(f"update {1000 * work.update:.1f} ms, gradients {work.size / 1e6:.1f} MB\n")
    print("processes   measured   by the model")
    for n in (1, 2, 4):
        measured, expected = start(n, "step"), predicted(work, network, n, cores)
        print(f"{n:9}  {1000 * measured:6.1f} ms  {1000 * expected:10.1f} ms")


def extend(work: Work, rate: float, within: Network) -> None:
    """Steps of half a million tokens on machines that we do not have."""
    counts = (16, 256, 4096)
    for title, between in NETWORKS.items():
        print(f"\n{title}: seconds of a step, and how much of it is sending")
        print(f"{'parameters':>12}" + "".join(f"{n:>14,} cores" for n in counts))
        for parameters in (10e6, 100e6, 1e9):
            size = 4 * parameters
            cells = []
            for n in counts:
                machines = max(1, n // CORES_OF_A_MACHINE)
                exchange = sending(size, within, n // machines) + sending(size, between, machines)
                computing = 6 * parameters * TOKENS / rate / n
                updating = work.update * size / work.size / n
                seconds = computing + updating + work.fixed + exchange
                cells.append(f"{seconds:9.3g} s {exchange / seconds:5.0%}   ")
            print(f"{parameters / 1e6:10,.0f} M" + "".join(f"{cell:>20}" for cell in cells))
        a_parameter = 8 / within.bandwidth + 8 / between.bandwidth
        equal = 6 * TOKENS / rate / a_parameter
        print(f"sending takes as long as computing from {equal:,.0f} cores on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", choices=("network", "step"), help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()
    if options.measure:
        measure(options.measure)
        return
    from _compare import say_where

    say_where()
    network = Network(*start(2, "network"))
    work, rate = measure_work()
    check(work, network)
    print(
        f"\na core does {rate / 1e9:.0f} GFLOP/s in a step; {TOKENS:,} tokens a step from here on"
    )
    extend(work, rate, network)


if __name__ == "__main__":
    main()

"""Training steps of one process and of two that share each batch, beside PyTorch's.

    nox -s bench -- processes --torch

Five models, the global batch the same for all contenders: one process with one thread; one process
with all threads; as many processes as there are cores, with one thread each; eager PyTorch with all
threads; PyTorch's DistributedDataParallel over gloo with as many processes. Contenders take turns:
each round starts every one of them anew, lets it warm up, and takes the median of its steps; the
table has the medians of the rounds. Efficiency is the time of one process with one thread, divided
by the number of processes times their time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
#: Steps of each model in a round: about two seconds.
STEPS = {"gpt-128": 40, "gpt-384": 6, "translator-256": 12, "lstm": 25, "gru": 16}
WARM_UP = 3
Step = Callable[[], object]


def gpt(name: str, comm: Any) -> Any:
    from foundation_transformer.recipes import language_model_loss
    from language_model import LARGE, SMALL, batch_of, make

    size = SMALL if name == "gpt-128" else LARGE
    return make(size), language_model_loss, batch_of(size), comm


def translator(_name: str, comm: Any) -> Any:
    import foundation_data as fd
    from foundation_transformer import Transformer, TransformerConfig
    from foundation_transformer.recipes import translation_loss

    rng = np.random.default_rng(0)
    config = TransformerConfig.tiny(
        vocab_size=4000, target_vocab_size=4000, max_len=64, d_model=256, num_heads=8
    )
    ids = rng.integers(4, 4000, size=(2, 64, 12))
    batch = fd.collate([(s, np.append(1, t[:-1]), t) for s, t in zip(*ids, strict=True)])
    return Transformer(config, rng=rng), translation_loss(0.1), batch, comm


def recurrent(name: str, comm: Any) -> Any:
    import foundation_nn as fn
    from foundation_seq import GRU, LSTM
    from recurrent import FEATURES, B, H, T

    rng = np.random.default_rng(0)
    layer = LSTM(FEATURES, H, 1, rng=rng) if name == "lstm" else GRU(FEATURES, H, 2, rng=rng)
    x = rng.standard_normal((B, T, FEATURES), dtype=np.float32)

    def loss(model: Any, batch: Any) -> tuple[fn.Tensor, int]:
        output, _ = model(fn.Tensor(batch))
        return (output * output).mean(), len(batch)

    return layer, loss, x, comm


MODELS = {"gpt-128": gpt, "gpt-384": gpt, "translator-256": translator}
MODELS |= {"lstm": recurrent, "gru": recurrent}


def ours(name: str, comm: Any) -> float:
    """The median seconds of a step of the library's own loop."""
    from itertools import repeat

    from foundation_nn import optim
    from foundation_nn.training import Trainer

    model, loss, batch, comm = MODELS[name](name, comm)
    trainer = Trainer(
        model,
        loss,
        optim.AdamW(model, 1e-3),
        clip_norm=1.0,
        comm=comm,
        rng=np.random.default_rng(0),
    )
    ends = [time.perf_counter()]

    def timed() -> Any:
        for _ in repeat(None, STEPS[name] + WARM_UP):
            yield batch
            ends.append(time.perf_counter())

    trainer.fit(timed(), max_steps=STEPS[name] + WARM_UP)
    return statistics.median(np.diff(ends)[WARM_UP:])


def pytorch(name: str, rank: int, size: int) -> float:
    """The median seconds of a step, of ``size`` processes with a part of the batch each."""
    import torch

    torch.set_num_threads(CORES // size)
    torch.manual_seed(0)
    nn = torch.nn
    if size > 1:
        torch.distributed.init_process_group("gloo")

    def rows(array: Any) -> Any:
        return torch.from_numpy(np.array_split(array, size)[rank].copy())

    def wrapped(model: Any) -> Any:
        return nn.parallel.DistributedDataParallel(model) if size > 1 else model

    if name.startswith("gpt"):
        from language_model import LARGE, SMALL, batch_of
        from language_model import gpt as torch_gpt

        scale = SMALL if name == "gpt-128" else LARGE
        model = wrapped(torch_gpt(torch, scale))
        batch = batch_of(scale)
        ids, targets = rows(batch.ids), rows(batch.targets)

        def loss() -> Any:
            return nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten())

    elif name == "translator-256":
        from translator import Size, torch_model

        batch = translator(name, None)[2]
        model = wrapped(torch_model(torch, Size(256, 8, 2), 4000, 4000))
        source, padding = rows(batch.source), rows(~batch.source_mask)
        target_in, target_out = rows(batch.target_in), rows(batch.target_out)

        def loss() -> Any:
            logits = model(source, target_in, padding)
            return nn.functional.cross_entropy(
                logits.flatten(0, 1), target_out.flatten(), ignore_index=0, label_smoothing=0.1
            )

    else:
        from recurrent import FEATURES, B, H, T

        kind = nn.LSTM(FEATURES, H, 1) if name == "lstm" else nn.GRU(FEATURES, H, 2)
        kind.batch_first = True
        model = wrapped(kind)
        x = rows(np.random.default_rng(0).standard_normal((B, T, FEATURES), dtype=np.float32))

        def loss() -> Any:
            return model(x)[0].square().mean()

    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    ends = [time.perf_counter()]
    for _ in range(STEPS[name] + WARM_UP):
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ends.append(time.perf_counter())
    return statistics.median(np.diff(ends)[WARM_UP:])


def work(who: str, name: str) -> None:
    """One contender in one round: prints the seconds of a step."""
    if who == "PyTorch":
        seconds = pytorch(name, 0, 1)
    elif who == "DDP":
        seconds = pytorch(name, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
        if os.environ["RANK"] != "0":
            return
    elif who == "processes":
        from foundation_nn import distributed

        comm = distributed.world()
        seconds = ours(name, comm)
        if comm.rank:
            return
    else:
        import foundation_nn as fn

        fn.set_num_threads(1 if who == "one thread" else CORES)
        seconds = ours(name, None)
    print(json.dumps(seconds))


def start(who: str, name: str) -> float:
    command = [sys.executable, __file__, "--work", who, name]
    environments = [os.environ.copy()]
    if who == "processes":
        mpiexec = Path(sys.executable).with_name("mpiexec")
        command = [str(mpiexec), "-n", str(CORES), *command]
    if who == "DDP":
        at = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "WORLD_SIZE": str(CORES)}
        environments = [os.environ | at | {"RANK": str(rank)} for rank in range(CORES)]
    running = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        for env in environments
    ]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"{who}, {name}: failed")
    return float(json.loads("".join(said).strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", nargs=2, metavar=("WHO", "MODEL"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options, _ = parser.parse_known_args()
    if options.work:
        work(*options.work)
        return
    from _compare import say_where, torch_or_none

    say_where()
    contenders = ["one thread", "all threads", "processes"]
    if torch_or_none() is not None:
        contenders += ["PyTorch", "DDP"]
    for name in options.models:
        times: dict[str, list[float]] = {who: [] for who in contenders}
        for _ in range(options.rounds):
            for who in contenders:
                times[who].append(start(who, name))
        seconds = {who: statistics.median(values) for who, values in times.items()}
        text = "  ".join(f"{who} {1000 * value:8.2f} ms" for who, value in seconds.items())
        efficiency = seconds["one thread"] / (CORES * seconds["processes"])
        print(f"{name:15} {text}  efficiency {efficiency:.2f}", end="")
        for other in contenders[3:]:
            print(f", {seconds[other] / seconds['processes']:.2f}x {other}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()

"""A run that is saved as it goes on, and in which something happens to one of its processes.

    mpiexec -n 2 python faulty.py FOLDER STEPS [EVENT RANK STEP] [--dropout]

EVENT is "error", "nan", "kill" or "interrupt". The last line that process 0 prints is a digest of
all parameters; a step takes at least 20 ms, so that a test can intervene.
"""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import cases
import numpy as np
from foundation_nn import distributed
from foundation_nn.training import Callback, Checkpoints, checkpoints_of
from foundation_transformer.recipes import WindowBatch


class Saver(Checkpoints):
    """Says where the run is, so that a test knows when to intervene."""

    def on_settled(self, trainer):
        super().on_settled(trainer)
        sys.stdout.write(f"step {trainer.steps}\n")
        sys.stdout.flush()


class NotEverywhere(Callback):
    """Callbacks belong to the first process alone."""

    def __init__(self, rank):
        self.rank = rank

    def on_step(self, trainer, step):  # noqa: ARG002
        assert self.rank == 0


def main():
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    given = [argument for argument in sys.argv[3:] if not argument.startswith("--")]
    event, rank, at = (given[0], int(given[1]), int(given[2])) if given else ("", -1, -1)
    world = distributed.world()
    model, loss, batches = cases.gpt(dropout=0.1 if "--dropout" in sys.argv else 0.0)
    if "--unseeded" in sys.argv:
        batches = np.random.default_rng().integers(29, size=(9, 2, 5, 7))
        batches = [WindowBatch(*pair) for pair in batches]
    optimizer = cases.OPTIMIZERS["adamw"](model)
    count = 0

    def faulty_loss(model, batch):
        nonlocal count
        count += 1
        time.sleep(0.02)
        value, targets = loss(model, batch)
        if world.rank == rank and count == at:
            if event == "error":
                raise ValueError("something is wrong with this batch")
            if event == "nan":
                return value * np.nan, targets
            if event in ("kill", "interrupt"):
                os.kill(os.getpid(), signal.SIGKILL if event == "kill" else signal.SIGINT)
        return value, targets

    trainer = cases.Trainer(
        model,
        faulty_loss,
        optimizer,
        clip_norm=1.0,
        ema=cases.optim.EMA(optimizer, 0.9),
        rng=np.random.default_rng(5),
        callbacks=[Saver(folder, every=3, keep=2), NotEverywhere(world.rank)],
        skip_failed="--skip" in sys.argv,
        folder=folder,
        comm=world,
    )
    saved = checkpoints_of(folder) if folder.exists() else []
    if saved:
        trainer.resume(saved[-1])
    trainer.fit(batches, max_steps=steps)
    if world.rank == 0:
        bits = b"".join(value.tobytes() for value in model.state_dict().values())
        digest = hashlib.sha256(bits).hexdigest()
        sys.stdout.write(f"{trainer.stopped_by} {trainer.steps} {digest}\n")
    sys.exit(130 if trainer.stopped_by == "interrupt" else 0)


if __name__ == "__main__":
    main()

"""A run that is killed before any call to the file system is resumed to the same files."""

import os
import time

import killing
import numpy as np
import pytest
from foundation_nn import MLP, Tensor, optim, schedules
from foundation_nn.training import (
    Checkpoints,
    CsvLog,
    EarlyStopping,
    JsonLog,
    Trainer,
    checkpoints_of,
)

ROWS = np.random.default_rng(1).standard_normal((5, 4, 2)).astype(np.float32)


def square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), len(batch)


def train(folder):
    """Begin a run, or go on with it; everything that a resume has to remember is in use."""
    time.perf_counter = lambda: 0.0  # the durations of steps would differ
    rng = np.random.default_rng(2)
    model = MLP([2, 3, 1], rng=rng)
    optimizer = optim.AdamW(model, lr=0.1)
    trainer = Trainer(
        model,
        square,
        optimizer,
        schedule=schedules.plateau(0.1, factor=0.5, patience=1),
        clip_norm=0.3,
        accumulate=2,
        ema=optim.EMA(optimizer, 0.9),
        rng=rng,
        callbacks=[
            Checkpoints(folder, every=2, keep=1),
            JsonLog(folder / "history.jsonl"),
            CsvLog(folder / "steps.csv"),
            EarlyStopping(99),
        ],
    )
    if saved := checkpoints_of(folder):
        trainer.resume(saved[-1])
    trainer.fit(ROWS, validation=ROWS[:2], evaluate_every=3, max_steps=4)


def contents(folder):
    return {str(p.relative_to(folder)): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


def trained(folder, fatal=0):
    return killing.run(lambda: train(folder), folder, fatal) is not None


def check(folder, expected, moments):
    """Killed at these moments one after the other, and then not."""
    for fatal in moments:
        if trained(folder, fatal):
            break
    assert trained(folder)
    found = contents(folder)
    assert sorted(found) == sorted(expected), moments
    assert found == expected, moments


def once(tmp_path):
    calls = killing.run(lambda: train(tmp_path / "whole"), tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    assert {"checkpoint", "last/step_000004", "history.jsonl", "steps.csv"} < set(expected)
    assert len(expected) == 11
    assert calls > 100
    killing.for_each(
        range(1, calls + 1), lambda fatal: check(tmp_path / str(fatal), expected, [fatal])
    )


def twice(tmp_path):
    """Each first moment with a few second ones: those of mending come first in the second run."""
    calls = killing.run(lambda: train(tmp_path / "whole"), tmp_path / "whole")
    expected = contents(tmp_path / "whole")

    def check_from(first):
        for second in (2 + first % 11, 13 + first % 23):
            check(tmp_path / f"{first}_{second}", expected, [first, second])

    killing.for_each(range(1, calls + 1, 3), check_from)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")
@pytest.mark.parametrize("scene", ["once", "twice"])
def test_killed_at_any_call_to_the_file_system(scene):
    killing.in_a_process_of_its_own(__name__, scene)

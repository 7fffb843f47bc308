"""Killed at any moment, a run that is resumed ends with the bits it would have had."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resumable
from foundation_nn.training import read_history

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")

MOMENTS = 24


def contents(folder: Path) -> dict[str, bytes]:
    """All files of all checkpoints."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "history.jsonl"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["foundation_data", "foundation_transformer.recipes"])
    return context


def run(processes: Any, *args: Any) -> int:
    process = processes.Process(target=resumable.train, args=args)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return int(process.exitcode)


def test_killed_and_resumed_the_bits_are_the_same(tmp_path: Path, processes: Any) -> None:
    moments = processes.Queue()
    assert run(processes, tmp_path / "whole", 0, moments) == 0
    names = moments.get()
    expected = contents(tmp_path / "whole")
    assert {Path(name).parts[0] for name in expected} == {"last", "checkpoint"}
    history = read_history(tmp_path / "whole" / "history.jsonl")
    assert history.num_clipped > 0
    assert len(history.steps) == 12

    chosen = np.random.default_rng(0).permutation(len(names))[:MOMENTS]
    assert {names[i] for i in chosen} == {"accumulating", "saving", "renaming"}
    for fatal in (chosen + 1).tolist():
        folder = tmp_path / str(fatal)
        assert run(processes, folder, fatal) == -signal.SIGKILL
        assert run(processes, folder, 0) == 0
        assert contents(folder) == expected, f"killed at moment {fatal}, {names[fatal - 1]}"
        again = read_history(folder / "history.jsonl")
        assert [s.loss for s in again.steps] == [s.loss for s in history.steps]
        assert again.evaluations == history.evaluations


def test_killed_again_and_again(tmp_path: Path, processes: Any) -> None:
    assert run(processes, tmp_path / "whole", 0) == 0
    codes = []
    while not codes or codes[-1]:
        codes.append(run(processes, tmp_path / "torn", 31))
        assert len(codes) < 30
    assert len(codes) > 3
    assert contents(tmp_path / "torn") == contents(tmp_path / "whole")

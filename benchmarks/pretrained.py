"""SmolLM2-135M: loading, reading and writing, beside transformers with PyTorch.

Needs the published model (``integration_tests/models/fetch.py``) and the extra ``gguf``; with
``torch`` and ``transformers`` installed, their float32 model of the same weights runs in turn.
Peak memory is measured in processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _compare import in_turn, row, say_where, torch_or_none
from foundation_transformer import CausalLM, load_pretrained, save_pretrained

FOLDER = Path(os.environ.get("FOUNDATION_MODELS") or Path(__file__).parents[1] / "runs" / "models")
FILE = FOLDER / "smollm2.gguf"
PROMPT = np.random.default_rng(0).integers(20, 49000, (1, 256))
STEPS = 20

LOAD = """
import resource, sys, time
import foundation_transformer as ft
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
model = ft.load_pretrained(sys.argv[1], compact=sys.argv[2] == "True").model
seconds = time.perf_counter() - started
logits, state = model.start(__import__("numpy").arange(5)[None], __import__("numpy").array([5]), 9)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, before * 1024, peak * 1024)
"""


def loading() -> None:
    """Seconds, and the most memory of the whole process, over that of the float32 weights."""
    weights = 4 * 134_515_008
    for compact in (False, True):
        command = [sys.executable, "-c", LOAD, str(FILE), str(compact)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, before, peak = map(float, done.stdout.split())
        print(
            f"load{' (compact)' if compact else '':12} {seconds:5.2f} s, peak memory "
            f"{peak / 1e6:.0f} MB = {peak / weights:.2f}x the float32 weights "
            f"({before / 1e6:.0f} MB before)"
        )


def reading(model: CausalLM) -> None:
    model.start(PROMPT, np.array([256]), 300)


def writing(model: CausalLM) -> float:
    """Seconds a token, after the prompt."""
    _, state = model.start(PROMPT, np.array([256]), 300)
    started = time.perf_counter()
    for _ in range(STEPS):
        _, state = model.step(state, np.array([5]))
    return (time.perf_counter() - started) / STEPS


def main() -> None:
    if not FILE.exists():
        sys.exit(f"{FILE} is missing: run integration_tests/models/fetch.py, or nox -s models")
    say_where()
    loading()
    model, compact = (load_pretrained(FILE, compact=c).model for c in (False, True))
    readers = {"ours": lambda: reading(model), "compact": lambda: reading(compact)}
    writers = {"ours": lambda: writing(model), "compact": lambda: writing(compact)}
    torch = torch_or_none()
    if torch is not None:
        try:
            from transformers import AutoModelForCausalLM
        except ImportError:
            print("transformers is not installed, its columns are left out")
        else:
            with tempfile.TemporaryDirectory() as folder:
                save_pretrained(folder, model)
                theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            ids, one = torch.tensor(PROMPT), torch.tensor([[5]])

            def read_theirs() -> object:
                with torch.inference_mode():
                    return theirs(ids, use_cache=True, logits_to_keep=1).past_key_values

            def write_theirs() -> float:
                past = read_theirs()
                started = time.perf_counter()
                with torch.inference_mode():
                    for _ in range(STEPS):
                        past = theirs(one, past_key_values=past, use_cache=True).past_key_values
                return (time.perf_counter() - started) / STEPS

            readers["transformers"], writers["transformers"] = read_theirs, write_theirs
    row("reading 256 tokens", in_turn(readers, rounds=5, seconds=0))
    times = {name: [] for name in writers}
    for _ in range(4):
        for name, write in writers.items():
            times[name].append(write())
    row("writing one", {name: float(np.median(values)) for name, values in times.items()})


if __name__ == "__main__":
    main()

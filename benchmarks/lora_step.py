"""A LoRA step of SmolLM2-135M beside Hugging Face's peft with PyTorch: tokens a second, in turns.

    python lora_step.py [--rounds 5] [--tokens 512]

Needs the published model (``integration_tests/models/fetch.py``) and the extra ``gguf``; with
``torch``, ``transformers`` and ``peft`` installed, theirs runs in turn on the same weights, ids and
masks. The batch is one row of short examples end to end, of which a fifth of the tokens count. Both
compute in float32, on as many threads, with adapters of rank 8 on all seven matrices of a layer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _compare import in_turn, row, say_where, torch_or_none
from foundation_data import TextDataset
from foundation_nn import optim
from foundation_transformer import CausalLM, load_pretrained, save_pretrained
from foundation_transformer.adapters import Lora
from foundation_transformer.recipes import IGNORE_INDEX, answer_loss, answer_targets

FOLDER = Path(os.environ.get("FOUNDATION_MODELS") or Path(__file__).parents[1] / "runs" / "models")
FILE = FOLDER / "smollm2.gguf"
RANK = 8
NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def batch_of(num_tokens: int) -> Any:
    """A row of one text, so that both need no mask between texts."""
    rng = np.random.default_rng(0)
    ids = rng.integers(20, 49_000, num_tokens + 1).tolist()
    learnt = [place % 40 >= 32 for place in range(num_tokens + 1)]
    return TextDataset.from_ids([ids], num_tokens, pack=True, trained=[learnt]).batch([0])


def ours(model: CausalLM, batch: Any) -> Callable[[], float]:
    lora = Lora.around(model, RANK, rng=np.random.default_rng(0))
    optimizer = optim.AdamW(lora, lr=1e-4)

    def step() -> float:
        optimizer.zero_grad()
        loss, _ = answer_loss(model, batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def theirs(torch: Any, folder: str, batch: Any) -> Callable[[], float] | None:
    try:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM
    except ImportError:
        print("transformers or peft is not installed, their column is left out")
        return None
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=NAMES)
    model = get_peft_model(base, config).train()
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=1e-4)
    ids = torch.tensor(batch.ids)
    targets = torch.tensor(answer_targets(batch))

    def step() -> float:
        optimizer.zero_grad()
        logits = model(ids).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX
        )
        loss.backward()
        optimizer.step()
        value: float = loss.item()
        return value

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=512)
    args = parser.parse_args()
    if not FILE.exists():
        sys.exit(f"{FILE} is missing: run integration_tests/models/fetch.py, or nox -s models")
    say_where()
    loaded = load_pretrained(FILE)
    batch = batch_of(args.tokens)
    steps = {}
    torch = torch_or_none()
    with tempfile.TemporaryDirectory() as folder:
        if torch is not None:
            save_pretrained(folder, loaded.model, loaded.tokenizer)  # type: ignore[arg-type]
            other = theirs(torch, folder, batch)
    steps["ours"] = ours(loaded.model, batch)  # type: ignore[arg-type]
    if torch is not None and other is not None:
        steps["peft"] = other
        first = {name: step() for name, step in steps.items()}
        print(f"the loss of the first step: {first}")  # the adapters begin at zero: the same
    seconds = in_turn(steps, rounds=args.rounds)
    row(f"LoRA step, rank {RANK}, {args.tokens} tokens", seconds)
    for name, value in seconds.items():
        print(f"{name:44} {args.tokens / value:9.0f} tokens/s")


if __name__ == "__main__":
    main()

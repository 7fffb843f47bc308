"""A translator of one's own learns from more pairs: by a low-rank change, and by all its weights.

    python adapt_translator.py ../shared/data/tatoeba-en-fr.tsv.gz [--minutes 5] [--out FOLDER]

English to French on Tatoeba, with the sentences that ``tatoeba.py`` holds out. The base learns from
40,000 pairs and has their byte pairs. Then it learns from all the others: once by a change of a low
rank beside its weights (LoRA), once by all its weights, with the same batches, until the epochs or
the minutes are over. BLEU of greedy decoding and of a beam of four, and the memory of the process
that trained.

Each part runs in a process of its own, and what is done stands in the folder, so that the script
can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import foundation_nn as fn
import numpy as np
from _compare import say_where
from foundation_data import BatchLoader, BPETokenizer, TranslationDataset, read_pairs
from foundation_nn import checkpoint
from foundation_nn.training import Progress
from foundation_transformer import Transformer, TransformerConfig, translate
from foundation_transformer.adapters import Lora
from foundation_transformer.evaluation import score_translations
from foundation_transformer.recipes import train_translator
from tatoeba import MAX_LEN, split

BASE_PAIRS = 40_000
#: The learning rate at its peak: a change that begins at zero takes a larger one.
RATES = {"base": 2e-3, "lora": 2e-3, "full": 5e-4}


def train(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train one of the parts, save what came of it, and measure it."""
    rng = np.random.default_rng(options.seed)
    pairs, held_out = split(list(read_pairs(options.file)))
    order = np.random.default_rng(0).permutation(len(pairs)).tolist()
    first, others = order[:BASE_PAIRS], order[BASE_PAIRS:]
    chosen = [pairs[i] for i in (first if part == "base" else others)]
    lora = None
    if part == "base":
        tokenizers = [
            BPETokenizer.train(side, max_size=4000, lossless=False)
            for side in zip(*chosen, strict=True)
        ]
        config = TransformerConfig.tiny(
            vocab_size=len(tokenizers[0]),
            target_vocab_size=len(tokenizers[1]),
            max_len=MAX_LEN,
            d_model=256,
            num_layers=3,
        )
        model = Transformer(config, rng=rng)
    else:
        saved = checkpoint.load(options.out / "base")
        model = saved.model
        tokenizers = [saved.extras["source_tokenizer"], saved.extras["target_tokenizer"]]
    if part == "lora":
        lora = Lora.around(model, options.rank, rng=rng)
    source_tokenizer, target_tokenizer = tokenizers
    dataset = TranslationDataset(chosen, source_tokenizer, target_tokenizer, MAX_LEN)
    started, cpu = time.perf_counter(), time.process_time()
    trainer = train_translator(
        model if lora is None else lora,
        BatchLoader(dataset, 128, seed=options.seed),
        epochs=options.epochs,
        max_seconds=60 * options.minutes,
        lr=RATES[part],
        rng=rng,
        callbacks=[Progress()],
    )
    found: dict[str, float] = {
        "pairs": len(chosen),
        "numbers learnt": (model if lora is None else lora).num_parameters(),
        "updates": trainer.steps,
        "seconds": round(time.perf_counter() - started),
        "CPU seconds": round(time.process_time() - cpu),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if lora is not None:
        lora.merge()  # the caches of generation then hold no change beside the weights
    checkpoint.save(
        options.out / part,
        model,
        source_tokenizer=source_tokenizer,
        target_tokenizer=target_tokenizer,
    )
    for name, beam_size in (("greedy", 1), ("beam of 4", 4)):
        translations = translate(
            model, list(held_out), source_tokenizer, target_tokenizer, beam_size=beam_size
        )
        found[name] = round(score_translations(translations, list(held_out.values())).bleu, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=5, help="of training, for each part")
    parser.add_argument("--epochs", type=int, default=12, help="at most, for each part")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs", "benchmark-adapt"))
    parser.add_argument("--part", choices=list(RATES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.json"
    done = json.loads(results.read_text("utf-8")) if results.exists() else {}
    if options.part is not None:
        done[options.part] = train(options.part, options)
        results.write_text(json.dumps(done, indent=1) + "\n", "utf-8")
        return
    say_where()
    for part in RATES:
        if part not in done:
            subprocess.run([sys.executable, *sys.argv, "--part", part], check=True)
    done = json.loads(results.read_text("utf-8"))
    print(f"{fn.get_num_threads()} threads, rank {options.rank}")
    print(f"{'':6}" + "".join(f"{name:>15}" for name in done["base"]))
    for part, found in done.items():
        print(f"{part:6}" + "".join(f"{value:15,}" for value in found.values()))


if __name__ == "__main__":
    main()

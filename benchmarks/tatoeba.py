"""English to French on Tatoeba: BLEU of greedy decoding and of a beam of four.

    python benchmarks/tatoeba.py ../shared/data/tatoeba-en-fr.tsv.gz [--minutes 28] [--seed 0]
    mpiexec -n 2 python benchmarks/tatoeba.py FILE --mpi    # two processes share each batch

Sentences of up to ten words on both sides, as byte pairs: a word model spends a third of its time
on a large vocabulary, and still writes <unk> for every rare word. 2,000 English sentences, none of
which is in training, are translated and compared with all the French translations that are known
for each (sacreBLEU, 13a). The English sentence decides by its hash on which side it is, so the
split never changes.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections import defaultdict
from pathlib import Path

import foundation_nn as fn
import numpy as np
from foundation_data import BatchLoader, BPETokenizer, TranslationDataset, read_pairs
from foundation_nn import checkpoint, distributed
from foundation_nn.training import Progress
from foundation_transformer import Transformer, TransformerConfig, translate
from foundation_transformer.evaluation import score_translations
from foundation_transformer.recipes import train_translator

HELD_OUT, LONGEST = 2000, 10
MAX_LEN = 48  # in byte pairs


def split(pairs: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """Pairs to train on, and held-out sentences with all their translations."""
    known: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        if max(len(source.split()), len(target.split())) <= LONGEST:
            known[source].append(target)
    ranked = sorted(known, key=lambda s: hashlib.sha256(s.encode()).digest())
    held_out = {source: known[source] for source in ranked[:HELD_OUT]}
    rest = [(source, target) for source in ranked[HELD_OUT:] for target in known[source]]
    return rest, held_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=28.0, help="of training")
    parser.add_argument("--width", type=int, default=256, help="d_model")
    parser.add_argument("--vocabulary", type=int, default=4000, help="byte pairs on each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="all cores by default")
    parser.add_argument("--mpi", action="store_true", help="train with all processes of mpiexec")
    parser.add_argument("--out", type=Path, help="keep the checkpoint in this folder")
    options = parser.parse_args()
    if options.threads is not None:
        fn.set_num_threads(options.threads)
    comm = distributed.world() if options.mpi else None
    rng = np.random.default_rng(options.seed)
    train, held_out = split(list(read_pairs(options.file)))
    tokenizers = [
        BPETokenizer.train(side, max_size=options.vocabulary, lossless=False)
        for side in zip(*train, strict=True)
    ]
    dataset = TranslationDataset(train, *tokenizers, MAX_LEN)
    print(
        f"{len(train):,} pairs to train on, {len(held_out):,} sentences held out; "
        f"{len(tokenizers[0]):,} and {len(tokenizers[1]):,} tokens"
    )
    config = TransformerConfig.tiny(
        vocab_size=len(tokenizers[0]),
        target_vocab_size=len(tokenizers[1]),
        max_len=MAX_LEN,
        d_model=options.width,
        num_layers=3,
    )
    model = Transformer(config, rng=rng)
    started = time.perf_counter()
    trainer = train_translator(
        model,
        BatchLoader(dataset, 128, seed=options.seed),
        epochs=12,
        max_seconds=60 * options.minutes,
        lr=2e-3,
        rng=rng,
        callbacks=[Progress()],
        comm=comm,
    )
    minutes = (time.perf_counter() - started) / 60
    if comm is not None and comm.rank > 0:
        return  # the first process alone translates
    processes = 1 if comm is None else comm.size
    print(
        f"{trainer.steps:,} updates in {minutes:.1f} minutes, "
        f"{processes} x {fn.get_num_threads()} threads; "
        f"each process computed {time.process_time() / 60:.1f} minutes in all"
    )
    if options.out is not None:
        checkpoint.save(
            options.out, model, source_tokenizer=tokenizers[0], target_tokenizer=tokenizers[1]
        )
    sentences = list(held_out)
    for name, beam_size in (("greedy", 1), ("beam of 4", 4)):
        found = translate(model, sentences, *tokenizers, beam_size=beam_size)
        scores = score_translations(found, list(held_out.values()))
        print(
            f"{name}: BLEU {scores.bleu:.1f}, chrF {scores.chrf:.1f}, "
            f"{scores.exact:.1%} exact ({scores.signature})"
        )
    for sentence, translation in zip(sentences[:10], found, strict=False):
        print(f"  {sentence} → {translation}")


if __name__ == "__main__":
    main()

"""Subword tokenizers: training and encoding, beside a plain loop and the `tokenizers` library.

    nox -s bench -- subwords

FOUNDATION_DATA names a folder with tinyshakespeare.txt and tatoeba-en-fr.tsv.gz; the unigram model
is measured on this repository without them. The library is
Rust, and ours is Python: its columns are with one thread, as ours is, and with all.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# This file has the library's name, so its folder must not come first where that is looked for.
sys.path = [path for path in sys.path if Path(path).resolve() != ROOT / "benchmarks"]
from foundation_data import BPETokenizer, UnigramTokenizer, WordTokenizer, read_pairs
from foundation_data.tokenizers.pipeline._byte_alphabet import (
    ALPHABET,
    BYTE_TO_CHARACTER,
    text_to_bytes,
)
from foundation_data.tokenizers.subwords._plain_bpe import merge

try:
    import tokenizers as library
except ImportError:
    library = None

MERGES, ROUNDS = 8000, 3
SPECIALS = ["<pad>", "<bos>", "<eos>", "<unk>"]
SIZE = len(SPECIALS) + len(ALPHABET) + MERGES


def seconds(step: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times)


def threads(count: int) -> None:
    """The library reads this at each call; with "false" it works on one thread."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false" if count == 1 else "true"


def say(what: str, value: str) -> None:
    print(f"{what:52} {value}", flush=True)


def rate(texts: list[str], spent: float) -> str:
    size = sum(len(text.encode()) for text in texts)
    return f"{spent:7.3f} s   {size / spent / 1e6:6.1f} MB/s"


def their_training(texts: list[str]) -> Any:
    theirs = library.Tokenizer(library.models.BPE())
    theirs.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = library.trainers.BpeTrainer(
        vocab_size=SIZE,
        min_frequency=2,
        show_progress=False,
        special_tokens=SPECIALS,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


def plain_merges(words: dict[tuple[int, ...], int], first_new_id: int, number: int) -> None:
    """Learn merges as `_plain_bpe.train` does, of words with their counts."""
    for new_id in range(first_new_id, first_new_id + number):
        counts: Counter[tuple[int, int]] = Counter()
        for ids, count in words.items():
            for pair in pairwise(ids):
                counts[pair] += count
        commonest = min(counts, key=lambda pair: (-counts[pair], pair))
        words = {tuple(merge(list(ids), commonest, new_id)): words[ids] for ids in words}


def plain_loop(tokenizer: BPETokenizer, texts: list[str], spent: float) -> None:
    """Time a few merges at the beginning, and at the end, where words are shorter; not all 8,000.

    The loop, too, gets each distinct word once with its count, which is the first thing one would
    improve.
    """
    cutter = BPETokenizer(tokenizer.vocabulary, [])
    pieces: Counter[str] = Counter()
    for text in texts:
        for piece in cutter.pipeline.steps[0].cut(text):
            pieces[piece] += 1
    of = tokenizer.vocabulary.token_to_id
    words = {
        "begins": {
            tuple(of(BYTE_TO_CHARACTER[byte]) for byte in text_to_bytes(piece)): count
            for piece, count in pieces.items()
        },
        "ends": {tuple(tokenizer.encode(piece)): count for piece, count in pieces.items()},
    }
    few = 5
    for when, state in words.items():
        each = seconds(lambda s=state: plain_merges(s, len(tokenizer), few), 2) / few
        total = each * MERGES
        say(
            f"  as the plain loop {when}",
            f"{1000 * each:7.1f} ms a merge, {total:.0f} s for all: {total / spent:.0f} times ours",
        )


def learning(texts: list[str]) -> BPETokenizer:
    tokenizer = BPETokenizer.train(texts, max_size=SIZE)
    spent = seconds(lambda: BPETokenizer.train(texts, max_size=SIZE))
    say(f"learn {len(tokenizer.merges):,} merges: ours", rate(texts, spent))
    if library is not None:
        for count in (1, os.cpu_count() or 1):
            threads(count)
            name = f"  the library, {count} thread{'s' * (count > 1)}"
            say(name, rate(texts, seconds(lambda: their_training(texts))))
        theirs = their_training(texts).get_vocab()
        same = theirs == {token: i for i, token in enumerate(tokenizer.vocabulary)}
        say("  the same tokens with the same ids", "yes" if same else "NO")
    plain_loop(tokenizer, texts, spent)
    return tokenizer


def encoding(tokenizer: BPETokenizer, name: str, texts: list[str]) -> None:
    def cold() -> list[list[int]]:
        fresh = BPETokenizer(tokenizer.vocabulary, tokenizer.merges)
        return [fresh.encode(text) for text in texts]

    build = seconds(lambda: BPETokenizer(tokenizer.vocabulary, tokenizer.merges))
    ids = cold()
    say(f"encode {name}: ours, new", rate(texts, seconds(cold) - build))
    warm = seconds(lambda: [tokenizer.encode(text) for text in texts])
    say("  ours, words known", rate(texts, warm))
    say("  ours, decoding", rate(texts, seconds(lambda: [tokenizer.decode(row) for row in ids])))
    if library is not None:
        theirs = library.Tokenizer.from_str(json.dumps(tokenizer.to_dict()["tokenizer"]))
        for count in (1, os.cpu_count() or 1):
            threads(count)
            spent = seconds(lambda: theirs.encode_batch_fast(texts))
            say(f"  the library, {count} thread{'s' * (count > 1)}", rate(texts, spent))
        assert [row.ids for row in theirs.encode_batch(texts)] == ids


def unigram() -> None:
    """Learn pieces from the sources and the guide of this repository, and encode them.

    The library's trainer is given the words that ours sees.
    """
    files = [*ROOT.glob("docs/*.md"), *ROOT.glob("packages/*/src/**/*.py")]
    whole = "\n".join(path.read_text(encoding="utf-8") for path in sorted(files))
    texts = whole.split("\n\n")
    tokenizer = UnigramTokenizer.train(texts, max_size=MERGES)
    spent = seconds(lambda: UnigramTokenizer.train(texts, max_size=MERGES))
    say(f"learn {MERGES:,} pieces of a unigram model: ours", rate(texts, spent))
    spent = seconds(lambda: [tokenizer.encode(text) for text in texts])
    say("encode the same, words known", rate(texts, spent))
    document = json.dumps(tokenizer.to_dict()["tokenizer"])

    def cold() -> None:
        fresh = UnigramTokenizer(
            tokenizer.vocabulary, tokenizer.scores, tokenizer.pipeline, True, "<unk>"
        )
        for text in texts:
            fresh.encode(text)

    say("encode the same, new", rate(texts, seconds(cold)))
    if library is None:
        return
    threads(1)
    theirs = library.Tokenizer.from_str(document)
    theirs.encode_special_tokens = True
    say("  the library, 1 thread", rate(texts, seconds(lambda: theirs.encode_batch_fast(texts))))
    trainer = library.trainers.UnigramTrainer(
        vocab_size=MERGES, show_progress=False, unk_token="<unk>", special_tokens=["<unk>"]
    )
    learner = library.Tokenizer(library.models.Unigram())
    learner.normalizer = theirs.normalizer
    learner.pre_tokenizer = theirs.pre_tokenizer
    spent = seconds(lambda: learner.train_from_iterator(texts, trainer), 1)
    say("  the library learns, 1 thread", rate(texts, spent))


def words(pairs: list[tuple[str, str]]) -> None:
    sides = [list(side) for side in zip(*pairs, strict=True)]

    def step() -> None:
        for side in sides:
            tokenizer = WordTokenizer.train(side)
            for text in side:
                tokenizer.encode(text)

    step_seconds = seconds(step)
    say(
        f"words of {len(pairs):,} pairs: learn, cut, number",
        rate([text for side in sides for text in side], step_seconds),
    )


def main() -> None:
    unigram()
    folder = Path(os.environ.get("FOUNDATION_DATA", "."))
    if not (folder / "tinyshakespeare.txt").exists():
        sys.exit("FOUNDATION_DATA names no folder with tinyshakespeare.txt: nothing to measure")
    play = (folder / "tinyshakespeare.txt").read_text(encoding="utf-8")
    print(f"Shakespeare: {len(play):,} bytes; best of {ROUNDS} rounds; ours on one thread\n")
    lines = play.splitlines(keepends=True)
    tokenizer = learning(lines)
    encoding(tokenizer, "Shakespeare by line", lines)
    pairs = read_pairs(folder / "tatoeba-en-fr.tsv.gz")
    encoding(tokenizer, "Tatoeba's English", [source for source, _ in pairs])
    encoding(tokenizer, "Tatoeba's French", [target for _, target in pairs])
    words(pairs)


if __name__ == "__main__":
    main()

"""From raw lines to batches: seconds, tokens a second, padding, and the memory of a large corpus.

FOUNDATION_DATA names a folder with tatoeba-en-fr.tsv.gz; without it, sentences are made up.

nox -s bench -- data
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from foundation_data import (
    Batch,
    BatchLoader,
    TextDataset,
    TranslationDataset,
    WordTokenizer,
    read_pairs,
    stream_texts,
    write_shards,
)

MEGABYTES = 1000


def pairs_and_name() -> tuple[list[tuple[str, str]], str]:
    path = Path(os.environ.get("FOUNDATION_DATA", ".")) / "tatoeba-en-fr.tsv.gz"
    if path.exists():
        return read_pairs(path), "Tatoeba en-fr"
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(5000)]
    sentences = [
        " ".join(words[int(5000 * u**4)] for u in rng.random(rng.integers(2, 15)))
        for _ in range(100_000)
    ]
    return list(zip(sentences, sentences[::-1], strict=True)), "made up"


def say(what: str, value: str) -> None:
    print(f"{what:52} {value}")


def encoding(pairs: list[tuple[str, str]]) -> TranslationDataset:
    started = time.perf_counter()
    tokenizers = [WordTokenizer.train(side) for side in zip(*pairs, strict=True)]
    trained = time.perf_counter()
    dataset = TranslationDataset(pairs, *tokenizers)
    done = time.perf_counter()
    say("train two word tokenizers", f"{trained - started:6.2f} s")
    say(f"tokenise and number {len(pairs):,} pairs", f"{done - trained:6.2f} s")
    return dataset


def loading(dataset: TranslationDataset) -> None:
    for name, options in {
        "as they come": {"bucket": False},
        "buckets": {},
        "buckets, 2 batches ahead": {"prefetch": 2},
    }.items():
        best, real, positions = float("inf"), 0, 0
        for _ in range(5):
            loader: BatchLoader[Batch] = BatchLoader(dataset, max_tokens=4000, **options)
            started = time.perf_counter()
            sizes = [
                (int(b.source_mask.sum()) + b.num_tokens, b.source.size + b.target_in.size)
                for b in loader
            ]
            best = min(best, time.perf_counter() - started)
            real, positions = (sum(column) for column in zip(*sizes, strict=True))
        say(
            f"batches of 4,000 tokens, {name}",
            f"{real / best / 1e6:6.1f} M tokens/s, {1 - real / positions:5.1%} padding",
        )


def text(dataset: TranslationDataset) -> None:
    documents = [dataset[index].source.tolist() for index in range(len(dataset))]
    for pack in (False, True):
        started = time.perf_counter()
        rows = TextDataset.from_ids(documents, 256, pack=pack)
        made = time.perf_counter()
        tokens = sum(batch.num_tokens for batch in BatchLoader(rows, max_tokens=4096))
        done = time.perf_counter()
        filled = tokens / (len(rows) * 256)
        say(
            f"rows of 256, {'packed' if pack else 'windows'}",
            f"{tokens / (done - made) / 1e6:6.1f} M tokens/s, {1 - filled:5.1%} padding, "
            f"laid out in {made - started:.2f} s",
        )


def memory(field: str) -> float:
    """Megabytes, as Linux counts them: VmHWM is the most there ever was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1000
    raise KeyError(field)


def stream(folder: Path) -> None:
    """In a process of its own: a text on disk becomes shards, and the shards become batches."""
    path = folder / "corpus.txt"
    tokenizer = WordTokenizer.train(islice(stream_texts(path), 20_000))
    started = time.perf_counter()

    def documents() -> Iterator[list[int]]:
        for text in stream_texts(path):
            yield tokenizer.encode(text, add_eos=True)

    tokens = write_shards(documents(), folder / "shards", len(tokenizer))
    written, peak = time.perf_counter(), memory("VmHWM")
    for _ in islice(BatchLoader(TextDataset.from_ids(tokens, 256), batch_size=16), 1000):
        pass
    read = time.perf_counter()
    size = path.stat().st_size / 1e6
    say(
        f"{size:,.0f} MB of text to {len(tokens):,} ids in files",
        f"{written - started:6.1f} s, at most {peak:.0f} MB of memory",
    )
    say(
        "16,000 rows of 256 from these files",
        f"{read - written:6.1f} s, {memory('RssAnon'):.0f} MB of memory "
        f"and {memory('RssFile'):.0f} MB of files mapped into it",
    )


def large(pairs: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "corpus.txt").open("w", encoding="utf-8") as out:
            # Five sentences a line; again and again, until there is enough.
            lines = [
                " ".join(source for source, _ in pairs[start : start + 5]) + "\n"
                for start in range(0, len(pairs), 5)
            ]
            while out.tell() < 1e6 * MEGABYTES:
                out.writelines(lines)
        subprocess.run([sys.executable, __file__, folder], check=True)


def main() -> None:
    pairs, name = pairs_and_name()
    print(f"{name}: {len(pairs):,} pairs\n")
    dataset = encoding(pairs)
    loading(dataset)
    text(dataset)
    large(pairs)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        stream(Path(sys.argv[1]))
    else:
        main()

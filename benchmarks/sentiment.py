"""MiniLM with a head: is a film praised or not, beside scikit-learn on the same vectors.

    nox -s bench -- sentiment --others

The data are 10,604 sentences of film reviews, each rated by twenty people from -4 to 4 [1]_; they
come with the source distribution of the package vaderSentiment (MIT licence), which pip downloads,
and of which nothing is run but what pip needs. A sentence is praise if its mean rating is above
zero; one in five, by a hash of its text, is held out. MiniLM comes from
``integration_tests/models/fetch.py``.

.. [1] C. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
   Social Media Text", ICWSM 2014.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import foundation_nn as fn
import numpy as np
from _compare import say_where
from foundation_nn import functional as F
from foundation_nn import training
from foundation_transformer import TextClassifier, load_pretrained, recipes
from foundation_transformer.evaluation import Rate
from foundation_transformer.pretrained import embed
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "vaderSentiment==3.3.2"
DIGEST = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
LABELS = ["blame", "praise"]
LONGEST = 48  # tokens, with those around a text; two in a thousand are longer
SEED = 0


def sentences(place: Path) -> list[tuple[str, int]]:
    """(sentence, label) of the film reviews, those rated zero left out."""
    archive = place / "vaderSentiment-3.3.2.tar.gz"
    if not archive.exists():
        place.mkdir(parents=True, exist_ok=True)
        command = ["pip", "download", "-q", "--no-deps", "--no-binary", ":all:", PACKAGE]
        command += ["--no-build-isolation", "-d", str(place)]
        subprocess.run([sys.executable, "-m", *command], check=True)
    content = archive.read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise ValueError(f"{archive}: not the file that these numbers belong to")
    inner = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(content)) as outer:
        packed = outer.extractfile(inner).read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as folder:
        text = folder.extractfile("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt").read()
    found = []
    for line in text.decode("utf-8", "replace").splitlines():
        _, rating, sentence = line.split("\t")
        if float(rating) != 0:
            found.append((sentence, int(float(rating) > 0)))
    return found


def is_held_out(sentence: str) -> bool:
    return hashlib.sha256(sentence.encode()).digest()[0] % 5 == 0


def show(name: str, right: np.ndarray, seconds: float) -> None:
    print(f"{name:44} {Rate.of(right.astype(float))}   {seconds:7.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, default=ROOT / "runs" / "models")
    parser.add_argument("--data", type=Path, default=ROOT / "runs" / "data")
    parser.add_argument("--epochs", type=int, default=1)
    options, _ = parser.parse_known_args()
    say_where()
    data = sentences(options.data)
    train = [pair for pair in data if not is_held_out(pair[0])]
    test = [pair for pair in data if is_held_out(pair[0])]
    targets, wanted = (np.array([label for _, label in some]) for some in (train, test))
    print(f"{len(train):,} sentences to learn from, {len(test):,} held out")
    print(f"accuracy of always saying {LABELS[1]}: {wanted.mean():.4f}\n")
    print(f"{'':44} {'accuracy':17}   {'time':>7}")

    loaded = load_pretrained(options.models / "minilm")
    started = time.perf_counter()
    vectors = embed(loaded, [text for text, _ in train])
    held_out = embed(loaded, [text for text, _ in test])
    reading = time.perf_counter() - started

    started = time.perf_counter()
    regression = LogisticRegression(max_iter=1000).fit(vectors, targets)
    seconds = reading + time.perf_counter() - started
    show(
        "scikit-learn: logistic regression on vectors",
        regression.predict(held_out) == wanted,
        seconds,
    )

    started = time.perf_counter()
    head = head_on_vectors(vectors, targets)
    seconds = reading + time.perf_counter() - started
    chosen = head(fn.Tensor(held_out)).data.argmax(axis=1)
    show("ours: a head on the same vectors", chosen == wanted, seconds)

    rng = np.random.default_rng(SEED)
    frame, encode = loaded.tokenizer.frame, loaded.tokenizer.encode
    room = LONGEST - frame.size
    rows, others = (
        recipes.padded([frame.around(encode(text)[:room]) for text, _ in some])
        for some in (train, test)
    )
    model = TextClassifier(loaded.model, LABELS, pooling="mean", rng=rng)
    batches = training.batches(*rows, targets, batch_size=32, rng=rng)
    steps = options.epochs * len(batches)
    started = time.perf_counter()
    recipes.train_classifier(model, batches, steps=steps, lr=1e-4, warmup=steps // 10, rng=rng)
    seconds = time.perf_counter() - started
    with fn.no_grad():
        logits = [model(ids, real).data for ids, real in training.batches(*others, batch_size=64)]
    right = np.concatenate(logits).argmax(axis=1) == wanted
    show(f"ours: head and MiniLM, {options.epochs} epoch(s)", right, seconds)


def head_on_vectors(vectors: np.ndarray, targets: np.ndarray) -> fn.Linear:
    """A linear layer and a cross-entropy, 300 steps with all vectors."""
    head = fn.Linear(vectors.shape[1], len(LABELS), rng=np.random.default_rng(SEED))

    def loss(model: fn.Linear, batch: tuple[np.ndarray, np.ndarray]) -> tuple[fn.Tensor, int]:
        x, y = batch
        return F.cross_entropy(model(fn.Tensor(x)), y), len(y)

    optimizer = fn.optim.AdamW(head, lr=0.1, weight_decay=1e-3)
    schedule = fn.schedules.cosine(0.1, 300, 10)
    training.Trainer(head, loss, optimizer, schedule=schedule).fit(
        [(vectors, targets)], max_steps=300
    )
    return head


if __name__ == "__main__":
    main()

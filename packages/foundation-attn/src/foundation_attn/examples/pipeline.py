# ruff: noqa: T201 - an example prints
"""Attention from a short sentence to a trained translator of dates.

    python -m foundation_attn.examples.pipeline [--out plots] [--quick] [--seed 0]

First scores, weights and context of four words, with all numbers, by hand and by one head of
:class:`SelfAttention`; then two layers of heads learn to copy (see :mod:`.copying`), and what each
head does is measured; then an :class:`AttentionSeq2Seq` learns to write ``2009-05-12`` for
``12 may 2009``. Both are shown in ``attention.html``, a page for the browser, and where matplotlib
is installed in ``heads.png`` and ``alignment.png``.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

import foundation_nn as fn
import numpy as np
from foundation_nn import Tensor, padding_mask
from foundation_nn import functional as F
from foundation_nn.lessons import answered, options, pictures
from numpy.typing import NDArray

from foundation_attn import (
    AttentionSeq2Seq,
    SelfAttention,
    capture_attention,
    dot_score,
    masked_softmax,
)
from foundation_attn.examples import copying
from foundation_attn.plotting import (
    HeatMap,
    LayerMap,
    attention_text,
    plot_alignment,
    plot_heads,
    save_page,
)

STEPS = 1500
PAD, BOS, EOS = 0, 1, 2
CHARACTERS = "0123456789-/., abcdefghijklmnopqrstuvwxyz"
IDS = {character: i for i, character in enumerate(CHARACTERS, start=3)}
MONTHS = "january february march april may june july august september october november december"


def by_hand() -> None:
    """Scores, weights and context of a sentence of four words, two numbers a word."""
    words = ["the", "cat", "drinks", "milk"]
    x = Tensor(np.array([[[0.1, 0.0], [1.0, 0.2], [0.3, 1.0], [0.9, 0.6]]], np.float32))
    scores = dot_score(x, x)
    weights = masked_softmax(scores)
    context = weights @ x
    for name, table in (("scores", scores), ("weights", weights), ("context", context)):
        print(f"\n{name}")
        for word, row in zip(words, table.data[0], strict=True):
            print(f"  {word:7}" + "".join(f"{value:7.2f}" for value in row))
    print("\n" + attention_text(weights.data[0], words, words))
    # The same within a layer: what is compared and what is taken are projections of the words,
    # here fresh ones, and the scores are divided by the root of their width.
    with capture_attention() as maps:
        SelfAttention(2, rng=np.random.default_rng(0))(x)
    print("\nby a fresh head\n" + attention_text(maps[0].weights[0, 0], words, words))


def trained_heads(steps: int, seed: int) -> list[LayerMap]:
    """The heads of a model that has learnt to copy, with their scores printed."""
    model = copying.train(np.random.default_rng(seed), steps)
    others = np.random.default_rng([seed, 1])
    print(f"Letters of other texts that are foretold: {copying.accuracy(model, others):.3f}")
    layers = copying.look(model, "numpynumpynumpy")
    copying.show_heads(layers)
    return layers


def dates(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Dates as people write them, and as ISO 8601 has them."""
    found = []
    for day in rng.integers(0, 365 * 150, count):
        date = dt.date(1900, 1, 1) + dt.timedelta(days=int(day))
        month = MONTHS.split()[date.month - 1]
        styles = (
            f"{date.day} {month} {date.year}",
            f"{month} {date.day}, {date.year}",
            f"{date.day} {month[:3]} {date.year}",
            f"{date.day}.{date.month}.{date.year}",
            f"{date.year}/{date.month}/{date.day}",
        )
        found.append((styles[rng.integers(len(styles))], date.isoformat()))
    return found


def pad(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Texts as ids (B, S), and which are real."""
    mask = padding_mask([len(text) for text in texts])
    ids = np.full(mask.shape, PAD)
    ids[mask] = [IDS[character] for text in texts for character in text]
    return ids, mask


def framed(texts: Sequence[str]) -> NDArray[np.int64]:
    """Texts of one length as ids between ``BOS`` and ``EOS``."""
    ids, _ = pad(texts)
    edge = np.ones((len(texts), 1), np.int64)
    return np.concatenate([BOS * edge, ids, EOS * edge], axis=1)


def train(rng: np.random.Generator, steps: int, batch: int = 64) -> AttentionSeq2Seq:
    """A translator of dates."""
    size = len(CHARACTERS) + 3
    model = AttentionSeq2Seq(size, size, embedding_dim=32, hidden_size=64, rng=rng)
    optimizer = fn.optim.AdamW(model, lr=5e-3, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = fn.schedules.cosine(5e-3, steps, warmup=steps // 20)
    for step in range(1, steps + 1):
        sources, targets = zip(*dates(rng, batch), strict=True)
        source, mask = pad(sources)
        target = framed(targets)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(source, target[:, :-1], mask), target[:, 1:])
        loss.backward()
        fn.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.lr = schedule(step)
        optimizer.step()
        if step % 100 == 0:
            print(f"  step {step:4}  loss {float(loss.data):.4f}", flush=True)
    return model


def translate(model: AttentionSeq2Seq, texts: Sequence[str]) -> list[str]:
    """The dates in ISO 8601."""
    written = model.translate(*pad(texts), bos_id=BOS, eos_id=EOS, max_new_tokens=12)
    return ["".join(CHARACTERS[i - 3] for i in ids if i > EOS) for ids in written]


def alignment(model: AttentionSeq2Seq, text: str) -> HeatMap:
    """What the model looks at for each character that it writes."""
    (written,) = translate(model, [text])
    source, mask = pad([text])
    with capture_attention() as maps:
        model(source, framed([written])[:, :-2], mask)
    return HeatMap(maps[0].weights[0, 0], list(text), list(written), f"{text} → {written}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run all of it."""
    parser = options(
        "foundation_attn.examples.pipeline",
        "Attention from a short sentence to a trained translator of dates.",
        STEPS,
        quick=100,
        of="updates of the translator; the heads that copy take a fifth of them",
    )
    args = parser.parse_args(argv)
    fn.keep_freed_memory()
    by_hand()
    print("\nTraining on texts that repeat themselves")
    layers = trained_heads(max(1, args.steps // 5), args.seed)

    print("\nTraining on dates")
    held_out = dates(np.random.default_rng([args.seed, 2]), 1000)
    started = time.perf_counter()
    model = train(np.random.default_rng(args.seed), args.steps)
    written = translate(model, [source for source, _ in held_out])
    exact = float(np.mean([a == b for a, (_, b) in zip(written, held_out, strict=True)]))
    print(f"Exact on 1000 other dates: {exact:.3f} ({time.perf_counter() - started:.0f} s)")
    for (source, target), answer in zip(held_out[:4], written, strict=False):
        print(answered(source, answer, target))

    m = alignment(model, "12 may 2009")
    print("\n" + attention_text(m.weights, m.queries, m.keys))
    dates_map = LayerMap("translator of dates", m.weights[None], m.queries, m.keys, "cross")
    return pictures(
        args.out,
        {
            "attention.html": lambda path: save_page(
                [*layers, dates_map], path, "Where attention looks"
            ),
            "heads.png": lambda path: plot_heads(layers, path),
            "alignment.png": lambda path: plot_alignment(m, path),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())

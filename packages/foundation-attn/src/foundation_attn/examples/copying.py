# ruff: noqa: T201 - an example prints
"""Two layers of heads learn to go on with a text that repeats itself.

Each text is a word of three to eight different letters, written again and again. Where the second
round begins, the next letter is known: the one that came after this letter the last time. A single
layer cannot look for it, since a letter does not say what stood before it. Two layers can: a head
of the first looks at the token before, and a head of the second, an induction head [1]_, looks for
the place where the token before is the present one.

``python -m foundation_attn.examples.copying`` trains them, shows what they foretell and what each
head does, and leaves the weights of all heads in ``plots/copying_heads.png``.

References
----------
.. [1] C. Olsson et al., "In-context Learning and Induction Heads", 2022, arXiv:2209.11895.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import foundation_nn as fn
import numpy as np
from foundation_nn import Embedding, Linear, Module, Tensor
from foundation_nn import functional as F
from foundation_nn.lessons import answered, options, pictures
from numpy.typing import NDArray

from foundation_attn import MultiHeadAttention, capture_attention, head_scores
from foundation_attn.plotting import LayerMap, plot_heads

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 16
STEPS = 300
NOT_ASKED = -1


class Copier(Module):
    """Letters and positions, two layers of attention and nothing else between them."""

    def __init__(self, d_model: int, num_heads: int, rng: np.random.Generator) -> None:
        self.embedding = Embedding(len(LETTERS), d_model, rng=rng)
        self.positions = Embedding(LONGEST, d_model, rng=rng)
        self.layers = [MultiHeadAttention(d_model, num_heads, rng=rng) for _ in range(2)]
        self.output = Linear(d_model, len(LETTERS), rng=rng)

    def forward(self, ids: NDArray[np.int64]) -> Tensor:
        """Logits (B, T, V) of the letter after each of ``ids`` (B, T)."""
        x = self.embedding(ids) + self.positions(np.arange(ids.shape[1]))
        for layer in self.layers:
            x = x + layer(x, causal=True)
        return self.output(x)


def rounds(rng: np.random.Generator, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Texts (B, T) and the letters that follow, ``NOT_ASKED`` within the first round."""
    words = rng.permuted(np.tile(np.arange(len(LETTERS)), (count, 1)), axis=1)
    period = rng.integers(3, 9, (count, 1))
    at = np.arange(LONGEST + 1)
    ids = np.take_along_axis(words, at % period, axis=1)
    return ids[:, :-1], np.where(at[1:] >= period, ids[:, 1:], NOT_ASKED)


def train(rng: np.random.Generator, steps: int, batch: int = 64) -> Copier:
    """A model that goes on with what it has read."""
    model = Copier(d_model=64, num_heads=4, rng=rng)
    optimizer = fn.optim.AdamW(model, lr=1e-2, weight_decay=0.0)
    schedule = fn.schedules.cosine(1e-2, steps, warmup=steps // 20)
    for step in range(1, steps + 1):
        ids, wanted = rounds(rng, batch)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids), wanted, ignore_index=NOT_ASKED)
        loss.backward()
        optimizer.lr = schedule(step)
        optimizer.step()
        if step % 100 == 0:
            print(f"  step {step:4}  loss {float(loss.data):.4f}", flush=True)
    return model


def accuracy(model: Copier, rng: np.random.Generator) -> float:
    """The part of letters from the second round on that are foretold."""
    ids, wanted = rounds(rng, 500)
    asked = wanted != NOT_ASKED
    return float(np.mean(model(ids).data.argmax(axis=-1)[asked] == wanted[asked]))


def look(model: Copier, text: str) -> list[LayerMap]:
    """The weights of both layers on a text of small letters."""
    with capture_attention(model) as maps:
        model(np.array([[LETTERS.index(letter) for letter in text]]))
    return [LayerMap(m.title, m.weights[0], list(text), list(text), m.kind) for m in maps]


def show_answers(model: Copier, rng: np.random.Generator, count: int = 4) -> None:
    """The first round of some texts, what the model foretells of the next ones, and what comes."""
    ids, wanted = rounds(rng, count)
    foretold = model(ids).data.argmax(axis=-1)
    for row, answers, letters in zip(ids, foretold, wanted, strict=True):
        asked = letters != NOT_ASKED
        start = int(asked.argmax()) + 1
        print(
            answered(spelled(row[:start]) + " …", spelled(answers[asked]), spelled(letters[asked]))
        )


def spelled(ids: NDArray[np.int64]) -> str:
    """Ids as letters."""
    return "".join(LETTERS[i] for i in ids)


def show_heads(layers: Sequence[LayerMap]) -> None:
    """What each head looks at."""
    print("How much each head looks at the letter before / at what followed the last time:")
    for layer in layers:
        scores = head_scores(layer.weights, layer.keys)
        heads = zip(scores.previous, scores.induction, strict=True)
        print(f"  {layer.name}:  " + "   ".join(f"{a:.2f} / {b:.2f}" for a, b in heads))


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and say which heads do what."""
    parser = options(
        "foundation_attn.examples.copying",
        "Two layers of heads learn to go on with a text.",
        STEPS,
        quick=100,
    )
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    model = train(rng, args.steps)
    print(f"\nLetters of other texts that are foretold: {accuracy(model, rng):.3f}")
    show_answers(model, rng)
    layers = look(model, "numpynumpynumpy")
    show_heads(layers)
    draw = partial(plot_heads, layers, title="Where the heads look as they copy")
    return pictures(args.out, {"copying_heads.png": draw})


if __name__ == "__main__":
    raise SystemExit(main())

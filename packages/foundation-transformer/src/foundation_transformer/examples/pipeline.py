# ruff: noqa: SIM905, T201 - words read better as text; an example prints
"""The way of a sentence through a transformer, with the shape of everything.

``python -m foundation_transformer.examples.pipeline`` trains a decoder-only model on sentences of a
small grammar for a few seconds, then follows one of them: words become ids, ids vectors; positions
are added; one layer is computed step by step; all layers together tell the next word; and word by
word the model writes. It leaves pictures of the positions (``plots/positions.png``), of the
attention of all heads (``plots/pipeline_attention.png``), of the words (``plots/words.png``) and of
the learning rate (``plots/schedule.png``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from foundation_attn import capture_attention
from foundation_attn.plotting import LayerMap, plot_heads
from foundation_nn import Tensor, no_grad, schedules
from foundation_nn import functional as F
from foundation_nn.lessons import answered, options, pictures
from foundation_seq import SamplingConfig, generate

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._positions import SinusoidalPositions
from foundation_transformer.config import TransformerConfig
from foundation_transformer.plotting import plot_embeddings, plot_positions, plot_schedules
from foundation_transformer.recipes import WindowBatch, train_lm

NOUNS, VERBS = "cat dog bird child".split(), "sees hears follows likes".split()
WORDS = [".", "the", "and", *NOUNS, *VERBS]
ID = {word: i for i, word in enumerate(WORDS)}
T = 12


def sentence(rng: np.random.Generator) -> list[str]:
    """The cat sees the dog and the bird likes the cat: who has acted is acted on at the end."""
    first, second, third = rng.permutation(NOUNS)[:3].tolist()
    verbs = rng.choice(VERBS, 2).tolist()
    return ["the", first, verbs[0], "the", second, "and", "the", third, verbs[1], "the", first, "."]


def batches(rng: np.random.Generator, rows: int = 32) -> Iterator[WindowBatch]:
    """Endless sentences; each begins after the full stop of one before it."""
    while True:
        ids = np.array([[ID["."], *(ID[word] for word in sentence(rng))] for _ in range(rows)])
        yield WindowBatch(ids[:, :-1], ids[:, 1:])


def train(seed: int, steps: int) -> CausalLM:
    """A model that has read many sentences."""
    rng = np.random.default_rng(seed)
    config = TransformerConfig.tiny(
        vocab_size=len(WORDS), max_len=T, d_model=32, d_ff=128, dropout=0.0, positions="learned"
    )
    model = CausalLM(config, rng=rng)
    train_lm(model, batches(rng), steps=steps, lr=5e-3, rng=rng)
    return model


def show(name: str, x: Tensor, comment: str = "") -> None:
    """One line: a name, a shape, what it means."""
    print(f"  {name:24} {x.shape!s:16} {comment}")


def one_layer(model: CausalLM, x: Tensor) -> Tensor:
    """The first layer by hand: the same numbers as ``model.stack.layers[0](x, causal=True)``."""
    layer = model.stack.layers[0]
    attn, H = layer.self_attn, layer.self_attn.num_heads
    B, T, D = x.shape
    h = layer.norm1(x)
    show("norm1(x)", h, "every row with mean 0 and variance 1, then scaled")
    qkv = F.linear(h, attn.in_proj_weight, attn.in_proj_bias)
    q, k, v = (
        qkv[:, :, i * D : (i + 1) * D].reshape(B, T, H, D // H).swapaxes(1, 2) for i in range(3)
    )
    show("queries, keys, values", q, "(B, H, T, K): one set for each head")
    scores = (q @ k.swapaxes(2, 3)) * (D // H) ** -0.5
    show("scores", scores, "query · key / √K for each two words")
    past = np.tri(T, dtype=bool)
    weights = F.softmax(F.where(past, scores, Tensor(np.full(scores.shape, -np.inf, x.dtype))))
    show("weights", weights, "softmax over the words so far: each row sums to 1")
    heads = weights @ v
    show("heads", heads, "each a weighted mean of values")
    mixed = attn.out_proj(heads.swapaxes(1, 2).reshape(B, T, D))
    x = x + mixed
    show("x + out_proj(heads)", x, "the first residual branch")
    h = F.relu(layer.linear1(layer.norm2(x)))
    show("relu(linear1(norm2(x)))", h, "each position by itself")
    x = x + layer.linear2(h)
    show("x + linear2(...)", x, "the second residual branch: the layer's output")
    return x


def main(argv: Sequence[str] | None = None) -> int:
    """Train, follow a sentence, write, draw."""
    parser = options(
        "foundation_transformer.examples.pipeline",
        "Follow a sentence through a transformer.",
        400,
        quick=100,
    )
    args = parser.parse_args(argv)
    model = train(args.seed, args.steps)
    rng = np.random.default_rng(args.seed + 1)
    *beginning, actor, stop = sentence(rng)
    words = [".", *beginning]
    ids = np.array([[ID[word] for word in words]])
    print(f"The sentence: {' '.join(words)} …\nAs ids: {ids[0].tolist()}\n\nThe first layer:")
    with no_grad():
        embedded = model.embedding(ids)
        show("embedding(ids)", embedded, "(B, T, D): one sentence, eleven words, 32 numbers each")
        x = model.positions(embedded) if model.positions is not None else embedded
        show("+ positions", x, "where each word stands")
        by_hand = one_layer(model, x)
        layer = model.stack.layers[0](x, causal=True)
        difference = np.abs(by_hand.data - layer.data).max()
        print(f"  The layer itself differs from this by {difference:.0e}.\n")
        with capture_attention(model) as maps:
            logits = model(ids)
        p = F.softmax(logits).data[0, -1]
    print(f"All layers and the output: {logits.shape}, a score for every word after every word.")
    likeliest = np.argsort(-p)[:4]
    print("After the last: " + ", ".join(f"{WORDS[i]} {p[i]:.0%}" for i in likeliest))
    (greedy,) = generate(model, ids, 2)
    end = " ".join(WORDS[i] for i in greedy)
    print("Who has acted is acted on at the end. The likeliest end:")
    print(answered(f"{' '.join(words)} …", end, f"{actor} {stop}"))
    for row in generate(model, [[ID["."]]] * 3, T, SamplingConfig(), rng, stop_ids={ID["."]}):
        print(f"Drawn freely: {' '.join(WORDS[i] for i in row)} .")
    print()
    layers = [LayerMap(m.title, m.weights[0], words, words) for m in maps]
    rates = {
        "cosine": schedules.cosine(5e-3, 4000, warmup=400),
        "Noam": schedules.noam(32, warmup=400, factor=0.5),
    }
    embeddings = model.embedding.weight.data
    return pictures(
        args.out,
        {
            "positions.png": lambda path: plot_positions(SinusoidalPositions(32, 100), path),
            "pipeline_attention.png": lambda path: plot_heads(
                layers, path, title="Where each head looks as it reads the sentence"
            ),
            "words.png": lambda path: plot_embeddings(
                embeddings, WORDS, path, title="Words, by their embeddings"
            ),
            "schedule.png": lambda path: plot_schedules(rates, 4000, path),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())

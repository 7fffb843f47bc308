# ruff: noqa: T201 - an example prints
"""A GPT on one page: the whole model, how it is trained and how it writes, in plain NumPy.

The functions from :func:`gpt` to :func:`softmax` are the complete model, in the order in which a
reader needs them. They are ordinary NumPy: given arrays, they compute the scores of the next token.
Given tensors of ``foundation_nn``, the very same lines are recorded, so that ``loss.backward()``
finds the gradient of every weight. :class:`foundation_transformer.CausalLM` computes the same
numbers from the same weights (a test compares them, and their gradients). It adds what a page has
no room for: speed, a cache for writing, padding, checks of what it is given, and other families of
models.

``python -m foundation_transformer.examples.one_page [FILE]`` trains such a model on a text,
character by character, lets it write, and leaves ``plots/one_page_characters.png``, a map of the
characters as the model has come to see them. Without a file it reads what
:mod:`foundation_transformer.examples.shakespeare` reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Parameter, no_grad, optim
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from numpy.typing import NDArray

from foundation_transformer.examples.shakespeare import read_characters
from foundation_transformer.plotting import plot_embeddings

#: Arrays, or tensors that remember how they were computed: the page is written for both.
Numbers: TypeAlias = Any
#: Whole numbers that stand for tokens, a text in each row: (B, T).
Ids: TypeAlias = NDArray[np.integer[Any]]
#: The weights by the names that they have in ``CausalLM(...).state_dict()``.
Weights: TypeAlias = Mapping[str, Numbers]


# --- the model: B texts of T tokens, D numbers for each token, H heads of width K, V known tokens


def gpt(ids: Ids, weights: Weights, num_heads: int) -> Numbers:
    """For each token (B, T), a score for each of the V tokens that may come next: (B, T, V)."""
    T = ids.shape[1]
    x = weights["embedding.weight"][ids] + weights["positions.weight"][:T]  # (B, T, D)
    for i in range(number_of_layers(weights)):
        layer = part(weights, f"stack.layers.{i}.")
        x = x + attention(layer_norm(x, part(layer, "norm1.")), layer, num_heads)
        x = x + feed_forward(layer_norm(x, part(layer, "norm2.")), layer)
    x = layer_norm(x, part(weights, "stack.norm."))
    return x @ weights["embedding.weight"].T  # a token is likely if its embedding is like x


def attention(x: Numbers, layer: Weights, num_heads: int) -> Numbers:
    """Each token gathers from itself and the tokens before it what it finds relevant: (B, T, D)."""
    B, T, D = x.shape
    K = D // num_heads
    qkv = x @ layer["self_attn.in_proj_weight"].T + layer["self_attn.in_proj_bias"]  # (B, T, 3D)
    qkv = qkv.reshape(B, T, 3, num_heads, K).transpose(2, 0, 3, 1, 4)  # (3, B, H, T, K)
    q, k, v = qkv[0], qkv[1], qkv[2]  # what is sought, what is offered, and what is handed over
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(K)  # (B, H, T, T)
    is_seen = np.tril(np.ones((T, T), bool))  # row t: the tokens that token t may look at
    weights = softmax(np.where(is_seen, scores, -np.inf))
    heads = weights @ v  # (B, H, T, K)
    y = heads.swapaxes(1, 2).reshape(B, T, D)  # the heads side by side
    return linear(y, part(layer, "self_attn.out_proj."))


def feed_forward(x: Numbers, layer: Weights) -> Numbers:
    """A network with one hidden layer, for each token alone: (B, T, D)."""
    return linear(gelu(linear(x, part(layer, "linear1."))), part(layer, "linear2."))


def linear(x: Numbers, layer: Weights) -> Numbers:
    """W x + b for each row of x."""
    return x @ layer["weight"].T + layer["bias"]


def layer_norm(x: Numbers, layer: Weights) -> Numbers:
    """Each row with mean 0 and variance 1, then scaled and shifted."""
    x = x - x.mean(axis=-1, keepdims=True)
    variance = (x * x).mean(axis=-1, keepdims=True)
    return x / np.sqrt(variance + 1e-5) * layer["weight"] + layer["bias"]


def gelu(x: Numbers) -> Numbers:
    """A soft form of max(x, 0), as GPT-2 computes it."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def softmax(scores: Numbers) -> Numbers:
    """Positive numbers that add up to 1 in each row; a higher score becomes a larger share."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def part(weights: Weights, prefix: str) -> dict[str, Numbers]:
    """The weights whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def number_of_layers(weights: Weights) -> int:
    """How many layers the weights are for."""
    return sum(name.endswith(".norm1.weight") for name in weights)


# --- its weights, before it has learnt anything


def random_weights(
    rng: np.random.Generator, vocab_size: int, max_len: int, d_model: int, num_layers: int
) -> dict[str, Parameter]:
    """Small random matrices; norms that do nothing, and biases of zero."""
    D, F_ = d_model, 4 * d_model
    shapes: dict[str, tuple[int, ...]] = {
        "embedding.weight": (vocab_size, D),
        "positions.weight": (max_len, D),
    }
    for i in range(num_layers):
        layer: dict[str, tuple[int, ...]] = {
            "norm1.weight": (D,),
            "norm1.bias": (D,),
            "self_attn.in_proj_weight": (3 * D, D),
            "self_attn.in_proj_bias": (3 * D,),
            "self_attn.out_proj.weight": (D, D),
            "self_attn.out_proj.bias": (D,),
            "norm2.weight": (D,),
            "norm2.bias": (D,),
            "linear1.weight": (F_, D),
            "linear1.bias": (F_,),
            "linear2.weight": (D, F_),
            "linear2.bias": (D,),
        }
        shapes |= {f"stack.layers.{i}.{name}": shape for name, shape in layer.items()}
    shapes |= {"stack.norm.weight": (D,), "stack.norm.bias": (D,)}
    weights = {}
    for name, shape in shapes.items():
        if len(shape) == 2:
            value = rng.normal(0, 0.02, shape)
        else:
            value = np.ones(shape) if name.endswith("weight") else np.zeros(shape)
        weights[name] = Parameter(value.astype(np.float32))
    return weights


# --- learning: the next character is the target of each character


def train(
    text: Ids, weights: Mapping[str, Parameter], num_heads: int, steps: int, rng: Any
) -> list[float]:
    """Change the weights until they predict a text; the loss of each step, in nats a character."""
    max_len = len(weights["positions.weight"])
    optimizer = optim.AdamW(list(weights.values()), lr=3e-3)
    losses = []
    for step in range(steps):
        starts = rng.integers(0, len(text) - max_len, size=12)
        windows = np.stack([text[start : start + max_len + 1] for start in starts])
        optimizer.zero_grad()
        logits = gpt(windows[:, :-1], weights, num_heads)
        loss = F.cross_entropy(logits, windows[:, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"step {step:>4}: {losses[-1]:.2f} nats a character")
    return losses


# --- writing: the model is asked for one more character, again and again


def write(ids: list[int], weights: Weights, num_heads: int, count: int, rng: Any) -> list[int]:
    """Continue a text by ``count`` tokens, each drawn with the probability that it is given."""
    max_len = len(weights["positions.weight"])
    ids = list(ids)
    with no_grad():
        for _ in range(count):
            seen = np.array([ids[-max_len:]])
            scores = np.asarray(gpt(seen, weights, num_heads)[0, -1], float)
            probabilities = softmax(scores / 0.8)  # below 1: less is left to chance
            ids.append(int(rng.choice(len(probabilities), p=probabilities)))
    return ids


def main(argv: Sequence[str] | None = None) -> int:
    """Train on a text, then write."""
    parser = options(
        "foundation_transformer.examples.one_page",
        "Train a GPT that fits on one page on a text file, and let it write.",
        600,
        quick=20,
    )
    args, characters = read_characters(parser, argv)
    rng = np.random.default_rng(args.seed)
    weights = random_weights(
        rng, vocab_size=len(characters.alphabet), max_len=64, d_model=64, num_layers=2
    )
    num_heads = 4
    number = sum(weight.size for weight in weights.values())
    print(f"{number:,} weights learn from {len(characters.train):,} characters")
    train(characters.train, weights, num_heads, args.steps, rng)
    print("\n" + characters.decode(write([0], weights, num_heads, 300, rng)))
    names = ["␣" if c == " " else repr(c)[1:-1] for c in characters.alphabet]
    table = weights["embedding.weight"].data
    return pictures(
        args.out,
        {
            "one_page_characters.png": lambda path: plot_embeddings(
                table, names, path, title="Characters, by their embeddings"
            ),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""Chapter 4: the transformer layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_transformer import (
    CausalLM,
    Rotary,
    SinusoidalPositions,
    TransformerConfig,
    TransformerEncoderLayer,
)


def layer_norm(work: Work, step: Steps) -> None:
    x = np.array([[1.0, 3.0, 1.0, 3.0], [10.0, 10.0, 30.0, 30.0]])
    ones, zeros = np.ones(4), np.zeros(4)
    columns = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0))
    step.same(
        "two positions of four numbers, with ε = 0",
        work.layer_norm(x, ones, zeros, 0.0),
        [[-1, 1, -1, 1], [-1, -1, 1, 1]],
        "The first has the mean 2 and the variance 1, the second the mean 20 and the variance 100.",
        {
            "Mean and variance were taken over the positions. Each position has its own: "
            "axis=-1.": columns,
            "Mean and variance were taken over all numbers. Each position has its own: axis=-1.": (
                (x - x.mean()) / x.std()
            ),
            "This was divided by the variance; divide by its root.": [
                [-1, 1, -1, 1],
                [-0.1, -0.1, 0.1, 0.1],
            ],
            "This variance divides by D - 1. Layer normalisation divides by D, as x.var() does.": (
                np.array([[-1, 1, -1, 1], [-1, -1, 1, 1]]) * np.sqrt(3 / 4)
            ),
            "The mean was not subtracted.": [[1, 3, 1, 3], [1, 1, 3, 3]],
        },
    )
    weight, bias = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.0, 10.0, 0.0])
    step.same(
        "with a scale and a shift for each component",
        work.layer_norm(x[:1], weight, bias, 0.0),
        [[-1, 2, 7, 4]],
        "First the scale, then the shift: ... * weight + bias.",
    )
    step.same(
        "five equal numbers, whose variance is 0",
        work.layer_norm(np.full((1, 5), 7.0), np.ones(5), np.zeros(5)),
        np.zeros((1, 5)),
        "ε keeps 0 from being divided by 0.",
        {"0 / 0 is not a number: add ε to the variance.": np.full((1, 5), np.nan)},
    )
    small = np.array([[0.0, 0.2]])  # the variance 0.01 is as large as this ε
    outside = np.array([[-0.1, 0.1]]) / (0.1 + 0.01)
    step.same(
        "a variance of 0.01 with ε = 0.01",
        work.layer_norm(small, np.ones(2), np.zeros(2), 0.01),
        np.array([[-0.1, 0.1]]) / np.sqrt(0.02),
        "√(var + ε) = √0.02.",
        {
            "ε was added to the root. It stands under it: √(var + ε).": outside,
            "ε has no effect. Is it added to the variance?": [[-1, 1]],
        },
    )
    x = np.random.default_rng(0).standard_normal((2, 3, 5))
    weight, bias = np.random.default_rng(1).standard_normal((2, 5))
    step.same(
        "a batch (2, 3, 5), as foundation_nn.functional.layer_norm computes it",
        work.layer_norm(x, weight, bias),
        F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias)),
        "keepdims=True keeps the last axis, so that the mean can be subtracted from x.",
    )


def sinusoids(work: Work, step: Steps) -> None:
    table = work.sinusoids(2, 4)
    first, second = 1.0, 1 / 100
    right = [[0, 1, 0, 1], [np.sin(first), np.cos(first), np.sin(second), np.cos(second)]]
    step.same(
        "two positions of width 4, whose angles at t = 1 are 1 and 1/100",
        table,
        right,
        "Column 0 is sin(t), column 1 cos(t), column 2 sin(t/100), column 3 cos(t/100).",
        {
            "Sines and cosines have changed places.": [
                [1, 0, 1, 0],
                [np.cos(first), np.sin(first), np.cos(second), np.sin(second)],
            ],
            "All sines stand in front and all cosines behind. They should take turns: "
            "table[:, 0::2] and table[:, 1::2].": [
                [0, 0, 1, 1],
                [np.sin(first), np.sin(second), np.cos(first), np.cos(second)],
            ],
            "The exponent is 2i/D, which is 1/2 for i = 1. This is i/D.": [
                [0, 1, 0, 1],
                [np.sin(first), np.cos(first), np.sin(0.1), np.cos(0.1)],
            ],
            "Each column has an exponent of its own. The two columns of a pair share theirs.": [
                [0, 1, 0, 1],
                [np.sin(1), np.cos(0.1), np.sin(0.01), np.cos(0.001)],
            ],
        },
    )
    step.same(
        "fifty positions of width 12, as foundation_transformer.SinusoidalPositions has them",
        work.sinusoids(50, 12),
        SinusoidalPositions(12, 50).table,
        "Position t has the angles t / 10000^(2i/D), for i from 0 to D/2 - 1.",
    )
    table = work.sinusoids(40, 16)
    step.same(
        "the product of two positions depends on their distance alone",
        table[3] @ table[10],
        table[23] @ table[30],
        "sin a sin b + cos a cos b = cos(a - b), for each pair of columns.",
    )


def rotary(work: Work, step: Steps) -> None:
    x = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])  # two batches of one position, K = 2
    quarter = np.array([np.pi / 2])
    step.same(
        "the pair (1, 0), turned by a quarter",
        work.rotate(x, quarter),
        [[[0, 1]], [[0, 1]]],
        "(cos 90° - 0, sin 90° + 0) = (0, 1).",
        {
            "This was turned the other way. Look at the signs: a cos θ - b sin θ comes first.": [
                [[0, -1]],
                [[0, -1]],
            ]
        },
    )
    x = np.array([[1.0, 2.0, 3.0, 4.0]])  # the pairs are (1, 3) and (2, 4)
    cos, sin = np.cos([1, 0.01]), np.sin([1, 0.01])
    halves = [
        cos[0] - 3 * sin[0],
        2 * cos[1] - 4 * sin[1],
        sin[0] + 3 * cos[0],
        2 * sin[1] + 4 * cos[1],
    ]
    neighbours = [
        cos[0] - 2 * sin[0],
        sin[0] + 2 * cos[0],
        3 * cos[1] - 4 * sin[1],
        3 * sin[1] + 4 * cos[1],
    ]
    step.same(
        "width 4 at position 1: the pairs (1, 3) and (2, 4), the angles 1 and 1/100",
        work.rotate(x, np.array([1])),
        [halves],
        "Number i forms a pair with number i + K/2.",
        {
            "Neighbours were paired, as some models do. Here number i belongs to number "
            "i + K/2: np.split(x, 2, axis=-1).": [neighbours],
            "The halves are x[..., 0::2] and x[..., 1::2], which pairs neighbours. Here number i "
            "belongs to number i + K/2: np.split(x, 2, axis=-1).": [
                neighbours[::2] + neighbours[1::2]
            ],
        },
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 5, 8))
    positions = np.array([0, 1, 2, 7, 30])
    turned = work.rotate(x, positions)
    step.same(
        "position 0 stays as it is",
        turned[..., 0, :],
        x[..., 0, :],
        "θ = 0 there, cos θ = 1 and sin θ = 0.",
    )
    step.same(
        "no length changes",
        (turned**2).sum(axis=-1),
        (x**2).sum(axis=-1),
        "cos² + sin² = 1: do both formulas have the same angle?",
    )
    step.same(
        "batch and heads, as foundation_transformer.Rotary turns them",
        turned,
        Rotary(8, 64)(Tensor(x), positions),
        "θ = t / 10000^(2i/K), for i from 0 to K/2 - 1.",
    )
    q, k = rng.standard_normal((2, 1, 8))
    near = work.rotate(q, np.array([5])) @ work.rotate(k, np.array([2])).T
    far = work.rotate(q, np.array([25])) @ work.rotate(k, np.array([22])).T
    step.same(
        "a query and a key three positions apart have the same product everywhere",
        far,
        near,
        "Only the difference of the two angles matters.",
    )


def encoder_layer(work: Work, step: Steps) -> None:
    rng = np.random.default_rng(0)
    twin = TransformerEncoderLayer(8, 2, 12, norm_first=True, rng=rng).astype(np.float64)
    for parameter in twin.parameters():
        parameter.data = rng.standard_normal(parameter.shape) / 2
    layer = work.EncoderLayer(8, 2, 12).astype(np.float64)
    x = Tensor(rng.standard_normal((2, 5, 8)))
    step.holds(
        "it returns a tensor",
        isinstance(layer(x), Tensor),
        "Does forward end with a return?",
        came=type(layer(x)).__name__,
    )
    step.same(
        "the parameters have the names that they have in the library, so that weights load",
        sorted(name for name, _ in layer.named_parameters()),
        sorted(name for name, _ in twin.named_parameters()),
        "Leave __init__ as it is.",
    )
    layer.load_state_dict(twin.state_dict())
    key_mask = np.array([[True] * 5, [True] * 3 + [False] * 2])

    def feed_forward(y: Tensor) -> Tensor:
        return twin.linear2(F.relu(twin.linear1(y)))

    def attended(y: Tensor, mask: Any = None) -> Tensor:
        return twin.self_attn(y, key_mask=mask)

    middle = x + attended(twin.norm1(x))
    after_norm = twin.norm1(x + attended(x))
    bare = attended(twin.norm1(x))
    output = layer(x)
    step.same(
        "the output, as foundation_transformer.TransformerEncoderLayer gives it",
        output,
        twin(x),
        "Line by line: x = x + attention(norm1(x)), then x = x + linear2(relu(linear1(norm2(x)))).",
        {
            "This is post-norm: the sums were normalised. In pre-norm the norm stands in front "
            "of attention and feed-forward.": twin.norm2(after_norm + feed_forward(after_norm)),
            "The residual connections are missing: x = x + ...": feed_forward(twin.norm2(bare)),
            "The residual connection around the attention is missing.": (
                bare + feed_forward(twin.norm2(bare))
            ),
            "The residual connection around the feed-forward network is missing.": feed_forward(
                twin.norm2(middle)
            ),
            "The normalised x was added. Add x as it was, so that nothing stands in its way.": (
                _normalised_residual(twin, x, feed_forward)
            ),
            "The relu is missing between the linear layers.": (
                middle + twin.linear2(twin.linear1(twin.norm2(middle)))
            ),
            "The feed-forward network has read x without norm2.": middle + feed_forward(middle),
            "The attention has read x without norm1.": _without_norm1(twin, x, feed_forward),
        },
    )
    masked = layer(x, key_mask=key_mask)
    step.same(
        "padded positions are not looked at",
        masked.numpy()[key_mask],
        twin(x, key_mask=key_mask).numpy()[key_mask],
        "Hand key_mask on to self.self_attn.",
        {
            "The mask has no effect: self.self_attn(..., key_mask=key_mask).": output.numpy()[
                key_mask
            ]
        },
    )
    step.gradients(
        "gradients reach every parameter and agree with finite differences",
        layer,
        rng.standard_normal((1, 3, 8)),
        look_at="Use the operations of foundation_nn, which record what they do, and not x.data.",
    )


def _normalised_residual(twin: Any, x: Any, feed_forward: Any) -> Any:
    normed = twin.norm1(x)
    middle = normed + twin.self_attn(normed)
    normed = twin.norm2(middle)
    return normed + feed_forward(normed)


def _without_norm1(twin: Any, x: Any, feed_forward: Any) -> Any:
    middle = x + twin.self_attn(x)
    return middle + feed_forward(twin.norm2(middle))


def counting(work: Work, step: Steps) -> None:
    step.same(
        "D = 4 and F = 5, small enough to count on paper",
        work.count_layer(4, 5),
        145,
        "Attention 4 · (16 + 4) = 80, feed-forward 20 + 5 and 20 + 4, two norms of 4 + 4 each.",
        {
            "The biases are missing, in attention and feed-forward.": 145 - 16 - 9,
            "Each of the four matrices of attention has a bias: 4 · (D² + D).": 145 - 12,
            "Attention has a fourth matrix, which mixes what the heads have found.": 145 - 20,
            "The two normalisations are missing.": 145 - 16,
            "Half of the numbers of the normalisations are missing: there are two, and each "
            "has a scale and a shift.": 145 - 8,
        },
    )
    layer = TransformerEncoderLayer(12, 3, 40)
    step.same(
        "as many as foundation_transformer.TransformerEncoderLayer(12, 3, 40) has",
        work.count_layer(12, 40),
        layer.num_parameters(),
        "The bias of linear1 has F numbers, that of linear2 has D.",
    )
    sizes: dict[str, Any] = {"vocab_size": 50, "num_layers": 3, "d_model": 12, "d_ff": 40}
    config = TransformerConfig.gpt2(**sizes, num_heads=3, max_len=16, positions="rotary")
    model = CausalLM(config)
    step.same(
        "a model with tied weights, as foundation_transformer.CausalLM",
        work.count_model(*sizes.values(), True),
        model.num_parameters(),
        "V · D + N · layer + 2 D for the last normalisation.",
        {
            "The last normalisation is missing, with its 2 D numbers.": model.num_parameters() - 24,
            "Tied weights are counted once.": model.num_parameters() + 50 * 12,
        },
    )
    step.same(
        "the same model without tied weights",
        work.count_model(*sizes.values(), False),
        model.num_parameters() + 50 * 12,
        "The matrix at the end has V · D numbers of its own, and no bias.",
        {"The matrix at the end is missing.": model.num_parameters()},
    )

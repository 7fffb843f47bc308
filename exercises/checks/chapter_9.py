"""Chapter 9: published models."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_transformer import CausalLM, TransformerConfig, load_pretrained, save_pretrained
from foundation_transformer.pretrained import CompactWeight


def safetensors(work: Work, step: Steps) -> None:
    vector = np.array([1.0, 2.0, 3.0], "<f4")
    matrix = np.array([[4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], "<f4")
    pi = np.array([0x4049, 0xC049], "<u2")  # the upper halves of 3.140625 and its negative
    described = {
        "vector": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
        "matrix": {"dtype": "F32", "shape": [2, 3], "data_offsets": [12, 36]},
        "pi": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [36, 40]},
    }
    header = json.dumps(described).encode()
    numbers = vector.tobytes() + matrix.tobytes() + pi.tobytes()
    data = len(header).to_bytes(8, "little") + header + numbers

    def floats_from(start: int) -> np.ndarray:
        """Three numbers where somebody looks who counts from another place."""
        return np.frombuffer(data[start : start + 12], "<f4")

    step.same(
        "the numbers 1, 2 and 3, whose bytes lie from 0 to 12",
        work.read_tensor(data, "vector"),
        vector,
        "The bytes behind the header begin at 8 + length: data[8 + length :].",
        {
            "The offsets were counted from the beginning of the file. They count from the first "
            "byte behind the header.": floats_from(0),
            "The offsets were counted from the beginning of the header. They count from the first "
            "byte behind it.": floats_from(8),
            "The header begins at byte 8, so it ends at 8 + length.": floats_from(len(header)),
            "The bytes of each number were read in the other order: '<f4' has the lowest first.": (
                vector.view(">f4")
            ),
        },
    )
    step.same(
        "a matrix of two rows that lies behind it",
        work.read_tensor(data, "matrix"),
        matrix,
        "Its bytes are body[12:36]; its shape stands in the header.",
        {
            "These are the right numbers. The header also says their shape.": matrix.ravel(),
            "The rows and columns are mixed up: the last axis runs first, as reshape does it.": (
                matrix.ravel().reshape(2, 3, order="F")
            ),
        },
    )
    came = work.read_tensor(data, "pi")
    step.same(
        "two numbers of type BF16: 3.140625 and -3.140625",
        came,
        [[3.140625], [-3.140625]],
        "Widen the two bytes to a np.uint32, move them up by 16 bits, and view them as float32.",
        {
            "The two bytes were read as a float16, which has five bits of exponent. BF16 has "
            "eight, like float32.": pi.view("<f2")[:, None],
            "These are the bits, read as whole numbers. .view(np.float32) reads the same bits as "
            "float32; .astype converts the number.": pi[:, None],
            "The bits were moved and then read as whole numbers: .view(np.float32), not .astype.": (
                pi.astype(np.float64)[:, None] * 65536
            ),
            "The bits stand in the lower half. Move them up by 16.": (
                pi.astype("<u4").view("<f4")[:, None]
            ),
        },
    )
    step.holds(
        "the result is of type float32",
        np.asarray(came).dtype == np.float32,
        "A widened BF16 is a float32: bits.view(np.float32).",
        came=str(np.asarray(came).dtype),
    )
    config = TransformerConfig.llama(
        vocab_size=11, d_model=8, num_heads=2, num_layers=1, d_ff=5, max_len=8
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        saved = save_pretrained(Path(folder, "model"), model)
        data = (saved / "model.safetensors").read_bytes()
    step.same(
        "the embedding of a small Llama, as foundation_transformer.save_pretrained writes it",
        work.read_tensor(data, "model.embed_tokens.weight"),
        dict(model.named_parameters())["embedding.weight"].data,
        "The entry of this name in the header says where it lies.",
    )


def in_proj(work: Work, step: Steps) -> None:
    rows = np.arange(12.0)[:, None]  # (H K, D) with H = 2, K = 6 and D = 1
    step.same(
        "two heads of six rows",
        work.to_halves(rows, 2)[:, 0],
        [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11],
        "In each head the rows 0, 2, 4 come first, and then 1, 3, 5.",
        {
            "Nothing has changed its place.": rows[:, 0],
            "This goes the other way, from halves to neighbours.": [
                *[0, 3, 1, 4, 2, 5],
                *[6, 9, 7, 10, 8, 11],
            ],
            "All rows were taken for one head. Each head has an order of its own: separate the "
            "heads first.": [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11],
            "The heads are mixed up: the rows of a head lie together.": [
                *[0, 6, 2, 8, 4, 10],
                *[1, 7, 3, 9, 5, 11],
            ],
        },
    )
    q, k, v = np.arange(8.0)[:, None], np.arange(8.0, 12)[:, None], np.arange(12.0, 16)[:, None]
    first, second, third = [0, 2, 1, 3, 4, 6, 5, 7], [8, 10, 9, 11], [12, 13, 14, 15]
    step.same(
        "two heads of queries that share one key, K = 4",
        work.in_proj(q, k, v, 2, 1),
        np.array([*first, *second, *third], float)[:, None],
        "np.concatenate([q, k, v]) with the rows of q and of k in our order.",
        {
            "The values are in another order, too. Positions do not turn them: leave them.": (
                np.array([*first, *second, 12, 14, 13, 15], float)[:, None]
            ),
            "The keys are as they were, or they were cut into as many heads as the queries: they "
            "have num_kv_heads.": np.array([*first, *k[:, 0], *third])[:, None],
            "The queries are as they were.": np.array([*q[:, 0], *second, *third])[:, None],
            "Queries and keys are as they were: to_halves belongs around them.": (
                np.concatenate([q, k, v])
            ),
            "The order is queries, keys, values.": (
                np.array([*second, *first, *third], float)[:, None]
            ),
        },
    )
    config = TransformerConfig.llama(
        vocab_size=11,
        d_model=24,
        num_heads=4,
        num_kv_heads=2,
        num_layers=1,
        d_ff=5,
        max_len=8,
        rotary_pairs="neighbours",
    )
    theirs = CausalLM(config, rng=np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        ours = load_pretrained(save_pretrained(Path(folder, "model"), theirs), tokenizer=False)
    name = "stack.layers.0.self_attn.in_proj_weight"
    q, k, v = np.split(dict(theirs.named_parameters())[name].data, [24, 36])
    step.same(
        "as foundation_transformer.load_pretrained turns a model whose pairs are neighbours",
        work.in_proj(q, k, v, 4, 2),
        dict(ours.model.named_parameters())[name].data,
        "Four heads of queries and two of keys, each with K = 6 rows.",
    )


def one_byte(work: Work, step: Steps) -> None:
    weight = np.array([[1.27, -0.506, 0.004], [-2.54, 0.1, 1.0]])
    returned = work.compress(weight)
    step.holds(
        "compress returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "return codes, scales.",
    )
    codes, scales = returned
    step.same(
        "the scales of two rows whose largest numbers are 1.27 and -2.54",
        scales,
        [0.01, 0.02],
        "1.27 / 127 and 2.54 / 127.",
        {
            "The largest number was taken with its sign. Take the largest absolute value: "
            "np.abs(weight).max(axis=1).": [0.01, 1 / 127],
            "This is one scale for the whole matrix. Each row has its own.": 0.02,
            "These are the scales of the columns. The largest of each row: max(axis=1).": (
                np.array([2.54, 0.506, 1.0]) / 127
            ),
            "These are the largest numbers. A scale is the 127th part.": [1.27, 2.54],
            "The scale is the 127th part, not the 128th: 128 is no number of one byte.": [
                1.27 / 128,
                2.54 / 128,
            ],
            "The right numbers, but (O, 1). Return (O,), and use scales[:, None] to divide.": [
                [0.01],
                [0.02],
            ],
        },
    )
    step.same(
        "their codes: -0.506 is 50.6 steps of 0.01 below zero",
        codes,
        [[127, -51, 0], [-127, 5, 50]],
        "codes = w / scale, rounded.",
        {
            "What is behind the point was cut off. Round first: np.rint(...).astype(np.int8).": [
                [127, -50, 0],
                [-127, 5, 50],
            ],
            "The codes are not rounded.": weight / [[0.01], [0.02]],
        },
    )
    step.holds(
        "a code takes one byte",
        np.asarray(codes).dtype == np.int8,
        "The last step is .astype(np.int8).",
        expected="int8",
        came=str(np.asarray(codes).dtype),
    )
    _, scales = work.compress(np.array([[0.0, 0.0], [127.0, 1.0]]))
    step.same(
        "a row of zeros",
        scales,
        [1 / 127, 1],
        "np.where(largest > 0, largest, 1) / 127.",
        {"A scale of 0 makes 0 / 0 of the codes. Take 1 / 127 for such a row.": [0, 1]},
    )
    x = np.array([[1.0, 2.0]])
    small = np.array([[10, 20], [-30, 40]], np.int8)
    step.same(
        "a product with the codes (10, 20) and (-30, 40), whose scales are 0.1 and 0.5",
        work.product(x, small, np.array([0.1, 0.5])),
        [[5, 25]],
        "x @ codes.T is (50, 50); times 0.1 and 0.5.",
        {
            "The scales are missing.": [[50, 50]],
            "The scales belong to the outputs, behind the product, not to the inputs.": [[21, 37]],
            "Multiply by the scales; the division was in compress.": [[500, 100]],
        },
    )
    rng = np.random.default_rng(0)
    many = rng.standard_normal((5, 7)).astype(np.float32)
    x = rng.standard_normal((3, 7)).astype(np.float32)
    compact = CompactWeight(many)
    codes, scales = work.compress(many)
    step.same(
        "as foundation_transformer.pretrained.CompactWeight",
        (codes, scales),
        (compact.codes.data, compact.scales.data),
        "The same codes and scales.",
    )
    step.same(
        "the product is that with the widened matrix",
        work.product(x, codes, scales),
        x @ compact[np.arange(5)].T,
        "The widened matrix is scales[:, None] * codes.",
        tolerance=1e-5,
    )

"""Relative positions in buckets: values by hand, T5's own, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention
from foundation_nn import Tensor, checkpoint, gradcheck, optim, train_mode
from foundation_nn import functional as F
from foundation_transformer import CausalLM, RelativeBuckets, Transformer, TransformerConfig

GOLDEN = np.load(Path(__file__).parent / "golden" / "buckets.npz")


@pytest.mark.parametrize("name", [name for name in GOLDEN.files if name != "distances"])
def test_the_buckets_of_all_distances_are_those_of_t5(name):
    num_buckets, max_distance, both_sides = map(int, name.split())
    buckets = RelativeBuckets(1, num_buckets, max_distance, bool(both_sides))
    np.testing.assert_array_equal(buckets.bucket_of(GOLDEN["distances"]), GOLDEN[name])


def test_buckets_by_hand():
    """Two distances of their own, two buckets up to a distance of eight: 2 and 3, 4 and more."""
    one_side = RelativeBuckets(1, 4, 8, both_sides=False)
    assert one_side.bucket_of(-np.arange(10)).tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 3, 3]
    assert one_side.bucket_of(np.arange(5)).tolist() == [0, 0, 0, 0, 0]  # nobody sees them
    both = RelativeBuckets(1, 8, 8)
    assert both.bucket_of(np.arange(-5, 6)).tolist() == [3, 3, 2, 2, 1, 0, 5, 6, 6, 7, 7]


@pytest.mark.parametrize("both_sides", [True, False])
def test_what_is_added_to_scores(rng, both_sides):
    buckets = RelativeBuckets(3, 6, 7, both_sides, rng=rng)
    bias = buckets(9).data
    assert bias.shape == (3, 17)
    for distance in range(-8, 9):
        bucket = int(buckets.bucket_of(np.array(distance)))
        np.testing.assert_array_equal(bias[:, 8 + distance], buckets.weight.data[bucket])
    np.testing.assert_array_equal(buckets.newest(9), bias[:, :9])


def test_gradcheck_of_the_table(rng):
    config = TransformerConfig(
        vocab_size=7, d_model=6, num_heads=2, num_layers=2, d_ff=5, positions="buckets",
        num_buckets=4, max_distance=5, norm="rms", bias=False,
    )  # fmt: skip
    model = Transformer(config, rng=rng).astype(np.float64)
    for p in model.parameters():
        p.data = rng.normal(0, 0.7, p.shape)
    source, target = rng.integers(0, 7, (2, 9)), rng.integers(0, 7, (2, 5))
    real = np.arange(9) < np.array([[9], [4]])
    tables = [
        model.encoder.layers[0].self_attn.relative,
        model.decoder.layers[1].self_attn.relative,
    ]

    def logits(*weights):
        for table, weight in zip(tables, weights, strict=True):
            table.weight = weight
        return model(source, target, real)

    assert gradcheck(logits, *[table.weight.data for table in tables])


def test_the_layers_of_a_stack_share_one_table():
    model = Transformer(TransformerConfig(vocab_size=11, d_model=16, positions="buckets"))
    names = [name for name, _ in model.named_parameters() if "relative" in name]
    assert names == [
        "encoder.layers.0.self_attn.relative.weight",
        "decoder.layers.0.self_attn.relative.weight",
    ]
    of_encoder, of_decoder = (
        {id(layer.self_attn.relative) for layer in stack.layers}
        for stack in (model.encoder, model.decoder)
    )
    assert len(of_encoder) == len(of_decoder) == 1
    assert of_encoder != of_decoder


def test_a_checkpoint_gives_the_same_model(tmp_path, rng):
    config = TransformerConfig(
        vocab_size=11, d_model=16, num_layers=2, positions="buckets", num_buckets=6, dropout=0.0
    )
    model = CausalLM(config, rng=rng)
    checkpoint.save(tmp_path / "model", model)
    again = checkpoint.load(tmp_path / "model").model
    ids = rng.integers(0, 11, (2, 40))
    np.testing.assert_array_equal(again(ids).data, model(ids).data)


def test_distances_are_learned(rng):
    """Whether the same token stood seven places before: only the distance tells."""
    config = TransformerConfig(
        vocab_size=5, d_model=16, num_heads=2, num_layers=1, positions="buckets",
        num_buckets=32, dropout=0.0,
    )  # fmt: skip
    model = CausalLM(config, rng=rng)
    ids = rng.integers(0, 5, (8, 24))
    ids[:, 7:] = ids[:, :-7]
    optimizer = optim.AdamW(model, lr=3e-2, weight_decay=0.0)
    for _ in range(60):
        ids[:, :7] = rng.integers(0, 5, (8, 7))
        for start in (7, 14, 21):
            ids[:, start : start + 7] = ids[:, : min(7, 24 - start)]
        with train_mode(rng):
            loss = F.cross_entropy(model(ids[:, :-1])[:, 6:], ids[:, 7:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 < np.log(5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_buckets": 3}, "num_buckets: expected at least 4, got 3"),
        ({"num_buckets": 20, "max_distance": 10}, "more than half of num_buckets=20, got 10"),
    ],
)
def test_buckets_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        RelativeBuckets(2, **options)
    with pytest.raises(ValueError, match=message):
        TransformerConfig(vocab_size=7, positions="buckets", **options)


def test_it_is_not_for_two_texts(rng):
    layer = MultiHeadAttention(4, 2, relative=RelativeBuckets(2), rng=rng)
    x = Tensor(np.zeros((1, 3, 4)))
    with pytest.raises(ValueError, match="relative: expected self-attention"):
        layer(x, x)

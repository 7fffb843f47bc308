"""The encoder-decoder model as a whole."""

import math

import numpy as np
import pytest
from foundation_attn import capture_attention
from foundation_nn import Module, checkpoint, gradcheck, train_mode
from foundation_transformer import Transformer, TransformerConfig, recipes
from stubs import FIRST, make_batch

TINY = {
    "vocab_size": 11,
    "target_vocab_size": 13,
    "max_len": 9,
    "d_model": 6,
    "num_heads": 3,
    "num_layers": 2,
    "d_ff": 7,
    "dropout": 0.0,
}
KINDS = [
    {},
    {"norm_first": True, "positions": "learned", "activation": "gelu", "tie_embeddings": False},
    {"norm": "rms", "bias": False, "positions": "none", "num_kv_heads": 1, "activation": "silu"},
    {"target_vocab_size": None, "num_decoder_layers": 1, "norm_first": True},
]
every_kind = pytest.mark.parametrize("options", KINDS, ids=["post", "pre", "rms", "shared"])


def make(rng, dtype=np.float64, **options):
    model = Transformer(TransformerConfig(**(TINY | options)), rng=rng).astype(dtype)
    for p in model.parameters():
        if p.ndim == 1:  # biases and norms, too, are not zeros and ones
            p.data = rng.normal(0.3, 0.5, p.shape)
    return model


@pytest.fixture
def batch(rng):
    lengths = [(2, 3), (7, 1), (1, 6), (4, 8)]
    return make_batch(
        [(rng.integers(FIRST, 11, s), rng.integers(FIRST, 11, t)) for s, t in lengths]
    )


def inputs_of(batch):
    return batch.source, batch.target_in, batch.source_mask, batch.target_mask


def test_the_embedding_by_hand(rng):
    model = make(rng, d_model=4, num_heads=1)
    x = model.embed(model.target_embedding, np.array([[5, 7]]), positions=2).data
    table = model.target_embedding.weight.data
    for i, (token, t) in enumerate([(5, 2), (7, 3)]):
        position = [math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)]
        np.testing.assert_allclose(x[0, i], 2 * table[token] + position, rtol=1e-14)


@every_kind
def test_the_model_is_its_parts(rng, options, batch):
    model = make(rng, **options)
    memory = model.encoder(model.embed(model.source_embedding, batch.source), batch.source_mask)
    h = model.decoder(
        model.embed(model.target_embedding, batch.target_in),
        memory,
        batch.target_mask,
        batch.source_mask,
    )
    logits = model(*inputs_of(batch))
    np.testing.assert_allclose(logits.data, h.data @ model.output.weight.data.T, rtol=1e-13)
    np.testing.assert_array_equal(
        model.decode(batch.target_in, memory, batch.target_mask, batch.source_mask).data,
        logits.data,
    )
    assert len(model.encoder.layers) == 2
    assert len(model.decoder.layers) == options.get("num_decoder_layers", 2)
    assert (model.encoder.norm is None) == (not options.get("norm_first", False))


def test_the_config_reaches_every_layer(rng):
    options = {"dropout": 0.25, "activation": "silu", "norm_first": True, "num_kv_heads": 1}
    model = make(rng, **options)
    for layer in (*model.encoder.layers, *model.decoder.layers):
        found = (layer.dropout, layer.activation, layer.norm_first, layer.self_attn.num_kv_heads)
        assert found == tuple(options.values())
        assert layer.self_attn.dropout == 0.25
        assert layer.linear1.weight.shape == (7, 6)


@every_kind
def test_gradcheck(rng, options, batch):
    model = make(rng, **(options | {"num_layers": 1}))
    assert gradcheck(model, *inputs_of(batch), max_elements=3)


def test_gradcheck_of_the_loss(rng, batch):
    model = make(rng, num_layers=1)
    loss = recipes.translation_loss(0.1)
    with train_mode(rng):  # where it smooths; there is no dropout
        assert gradcheck(Of(model, lambda: loss(model, batch)[0]), max_elements=3)


class Of(Module):
    """A model whose output is what ``function`` says."""

    def __init__(self, model, function):
        self.model = model
        self.function = function

    def forward(self):
        return self.function()


def gradients(model, batch, label_smoothing=0.1):
    for p in model.parameters():
        p.grad = None
    value, count = recipes.translation_loss(label_smoothing)(model, batch)
    value.backward()
    return value.data, count, {name: p.grad.copy() for name, p in model.named_parameters()}


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ids_behind_the_masks_are_invisible(rng, same_bits, options, dtype, batch):
    model = make(rng, dtype=dtype, **options)
    clean = model(*inputs_of(batch)).data
    value, count, grads = gradients(model, batch)
    for _ in range(3):
        source, target = batch.source.copy(), batch.target_in.copy()
        source[~batch.source_mask] = rng.integers(0, 11, (~batch.source_mask).sum())
        target[~batch.target_mask] = rng.integers(0, 11, (~batch.target_mask).sum())
        other = type(batch)(
            source,
            batch.source_mask,
            target,
            batch.target_out,
            batch.target_mask,
            batch.num_tokens,
        )
        logits = model(*inputs_of(other)).data
        same_bits(logits[batch.target_mask], clean[batch.target_mask])
        other_value, other_count, other_grads = gradients(model, other)
        same_bits(other_value, value)
        assert other_count == count == 22  # 3 + 1 + 6 + 8 tokens and four times eos
        for name, grad in grads.items():
            same_bits(other_grads[name], grad)


@every_kind
def test_batched_equals_one_by_one(rng, options, batch):
    model = make(rng, **options)
    together = model(*inputs_of(batch)).data
    for b in range(4):
        s, t = batch.source_mask[b].sum(), batch.target_mask[b].sum()
        alone = model(batch.source[b : b + 1, :s], batch.target_in[b : b + 1, :t]).data
        np.testing.assert_allclose(alone[0], together[b, :t], rtol=1e-12, atol=1e-12)


def test_the_loss_of_a_batch_is_the_mean_of_its_tokens(rng, batch):
    model = make(rng)
    value, count, _ = gradients(model, batch, label_smoothing=0.0)
    total = 0.0
    for b in range(4):
        s, t = batch.source_mask[b].sum(), batch.target_mask[b].sum()
        logits = model(batch.source[b : b + 1, :s], batch.target_in[b : b + 1, :t]).data[0]
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        total -= np.log(p[np.arange(t), batch.target_out[b, :t]]).sum()
    assert value == pytest.approx(total / count, rel=1e-12)


@every_kind
def test_no_logit_looks_ahead(rng, same_bits, options, batch):
    model = make(rng, **options)
    before = model(batch.source, batch.target_in, batch.source_mask).data
    for t in range(1, batch.target_in.shape[1]):
        changed = batch.target_in.copy()
        changed[:, t:] = (changed[:, t:] + 1) % 11
        after = model(batch.source, changed, batch.source_mask).data
        same_bits(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any(axis=(0, 2)).all()


def test_every_source_token_reaches_every_logit(rng, batch):
    model = make(rng)
    before = model(*inputs_of(batch)).data
    for s in range(batch.source.shape[1]):
        changed = batch.source.copy()
        changed[:, s] = (changed[:, s] + 1) % 11
        after = model(changed, *inputs_of(batch)[1:]).data
        moved = (after != before).any(axis=-1)
        np.testing.assert_array_equal(
            moved[batch.target_mask],
            np.repeat(batch.source_mask[:, s], batch.target_mask.sum(axis=1)),
        )


def test_attention_is_zero_where_the_masks_are_false(rng, batch):
    model = make(rng, num_kv_heads=1)
    with capture_attention(model) as maps:
        model(*inputs_of(batch))
    assert [m.name for m in maps] == [
        "encoder.layers.0.self_attn",
        "encoder.layers.1.self_attn",
        "decoder.layers.0.self_attn",
        "decoder.layers.0.multihead_attn",
        "decoder.layers.1.self_attn",
        "decoder.layers.1.multihead_attn",
    ]
    source, target = batch.source_mask, batch.target_mask
    for m in maps:
        if m.kind == "cross":
            mask = source[:, None, :]
        elif m.name.startswith("encoder"):  # padding neither looks nor is looked at
            mask = source[:, None, :] & source[:, :, None]
        else:
            mask = target[:, None, :] & target[:, :, None] & np.tri(target.shape[1], dtype=bool)
        mask = np.broadcast_to(mask[:, None], m.weights.shape)
        assert not m.weights[~mask].any()
        assert m.weights[mask].all()
        np.testing.assert_allclose(m.weights.sum(-1), mask.any(-1), rtol=1e-12)


def test_dropout_in_train_mode_only(rng, batch):
    quiet = make(rng)
    noisy = make(rng, dropout=0.3)
    noisy.load_state_dict(quiet.state_dict())
    expected = quiet(*inputs_of(batch)).data
    np.testing.assert_array_equal(noisy(*inputs_of(batch)).data, expected)
    with train_mode(np.random.default_rng(1)):
        first = noisy(*inputs_of(batch)).data
    with train_mode(np.random.default_rng(1)):
        again = noisy(*inputs_of(batch)).data
    assert (first != expected).any(axis=-1).all()
    np.testing.assert_array_equal(first, again)


# --- weights


def test_fresh_logits_are_of_the_order_of_one():
    for tied in (True, False):
        config = TransformerConfig.tiny(vocab_size=101, tie_embeddings=tied)
        model = Transformer(config, rng=np.random.default_rng(0))
        rng = np.random.default_rng(1)
        logits = model(rng.integers(0, 101, (3, 7)), rng.integers(0, 101, (3, 5))).data
        assert 0.3 < logits.std() < 3


def test_the_generator_decides_on_all_weights():
    states = [
        Transformer(TransformerConfig(**TINY), rng=np.random.default_rng(seed)).state_dict()
        for seed in (3, 3, 4)
    ]
    for name, value in states[0].items():
        np.testing.assert_array_equal(states[1][name], value)
        if value.ndim > 1:
            assert (states[2][name] != value).all()
            assert value.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "tables"),
    [
        ({"tie_embeddings": True}, ["source_embedding.weight", "target_embedding.weight"]),
        ({"tie_embeddings": True, "target_vocab_size": None}, ["source_embedding.weight"]),
        (
            {"tie_embeddings": False},
            ["source_embedding.weight", "target_embedding.weight", "output.weight"],
        ),
    ],
)
def test_tied_embeddings_are_one_parameter(rng, options, tables):
    model = make(rng, **options)
    names = [n for n in model.state_dict() if not n.startswith(("encoder", "decoder"))]
    assert names == tables
    sizes = {"source_embedding.weight": 11 * 6}
    rest = sum(p.size for p in (*model.encoder.parameters(), *model.decoder.parameters()))
    assert model.num_parameters() == rest + sum(sizes.get(n, 13 * 6) for n in tables)


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_checkpoint_gives_the_same_model(rng, tmp_path, same_bits, options, dtype, batch):
    model = make(rng, dtype=dtype, **options)
    checkpoint.save(tmp_path / "model", model)
    loaded = checkpoint.load(tmp_path / "model").model
    assert loaded.config == model.config
    same_bits(loaded(*inputs_of(batch)).data, model(*inputs_of(batch)).data)
    assert loaded.num_parameters() == model.num_parameters()
    tied = model.config.tie_embeddings
    assert (loaded.output.weight is loaded.target_embedding.weight) == tied
    if tied:  # and stays one when it is changed
        loaded.target_embedding.weight.data = loaded.target_embedding.weight.data + 1
        np.testing.assert_array_equal(
            loaded.output.weight.data, loaded.target_embedding.weight.data
        )
    shared = tied and model.config.target_vocab_size is None
    assert (loaded.source_embedding is loaded.target_embedding) == shared


# --- refusals


@pytest.mark.parametrize(("s", "t"), [(10, 3), (3, 10)])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_a_sequence_longer_than_the_positions(rng, s, t, positions):
    model = make(rng, positions=positions)
    with pytest.raises(ValueError, match="positions: .*10 tokens .* 9 positions; .*max_len"):
        model(np.zeros((1, s), int), np.zeros((1, t), int))


def test_without_positions_any_length_will_do(rng):
    model = make(rng, positions="none")
    assert model(np.zeros((1, 20), int), np.zeros((1, 10), int)).shape == (1, 10, 13)


@pytest.mark.parametrize("token", [11, -1])
def test_a_token_outside_the_vocabulary_names_the_table(rng, token):
    with pytest.raises(ValueError, match=f"source_embedding: .*id {token} .*table of 11 rows"):
        make(rng)(np.array([[token]]), np.array([[1]]))
    with pytest.raises(ValueError, match=f"target_embedding: .*id {token + 2 * (token > 0)} "):
        make(rng)(np.array([[1]]), np.array([[token + 2 * (token > 0)]]))


def test_ids_of_one_axis(rng):
    with pytest.raises(ValueError, match=r"expected ids of shape \(B, T\), got \(3,\)"):
        make(rng)(np.array([1, 2, 3]), np.array([[1]]))


def test_ids_that_are_not_integers(rng):
    with pytest.raises(TypeError, match="integer ids"):
        make(rng)(np.array([[1.0]]), np.array([[1]]))


@pytest.mark.parametrize("mask", [np.ones((2, 3)), np.ones((2, 3), int), [[True] * 3] * 2])
def test_masks_that_are_not_boolean_name_the_argument_and_the_fix(rng, mask):
    ids = np.ones((2, 3), int)
    with pytest.raises(TypeError, match="^source_mask: .*'is real'.*ids != pad_id"):
        make(rng)(ids, ids, mask)
    with pytest.raises(TypeError, match="^target_mask: .*'is real'.*ids != pad_id"):
        make(rng)(ids, ids, None, mask)


@pytest.mark.parametrize("shape", [(2, 4), (3,), (1, 3), (2, 3, 3), (3, 3)])
def test_a_mask_of_the_wrong_shape_names_the_argument(rng, shape):
    ids = np.ones((2, 3), int)
    with pytest.raises(ValueError, match=r"^source_mask: expected shape \(2, 3\), which .*got"):
        make(rng)(ids, ids, np.ones(shape, bool))
    with pytest.raises(ValueError, match=r"^target_mask: expected shape \(2, 3\), which .*got"):
        make(rng)(ids, ids, None, np.ones(shape, bool))


def test_different_numbers_of_sources_and_targets(rng):
    with pytest.raises(ValueError, match=r"decoder.layers\[0\].multihead_attn: .*B=3"):
        make(rng)(np.ones((2, 3), int), np.ones((3, 3), int))

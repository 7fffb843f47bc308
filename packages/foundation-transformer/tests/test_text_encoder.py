"""Encoder-only models, and vectors of whole texts."""

import numpy as np
import pytest
from foundation_nn import Tensor, checkpoint, gradcheck
from foundation_transformer import ContextLengthError, TextEncoder, TransformerConfig, mean_pool

V = 13
SMALL = {"vocab_size": V, "max_len": 9, "d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 17}
KINDS = {
    "bert": TransformerConfig.bert(**SMALL, dropout=0.0),
    "bare": TransformerConfig(**SMALL, dropout=0.0, norm_first=True),
    "rotary": TransformerConfig.llama(**SMALL),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
MASK = np.arange(6) < np.array([[6], [2], [4]])


def make(kind):
    rng = np.random.default_rng(0)
    model = TextEncoder(KINDS[kind], rng=rng).astype(np.float64)
    for p in model.parameters():
        p.data = rng.normal(0.3 if p.ndim == 1 else 0, 0.7, p.shape)
    return model


@pytest.fixture
def ids(rng):
    return rng.integers(V, size=(3, 6))


def test_berts_embedding_by_hand(ids):
    model = make("bert")
    types = (np.arange(6) > 2) * np.ones((3, 1), int)
    x = model.embedding.weight.data[ids] + model.positions.weight.data[:6]
    x = x + model.token_types.weight.data[types]
    centred = x - x.mean(-1, keepdims=True)
    x = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    x = x * model.embedding_norm.weight.data + model.embedding_norm.bias.data
    expected = model.stack(Tensor(x), MASK).data
    np.testing.assert_allclose(model(ids, MASK, token_types=types).data, expected, rtol=1e-11)
    assert np.abs(model(ids, MASK).data - expected).max() > 0.01  # all of type 0


@every_kind
def test_every_token_sees_all(kind, ids):
    model = make(kind)
    before = model(ids).data
    changed = ids.copy()
    changed[:, -1] = (changed[:, -1] + 1) % V
    assert (np.abs(model(changed).data - before).max(axis=(1, 2)) > 1e-6).all()
    assert (np.abs(model(changed).data[:, 0] - before[:, 0]).max(axis=1) > 1e-6).all()


@every_kind
def test_padding_is_invisible(kind, ids, rng, same_bits):
    model = make(kind)
    clean = model(ids, MASK)
    noisy = ids.copy()
    noisy[~MASK] = rng.integers(V, size=(~MASK).sum())
    again = model(noisy, MASK)
    same_bits(again.data[MASK], clean.data[MASK])
    same_bits(mean_pool(again, MASK).data, mean_pool(clean, MASK).data)


@every_kind
def test_batched_equals_one_by_one(kind, ids):
    model = make(kind)
    together = model(ids, MASK).data
    for row, real in enumerate(MASK):
        alone = model(ids[row : row + 1, real]).data
        np.testing.assert_allclose(together[row, real], alone[0], rtol=1e-11, atol=1e-11)


@every_kind
def test_gradcheck(kind, ids):
    assert gradcheck(make(kind), ids, max_elements=3)


def test_the_pooler(ids):
    model = make("bert")
    hidden = model(ids)
    first = hidden.data[:, 0]
    expected = np.tanh(first @ model.pooler.weight.data.T + model.pooler.bias.data)
    np.testing.assert_allclose(model.pool(hidden).data, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="no pooler"):
        make("bare").pool(hidden)


def test_the_mean_by_hand():
    hidden = np.array([[[3.0, 0.0], [0.0, 4.0], [np.nan, 9.0]]])
    mask = np.array([[True, True, False]])
    np.testing.assert_allclose(mean_pool(Tensor(hidden), mask).data, [[0.6, 0.8]])
    np.testing.assert_allclose(mean_pool(Tensor(hidden[:, :2])).data, [[0.6, 0.8]])


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_mean_of_vectors_of_any_size(size):
    vectors = np.array([[[3, 4], [3, 4]], [[1, -2], [-1, 2]]], np.float32)
    hidden = Tensor(vectors * np.float32(size), requires_grad=True)
    mean = mean_pool(hidden)
    np.testing.assert_allclose(mean.data, [[0.6, 0.8], [0, 0]], rtol=1e-6)  # zero has no direction
    mean.sum().backward()
    assert np.isfinite(hidden.grad).all()


def test_the_mean_of_no_token():
    with pytest.raises(ValueError, match=r"mean_pool: expected at least one token.*\(2, 0, 3\)"):
        mean_pool(Tensor(np.ones((2, 0, 3))))


def test_gradcheck_of_the_mean(rng):
    assert gradcheck(lambda h: mean_pool(h, MASK), rng.standard_normal((3, 6, 5)))


@every_kind
def test_a_checkpoint_gives_the_same_model(kind, tmp_path, same_bits, ids):
    model = make(kind)
    checkpoint.save(tmp_path / "model", model)
    loaded = checkpoint.load(tmp_path / "model").model
    assert type(loaded) is TextEncoder
    same_bits(loaded(ids, MASK).data, model(ids, MASK).data)


def test_refusals(ids):
    model = make("bert")
    with pytest.raises(ValueError, match=r"ids of shape \(B, T\), got \(6,\)"):
        model(ids[0])
    with pytest.raises(ContextLengthError, match="10 tokens is longer than the model's 9"):
        model(np.zeros((1, 10), int))
    with pytest.raises(ValueError, match=r"token_types of the shape of ids, \(3, 6\), got \(3,\)"):
        model(ids, token_types=np.zeros(3, int))
    with pytest.raises(ValueError, match="token_types.*id 2 lies outside the table of 2 rows"):
        model(ids, token_types=np.full((3, 6), 2))
    with pytest.raises(ValueError, match="token_types: this model has none"):
        make("bare")(ids, token_types=np.zeros((3, 6), int))
    hidden = model(ids)
    with pytest.raises(ValueError, match=r"mean_pool: key_mask: .*\(3, 6\), .*\(3, 5\)"):
        mean_pool(hidden, MASK[:, :5])
    with pytest.raises(ValueError, match="row 1 has no real token"):
        mean_pool(hidden, MASK & np.array([[True], [False], [True]]))

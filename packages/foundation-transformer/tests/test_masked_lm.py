"""Hidden tokens: which are hidden and how, the head, and an encoder that learns to tell them."""

import itertools

import numpy as np
import pytest
from foundation_nn import checkpoint, no_grad
from foundation_nn import functional as F
from foundation_transformer import MaskedLM, TextEncoder, TransformerConfig, recipes

V, D = 11, 12


def make(rng=None, **options):
    sizes = {"vocab_size": V, "d_model": D, "num_heads": 3, "num_layers": 2, "max_len": 9}
    config = TransformerConfig.bert(**sizes | options)
    rng = np.random.default_rng(1) if rng is None else rng
    return MaskedLM(TextEncoder(config, rng=rng), rng=rng)


def test_shares_of_what_is_hidden():
    ids = np.random.default_rng(0).integers(5, 1005, size=(500, 101))
    real = np.arange(101) < np.random.default_rng(1).integers(1, 102, size=(500, 1))
    ids[:, 0] = 1
    batch = recipes.mask_tokens(
        ids, real, np.random.default_rng(2), mask_id=3, vocab_size=10**6, special_ids=[1]
    )
    assert np.array_equal(batch.targets, ids)
    assert not batch.hidden[:, 0].any()
    assert not batch.hidden[~real].any()
    assert np.array_equal(batch.ids[~batch.hidden], ids[~batch.hidden])
    n = batch.num_tokens
    chosen, was = batch.ids[batch.hidden], ids[batch.hidden]
    said_hidden, unchanged = chosen == 3, chosen == was
    drawn = ~said_hidden & ~unchanged
    may = real[:, 1:].sum()
    for count, out_of, share in [
        (n, may, 0.15),
        (said_hidden.sum(), n, 0.8),
        (unchanged.sum(), n, 0.1),
        (drawn.sum(), n, 0.1),
    ]:
        spread = np.sqrt(share * (1 - share) / out_of)
        assert abs(count / out_of - share) < 4 * spread
    assert chosen[drawn].max() > 10**5  # from the whole vocabulary
    with pytest.raises(ValueError, match="a share above 0"):
        recipes.mask_tokens(ids, real, np.random.default_rng(2), mask_id=3, vocab_size=9, share=0)


ROWS = [[1, *range(2, 2 + n), 10] for n in (3, 5, 4, 2, 6, 1, 3)]


def batches(seed=0, rows=ROWS):
    rng = None if seed is None else np.random.default_rng(seed)
    return recipes.MaskedBatches(rows, 3, mask_id=9, vocab_size=V, share=0.4, rng=rng)


def seen(some):
    return [(b.ids.tolist(), b.hidden.tolist()) for b in some]


def test_what_is_hidden_is_chosen_anew_in_each_epoch_and_by_the_seed():
    one, other = batches(), batches()
    epochs = [seen(one), seen(one)]
    assert epochs == [seen(other), seen(other)]
    assert epochs[0] != epochs[1]
    assert seen(batches(1)) != epochs[0]
    texts = sorted(
        len(r)
        for b in batches()
        for r in [x[m].tolist() for x, m in zip(b.targets, b.key_mask, strict=True)]
    )
    assert texts == sorted(map(len, ROWS))
    fixed = batches(None)
    assert seen(fixed) == seen(fixed)


def test_a_run_that_is_resumed_sees_what_it_would_have_seen():
    whole = batches()
    expected = seen(whole) + seen(whole)
    part = batches()
    seen(itertools.islice(part, 2))
    state = part.state_dict()
    later = batches(7)
    later.load_state_dict(state)
    assert seen(later) + seen(later) == expected[2:]
    with pytest.raises(ValueError, match="malformed state"):
        batches(None).load_state_dict(state)
    with pytest.raises(ValueError, match="was taken with"):
        batches(rows=ROWS[:4]).load_state_dict(state)


def test_logits_by_the_definition():
    model = make().astype(np.float64)
    ids, key_mask = recipes.padded([[1, 2, 3, 4], [5, 6]])
    with no_grad():
        hidden = model.encoder(ids, key_mask).data
        p = model.state_dict()
        h = hidden @ p["dense.weight"].T + p["dense.bias"]
        h = F.gelu(h).data
        h = h - h.mean(axis=-1, keepdims=True)
        h = h / np.sqrt((h**2).mean(axis=-1, keepdims=True) + model.config.norm_eps)
        h = h * p["norm.weight"] + p["norm.bias"]
        expected = h @ p["encoder.embedding.weight"].T + p["output.bias"]
        np.testing.assert_allclose(model(ids, key_mask).data, expected, atol=1e-12)
        at = np.array([[False, True, False, True], [True, False, False, False]])
        np.testing.assert_allclose(model(ids, key_mask, at=at).data, expected[at], atol=1e-12)


def test_the_embedding_serves_twice(tmp_path):
    model = make()
    assert model.output.weight is model.encoder.embedding.weight
    checkpoint.save(tmp_path / "model", model)
    again = checkpoint.load(tmp_path / "model").model
    assert again.output.weight is again.encoder.embedding.weight
    ids = np.array([[1, 2, 3]])
    assert np.array_equal(again(ids).data, model(ids).data)


def test_padding_is_invisible():
    model = make()
    ids, key_mask = recipes.padded([[1, 2, 3, 4], [5, 6]])
    hidden = np.array([[False, True, False, True], [True, False, False, False]])
    found = []
    for filling in (0, -3, 10**9):
        for p in model.parameters():
            p.grad = None
        batch = recipes.MaskedBatch(np.where(key_mask, ids, filling), ids, key_mask, hidden)
        loss, count = recipes.masked_lm_loss(model, batch)
        loss.backward()
        assert count == 3
        found.append([loss.data, *[p.grad for p in model.parameters() if p.grad is not None]])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_no_token_that_counts():
    ids, real = np.array([[1, 1]]), np.array([[True, True]])
    batch = recipes.MaskedBatch(ids, ids, real, ~real)
    loss, count = recipes.masked_lm_loss(make(), batch)
    assert (loss.item(), count) == (0, 0)


def test_an_encoder_learns_to_tell_hidden_tokens():
    """Texts count up from a random start, so that a neighbour tells the hidden token."""
    rng = np.random.default_rng(0)
    starts = rng.integers(1, 5, size=200)
    rows = [list(range(start, start + 5)) for start in starts]  # of 1..8
    model = make(rng, dropout=0.0, num_layers=1, d_model=24)
    data = recipes.MaskedBatches(rows, 50, mask_id=0, vocab_size=9, share=0.3, rng=rng)
    recipes.train_masked_lm(model, data, steps=200, lr=1e-2, warmup=20, rng=rng)
    ids = np.array([[2, 3, 0, 5, 6], [4, 5, 6, 0, 8]])
    assert model(ids).data.argmax(axis=-1)[[0, 1], [2, 3]].tolist() == [4, 7]

"""Contrastive vectors: the loss by hand, its gradient, and texts that find each other."""

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck, no_grad, training
from foundation_transformer import TextEncoder, TransformerConfig, mean_pool, recipes
from foundation_transformer.recipes import info_nce


def test_the_loss_by_hand():
    near = np.eye(2)
    # Each query has the score 1 with its own text and 0 with the other, divided by 1/2.
    loss = info_nce(Tensor(near), Tensor(near), temperature=0.5).item()
    assert loss == pytest.approx(np.log(1 + np.exp(-2)))
    assert info_nce(Tensor(near * 0), Tensor(near)).item() == pytest.approx(np.log(2))


def test_both_directions():
    q, t = np.random.default_rng(0).standard_normal((2, 3, 5))
    one = info_nce(Tensor(q), Tensor(t)).item()
    back = info_nce(Tensor(t), Tensor(q)).item()
    both = info_nce(Tensor(q), Tensor(t), symmetric=True).item()
    assert both == pytest.approx((one + back) / 2)
    assert one != pytest.approx(back)


def test_further_texts_are_hard_examples():
    q, t = np.random.default_rng(0).standard_normal((2, 4, 5))
    e = np.exp(q[:3] @ t.T / 0.7)
    expected = -np.log(np.diag(e) / e.sum(axis=1)).mean()
    assert info_nce(Tensor(q[:3]), Tensor(t), 0.7).item() == pytest.approx(expected)
    back = np.exp(t[:3] @ q[:3].T / 0.7)  # they do not look for a query of their own
    other = -np.log(np.diag(back) / back.sum(axis=1)).mean()
    found = info_nce(Tensor(q[:3]), Tensor(t), 0.7, symmetric=True).item()
    assert found == pytest.approx((expected + other) / 2)


@pytest.mark.parametrize("symmetric", [False, True])
def test_its_gradient(symmetric):
    q, t = np.random.default_rng(0).standard_normal((2, 3, 5))
    gradcheck(lambda q, t: info_nce(q, t, 0.3, symmetric), q, t)


def test_shapes_and_numbers_are_checked():
    q = Tensor(np.ones((3, 5), np.float32))
    with pytest.raises(ValueError, match=r"got \(3, 5\) and \(3, 4\)"):
        info_nce(q, q[:, :4])
    with pytest.raises(ValueError, match="got 3 queries and 2 texts"):
        info_nce(q, q[:2])
    with pytest.raises(ValueError, match="temperature > 0"):
        info_nce(q, q, 0.0)


def test_texts_find_each_other():
    """Words of two languages: number i of the first is number i + 10 of the second."""
    rng = np.random.default_rng(0)
    sizes = {"d_model": 16, "num_heads": 2, "num_layers": 1, "max_len": 5, "dropout": 0.0}
    model = TextEncoder(TransformerConfig.bert(vocab_size=21, **sizes, pooler=False), rng=rng)
    choices = [sorted(rng.choice(10, 3, replace=False) + 1) for _ in range(300)]
    unique = [list(x) for x in dict.fromkeys(map(tuple, choices))]
    queries = recipes.padded([rng.permutation(x).tolist() for x in unique])
    texts = recipes.padded([(rng.permutation(x) + 10).tolist() for x in unique])

    def found(rows):
        with no_grad():
            q = mean_pool(model(queries[0][rows], queries[1][rows]), queries[1][rows]).data
            t = mean_pool(model(texts[0][rows], texts[1][rows]), texts[1][rows]).data
        return ((q @ t.T).argmax(axis=1) == np.arange(len(q))).mean()

    held_out = np.arange(20)
    assert found(held_out) < 0.3
    rest = slice(20, None)
    arrays = [*queries, *texts]
    data = training.batches(*[a[rest] for a in arrays], batch_size=32, rng=rng)
    recipes.train_sentences(model, data, steps=150, lr=1e-2, rng=rng)
    assert found(held_out) > 0.8

"""Heads that classify: the right vector, whatever the padding, and a task that is learnt."""

import numpy as np
import pytest
from foundation_nn import checkpoint, gradcheck, no_grad, training
from foundation_transformer import (
    CausalLM,
    MaskedLM,
    TextClassifier,
    TextEncoder,
    Transformer,
    TransformerConfig,
    recipes,
)

V, D = 13, 12


def body(kind, **options):
    rng = np.random.default_rng(1)
    sizes = {"vocab_size": V, "d_model": D, "num_heads": 3, "num_layers": 2, "max_len": 9}
    if kind == "encoder":
        return TextEncoder(TransformerConfig.bert(**sizes, **options), rng=rng).astype(np.float64)
    style = getattr(TransformerConfig, kind)
    return CausalLM(style(**sizes, **options), rng=rng).astype(np.float64)


def classifier(kind, pooling=None, **options):
    model = TextClassifier(
        body(kind, **options), ["a", "b", "c"], pooling=pooling, rng=np.random.default_rng(2)
    )
    return model.astype(np.float64)


WAYS = [
    ("gpt2", None),
    ("llama", "last"),
    ("gpt2", "mean"),
    ("encoder", None),
    ("encoder", "first"),
    ("encoder", "mean"),
    ("encoder", "last"),
]
ROW = np.array([[3, 1, 4, 1, 5]])


@pytest.mark.parametrize(("kind", "pooling"), WAYS)
def test_logits_by_the_definition(kind, pooling):
    model = classifier(kind, pooling)
    with no_grad():
        hidden = (model.body.hidden(ROW) if kind != "encoder" else model.body(ROW)).data[0]
        found = model(ROW).data
    if kind == "encoder" and pooling is None:
        pooler = model.body.pooler
        vector = np.tanh(pooler.weight.data @ hidden[0] + pooler.bias.data)
    else:
        vector = {"first": hidden[0], "mean": hidden.mean(axis=0)}.get(pooling, hidden[-1])
    head = model.classifier
    np.testing.assert_allclose(found[0], head.weight.data @ vector + head.bias.data, rtol=1e-12)


@pytest.mark.parametrize(("kind", "pooling"), WAYS)
def test_padding_is_invisible(kind, pooling):
    model = classifier(kind, pooling)
    rows = [[3, 1, 4, 1, 5], [9, 2], [6, 5, 3]]
    ids, key_mask = recipes.padded(rows, pad_id=7)
    results = []
    for filling in (7, 0, -5, 10**9):
        for p in model.parameters():
            p.grad = None
        logits = model(np.where(key_mask, ids, filling), key_mask)
        (logits * logits).sum().backward()
        results.append([logits.data, *[p.grad for p in model.parameters() if p.grad is not None]])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))
    with no_grad():
        alone = np.concatenate([model(np.array([row])).data for row in rows])
    np.testing.assert_allclose(results[0][0], alone, atol=1e-12)


def test_padding_on_the_left_is_invisible_to_the_vectors_that_are_taken():
    model = classifier("encoder", "mean", positions="none")
    right = model(np.array([[3, 1, 0]]), np.array([[True, True, False]])).data
    left = model(np.array([[0, 3, 1]]), np.array([[False, True, True]])).data
    np.testing.assert_allclose(left, right, atol=1e-12)
    for pooling in ("first", "last"):
        model = classifier("encoder", pooling, positions="none")
        right = model(np.array([[3, 1, 0]]), np.array([[True, True, False]])).data
        left = model(np.array([[0, 3, 1]]), np.array([[False, True, True]])).data
        np.testing.assert_allclose(left, right, atol=1e-12)


@pytest.mark.parametrize(("kind", "pooling"), [("gpt2", None), ("encoder", "mean")])
def test_gradients(kind, pooling):
    model = classifier(kind, pooling)
    ids, key_mask = recipes.padded([[3, 1, 4], [2]])
    targets = np.array([2, 0])
    named = dict(model.named_parameters())
    chosen = [named[n] for n in named if n.startswith("classifier") or n.endswith("norm1.weight")]
    gradcheck(lambda *_: recipes.classification_loss(model, (ids, key_mask, targets))[0], *chosen)


@pytest.mark.parametrize(("kind", "score"), [("gpt2", "softmax"), ("encoder", "sigmoid")])
def test_a_head_is_learnt_in_seconds(kind, score):
    rng = np.random.default_rng(3)
    rows = [rng.integers(2, V, size=rng.integers(2, 8)).tolist() for _ in range(120)]
    holds = np.array([[5 in row, 7 in row] for row in rows])
    targets = holds[:, 0].astype(int) if score == "softmax" else holds
    sizes = {"vocab_size": V, "d_model": 16, "num_heads": 2, "num_layers": 1, "max_len": 9}
    if kind == "encoder":
        inner = TextEncoder(TransformerConfig.bert(**sizes, dropout=0.0), rng=rng)
    else:
        inner = CausalLM(TransformerConfig.gpt2(**sizes, dropout=0.0), rng=rng)
    model = TextClassifier(inner, ["no", "yes"], score, "mean", rng=rng)
    data = training.batches(*recipes.padded(rows), targets, batch_size=40, rng=rng)
    recipes.train_classifier(model, data, steps=120, lr=1e-2, rng=rng)
    assert recipes.classification_accuracy(model, data) > 0.97


def test_the_head_alone():
    rng = np.random.default_rng(0)
    model = classifier("gpt2")
    model.body.freeze()
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    data = [(ROW, np.ones(ROW.shape, bool), np.array([1]))]
    recipes.train_classifier(model, data, steps=3, lr=1e-2, rng=rng)
    changed = [n for n, p in model.named_parameters() if not np.array_equal(p.data, before[n])]
    assert changed == ["classifier.weight", "classifier.bias"]


def test_the_output_layer_of_a_decoder_takes_no_part():
    tied, own = classifier("gpt2"), classifier("llama", tie_embeddings=False)
    assert tied.body.embedding.weight.requires_grad
    assert not own.body.output.weight.requires_grad
    assert own.body.embedding.weight.requires_grad


@pytest.mark.parametrize("kind", ["gpt2", "encoder"])
def test_classifiers_are_saved_with_their_body(kind, tmp_path):
    model = classifier(kind, "mean").astype(np.float32)
    checkpoint.save(tmp_path / "model", model)
    again = checkpoint.load(tmp_path / "model").model
    assert (again.labels, again.score, again.pooling) == (("a", "b", "c"), "softmax", "mean")
    assert type(again.body) is type(model.body)
    assert np.array_equal(again(ROW).data, model(ROW).data)


def test_errors_say_what_to_write():
    encoder, decoder = body("encoder", pooler=False), body("gpt2")
    with pytest.raises(TypeError, match="write TextClassifier"):
        TextClassifier(TransformerConfig.bert(vocab_size=V), ["a"])
    with pytest.raises(ValueError, match="a list of labels, got 'ab'"):
        TextClassifier(decoder, "ab")
    with pytest.raises(ValueError, match="a list of labels"):
        TextClassifier(decoder, [])
    with pytest.raises(ValueError, match="score to be one of softmax, sigmoid, identity"):
        TextClassifier(decoder, ["a"], "soft")
    with pytest.raises(ValueError, match="pooling to be one of pooler, first, last, mean"):
        TextClassifier(decoder, ["a"], pooling="max")
    for model in (encoder, decoder):
        with pytest.raises(ValueError, match="'pooler' is for an encoder that has one"):
            TextClassifier(model, ["a"], pooling="pooler")
    model = TextClassifier(decoder, ["a"])
    with pytest.raises(ValueError, match="row 1 has no real token"):
        model(np.ones((2, 3), int), np.array([[True] * 3, [False] * 3]))
    with pytest.raises(ValueError, match="a CausalLM does not tell them apart"):
        model(ROW, token_types=ROW)
    with pytest.raises(ValueError, match="no labels"):
        recipes.classification_accuracy(TextClassifier(decoder, ["a"], "identity"), [])
    with pytest.raises(ValueError, match="at least one text"):
        recipes.classification_accuracy(model, [])
    with pytest.raises(TypeError, match="MaskedLM: expected a TextEncoder, got CausalLM"):
        MaskedLM(decoder)
    with pytest.raises(TypeError, match="got Transformer"):
        TextClassifier(Transformer(TransformerConfig(vocab_size=V)), ["a"])


def test_targets_of_each_kind():
    data = (ROW, np.ones(ROW.shape, bool))
    model = classifier("gpt2")
    logits = model(ROW).data[0]
    p = np.exp(logits) / np.exp(logits).sum()
    loss, count = recipes.classification_loss(model, (*data, np.array([2])))
    assert (loss.item(), count) == (pytest.approx(-np.log(p[2])), 1)
    model.score = "sigmoid"
    target = np.array([[1, 0, 1]])
    q = 1 / (1 + np.exp(-logits))
    expected = -(np.log(q[0]) + np.log(1 - q[1]) + np.log(q[2])) / 3
    assert recipes.classification_loss(model, (*data, target))[0].item() == pytest.approx(expected)
    model.score = "identity"
    expected = ((logits - target[0]) ** 2).mean()
    assert recipes.classification_loss(model, (*data, target))[0].item() == pytest.approx(expected)


def test_columns_that_are_padding_in_all_rows_are_not_read(monkeypatch):
    model, read = classifier("gpt2"), []
    forward = TextClassifier.forward

    def counted(self, ids, *args):
        read.append(ids.shape)
        return forward(self, ids, *args)

    monkeypatch.setattr(TextClassifier, "forward", counted)
    ids, key_mask = recipes.padded([[3, 1, 4], [2]])
    wide = np.pad(ids, ((0, 0), (0, 4))), np.pad(key_mask, ((0, 0), (0, 4)))
    targets = np.array([2, 0])
    narrow = recipes.classification_loss(model, (ids, key_mask, targets))[0]
    assert recipes.classification_loss(model, (*wide, targets))[0].item() == narrow.item()
    assert read == [(2, 3), (2, 3)]

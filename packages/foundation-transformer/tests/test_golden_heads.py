"""Heads and losses as transformers and PyTorch compute them, recorded by golden/record_heads.py."""

from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_transformer import CausalLM, MaskedLM, TextClassifier, TextEncoder, recipes
from foundation_transformer import TransformerConfig as Config
from test_golden_models import bert, gpt2

GOLDEN = np.load(Path(__file__).with_name("golden") / "heads.npz")
SMALL = {"vocab_size": 17, "max_len": 8, "d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 19}
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def of(name):
    """Arrays of one part of the file; weights apart from the others."""
    mine = {k.removeprefix(f"{name}/"): v for k, v in GOLDEN.items() if k.startswith(f"{name}/")}
    weights = {k.removeprefix("w/"): v for k, v in mine.items() if k.startswith("w/")}
    return weights, {k: v for k, v in mine.items() if not k.startswith("w/")}


def test_a_classifier_on_the_last_real_token():
    w, given = of("gpt2")
    body = CausalLM(Config.gpt2(**SMALL, dropout=0.0)).astype(np.float64)
    body.load_state_dict(dict(gpt2(w)))
    model = TextClassifier(body, ["a", "b", "c"]).astype(np.float64)
    model.classifier.weight.data = w["score.weight"]
    ids = given["ids"]
    batch = (ids, ids != 0, given["labels"])
    np.testing.assert_allclose(model(ids, ids != 0).data, given["logits"], **CLOSE)
    loss, _ = recipes.classification_loss(model, batch)
    loss.backward()
    np.testing.assert_allclose(model.body.embedding.weight.grad, given["d_embedding"], **CLOSE)


def test_the_head_for_hidden_tokens():
    w, given = of("bert")
    encoder = TextEncoder(Config.bert(**SMALL, dropout=0.0, pooler=False)).astype(np.float64)
    # BERT's pooler takes no part.
    w |= {f"pooler.dense.{kind}": np.zeros(1) for kind in ("weight", "bias")}
    names = {name for name, _ in encoder.named_parameters()}
    encoder.load_state_dict({name: a for name, a in bert(w) if name in names})
    model = MaskedLM(encoder).astype(np.float64)
    head = "cls.predictions"
    for kind in ("weight", "bias"):
        getattr(model.dense, kind).data = w[f"{head}.transform.dense.{kind}"]
        getattr(model.norm, kind).data = w[f"{head}.transform.LayerNorm.{kind}"]
    model.output.bias.data = w[f"{head}.bias"]
    ids, real, labels = given["ids"], given["real"], given["labels"]
    np.testing.assert_allclose(model(ids, real).data[real], given["logits"][real], **CLOSE)
    batch = recipes.MaskedBatch(ids, labels, real, labels >= 0)
    loss, count = recipes.masked_lm_loss(model, batch)
    loss.backward()
    assert count == 3
    np.testing.assert_allclose(loss.data, given["loss"], **CLOSE)
    found = model.encoder.embedding.weight.grad
    # PyTorch leaves the padding's row of the table alone, which nothing else reads here.
    np.testing.assert_allclose(found[1:], given["d_embedding"][1:], **CLOSE)


def leaves(arrays):
    return [Tensor(array, requires_grad=True) for array in arrays]


def check(loss, inputs, given, gradients):
    loss.backward()
    np.testing.assert_allclose(loss.data, given["loss"], **CLOSE)
    for x, expected in zip(inputs, gradients, strict=True):
        np.testing.assert_allclose(x.grad, expected, **CLOSE)


def test_the_loss_of_preferences():
    _, given = of("dpo")
    inputs = leaves(given["inputs"][:2])
    loss = recipes.dpo_loss(*inputs, *given["inputs"][2:], 0.3)
    check(loss, inputs, given, given["gradients"])


@pytest.mark.parametrize("temperature", [2.5])
def test_distillation_from_all_tokens_is_the_divergence(temperature):
    _, given = of("distillation")
    student, teacher = given["logits"]
    inputs = leaves([student])
    top = recipes.top_tokens(teacher, 17, temperature)
    loss = recipes.distillation_loss(*inputs, *top, temperature)
    check(loss, inputs, given, [given["gradient"]])


def test_contrastive_vectors():
    _, given = of("info_nce")
    inputs = leaves(given["inputs"])
    check(recipes.info_nce(*inputs, 0.4, symmetric=True), inputs, given, given["gradients"])

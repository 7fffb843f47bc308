"""Vectors and scores of texts: those of sentence-transformers, as the folder asks for them."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_transformer import TextClassifier, TextEncoder, load_pretrained
from foundation_transformer.pretrained import (
    Dense,
    Pooling,
    classify,
    embed,
    rerank,
    save_pretrained,
)
from foundation_transformer.pretrained._safetensors import write_safetensors

GOLDEN = np.load(Path(__file__).parent / "golden" / "sentences.npz")
TEXTS = GOLDEN["texts"].tolist()
POOLINGS = ["mean", "cls", "max", "last", "weighted", "root", "two", "without prompt"]


def write(folder, files, weights):
    for name, text in json.loads(str(GOLDEN[files])).items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text, "utf-8")
    prefix = f"{weights}/weights/"
    tensors = {k.removeprefix(prefix): GOLDEN[k] for k in GOLDEN if k.startswith(prefix)}
    write_safetensors(folder / "model.safetensors", tensors.items())
    return folder


@pytest.mark.parametrize("name", POOLINGS)
def test_vectors_are_made_as_the_folder_says(tmp_path, name):
    loaded = load_pretrained(write(tmp_path, f"embed/{name}/files", "embed"))
    plain = embed(loaded, TEXTS, batch_size=3)
    np.testing.assert_allclose(plain, GOLDEN[f"embed/{name}/plain"], rtol=1e-4, atol=1e-5)
    asked = embed(loaded, TEXTS, "query")
    np.testing.assert_allclose(asked, GOLDEN[f"embed/{name}/query"], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="no such prompt; it has 'query', 'document'"):
        embed(loaded, TEXTS, "passage")


@pytest.mark.parametrize("name", ["one", "identity"])
def test_cross_encoders_score_pairs(tmp_path, name):
    loaded = load_pretrained(write(tmp_path, f"{name}/files", name))
    assert isinstance(loaded.model, TextClassifier)
    scores = rerank(loaded, "the cat", TEXTS, batch_size=3)
    np.testing.assert_allclose(scores, GOLDEN[f"{name}/y"], rtol=1e-4, atol=1e-5)
    with pytest.raises(TypeError, match="embed: expected a TextEncoder, got TextClassifier"):
        embed(loaded, TEXTS)


def test_heads_that_classify_give_their_labels(tmp_path):
    loaded = load_pretrained(write(tmp_path, "three/files", "three"))
    found = classify(loaded, TEXTS)
    assert list(found[0]) == ["bad", "so so", "good"]
    shares = [list(each.values()) for each in found]
    np.testing.assert_allclose(shares, GOLDEN["three/y"], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="expected a model with one label, this has bad, so so"):
        rerank(loaded, "the cat", TEXTS)


def test_old_names_are_read_and_heads_of_pretraining_left_out_by_name(tmp_path):
    loaded = load_pretrained(write(tmp_path, "old/files", "old"))
    assert isinstance(loaded.model, TextEncoder)
    with no_grad():
        y = loaded.model(np.array([[2, 5, 6, 3]])).data
    np.testing.assert_allclose(y, GOLDEN["old/y"], rtol=1e-4, atol=1e-5)
    assert "cls.predictions.bias" in loaded.left_out
    assert all(name.startswith("cls.predictions.") for name in loaded.left_out)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("modules.json", "{}", "expected a list of modules, got dict"),
        ("modules.json", '[{"type": "a.LSTM", "path": "2_LSTM"}]', "the module 'LSTM' is not"),
        (
            "modules.json",
            '[{"type": "a.Normalize", "path": "a"}, {"type": "a.Dense", "path": "b"}]',
            "expected modules in the order Transformer, Pooling, Dense, Normalize, got",
        ),
        ("modules.json", '[{"type": "a.Pooling", "path": "../x"}]', "folders of this folder"),
        ("1_Pooling/config.json", '{"pooling_mode": "sum"}', "'sum' is not supported; expected"),
        ("1_Pooling/config.json", '{"pooling_mode_cls_token": 1}', "expected true or false"),
        ("sentence_bert_config.json", '{"do_lower_case": true}', "do_lower_case is not supported"),
        ("config_sentence_transformers.json", '{"prompts": []}', "prompts: expected an object"),
    ],
)
def test_what_is_not_supported_is_refused(tmp_path, file, text, message):
    folder = write(tmp_path, "embed/mean/files", "embed")
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder)


# --- dense layers, and folders that are written


def test_a_dense_layer_by_hand():
    layer = Dense(np.array([[1, 2], [3, -4], [0, 1]], np.float32), np.array([0, 1, -9], np.float32))
    (vector,) = layer(np.array([[0.5, 0.25]], np.float32))
    np.testing.assert_allclose(vector, np.tanh([1, 1.5, -8.75]), rtol=1e-6)
    relu = Dense(layer.weight, None, "relu")
    assert relu(np.array([[1, 1]], np.float32)).tolist() == [[3, 0, 1]]
    with pytest.raises(ValueError, match="'softmax' is not supported; expected one of tanh"):
        Dense(layer.weight, None, "softmax")
    with pytest.raises(
        ValueError, match=r"weight \(out, in\) and a bias \(out,\), got \(3, 2\) and"
    ):
        Dense(layer.weight, np.zeros(2, np.float32))


def test_dense_layers_are_those_of_sentence_transformers(tmp_path):
    folder = write(tmp_path, "dense/files", "dense")
    for name in ("2_Dense", "3_Dense"):
        prefix = f"dense/{name}/"
        tensors = {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if prefix in key}
        write_safetensors(folder / name / "model.safetensors", tensors.items())
    loaded = load_pretrained(folder)
    np.testing.assert_allclose(embed(loaded, TEXTS), GOLDEN["dense/y"], rtol=1e-4, atol=1e-5)
    wider = {"linear.weight": np.zeros((5, 8), np.float32)}
    write_safetensors(folder / "3_Dense" / "model.safetensors", wider.items())
    with pytest.raises(ValueError, match="3_Dense: expected the tensors"):
        load_pretrained(folder)
    (folder / "3_Dense" / "config.json").write_text(
        '{"in_features": 8, "out_features": 5, "bias": false, "activation_function": "a.Tanh"}'
    )
    with pytest.raises(ValueError, match="expected a dense layer for 7 numbers, got one for 8"):
        load_pretrained(folder)
    (folder / "3_Dense" / "config.json").write_text(
        '{"in_features": 8, "out_features": 5, "bias": false, "activation_function": "a.Hardtanh"}'
    )
    with pytest.raises(ValueError, match="3_Dense.config.json: .*'hardtanh' is not supported"):
        load_pretrained(folder)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_that_is_saved_makes_the_same_vectors(tmp_path, name):
    loaded = load_pretrained(write(tmp_path / "theirs", f"embed/{name}/files", "embed"))
    folder = save_pretrained(
        tmp_path / "ours", loaded.model, loaded.tokenizer, pooling=loaded.pooling
    )
    again = load_pretrained(folder)
    assert again.pooling == loaded.pooling
    for prompt in (None, "query"):
        np.testing.assert_array_equal(embed(again, TEXTS, prompt), embed(loaded, TEXTS, prompt))


def test_dense_layers_are_saved_too(tmp_path, rng):
    loaded = load_pretrained(write(tmp_path / "theirs", "embed/mean/files", "embed"))
    layers = (
        Dense(rng.standard_normal((7, 40), np.float32), rng.standard_normal(7, np.float32)),
        Dense(rng.standard_normal((5, 7), np.float32), None, "identity"),
    )
    pooling = Pooling(("cls", "mean"), normalize=True, dense=layers)
    assert pooling.width(20) == 5
    folder = save_pretrained(tmp_path / "ours", loaded.model, pooling=pooling)
    again = load_pretrained(folder, tokenizer=False).pooling
    hidden = rng.standard_normal((3, 4, 20), np.float32)
    real = np.ones((3, 4), bool)
    np.testing.assert_array_equal(again(hidden, real), pooling(hidden, real))
    np.testing.assert_allclose(np.linalg.norm(again(hidden, real), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["one", "identity", "three"])
def test_a_classifier_that_is_saved_says_the_same(tmp_path, name):
    loaded = load_pretrained(write(tmp_path / "theirs", f"{name}/files", name))
    folder = save_pretrained(tmp_path / "ours", loaded.model, loaded.tokenizer)
    again = load_pretrained(folder)
    assert (again.model.labels, again.model.score) == (loaded.model.labels, loaded.model.score)
    said = [
        classify(each, TEXTS) if name == "three" else rerank(each, "the cat", TEXTS).tolist()
        for each in (loaded, again)
    ]
    assert said[0] == said[1]
    theirs = json.loads((tmp_path / "theirs" / "config.json").read_text())
    ours = json.loads((folder / "config.json").read_text())
    assert ours["architectures"] == theirs["architectures"] == ["BertForSequenceClassification"]
    several = TextClassifier(loaded.model.body, ["a", "b"], "sigmoid")
    assert load_pretrained(save_pretrained(tmp_path / "several", several)).model.score == "sigmoid"


def test_classifiers_that_no_family_has_are_not_saved(tmp_path):
    body = load_pretrained(write(tmp_path / "theirs", "embed/mean/files", "embed")).model
    with pytest.raises(
        ValueError, match="reads the pooler of a TextEncoder, got one with pooling="
    ):
        save_pretrained(tmp_path / "ours", TextClassifier(body, ["a", "b"], pooling="mean"))
    with pytest.raises(TypeError, match="a TextClassifier has no use for pooling"):
        save_pretrained(tmp_path / "ours", TextClassifier(body, ["a", "b"]), pooling=Pooling())

"""Vectors and scores of texts: those of sentence-transformers, as the folder asks for them."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_transformer import TextClassifier, TextEncoder, load_pretrained
from foundation_transformer.pretrained import classify, embed, rerank
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
        ("modules.json", '[{"type": "a.Dense", "path": "2_Dense"}]', "the module 'Dense' is not"),
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

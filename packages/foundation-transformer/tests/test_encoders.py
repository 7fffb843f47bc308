"""RoBERTa, DistilBERT, MPNet, ModernBERT and Nomic: what transformers computes from folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_transformer import TextClassifier, TextEncoder, TransformerConfig, load_pretrained
from foundation_transformer.pretrained import rerank, save_pretrained
from foundation_transformer.pretrained._safetensors import write_safetensors

GOLDEN = np.load(Path(__file__).parent / "golden" / "encoders.npz")
IDS, REAL = GOLDEN["ids"], GOLDEN["real"].astype(bool)
ENCODERS = ["roberta", "distilbert", "mpnet", "modernbert", "nomic"]
HEADS = ["roberta head", "distilbert head", "mpnet head"]
OTHER_HEADS = ["roberta mlm", "modernbert mlm"]


@pytest.fixture
def folder(tmp_path):
    """Writes one of the recorded folders; returns it."""

    def write(name, **changes):
        for file, text in json.loads(str(GOLDEN[f"{name}/files"])).items():
            (tmp_path / file).write_text(text, "utf-8")
        config = json.loads((tmp_path / "config.json").read_text()) | changes
        (tmp_path / "config.json").write_text(json.dumps(config))
        prefix = f"{name}/weights/"
        tensors = {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if prefix in key}
        write_safetensors(tmp_path / "model.safetensors", tensors.items())
        return tmp_path

    return write


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def hidden(model):
    with no_grad():
        return model(IDS, REAL).data


@pytest.mark.parametrize("name", [*ENCODERS, *OTHER_HEADS])
def test_vectors_of_tokens_are_those_of_transformers(folder, name):
    loaded = load_pretrained(folder(name))
    assert isinstance(loaded.model, TextEncoder)
    close(hidden(loaded.model)[REAL], GOLDEN[f"{name}/y"][REAL])
    if name in ENCODERS:
        assert loaded.left_out == ()


@pytest.mark.parametrize("name", ["roberta", "mpnet"])
def test_their_poolers_are_kept(folder, name):
    model = load_pretrained(folder(name)).model
    with no_grad():
        close(model.pool(model(IDS, REAL)).data, GOLDEN[f"{name}/pooled"])


@pytest.mark.parametrize("name", HEADS)
def test_heads_that_classify_have_the_logits_of_transformers(folder, name):
    loaded = load_pretrained(folder(name))
    assert isinstance(loaded.model, TextClassifier)
    assert loaded.model.labels == ("bad", "so so", "good")
    assert loaded.left_out == ()
    close(hidden(loaded.model), GOLDEN[f"{name}/y"])


@pytest.mark.parametrize(
    ("kind", "head", "names"),
    [
        ("RobertaForQuestionAnswering", "qa_outputs", 2),
        ("RobertaForTokenClassification", "classifier", 3),
    ],
)
def test_heads_for_tokens_are_left_out_by_name(folder, kind, head, names):
    place = folder("roberta", architectures=[kind])
    tensors = {
        f"roberta.{key.removeprefix('roberta/weights/')}": GOLDEN[key]
        for key in GOLDEN
        if key.startswith("roberta/weights/") and "pooler" not in key
    }
    tensors[f"{head}.weight"] = np.ones((names, 20), np.float32)
    tensors[f"{head}.bias"] = np.ones(names, np.float32)
    write_safetensors(place / "model.safetensors", tensors.items())
    loaded = load_pretrained(place)
    assert isinstance(loaded.model, TextEncoder)
    assert loaded.left_out == (f"{head}.bias", f"{head}.weight")
    close(hidden(loaded.model)[REAL], GOLDEN["roberta/y"][REAL])


def test_half_a_head_is_refused(folder):
    place = folder("mpnet head")
    tensors = {
        key.removeprefix("mpnet head/weights/"): GOLDEN[key]
        for key in GOLDEN
        if "mpnet head/weights/" in key and "classifier.dense" not in key
    }
    write_safetensors(place / "model.safetensors", tensors.items())
    with pytest.raises(ValueError, match="but not the layer before it"):
        load_pretrained(place)


def test_heads_of_pretraining_are_left_out_by_name(folder):
    left_out = load_pretrained(folder("modernbert mlm")).left_out
    assert left_out == ("decoder.bias", "head.dense.weight", "head.norm.weight")


@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_saved_is_what_was_loaded(folder, tmp_path, name):
    model = load_pretrained(folder(name)).model
    again = load_pretrained(save_pretrained(tmp_path / "again", model)).model
    assert again.config == model.config
    np.testing.assert_array_equal(hidden(again), hidden(model))
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    assert written["model_type"] == json.loads((tmp_path / "config.json").read_text())["model_type"]


def test_a_cross_encoder_reads_pairs_between_robertas_tokens(folder):
    loaded = load_pretrained(folder("cross"))
    assert loaded.tokenizer.frame.around_pair([7], [8, 9]) == ([0, 7, 2, 2, 8, 9, 2], [0] * 7)
    close(rerank(loaded, "the cat", GOLDEN["texts"].tolist(), batch_size=2), GOLDEN["cross/y"])


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_is_invisible(folder, name, same_bits):
    model = load_pretrained(folder(name)).model
    other = np.where(REAL, IDS, 30)
    with no_grad():
        same_bits(model(other, REAL).data[REAL], hidden(model)[REAL])
        alone = model(IDS[1:, :6]).data
    close(alone, hidden(model)[1:, :6])


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("roberta", {"pad_token_id": 30}, "pad_token_id: expected an id below"),
        ("roberta", {"position_embedding_type": "relative_key"}, "position_embedding_type="),
        ("mpnet", {"relative_attention_num_buckets": 8}, "relative_attention_num_buckets=8 is not"),
        ("mpnet", {"max_position_embeddings": 2}, "max_position_embeddings: expected at least 3"),
        ("modernbert", {"norm_bias": True}, "norm_bias=True is not supported; expected False"),
        ("modernbert", {"hidden_activation": "silu"}, "hidden_activation='silu' is not supported"),
        ("modernbert", {"layer_types": ["full_attention"]}, "layer_types: expected 4 of"),
        ("nomic", {"hidden_act": "gelu"}, "hidden_act='gelu' is not supported"),
        ("nomic", {"head_dim": 7}, "head_dim=7 is not supported"),
        ("distilbert", {"n_head": 7}, "n_head=7 is not known; did you mean 'n_heads'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(folder, name, changes, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder(name, **changes))


def test_older_fields_of_modernbert_say_the_same(folder):
    place = folder("modernbert")
    config = load_pretrained(place).model.config
    described = json.loads((place / "config.json").read_text())
    for name in ("layer_types", "rope_parameters"):
        del described[name]
    older = {
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
    }
    (place / "config.json").write_text(json.dumps(described | older))
    assert load_pretrained(place).model.config == config


def test_older_fields_of_nomic_say_the_same(folder):
    place = folder("nomic")
    config = load_pretrained(place).model.config
    older = {
        "model_type": "nomic_bert",
        "activation_function": "swiglu",
        "vocab_size": 31,
        "n_positions": 26,
        "max_trained_positions": 13,
        "n_embd": 24,
        "n_head": 3,
        "n_layer": 2,
        "n_inner": 37,
        "layer_norm_epsilon": 1e-12,
        "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0,
        "rotary_scaling_factor": None,
        "qkv_proj_bias": False,
        "use_flash_attn": True,
    }
    (place / "config.json").write_text(json.dumps(older))
    assert load_pretrained(place).model.config == config
    (place / "config.json").write_text(json.dumps(older | {"rotary_emb_fraction": 0.5}))
    with pytest.raises(ValueError, match="rotary_emb_fraction=0.5 is not supported"):
        load_pretrained(place)


@pytest.mark.parametrize("model_type", ["xlm-roberta", "camembert"])
def test_other_vocabularies_change_nothing_else(folder, model_type):
    model = load_pretrained(folder("roberta", model_type=model_type)).model
    close(hidden(model)[REAL], GOLDEN["roberta/y"][REAL])


def test_positions_that_begin_later_count_like_others():
    sizes = {"vocab_size": 7, "max_len": 3, "d_model": 4, "num_heads": 2, "num_layers": 1}
    plain = TextEncoder(TransformerConfig.bert(**sizes, dropout=0.0))
    later = TextEncoder(TransformerConfig.bert(**sizes, dropout=0.0, first_position=2))
    assert later.positions.weight.shape == (5, 4)
    weights = dict(plain.state_dict())
    unread = np.full((2, 4), np.nan, np.float32)
    weights["positions.weight"] = np.concatenate([unread, weights["positions.weight"]])
    later.load_state_dict(weights)
    ids = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(later(ids).data, plain(ids).data)
    with pytest.raises(ValueError, match="4"):
        later(np.array([[1, 2, 3, 4]]))
    with pytest.raises(ValueError, match="first_position: positions='rotary' has no use for it"):
        TransformerConfig(vocab_size=7, positions="rotary", first_position=2)

"""The families of decoders: logits, greedy texts and files are those of transformers."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_seq import generate
from foundation_transformer import load_pretrained, save_pretrained
from foundation_transformer.pretrained._safetensors import read_header, write_safetensors
from foundation_transformer.pretrained.families import FAMILIES

GOLDEN = np.load(Path(__file__).parent / "golden" / "decoders.npz")
IDS = GOLDEN["ids"]
NAMES = [key.removesuffix("/config") for key in GOLDEN if key.endswith("/config")]
every_model = pytest.mark.parametrize("name", NAMES)


def recorded(name):
    return json.loads(str(GOLDEN[f"{name}/config"]))


def weights_of(name):
    prefix = f"{name}/weights/"
    return {
        key.removeprefix(prefix): GOLDEN[key].astype(np.float32)
        for key in GOLDEN
        if key.startswith(prefix)
    }


@pytest.fixture
def folder(tmp_path):
    """Writes one of the recorded models, with changes; returns its folder."""

    def write(name, **changes):
        place = tmp_path / "folder"
        place.mkdir(exist_ok=True)
        described = recorded(name) | changes
        (place / "config.json").write_text(json.dumps(described))
        write_safetensors(place / "model.safetensors", weights_of(name).items())
        return place

    return write


def logits(path):
    with no_grad():
        return load_pretrained(path).model(IDS).data


@every_model
def test_logits(folder, name):
    np.testing.assert_allclose(logits(folder(name)), GOLDEN[f"{name}/y"], rtol=1e-4, atol=2e-5)


@every_model
def test_greedy_texts_with_a_cache(folder, name):
    model = load_pretrained(folder(name)).model
    written = GOLDEN[f"{name}/written"].tolist()
    assert generate(model, [IDS[0].tolist()], max_new_tokens=len(written))[0] == written


@every_model
def test_compact_is_near(folder, name):
    with no_grad():
        found = load_pretrained(folder(name), compact=True).model(IDS).data
    expected = GOLDEN[f"{name}/y"]
    assert 1e-5 < np.abs(found - expected).max() / np.abs(expected).max() < 0.1


@every_model
def test_what_is_saved_is_what_was_loaded(folder, tmp_path, name):
    model = load_pretrained(folder(name)).model
    saved = save_pretrained(tmp_path / "saved", model)
    again = load_pretrained(saved).model
    with no_grad():
        np.testing.assert_array_equal(again(IDS).data, model(IDS).data)
    theirs, ours = recorded(name), json.loads((saved / "config.json").read_text())
    assert ours["model_type"] == theirs["model_type"]
    stored = read_header(saved / "model.safetensors")
    assert stored.keys() == weights_of(name).keys()
    for key, value in weights_of(name).items():
        # 1 + w and back loses what is less than half a digit of one.
        np.testing.assert_allclose(stored[key].read(), value, rtol=0, atol=6e-8)


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_the_texts_of_a_gemma_that_sees_images(tmp_path, prefix):
    text = recorded("gemma3")
    described = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "mm_tokens_per_image": 256,
        "image_token_index": 262144,
        "vision_config": {"hidden_size": 5},
        "text_config": text,
    }
    (tmp_path / "config.json").write_text(json.dumps(described))
    weights = {
        name.replace("model.", prefix, 1): value for name, value in weights_of("gemma3").items()
    }
    weights["vision_tower.patch.weight"] = np.ones((2, 3), np.float32)
    write_safetensors(tmp_path / "model.safetensors", weights.items())
    loaded = load_pretrained(tmp_path)
    assert loaded.left_out == ("vision_tower.patch.weight",)
    with no_grad():
        found = loaded.model(IDS).data
    np.testing.assert_allclose(found, GOLDEN["gemma3/y"], rtol=1e-4, atol=2e-5)
    (tmp_path / "config.json").write_text(
        json.dumps(described | {"text_config": text | {"num_experts": 8}})
    )
    with pytest.raises(ValueError, match="text_config: num_experts=8 is not known"):
        load_pretrained(tmp_path)


def test_a_published_gemma_3_of_images_says_little_of_its_texts():
    described = {
        "model_type": "gemma3",
        "eos_token_id": [1, 106],
        "boi_token_index": 255999,
        "text_config": {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
        },
        "torch_dtype": "bfloat16",
        "vision_config": {"hidden_size": 1152},
    }
    config = FAMILIES["gemma3"].config(described)
    assert (config.num_heads, config.num_kv_heads, config.head_width) == (8, 4, 256)
    assert config.layer_pattern == ("local",) * 5 + ("global",)
    assert (config.window, config.rotary_base, config.local_rotary_base) == (1024, 1e6, 1e4)
    assert config.rotary_scaling.factor == 8
    assert config.tie_embeddings


ROPE = {"rope_theta": 100.0, "rope_type": "default"}
SCALED = {"rope_theta": 100.0, "rope_type": "linear", "factor": 5.0}
#: Each of these must change the logits: what a family says is obeyed.
CHANGES = [
    ("llama-3", {"rope_parameters": ROPE | {"rope_theta": 50.0}}),
    ("llama-linear", {"rope_parameters": SCALED | {"factor": 2.0}}),
    ("mistral", {"sliding_window": 5}),
    ("mistral", {"sliding_window": None}),
    ("qwen2", {"sliding_window": 6}),
    ("qwen2", {"use_sliding_window": False, "layer_types": None}),
    ("qwen2", {"max_window_layers": 0, "layer_types": None}),
    ("qwen2", {"rope_parameters": ROPE}),
    ("gemma2", {"sliding_window": 5}),
    ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}),
    ("gemma2", {"query_pre_attn_scalar": 4}),
    ("gemma2", {"attn_logit_softcapping": None}),
    ("gemma2", {"final_logit_softcapping": None}),
    ("gemma3", {"sliding_window": 5}),
    ("gemma3", {"rope_parameters": {"full_attention": ROPE, "sliding_attention": ROPE}}),
    ("smollm3", {"no_rope_layers": [1, 1]}),
    ("phi3", {"sliding_window": None}),
    ("phi3", {"rope_parameters": ROPE}),
    ("olmo2", {"rms_norm_eps": 0.1}),
]


@pytest.mark.parametrize(("name", "changes"), CHANGES)
def test_what_a_configuration_says_is_obeyed(folder, name, changes):
    assert np.abs(logits(folder(name, **changes)) - GOLDEN[f"{name}/y"]).max() > 1e-3


def older(name):
    """The same configuration as files from before ``rope_parameters`` have it."""
    described = recorded(name)
    rope = described.pop("rope_parameters")
    if "full_attention" in rope:
        described["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    described["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        described["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    if rope["rope_type"] != "default":
        described["rope_scaling"] = rope
        if name == "llama-linear":
            described["rope_scaling"] = {"type": rope["rope_type"], "factor": rope["factor"]}
    return described


@every_model
def test_older_configurations(name):
    family = FAMILIES[recorded(name)["model_type"]]
    assert family.config(older(name)) == family.config(recorded(name))


def test_a_published_gemma_2_says_less():
    described = {
        "architectures": ["Gemma2ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": 50.0,
        "bos_token_id": 2,
        "cache_implementation": "hybrid",
        "eos_token_id": 1,
        "final_logit_softcapping": 30.0,
        "head_dim": 256,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 2304,
        "initializer_range": 0.02,
        "intermediate_size": 9216,
        "max_position_embeddings": 8192,
        "model_type": "gemma2",
        "num_attention_heads": 8,
        "num_hidden_layers": 26,
        "num_key_value_heads": 4,
        "pad_token_id": 0,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.42.4",
        "use_cache": True,
        "vocab_size": 256000,
    }
    config = FAMILIES["gemma2"].config(described)
    assert (config.head_width, config.attention_scale) == (256, 1 / 16)
    assert (config.layer_pattern, config.window) == (("local", "global"), 4096)
    assert (config.attention_cap, config.logit_cap) == (50, 30)
    assert config.tie_embeddings
    assert config.scale_embeddings


def test_a_published_qwen_2_has_windows_that_are_not_used():
    described = {
        "hidden_act": "silu",
        "hidden_size": 896,
        "intermediate_size": 4864,
        "max_position_embeddings": 32768,
        "max_window_layers": 24,
        "model_type": "qwen2",
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "use_mrope": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    }
    config = FAMILIES["qwen2"].config(described)
    assert (config.window, config.layer_pattern, config.head_width) == (None, ("global",), None)
    assert (config.attention_bias, config.rotary_base) == ("qkv", 1e6)
    with pytest.raises(ValueError, match="use_mrope=True is not supported; expected False"):
        FAMILIES["qwen2"].config(described | {"use_mrope": True})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("llama-3", {"rope_parameters": {"rope_type": "dynamic"}}, "rope_type='dynamic' is not"),
        ("llama-3", {"rope_parameters": {"rope_type": "linear"}}, "'factor' is missing"),
        (
            "llama-3",
            {"rope_parameters": ROPE | {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}},
            "rope_parameters: mscale=1.0 is not known",
        ),
        (
            "phi3",
            {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0]}},
            "rope_type='longrope' is not supported",
        ),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention=True is n"),
        ("gemma3", {"sliding_window_pattern": 10**12}, "sliding_window_pattern: expected at most"),
        ("qwen2", {"num_hidden_layers": 10**12, "layer_types": None}, "expected at most 1,000"),
        ("qwen2", {"layer_types": ["full_attention"]}, "layer_types: expected 2 of"),
        ("smollm3", {"no_rope_layers": [1]}, "no_rope_layers: expected a number for each of 2"),
        ("smollm3", {"use_sliding_window": True}, "use_sliding_window=True is not supported"),
        ("mistral", {"num_attention_heads": 5, "head_dim": None}, "does not divide hidden_size"),
    ],
)
def test_what_is_not_supported_says_so(folder, name, changes, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder(name, **changes))

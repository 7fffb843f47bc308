"""GGUF files of each architecture, written as llama.cpp's conversion does from the same weights."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from foundation_data import BPETokenizer
from foundation_nn import no_grad
from foundation_transformer import CausalLM, RotaryScaling, TransformerConfig, load_pretrained
from foundation_transformer.pretrained import save_gguf
from foundation_transformer.pretrained._safetensors import write_safetensors

gguf = pytest.importorskip("gguf", reason="needs the extra gguf")

GOLDEN = np.load(Path(__file__).parent / "golden" / "decoders.npz")
IDS = GOLDEN["ids"]
#: The names of the conversion, by the ends of those in Hugging Face's files.
NAMES = {
    "embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAST_NORMS = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
PLAIN = {"rope_theta": 100.0, "rope_type": "default"}
LLAMA3 = {
    "rope_theta": 5e5,
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {
    "rope_theta": 100.0,
    "rope_type": "yarn",
    "factor": 3.0,
    "original_max_position_embeddings": 100,
}
#: A recorded model, its architecture there, what is changed so that a GGUF file can say it, and
#: the fields of the architecture beside those of all.
CASES = {
    "llama": ("llama-3", "llama", {"rope_parameters": PLAIN}, {}),
    "llama 3.1": ("llama-3", "llama", {"rope_parameters": LLAMA3}, {}),
    "llama linear": (
        "llama-linear",
        "llama",
        {},
        {"rope.scaling.type": "linear", "rope.scaling.factor": 5.0},
    ),
    "llama with biases": ("llama-biases", "llama", {}, {}),
    "mistral": ("mistral", "llama", {}, {"attention.sliding_window": 4}),
    "qwen2": (
        "qwen2",
        "qwen2",
        {"use_sliding_window": False, "layer_types": None, "rope_parameters": YARN},
        {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 3.0,
            "rope.scaling.original_context_length": 100,
        },
    ),
    "qwen3": ("qwen3", "qwen3", {}, {}),
    "gemma2": (
        "gemma2",
        "gemma2",
        {"query_pre_attn_scalar": 4},
        {
            "attention.sliding_window": 4,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma3": (
        "gemma3",
        "gemma3",
        {
            "query_pre_attn_scalar": 4,
            "layer_types": None,
            "rope_parameters": {"full_attention": PLAIN, "sliding_attention": PLAIN},
        },
        {"attention.sliding_window": 4, "rope.freq_base_swa": 100.0},
    ),
    "smollm3": ("smollm3", "smollm3", {"no_rope_layers": None, "no_rope_layer_interval": 4}, {}),
    "phi3": ("phi3", "phi3", {}, {"attention.sliding_window": 4, "rope.dimension_count": 2}),
    "olmo2": ("olmo2", "olmo2", {}, {}),
}


def permuted(w, heads):
    """Rows that pair as (i, i + K/2), with pairs (2i, 2i + 1)."""
    K = len(w) // heads
    order = np.arange(len(w)).reshape(heads, 2, K // 2).swapaxes(1, 2).ravel()
    return w[order]


def converted(name, architecture, described):
    """The tensors of a recorded model as the conversion writes them."""
    prefix = f"{name}/weights/"
    renamed = {}
    names = NAMES | (LAST_NORMS if architecture in ("gemma2", "gemma3", "olmo2") else {})
    for key in GOLDEN:
        if not key.startswith(prefix):
            continue
        w = GOLDEN[key].astype(np.float32)
        module, _, kind = key.removeprefix(prefix).rpartition(".")
        (end,) = [end for end in names if module.endswith(end)]
        layer = f"blk.{module.split('.')[2]}." if ".layers." in module else ""
        if architecture in ("llama", "smollm3") and end in ("self_attn.q_proj", "self_attn.k_proj"):
            heads = "num_attention_heads" if "q_" in end else "num_key_value_heads"
            w = permuted(w, described[heads])
        if architecture in ("gemma2", "gemma3") and "norm" in module:
            w = w + 1
        renamed[f"{layer}{names[end]}.{kind}"] = w
    return renamed


def slower_pairs(rope, head_width):
    """How many times slower each pair turns, as the conversion computes it for Llama 3.1."""
    factors = []
    for i in range(0, head_width, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_width)
        turns = rope["original_max_position_embeddings"] / wavelength
        smooth = min(max((turns - 1) / 3, 0), 1)
        factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


def write(file, architecture, described, tensors, more):
    writer = gguf.GGUFWriter(file, architecture)
    head_width = described.get("head_dim") or (
        described["hidden_size"] // described["num_attention_heads"]
    )
    rope = described["rope_parameters"]
    base = rope.get("full_attention", rope)["rope_theta"]
    numbers = {
        "context_length": described["max_position_embeddings"],
        "embedding_length": described["hidden_size"],
        "block_count": described["num_hidden_layers"],
        "feed_forward_length": described["intermediate_size"],
        "attention.head_count": described["num_attention_heads"],
        "attention.head_count_kv": described["num_key_value_heads"],
        "attention.key_length": head_width,
        "attention.value_length": head_width,
        "rope.dimension_count": head_width,
        "rope.freq_base": float(base),
        "attention.layer_norm_rms_epsilon": described["rms_norm_eps"],
    } | more
    for name, value in numbers.items():
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add[type(value)](f"{architecture}.{name}", value)
    if rope.get("rope_type") == "llama3":
        tensors = tensors | {"rope_freqs.weight": slower_pairs(rope, head_width)}
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize("case", CASES)
def test_the_same_logits_as_from_the_folder(tmp_path, case):
    name, architecture, changes, more = CASES[case]
    described = json.loads(str(GOLDEN[f"{name}/config"])) | changes
    prefix = f"{name}/weights/"
    weights = {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if key.startswith(prefix)}
    (tmp_path / "config.json").write_text(json.dumps(described))
    write_safetensors(
        tmp_path / "model.safetensors",
        ((key, value.astype(np.float32)) for key, value in weights.items()),
    )
    tensors = converted(name, architecture, described)
    file = write(tmp_path / "model.gguf", architecture, described, tensors, more)
    folder, single = load_pretrained(tmp_path).model, load_pretrained(file).model
    with no_grad():
        np.testing.assert_allclose(single(IDS).data, folder(IDS).data, rtol=1e-4, atol=1e-5)
    assert single.config.window == folder.config.window
    assert single.config.rotary_scaling == folder.config.rotary_scaling


def test_the_largest_gemmas_have_another_scale_of_scores(tmp_path):
    from foundation_transformer.pretrained._gguf import read_gguf
    from foundation_transformer.pretrained.families._gguf import config_of

    name, architecture, changes, more = CASES["gemma2"]
    described = json.loads(str(GOLDEN[f"{name}/config"])) | changes
    tensors = converted(name, architecture, described)
    file = write(
        tmp_path / "m.gguf", architecture, described | {"num_hidden_layers": 46}, tensors, more
    )
    assert config_of(*read_gguf(file))["query_pre_attn_scalar"] == 12 // 6
    file = write(tmp_path / "m.gguf", architecture, described, tensors, more)
    assert config_of(*read_gguf(file))["query_pre_attn_scalar"] == 4


def test_phi_3_of_long_texts_is_refused(tmp_path):
    name, architecture, changes, more = CASES["phi3"]
    described = json.loads(str(GOLDEN[f"{name}/config"])) | changes
    tensors = converted(name, architecture, described)
    tensors["rope_factors_long.weight"] = np.ones(2, np.float32)
    file = write(tmp_path / "m.gguf", architecture, described, tensors, more)
    with pytest.raises(ValueError, match="turned otherwise in long texts are not supported"):
        load_pretrained(file)


SCALINGS = {
    "none": None,
    "linear": RotaryScaling(kind="linear", factor=5),
    "llama3": RotaryScaling(kind="llama3", factor=8, original_max_len=8192),
    "yarn": RotaryScaling(kind="yarn", factor=3, original_max_len=20, fast=16),
}


@pytest.mark.parametrize("kind", SCALINGS)
def test_a_llama_that_is_saved_is_the_same_again(tmp_path, kind):
    config = TransformerConfig.llama(
        vocab_size=300,
        max_len=64,
        d_model=12,
        num_heads=6,
        num_kv_heads=2,
        head_width=8,
        num_layers=2,
        d_ff=7,
        rotary_base=5e5,
        attention_bias="all",
        rotary_scaling=SCALINGS[kind],
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for p in model.parameters():
        p.data = p.data + rng.normal(0, 0.3, p.shape).astype(np.float32)
    tokenizer = BPETokenizer.train(["low lower"], max_size=270)
    file = save_gguf(tmp_path / "m.gguf", model, tokenizer, kind="f32")
    again = load_pretrained(file).model
    assert again.config == config
    with no_grad():
        np.testing.assert_allclose(again(IDS).data, model(IDS).data, rtol=1e-6, atol=1e-7)


def test_scalings_that_a_file_cannot_say_are_not_saved(tmp_path):
    config = TransformerConfig.llama(
        vocab_size=300, max_len=64, d_model=12, num_heads=6, num_layers=1, d_ff=7
    )
    for scaling in (
        RotaryScaling(kind="llama3", factor=8, original_max_len=100),
        RotaryScaling(kind="yarn", factor=3, original_max_len=20, attention_factor=2),
    ):
        model = CausalLM(replace(config, rotary_scaling=scaling))
        tokenizer = BPETokenizer.train(["low lower"], max_size=270)
        with pytest.raises(ValueError, match="save_gguf: these files have no place for all of"):
            save_gguf(tmp_path / "m.gguf", model, tokenizer)
        assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize("case", CASES)
def test_every_family_is_the_same_again_after_it_was_saved(tmp_path, case):
    name, architecture, changes, _ = CASES[case]
    described = json.loads(str(GOLDEN[f"{name}/config"])) | changes
    prefix = f"{name}/weights/"
    (tmp_path / "config.json").write_text(json.dumps(described))
    write_safetensors(
        tmp_path / "model.safetensors",
        (
            (key.removeprefix(prefix), GOLDEN[key].astype(np.float32))
            for key in GOLDEN
            if prefix in key
        ),
    )
    model = load_pretrained(tmp_path).model
    tokenizer = BPETokenizer.train(["low"], max_size=None)
    file = save_gguf(tmp_path / "m.gguf", model, tokenizer, kind="f32")
    fields = gguf.GGUFReader(file).fields
    # The recorded SmolLM3 is too short for a layer without positions: it is a Llama.
    expected = "llama" if case == "smollm3" else architecture
    assert bytes(fields["general.architecture"].parts[-1]).decode() == expected
    again = load_pretrained(file, tokenizer=False).model
    with no_grad():
        np.testing.assert_allclose(again(IDS).data, model(IDS).data, rtol=1e-5, atol=1e-6)
    assert again.config.layer_kinds == model.config.layer_kinds


SMALL = {"vocab_size": 300, "max_len": 64, "d_model": 12, "num_heads": 2, "num_layers": 4}


def saved(file, **fields):
    config = TransformerConfig.llama(**SMALL | {"d_ff": 7} | fields)
    model = CausalLM(config, rng=np.random.default_rng(0))
    return model, save_gguf(file, model, BPETokenizer.train(["low"]), kind="f32")


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_layers_without_positions_are_saved_too(tmp_path, pairs):
    pattern = ("global", "global", "global", "no_positions")
    model, file = saved(tmp_path / "m.gguf", layer_pattern=pattern, rotary_pairs=pairs)
    again = load_pretrained(file, tokenizer=False).model
    assert again.config.layer_pattern == pattern
    with no_grad():
        np.testing.assert_allclose(again(IDS).data, model(IDS).data, rtol=1e-5, atol=1e-6)


def test_what_a_file_cannot_say_is_not_saved(tmp_path):
    file = tmp_path / "m.gguf"
    gpt2 = CausalLM(TransformerConfig.gpt2(**SMALL))
    with pytest.raises(
        ValueError, match="save_gguf: GPT-2 is not written; .* Llama, Qwen 2, .*Phi-3"
    ):
        save_gguf(file, gpt2, BPETokenizer.train(["low"]))
    with pytest.raises(ValueError, match="no place for layer_pattern="):
        saved(file, layer_pattern=("global", "no_positions"))
    with pytest.raises(ValueError, match="no place for such a model: attention.sliding_window=3"):
        saved(file, layer_pattern=("global", "local"), window=3, qk_norm="head")
    assert not file.exists()

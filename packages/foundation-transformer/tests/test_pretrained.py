"""Published models: what transformers computes, from every way in which the numbers may lie."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention
from foundation_data import BPETokenizer, CharTokenizer
from foundation_nn import Linear, Tensor, checkpoint, no_grad
from foundation_transformer import CausalLM, TextEncoder, Transformer, TransformerConfig
from foundation_transformer.pretrained import CompactWeight, load_pretrained, save_pretrained
from foundation_transformer.pretrained._compact import CompactAttention, compact_linear
from foundation_transformer.pretrained._safetensors import read_header, write_safetensors

GOLDEN = np.load(Path(__file__).parent / "golden" / "pretrained.npz")
NAMES = ("gpt2", "llama", "tied", "bert")
IDS, REAL = GOLDEN["ids"], GOLDEN["real"].astype(bool)


def golden_config(name):
    return json.loads(str(GOLDEN[f"{name}/config"]))


def golden_weights(name):
    prefix = f"{name}/weights/"
    return {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if key.startswith(prefix)}


@pytest.fixture
def folder(tmp_path):
    """Writes one of the recorded models; returns its folder."""

    def write(name, weights=None, **changes):
        tmp_path.mkdir(exist_ok=True)
        (tmp_path / "config.json").write_text(json.dumps(golden_config(name) | changes))
        weights = golden_weights(name) if weights is None else weights
        write_safetensors(tmp_path / "model.safetensors", weights.items())
        return tmp_path

    return write


def answer(model, name):
    with no_grad():
        return model(IDS, REAL).data


def assert_same_answer(model, name, atol=2e-6):
    # What stands in padding is nobody's business.
    np.testing.assert_allclose(
        answer(model, name)[REAL], GOLDEN[f"{name}/y"][REAL], rtol=1e-5, atol=atol
    )


def write_raw(file, entries):
    """A file of (name, kind, shape, bytes), as the format's description says."""
    header, data = {}, b""
    for name, kind, shape, content in entries:
        place = [len(data), len(data) + len(content)]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": place}
        data += content
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_answers_as_transformers_does(folder, name):
    loaded = load_pretrained(folder(name))
    assert_same_answer(loaded.model, name)
    assert loaded.tokenizer is None
    assert loaded.chat_template is None


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_what_was_loaded(folder, tmp_path, name):
    model = load_pretrained(folder(name)).model
    saved = read_header(save_pretrained(tmp_path / "saved", model) / "model.safetensors")
    prefix = "bert." if name == "bert" else ""
    assert saved.keys() == golden_weights(name).keys()
    for key, value in golden_weights(name).items():
        np.testing.assert_array_equal(saved[key.removeprefix(prefix)].read(), value)
    again = load_pretrained(tmp_path / "saved").model
    np.testing.assert_array_equal(answer(again, name), answer(model, name))
    assert again.config == model.config


def test_names_without_the_prefix_and_names_that_are_no_weights(folder):
    bare = {n.removeprefix("transformer."): a for n, a in golden_weights("gpt2").items()}
    bare["h.0.attn.bias"] = np.ones((1, 1, 13, 13), np.float32)
    assert_same_answer(load_pretrained(folder("gpt2", bare)).model, "gpt2")
    prefixed = {f"bert.{n}": a for n, a in golden_weights("bert").items()}
    prefixed["cls.predictions.bias"] = np.ones(31, np.float32)
    del prefixed["bert.pooler.dense.weight"], prefixed["bert.pooler.dense.bias"]
    model = load_pretrained(folder("bert", prefixed)).model
    assert model.pooler is None
    assert_same_answer(model, "bert")


def test_bfloat16_and_float16_are_widened(folder):
    path = folder("llama")
    weights = golden_weights("llama")
    bits = {n: a.view(np.uint32) for n, a in weights.items()}
    entries = [(n, "BF16", b.shape, (b >> 16).astype("<u2").tobytes()) for n, b in bits.items()]
    write_raw(path / "model.safetensors", entries)
    model = load_pretrained(path).model
    expected = (bits["model.embed_tokens.weight"] >> 16 << 16).view(np.float32)
    np.testing.assert_array_equal(model.embedding.weight.data, expected)
    entries = [(n, "F16", a.shape, a.astype("<f2").tobytes()) for n, a in weights.items()]
    write_raw(path / "model.safetensors", entries)
    model = load_pretrained(path).model
    expected = weights["lm_head.weight"].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(model.output.weight.data, expected)
    entries[0] = (*entries[0][:1], "F8_E4M3", (31, 24), bytes(31 * 24))
    write_raw(path / "model.safetensors", entries)
    with pytest.raises(ValueError, match="weights of type F8_E4M3; expected one of F64, F32, F16"):
        load_pretrained(path)


def test_weights_in_several_files(folder):
    path = folder("tied")
    weights = golden_weights("tied")
    (path / "model.safetensors").unlink()
    places = {name: f"part-{i % 3}.safetensors" for i, name in enumerate(weights)}
    for file in set(places.values()):
        write_safetensors(path / file, [(n, weights[n]) for n in weights if places[n] == file])
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert_same_answer(load_pretrained(path).model, "tied")
    (path / "part-1.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"part-1\.safetensors missing, which the index"):
        load_pretrained(path)
    index.write_text("[]")
    with pytest.raises(ValueError, match="not an index of weights"):
        load_pretrained(path)


def test_the_library_safetensors_reads_what_is_written(tmp_path):
    from safetensors.numpy import load_file

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_safetensors(tmp_path / "x.safetensors", [("x", x), ("turned", x.T)])
    loaded = load_file(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(loaded["x"], x)
    np.testing.assert_array_equal(loaded["turned"], x.T)


def test_neighbouring_rotary_pairs_are_saved_as_halves(tmp_path):
    config = TransformerConfig.llama(
        vocab_size=31, max_len=13, d_model=24, num_heads=6, num_kv_heads=2, num_layers=2, d_ff=19
    )
    model = CausalLM(
        TransformerConfig.from_dict(config.to_dict() | {"rotary_pairs": "neighbours"}),
        rng=np.random.default_rng(0),
    )
    again = load_pretrained(save_pretrained(tmp_path, model)).model
    assert again.config.rotary_pairs == "halves"
    with no_grad():
        np.testing.assert_allclose(again(IDS).data, model(IDS).data, atol=1e-6)


@pytest.mark.parametrize("name", ["llama", "tied", "bert"])
def test_compact_weights_are_near_and_padding_is_still_invisible(folder, tmp_path, name):
    model = load_pretrained(folder(name), compact=True).model
    y = answer(model, name)
    expected = GOLDEN[f"{name}/y"]
    error = np.abs(y - expected)[REAL].max() / np.abs(expected)[REAL].max()
    assert 1e-5 < error < 0.05  # of 127 steps, through two layers
    poisoned = np.where(REAL, IDS, 29)
    with no_grad():
        np.testing.assert_array_equal(model(poisoned, REAL).data[REAL], y[REAL])
    matrices = [a for n, a in golden_weights(name).items() if a.ndim == 2 and "positi" not in n]
    codes = [buffer for buffer in model.buffers() if buffer.dtype == np.int8]
    types = 40 if name == "bert" else 0  # two rows of token types stay as they are
    assert sum(c.size for c in codes) == sum(a.size for a in matrices) - types
    with pytest.raises(TypeError, match="a compact .* cannot be saved; load it without compact"):
        save_pretrained(tmp_path / "nowhere", model)
    with pytest.raises(TypeError, match="a compact .* cannot be saved; load it without compact"):
        checkpoint.save(tmp_path / "nowhere", model)
    assert not (tmp_path / "nowhere").exists()


def test_compact_attention_never_widens_its_whole_matrix(rng, monkeypatch):
    layer = MultiHeadAttention(12, 6, 2, rng=rng)
    weights = [CompactWeight(p.data) for p in (layer.in_proj_weight, layer.out_proj.weight)]
    compact = CompactAttention(layer, *weights)
    for p, weight in zip((layer.in_proj_weight, layer.out_proj.weight), weights, strict=True):
        p.data = weight[:]
    x = Tensor(rng.standard_normal((3, 5, 12)).astype(np.float32))
    expected = layer(x, causal=True).data
    monkeypatch.delattr(CompactWeight, "__getitem__")
    np.testing.assert_allclose(compact(x, causal=True).data, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="its own input only"):
        compact(x, x)


def test_a_compact_matrix_by_hand():
    weight = CompactWeight(np.array([[1.27, -0.5, 0.004], [0, 0, 0], [-254, 2, 3]], np.float32))
    assert weight.codes.data.tolist() == [[127, -50, 0], [0, 0, 0], [-127, 1, 2]]
    np.testing.assert_allclose(weight.scales.data[[0, 2]], [0.01, 2], rtol=1e-6)
    np.testing.assert_allclose(weight[np.array([2, 0])], [[-254, 2, 4], [1.27, -0.5, 0]], rtol=1e-6)
    x = Tensor(np.array([[[1.0, 2.0, 3.0]]], np.float32), requires_grad=True)
    y = compact_linear(x, weight, None)
    np.testing.assert_allclose(y.data, [[[0.27, 0, -238]]], rtol=1e-5)
    y.backward(np.array([[[1.0, 5.0, 0.5]]]))
    np.testing.assert_allclose(x.grad, [[[1.27 - 127, -0.5 + 1, 2]]], rtol=1e-5)


def test_a_compact_matrix_larger_than_a_block(rng):
    w = rng.standard_normal((3001, 701)).astype(np.float32)  # 8.4 MB of float32, in three blocks
    weight = CompactWeight(w)
    x = rng.standard_normal((5, 701)).astype(np.float32)
    y = compact_linear(Tensor(x), weight, None).data
    exact = x.astype(np.float64) @ (weight.codes.data * weight.scales.data[:, None]).T
    np.testing.assert_allclose(y, exact, atol=1e-3)
    assert np.abs(weight[np.arange(3001)] - w).max() <= np.abs(w).max() / 254 * 1.0001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "qwen9"},
            "'qwen9' is not supported; expected one of gpt2, llama, .*, bert",
        ),
        ({"hidden_act": "gelu"}, "hidden_act='gelu' is not supported; expected 'silu'"),
        ({"head_dim": 7}, "expected an even number up to 7, got 7"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e5}}, "rope_type='dynamic'"),
        ({"rope_scaling": {"type": "linear"}, "rope_parameters": None}, "'factor' is missing"),
        ({"num_attention_heads": 7, "head_dim": None}, "=7 does not divide hidden_size=24"),
        ({"hidden_size": "wide"}, "config.json"),
    ],
)
def test_configurations_that_are_not_supported_say_so(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder("llama", **changes))


def test_a_configuration_and_weights_that_disagree_give_a_table(folder):
    weights = golden_weights("llama")
    del weights["model.norm.weight"]
    weights["model.extra.weight"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError) as error:
        load_pretrained(folder("llama", weights, intermediate_size=17))
    lines = str(error.value).splitlines()
    assert lines[0].endswith("configuration and weights do not belong together:")
    assert lines[1] == "  missing      norm.weight (24,)"
    assert (
        lines[2] == "  wrong shape  layers.0.mlp.gate_proj.weight: expected (17, 24), got (19, 24)"
    )
    assert lines[-1] == "  unexpected   extra.weight"


def test_files_that_are_not_there(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        load_pretrained(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no config.json"):
        load_pretrained(tmp_path)
    path = folder("bert")
    (path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights; expected model\.safetensors"):
        load_pretrained(path)
    (path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, a pickle, .*\.save_pretrained"):
        load_pretrained(path)
    with pytest.raises(ValueError, match="expected a folder with config.json, or a file"):
        load_pretrained(path / "pytorch_model.bin")
    (path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json"):
        load_pretrained(path)
    (path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match=r"config\.json: 'vocab_size' is missing"):
        load_pretrained(path)


@pytest.mark.parametrize("where", ["header", "length", "data", "tail", "empty"])
def test_damaged_weights_are_refused(folder, where):
    path = folder("bert")
    file = path / "model.safetensors"
    content = file.read_bytes()
    damaged = {
        "header": content[:20] + b"#" + content[21:],
        "length": b"\xff" * 8 + content[8:],
        "data": content[:-10],
        "tail": content + b"more",
        "empty": b"",
    }[where]
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"model\.safetensors: (truncated|damaged)"):
        load_pretrained(path)


def test_a_truncated_shard_is_refused_by_name(folder):
    path = folder("llama")
    weights = list(golden_weights("llama").items())
    (path / "model.safetensors").unlink()
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    parts = (weights[:7], weights[7:])
    for name, part in zip(names, parts, strict=True):
        write_safetensors(path / name, part)
    index = {key: name for name, part in zip(names, parts, strict=True) for key, _ in part}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert_same_answer(load_pretrained(path).model, "llama")
    whole = (path / names[1]).read_bytes()
    (path / names[1]).write_bytes(whole[:-5])
    with pytest.raises(ValueError, match=r"model-00002-of-00002\.safetensors: (truncated|damaged)"):
        load_pretrained(path)
    (path / names[1]).unlink()
    with pytest.raises((ValueError, OSError), match=r"model-00002-of-00002\.safetensors"):
        load_pretrained(path)


def test_models_that_no_family_has_are_not_saved(tmp_path):
    config = TransformerConfig.gpt2(
        vocab_size=31, d_model=24, num_heads=2, num_layers=1, positions="alibi"
    )
    with pytest.raises(ValueError, match="GPT-2 differs in positions='alibi'; Llama differs in"):
        save_pretrained(tmp_path / "x", CausalLM(config))
    with pytest.raises(ValueError, match="Marian differs in norm_first=True.*T5 differs in norm"):
        save_pretrained(tmp_path / "x", Transformer(TransformerConfig.tiny(vocab_size=31)))
    with pytest.raises(TypeError, match="a TextEncoder or a Transformer, got a Linear"):
        save_pretrained(tmp_path / "x", Linear(2, 3))
    double = TextEncoder(
        TransformerConfig.bert(vocab_size=31, d_model=24, num_heads=2, num_layers=1)
    ).astype(np.float64)
    with pytest.raises(TypeError, match="expected float32, got float64"):
        save_pretrained(tmp_path / "x", double)
    assert not (tmp_path / "x").exists()


def test_the_tokenizer_and_the_chat_template_come_along(folder, tmp_path):
    path = folder("llama")
    ids = {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}
    (path / "vocab.json").write_text(json.dumps(ids))
    (path / "merges.txt").write_text("#version: 0.2\na b\n")
    (path / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|endoftext|>"}}')
    named = [{"name": "tools", "template": "no"}, {"name": "default", "template": "yes"}]
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    loaded = load_pretrained(path)
    assert loaded.chat_template.text() == "yes"
    assert loaded.chat_template.text(with_tools=True) == "yes"
    assert loaded.chat_template.texts["tools"] == "no"
    assert loaded.chat_template.special_tokens == {"eos_token": "<|endoftext|>"}
    assert loaded.tokenizer.vocabulary.specials.eos_id == 3
    assert loaded.tokenizer.encode("abb") == [2, 1]
    save_pretrained(tmp_path / "saved", loaded.model, loaded.tokenizer, loaded.chat_template)
    again = load_pretrained(tmp_path / "saved")
    assert again.tokenizer == loaded.tokenizer
    assert again.chat_template == loaded.chat_template
    (path / "chat_template.jinja").write_text("newer")
    (path / "additional_chat_templates").mkdir()
    (path / "additional_chat_templates" / "tool_use.jinja").write_text("tools")
    newer = load_pretrained(path).chat_template
    assert newer.text() == "newer"
    assert newer.text(with_tools=True) == "tools"
    assert load_pretrained(path, tokenizer=False).tokenizer is None
    with pytest.raises(TypeError, match="CharTokenizer has no tokenizer.json; expected a token"):
        save_pretrained(tmp_path / "saved", loaded.model, CharTokenizer.train(["ab"]))


@pytest.mark.parametrize("content", ["{}", '{"model": null}', '{"model": "BPE"}'])
def test_a_tokenizer_file_that_is_none_is_refused_by_name(folder, content):
    path = folder("tied")
    (path / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json: .*tokenizer"):
        load_pretrained(path)


def test_a_configuration_that_is_no_table_is_refused_by_name(folder):
    path = folder("tied")
    (path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json: expected an object with 'model_type'"):
        load_pretrained(path)


# --- what a folder says beside its numbers


def test_an_output_layer_of_its_own_is_kept_whatever_the_configuration_says(folder):
    weights = golden_weights("tied")
    embedding = weights["model.embed_tokens.weight"]
    same = load_pretrained(folder("tied", weights | {"lm_head.weight": embedding})).model
    assert same.config.tie_embeddings
    assert_same_answer(same, "tied")
    other = load_pretrained(folder("tied", weights | {"lm_head.weight": embedding * 2})).model
    assert not other.config.tie_embeddings
    np.testing.assert_allclose(answer(other, "tied"), 2 * answer(same, "tied"), rtol=1e-5)


def test_of_two_rotary_bases_the_newer_name_counts(folder):
    changes = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e5}, "rope_theta": 7.0}
    assert_same_answer(load_pretrained(folder("llama", **changes)).model, "llama")
    old = {"rope_parameters": None, "rope_theta": 1e5, "rope_scaling": {"rope_theta": 7.0}}
    assert_same_answer(load_pretrained(folder("llama", **old)).model, "llama")


def test_a_family_that_is_not_known_has_a_nearest_one(folder):
    with pytest.raises(ValueError, match=r"one of gpt2, .*; did you mean 'llama'\?"):
        load_pretrained(folder("llama", model_type="llama4"))


def test_the_tokenizer_of_another_model_is_refused(folder):
    path = folder("llama")
    BPETokenizer.train(["low lower"]).save(path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"262 tokens and its model 31; is it .* another model\?"):
        load_pretrained(path)


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME"])
def test_a_name_is_found_in_the_cache_and_never_fetched(folder, tmp_path, monkeypatch, variable):
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    hub = tmp_path / "cache" / "hub"
    monkeypatch.setenv(variable, str(hub if variable == "HF_HUB_CACHE" else hub.parent))
    place = hub / "models--someone--small.llama"
    (place / "refs").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no model of that name in .*hub; nothing is downl"):
        load_pretrained("someone/small.llama")
    (place / "refs" / "main").write_text("abc123\n")
    snapshot = place / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    for file in folder("llama").glob("*.*"):
        if file.is_file():
            (snapshot / file.name).write_bytes(file.read_bytes())
    assert_same_answer(load_pretrained("someone/small.llama").model, "llama")
    (place / "refs" / "main").write_text("../../..")
    with pytest.raises(FileNotFoundError):
        load_pretrained("someone/small.llama")

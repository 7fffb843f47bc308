"""Published models whose files were made to cost time and memory, or to be misread."""

import json
import os
import resource
import time

import numpy as np
import pytest
from foundation_data import BPETokenizer
from foundation_nn import checkpoint
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.checkpoint._folder import _digest
from foundation_transformer import CausalLM, TextEncoder, TransformerConfig
from foundation_transformer.pretrained import load_pretrained, save_pretrained
from foundation_transformer.pretrained._safetensors import read_header


def llama():
    return CausalLM(
        TransformerConfig.llama(
            vocab_size=31, max_len=40, d_model=24, num_heads=2, num_layers=3, d_ff=29
        ),
        rng=np.random.default_rng(0),
    )


@pytest.fixture
def folder(tmp_path):
    return save_pretrained(tmp_path / "model", llama())


def rewrite(file, change):
    """Change the content of a JSON file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.fixture
def cheap():
    """Whatever is done must take little time and memory."""
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.perf_counter() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


MORE = "describes a model of far more than the 30 arrays with [0-9,]+ numbers that the weights are"


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 100_000}, MORE),
        ({"num_hidden_layers": 10**12}, MORE),
        ({"hidden_size": 10**9}, MORE),
        ({"hidden_size": 10**30}, MORE),
        ({"vocab_size": 10**9}, MORE),
        ({"intermediate_size": 10**12}, MORE),
        (
            {"num_attention_heads": 0},
            "num_attention_heads: expected at least 1, got 0",
        ),
        ({"num_attention_heads": -2}, "config.json: num_attention_heads: expected at least 1"),
        ({"hidden_size": "24"}, "config.json: hidden_size: expected a whole number, got '24'"),
        ({"hidden_size": 24.0}, "config.json: hidden_size: expected a whole number, got 24.0"),
        ({"hidden_size": None}, "config.json: hidden_size: expected a whole number, got None"),
        ({"tie_word_embeddings": "false"}, "tie_word_embeddings: expected true or false, got 'f"),
        ({"attention_bias": 0}, "attention_bias: expected true or false, got 0"),
        ({"rms_norm_eps": float("inf")}, "Infinity is no number of JSON"),
        ({"rms_norm_eps": "1e-5"}, "rms_norm_eps: expected a number, got '1e-5'"),
        ({"rms_norm_eps": -1}, "expected norm_eps > 0, got -1"),
        ({"rope_theta": float("nan")}, "NaN is no number of JSON"),
        ({"rope_theta": []}, r"rope_theta: expected a number or null, got \[\]"),
        ({"rope_scaling": "linear"}, "rope_scaling: expected an object or null, got 'linear'"),
        ({"model_type": ["llama"]}, r"model_type: expected a string, got \['llama'\]"),
        ({"hidden_act": {}}, "hidden_act={} is not supported"),
    ],
)
def test_a_configuration_that_is_none(folder, change, message):
    rewrite(folder / "config.json", lambda c: c.update(change))
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("max_len", [2**32 - 1, 10**18])
def test_more_positions_than_memory_cost_nothing_until_they_are_used(folder, max_len):
    ids = np.array([[3, 1, 4, 1, 5]])
    expected = load_pretrained(folder).model(ids).data
    rewrite(folder / "config.json", lambda c: c.update(max_position_embeddings=max_len))
    np.testing.assert_array_equal(load_pretrained(folder).model(ids).data, expected)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "change",
    [
        {"num_layers": 100_000},
        {"d_model": 10**9},
        {"d_model": 10**200},
        {"vocab_size": 10**12},
        {"d_ff": 10**18},
        {"num_heads": 0},
        {"tie_embeddings": "false"},
        {"norm_eps": "small"},
    ],
)
@pytest.mark.parametrize("positions", ["rotary", "sinusoidal", "learned", "alibi"])
def test_a_checkpoint_is_bounded_by_its_weights_too(tmp_path, change, positions):
    config = TransformerConfig(
        vocab_size=31, max_len=40, d_model=24, num_heads=2, num_layers=3, positions=positions
    )
    path = checkpoint.save(tmp_path / "run", CausalLM(config, rng=np.random.default_rng(0)))

    def alter(content):
        content["model"]["config"].update(change)
        content["sha256"] = _digest(content)

    rewrite(path / "checkpoint.json", alter)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: cannot be used"):
        checkpoint.load(path)


@pytest.mark.skipif(os.name != "posix", reason="there are no such files here")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_regular_files_alone(folder, name):
    place = folder / name
    place.unlink(missing_ok=True)
    place.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=f"{name}: expected a regular file, got a device"):
        load_pretrained(folder)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(ValueError, match=f"{name}: expected a regular file, got a pipe"):
        load_pretrained(folder)


@pytest.mark.usefixtures("cheap")
def test_files_around_the_weights_are_bounded_and_the_bound_can_be_raised(folder):
    with (folder / "tokenizer.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"tokenizer\.json: has 1,099,511,627,776 bytes"):
        load_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"config\.json: .* raise max_bytes"):
        load_pretrained(folder, max_bytes=100)
    with pytest.raises(ValueError, match=r"model\.safetensors: its header has .* raise max_bytes"):
        load_pretrained(folder, max_bytes=1000)
    assert load_pretrained(folder, max_bytes=10_000).model


# --- safetensors


def write(file, header, data=bytes(64)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


def entry(start, stop, shape=(8,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": entry(0, 32), "b": entry(16, 48), "c": entry(32, 64)}, "overlap at byte 16"),
        ({"a": entry(0, 32), "b": entry(0, 32), "c": entry(32, 64)}, "overlap at byte 0"),
        ({"a": entry(0, 16, (4,)), "b": entry(32, 64)}, "leave a gap at byte 32"),
        ({"a": entry(32, 64)}, "leave a gap at byte 32"),
        ({"a": entry(0, 32)}, "describes .* bytes, the file has"),
        ({"a": entry(0, 64, (4.0, 4))}, r"shape: expected a list of whole numbers, got \[4.0, 4\]"),
        ({"a": entry(0, 64, (4, 3.5))}, "shape: expected a list of whole numbers"),
        ({"a": entry(0, 64, (-4, -4))}, "damaged header"),
        ({"a": entry(64, 0)}, "data_offsets"),
        ({"a": entry(-64, 0)}, "data_offsets"),
        ({"a": entry(0, 64, (10**400,))}, "a number of 401 digits"),
        ({"a": entry(0, 64, (3,))}, r"64 bytes for F32 of shape \(3,\)"),
        ({"a": entry(0, 64, dtype=5)}, "dtype: expected a string, got 5"),
        ({"a": 3}, "expected an object with 'dtype', got 3"),
        ({"a": entry(0, 64, (16,)), "__metadata__": 3}, "__metadata__: expected an object"),
        ([], "damaged header"),
        (b'{"a": 1, "a": 2}', "the name 'a' stands twice"),
        (b"[" * 10_000, "nested more than 100 deep"),
    ],
)
def test_a_header_that_is_none(tmp_path, header, message):
    file = tmp_path / "model.safetensors"
    write(file, header)
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*{message}"):
        read_header(file)


def test_each_byte_belongs_to_one_tensor_in_whatever_order(tmp_path):
    file = tmp_path / "model.safetensors"
    header = {"b": entry(32, 64), "e": entry(32, 32, (0,)), "a": entry(0, 32)}
    write(file, header, np.arange(16, dtype="<f4").tobytes())
    found = read_header(file)
    np.testing.assert_array_equal(found["a"].read(), np.arange(8))
    np.testing.assert_array_equal(found["b"].read(), np.arange(8, 16))
    assert found["e"].read().shape == (0,)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            {"weight_map": {"a": "../model.safetensors"}},
            r"expected files of this folder, got '\.\.",
        ),
        ({"weight_map": {"a": "/etc/passwd"}}, "expected files of this folder, got '/etc/passwd'"),
        ({"weight_map": {"a": ""}}, "expected files of this folder, got ''"),
        ({"weight_map": {"a": 3}}, "weight_map: expected an object of strings"),
        ({"weight_map": []}, "weight_map: expected an object of strings"),
        ({}, "'weight_map' is missing"),
        ([], "expected an object with 'weight_map'"),
    ],
)
def test_an_index_that_names_something_else(folder, index, message):
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=rf"index\.json: .*{message}"):
        load_pretrained(folder)


def test_a_tensor_in_two_files(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    for name in ("one", "two"):
        (folder / name).write_bytes(whole)
    index = {"weight_map": {"a": "one", "b": "two"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="two: .* stands in one, too"):
        load_pretrained(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("compact", [False, True])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value, compact):
    model = llama()
    weight = model.stack.layers[1].linear2.weight
    values = weight.data.copy()
    values[3, 5] = value
    weight.data = values
    folder = save_pretrained(tmp_path / "model", model)
    with pytest.raises(ValueError, match=r"1\.mlp\.down_proj\.weight holds infinity or NaN"):
        load_pretrained(folder, compact)


# --- what stands beside the weights


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tokenizer.json", '{"model": {"type": []}}', "'vocab' is missing"),
        (
            "tokenizer.json",
            '{"model": {"type": "BPE", "foundation-data": 3}}',
            "does not match its checksum",
        ),
        ("tokenizer.json", '{"model": {}, "model": {}}', "the name 'model' stands twice"),
        ("special_tokens_map.json", '{"eos_token": 3}', "eos_token: expected a string"),
        ("special_tokens_map.json", '{"eos_token": {"content": []}}', "content: expected a string"),
        ("special_tokens_map.json", "[]", "expected an object with 'pad_token'"),
        ("tokenizer_config.json", '{"chat_template": 3}', "chat_template: expected a string"),
        ("tokenizer_config.json", '{"chat_template": [3]}', "expected an object with 'name'"),
        ("tokenizer_config.json", "[" * 10_000, "nested more than 100 deep"),
        ("chat_template.jinja", b"\xff", "not UTF-8"),
    ],
)
def test_files_beside_the_weights_that_are_damaged(folder, name, text, message):
    document = BPETokenizer.train(["low lower"]).to_dict()["tokenizer"]
    (folder / "tokenizer.json").write_text(json.dumps(document))
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=rf"{name}: .*{message}"):
        load_pretrained(folder)


@pytest.mark.parametrize("vocabulary", ['{"a": "0"}', '{"a": 0.5}', '{"a": true}'])
def test_a_vocabulary_with_other_ids(folder, vocabulary):
    (folder / "vocab.json").write_text(vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ValueError, match="vocab: expected the ids 0 to 0, each for one token, got"):
        load_pretrained(folder)


@pytest.mark.usefixtures("cheap")
def test_a_bert_of_many_kinds_of_tokens(tmp_path):
    config = TransformerConfig.bert(
        vocab_size=31, max_len=40, d_model=24, num_heads=2, num_layers=2, d_ff=29
    )
    folder = save_pretrained(tmp_path, TextEncoder(config, rng=np.random.default_rng(0)))
    for name in ("type_vocab_size", "max_position_embeddings"):
        before = (folder / "config.json").read_text()
        rewrite(folder / "config.json", lambda c, name=name: c.update({name: 10**10}))
        with pytest.raises(ValueError, match="describes a model of far more"):
            load_pretrained(folder)
        (folder / "config.json").write_text(before)

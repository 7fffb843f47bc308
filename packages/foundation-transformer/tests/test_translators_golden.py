"""Marian and T5: what Hugging Face's transformers compute and write, recorded once."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_transformer import Transformer, load_pretrained, save_pretrained
from foundation_transformer.pretrained._decoding import decoding_of
from foundation_transformer.pretrained._safetensors import write_safetensors

GOLDEN = dict(np.load(Path(__file__).parent / "golden" / "translators.npz"))
MODELS = ["marian", "two", "t5", "flan"]
SEARCHES = ["default", "never", "first", "none", "free", "anew"]
REAL, TARGET_REAL = GOLDEN["real"], GOLDEN["target_real"]
every_model = pytest.mark.parametrize("name", MODELS)


def weights_of(name):
    prefix = f"{name}/weights/"
    return {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if key.startswith(prefix)}


def write_folder(folder, name, weights=None, **fields):
    """A model as transformers saves it; ``fields`` change its configuration."""
    described = json.loads(str(GOLDEN[f"{name}/config"])) | fields
    (folder / "config.json").write_text(json.dumps(described))
    said = str(GOLDEN[f"{name}/default/said"])
    (folder / "generation_config.json").write_text(said)
    weights = weights_of(name) if weights is None else weights
    write_safetensors(folder / "model.safetensors", weights.items())
    return folder


@pytest.fixture
def load(tmp_path):
    def loaded(name, **fields):
        return load_pretrained(write_folder(tmp_path, name, **fields))

    return loaded


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@every_model
def test_what_the_encoder_says_and_the_logits(load, name):
    model = load(name).model
    assert isinstance(model, Transformer)
    source, target = GOLDEN[f"{name}/source"], GOLDEN[f"{name}/target"]
    with no_grad():
        memory = model.encode(source, REAL).data
        logits = model(source, target, REAL, TARGET_REAL).data
    close(memory[REAL], GOLDEN[f"{name}/memory"][REAL])
    close(logits[TARGET_REAL], GOLDEN[f"{name}/logits"][TARGET_REAL])


def written_by(name, search):
    """The sequences that transformers wrote, without the start and what is behind the end."""
    ids = GOLDEN[f"{name}/{search}/ids"]
    stop = json.loads(str(GOLDEN[f"{name}/{search}/said"]))["eos_token_id"]
    rows = []
    for row in ids[:, 1:].tolist():
        ends = stop in row
        rows.append((row[: row.index(stop)] if ends else row, ends))
    return rows


def decoding(name, search):
    return decoding_of(json.loads(str(GOLDEN[f"{name}/{search}/said"])))


@every_model
def test_the_likeliest_token_each_time(load, name):
    rule = decoding(name, "greedy")
    limits = np.full(len(REAL), rule.max_new_tokens)
    source = GOLDEN[f"{name}/source"]
    written = rule.write(load(name).model, source, REAL, rule.start_id, limits)
    assert [(w.ids, w.stopped) for w in written] == written_by(name, "greedy")


@pytest.mark.parametrize("search", SEARCHES)
@every_model
def test_beams_are_those_of_transformers(load, name, search):
    rule = decoding(name, search)
    assert rule.beam_size == 4
    limits = np.full(len(REAL), rule.max_new_tokens)
    source = GOLDEN[f"{name}/source"]
    found = rule.search(load(name).model, source, REAL, rule.start_id, limits)
    beams = [h for each in found for h in each]
    assert [(h.tokens, h.stopped) for h in beams] == written_by(name, search)
    close([h.score for h in beams], GOLDEN[f"{name}/{search}/scores"])


@every_model
def test_saving_gives_the_same_files(load, tmp_path, name):
    loaded = load(name)
    again = tmp_path / "again"
    save_pretrained(again, loaded.model, generation=loaded.generation)
    twin = load_pretrained(again)
    assert twin.model.config == loaded.model.config
    assert twin.decoding == loaded.decoding
    expected = loaded.model.state_dict()
    for key, value in twin.model.state_dict().items():
        np.testing.assert_array_equal(value, expected[key])
    header = (again / "model.safetensors").read_bytes()
    names = set(json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")]))
    assert names - {"__metadata__"} == set(weights_of(name))


# --- what files hold besides


def test_what_is_tied_may_have_any_of_its_names(tmp_path):
    """Programs that write these files keep one of several names, and not the same one."""
    weights = weights_of("marian")
    shared = weights.pop("model.shared.weight")
    expected = load_pretrained(write_folder(tmp_path, "marian")).model.state_dict()
    for names in (
        ["lm_head.weight"],
        ["model.decoder.embed_tokens.weight"],
        ["model.shared.weight", "lm_head.weight", "model.encoder.embed_tokens.weight"],
    ):
        renamed = weights | dict.fromkeys(names, shared)
        model = load_pretrained(write_folder(tmp_path, "marian", renamed)).model
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(value, expected[key])


def test_a_copy_that_differs_is_refused(tmp_path):
    other = {"model.encoder.embed_tokens.weight": weights_of("marian")["model.shared.weight"] + 1}
    write_folder(tmp_path, "marian", weights_of("marian") | other)
    with pytest.raises(ValueError, match=r"unexpected   encoder\.embed_tokens\.weight"):
        load_pretrained(tmp_path)


def test_an_output_layer_that_differs_is_kept(tmp_path):
    """As files of transformers 5 say of Flan-T5 that its output is tied, which it is not."""
    write_folder(tmp_path, "flan", tie_word_embeddings=True, scale_decoder_outputs=False)
    model = load_pretrained(tmp_path).model
    assert (model.config.tie_embeddings, model.config.logit_scale) == (False, 1.0)
    np.testing.assert_array_equal(model.output.weight.data, weights_of("flan")["lm_head.weight"])
    assert model.source_embedding is model.target_embedding


def test_positions_that_are_stored_and_a_bias_that_is_not(tmp_path):
    weights = weights_of("marian")
    del weights["final_logits_bias"]
    positions = {
        f"model.{stack}.embed_positions.weight": np.zeros((19, 12), np.float32)
        for stack in ("encoder", "decoder")
    }
    model = load_pretrained(write_folder(tmp_path, "marian", weights | positions)).model
    assert not model.config.output_bias
    assert model.output.bias is None


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("marian", {"normalize_before": True}, "normalize_before=True is not supported"),
        ("marian", {"decoder_attention_heads": 4}, "decoder_attention_heads=4 is not supported"),
        ("marian", {"add_final_layer_norm": True}, "add_final_layer_norm=True"),
        ("marian", {"frobnicate": 3}, "frobnicate=3 is not known"),
        ("t5", {"feed_forward_proj": "gated-relu"}, "feed_forward_proj='gated-relu'"),
        ("t5", {"is_gated_act": True}, "is_gated_act=True is not supported"),
        ("t5", {"d_kv": 0}, "d_kv: expected at least 1, got 0"),
        ("t5", {"relative_attention_num_buckets": 3}, "num_buckets: expected at least 4, got 3"),
        ("t5", {"num_heads": 5}, "wrong shape  encoder.block.0.layer.0.SelfAttention.q.weight"),
    ],
)
def test_options_that_are_not_supported(tmp_path, name, fields, message):
    write_folder(tmp_path, name, **fields)
    with pytest.raises(ValueError, match=message):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("t5", {"num_decoder_layers": 10**9}),
        ("t5", {"d_kv": 10**9}),
        (
            "t5",
            {
                "relative_attention_num_buckets": 10**12,
                "relative_attention_max_distance": 10**13,
            },
        ),
        ("marian", {"decoder_layers": 10**9}),
        ("marian", {"vocab_size": 10**12}),
        ("two", {"decoder_vocab_size": 10**12}),
    ],
)
def test_what_is_built_is_bounded_by_the_weights(tmp_path, name, fields):
    write_folder(tmp_path, name, **fields)
    with pytest.raises(ValueError, match="describes a model of far more than"):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "fields"),
    [("t5", {"n_positions": 10**15}), ("marian", {"max_position_embeddings": 10**15})],
)
def test_positions_are_computed_when_a_text_has_them(load, name, fields):
    model = load(name, **fields).model
    with no_grad():
        memory = model.encode(GOLDEN[f"{name}/source"], REAL).data
    close(memory[REAL], GOLDEN[f"{name}/memory"][REAL])


@every_model
def test_padding_is_invisible(load, name):
    model = load(name).model
    source, target = GOLDEN[f"{name}/source"], GOLDEN[f"{name}/target"]
    with no_grad():
        expected = model(source, target, REAL, TARGET_REAL).data
        other = np.where(REAL, source, 5), np.where(TARGET_REAL, target, 7)
        logits = model(*other, REAL, TARGET_REAL).data
    np.testing.assert_array_equal(logits[TARGET_REAL], expected[TARGET_REAL])


def test_pickled_weights_are_refused_with_what_to_do(tmp_path):
    write_folder(tmp_path, "marian", architectures=["MarianMTModel"])
    os.replace(tmp_path / "model.safetensors", tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin.* MarianMTModel\.from_pretrained"):
        load_pretrained(tmp_path)


# --- what folders say about writing


def test_what_is_said_about_writing():
    rule = decoding_of(
        {
            "decoder_start_token_id": 22,
            "eos_token_id": [0, 3],
            "forced_eos_token_id": 0,
            "max_length": 512,
            "num_beams": 6,
            "length_penalty": 0.8,
            "early_stopping": True,
            "bad_words_ids": [[22], [4, 5]],
            "no_repeat_ngram_size": 3,
            "do_sample": True,
        }
    )
    assert (rule.start_id, rule.stop_ids, rule.forced_stop_id) == (22, (0, 3), 0)
    assert (rule.max_new_tokens, rule.beam_size, rule.length_penalty) == (511, 6, 0.8)
    assert (rule.penalty, rule.patience) == ("power", "first")
    assert (rule.forbidden_ids, rule.renormalize) == ((22,), False)
    assert rule.ignored == (
        "no_repeat_ngram_size=3",
        "bad_words_ids of several tokens",
        "do_sample=True",
    )


def test_old_folders_say_it_in_their_configuration(tmp_path):
    said = json.loads(str(GOLDEN["marian/default/said"]))
    write_folder(tmp_path, "marian", **said)
    (tmp_path / "generation_config.json").unlink()
    expected = replace(decoding("marian", "default"))
    assert load_pretrained(tmp_path).decoding == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"early_stopping": "soon"}, "early_stopping: expected one of"),
        ({"num_beams": "4"}, "num_beams"),
        ({"bad_words_ids": [["a"]]}, "bad_words_ids"),
        ({"eos_token_id": "</s>"}, "eos_token_id"),
        ({"length_penalty": []}, "length_penalty"),
    ],
)
def test_what_is_said_wrongly(tmp_path, content, message):
    write_folder(tmp_path, "marian")
    (tmp_path / "generation_config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"generation_config\.json: .*{message}"):
        load_pretrained(tmp_path)

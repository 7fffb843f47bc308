"""Families of published models: which fields of ``config.json`` are known and which are not."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_transformer.pretrained import load_pretrained, save_pretrained
from foundation_transformer.pretrained.families import (
    FAMILIES,
    Change,
    Fields,
    Weight,
    family_named,
)
from foundation_transformer.pretrained.families._fields import IRRELEVANT

GOLDEN = np.load(Path(__file__).parent / "golden" / "pretrained.npz")


def recorded(name):
    return json.loads(str(GOLDEN[f"{name}/config"]))


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_all_that_transformers_writes_is_known(name):
    assert FAMILIES[name].config(recorded(name)).vocab_size == 31


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hidden_sise": 9},
            "hidden_sise=9 is not known; did you mean 'hidden_size'?",
        ),
        ({"sliding_window": 4}, "sliding_window=4 is not known"),
        ({"quantization_config": {"bits": 4}}, "quantization_config={'bits': 4} is not known"),
        (
            {"rope_parameters": {"rope_theta": 1e4, "factr": 2.0}},
            "rope_parameters: factr=2.0 is not known",
        ),
    ],
)
def test_a_field_that_nobody_knows_is_refused_by_name(changes, message):
    with pytest.raises(ValueError) as error:
        FAMILIES["llama"].config(recorded("llama") | changes)
    assert str(error.value) == message


def test_what_is_null_or_irrelevant_passes():
    config = FAMILIES["llama"].config(recorded("llama"))
    more = {"sliding_window": None, "torch_dtype": "bfloat16", "is_llama_config": True}
    assert FAMILIES["llama"].config(recorded("llama") | more) == config


def test_no_field_is_both_read_and_irrelevant():
    for name in ("gpt2", "llama", "bert"):
        family = FAMILIES[name]
        fields = Fields(recorded(name))
        family.read(fields)
        assert not fields._known & (IRRELEVANT | set(family.irrelevant.split()))


def test_an_unknown_family_names_the_nearest():
    with pytest.raises(ValueError, match=r"'lllama' is not supported; .*; did you mean 'llama'\?"):
        family_named("lllama")


def test_what_is_written_is_read_back_without_a_refusal(tmp_path):
    for name in ("gpt2", "llama", "bert"):
        config = FAMILIES[name].config(recorded(name))
        assert FAMILIES[name].config(FAMILIES[name].write(config)) == config


def test_numbers_change_on_their_way_in_and_back_on_their_way_out():
    one_more = Change(read=lambda w: 1 + w, write=lambda w: w - 1)
    weight = Weight("norm", [("a", (2,)), ("b", (1,))], change=one_more)
    stored = {"a": np.array([0.5, -1], np.float32), "b": np.array([2], np.float32)}
    ours = weight.join(stored.__getitem__)
    assert ours.tolist() == [1.5, 0, 3]
    assert {name: part.tolist() for name, part in weight.split(ours)} == {"a": [0.5, -1], "b": [2]}


def test_a_folder_with_an_unknown_field_names_the_file(tmp_path):
    model = FAMILIES["llama"].model(FAMILIES["llama"].config(recorded("llama")))
    folder = save_pretrained(tmp_path, model)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(described | {"num_experts": 8}))
    with pytest.raises(ValueError, match=r"config\.json: num_experts=8 is not known"):
        load_pretrained(folder)

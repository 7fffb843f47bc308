"""How a folder says that its model writes, and what comes of it: as transformers takes it."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_data import BPETokenizer
from foundation_seq import SamplingConfig
from foundation_seq.generation._sampling import token_probabilities
from foundation_transformer import CausalLM, TransformerConfig, load_pretrained, save_pretrained
from foundation_transformer.pretrained import GenerationDefaults

GOLDEN = json.loads((Path(__file__).parent / "golden" / "generation.json").read_text("utf-8"))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: json.dumps(case["config"]))
def test_the_next_token_has_the_probabilities_that_transformers_gives_it(case):
    sampling = GenerationDefaults.from_json(case["config"]).sampling()
    logits = np.array([GOLDEN["logits"]])
    seen = np.isin(np.arange(logits.shape[1]), GOLDEN["prompt"])[None]
    found = token_probabilities(logits, sampling, seen)
    np.testing.assert_allclose(found[0], case["probabilities"], rtol=1e-4, atol=1e-7)


def test_greedy_where_it_is_said_or_nothing_is():
    for content in ({}, {"do_sample": False, "temperature": 0.7}, {"temperature": 0.0}):
        assert GenerationDefaults.from_json(content).sampling() is None
    assert not GenerationDefaults.from_json({"eos_token_id": 3}).says_how
    assert GenerationDefaults.from_json({"do_sample": False}).says_how
    # A temperature without do_sample is meant, though transformers would not draw.
    assert GenerationDefaults.from_json({"temperature": 0.5}).sampling() == SamplingConfig(
        temperature=0.5, top_k=50
    )


def test_what_is_not_obeyed_is_named():
    said = GenerationDefaults.from_json({"num_beams": 4, "typical_p": 1.0, "suppress_tokens": [3]})
    assert said.not_obeyed == ("num_beams=4", "suppress_tokens=[3]")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"eos_token_id": "</s>"}', "eos_token_id: expected a whole number or a list or null"),
        ('{"eos_token_id": [1, "2"]}', "eos_token_id: expected a list of whole numbers"),
        ('{"temperature": "hot"}', "temperature: expected a number or null"),
        ('{"top_p": 7}', "expected 0 < top_p <= 1, got 7"),
        ('{"do_sample": 1}', "do_sample: expected true or false or null"),
        ("[]", "expected an object"),
        ("{", "not valid JSON"),
    ],
)
def test_what_cannot_be_is_refused_by_name(folder, content, message):
    (folder / "generation_config.json").write_text(content)
    with pytest.raises(ValueError, match=rf"generation_config\.json: .*{message}"):
        load_pretrained(folder)


@pytest.fixture
def tokenizer():
    return BPETokenizer.train(["low lower lowest slow"])


@pytest.fixture
def folder(tokenizer, tmp_path):
    config = TransformerConfig.llama(
        vocab_size=len(tokenizer), max_len=40, d_model=8, num_heads=2, num_layers=1, d_ff=8
    )
    return save_pretrained(tmp_path / "model", CausalLM(config), tokenizer)


def rewrite(file, **changes):
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | changes))


def test_ends_come_from_the_folder_and_the_tokenizer(folder, tokenizer):
    eos_id = tokenizer.vocabulary.specials.eos_id
    assert load_pretrained(folder).stop_ids == [eos_id]
    rewrite(folder / "generation_config.json", eos_token_id=[7, 9, 50256])
    assert load_pretrained(folder).stop_ids == [eos_id, 7, 9]  # there is no 50256
    (folder / "generation_config.json").unlink()
    rewrite(folder / "config.json", eos_token_id=[11])
    assert load_pretrained(folder).stop_ids == [eos_id, 11]


def test_saving_keeps_what_was_said(folder, tokenizer, tmp_path):
    said = {"bos_token_id": 1, "eos_token_id": [2, 9], "pad_token_id": 0, "top_k": 20, "else": "x"}
    (folder / "generation_config.json").write_text(json.dumps(said))
    rewrite(folder / "tokenizer_config.json", add_bos_token=True)
    loaded = load_pretrained(folder)
    again = save_pretrained(
        tmp_path / "again", loaded.model, loaded.tokenizer, generation=loaded.generation
    )
    assert json.loads((again / "generation_config.json").read_text()) == said
    config = json.loads((again / "config.json").read_text())
    assert config["eos_token_id"] == [2, 9]
    assert config["bos_token_id"] == 1
    reloaded = load_pretrained(again)
    assert reloaded.generation == loaded.generation
    assert reloaded.tokenizer == loaded.tokenizer
    assert reloaded.tokenizer.encode("low", framed=True)[0] == 1


def test_the_ids_of_a_model_of_ones_own_are_its_tokenizers(folder, tokenizer):
    config = json.loads((folder / "config.json").read_text())
    specials = tokenizer.vocabulary.specials
    assert config["eos_token_id"] == specials.eos_id
    assert config["bos_token_id"] == specials.bos_id
    assert config["pad_token_id"] == specials.pad_id

"""Files with two bytes a number: which numbers they hold, and what does not fit into them."""

import json

import numpy as np
import pytest
from foundation_data import BPETokenizer
from foundation_nn import no_grad
from foundation_transformer import (
    CausalLM,
    TextClassifier,
    TextEncoder,
    Transformer,
    TransformerConfig,
    load_pretrained,
    save_pretrained,
)
from foundation_transformer.pretrained import save_gguf
from foundation_transformer.pretrained._narrow import narrowed
from foundation_transformer.pretrained._safetensors import read_header, write_safetensors

SIZES = {"vocab_size": 300, "d_model": 32, "num_heads": 4, "num_layers": 1, "d_ff": 32}
DECODER = TransformerConfig.llama(max_len=17, **SIZES)


def upper_half(array):
    """The nearest bfloat16, found among the two neighbours."""
    bits = array.view(np.uint32) & np.uint32(0xFFFF0000)
    below, above = bits.view(np.float32), (bits + np.uint32(1 << 16)).view(np.float32)
    distances = np.abs(array.astype(np.float64) - below), np.abs(above.astype(float) - array)
    is_even = (bits >> 16) & 1 == 0
    takes_below = (distances[0] < distances[1]) | ((distances[0] == distances[1]) & is_even)
    return np.where(takes_below, below, above)


def test_bfloat16_is_the_nearest_one_and_a_tie_goes_to_the_even_one(rng, tmp_path):
    by_hand = {
        1.0: 1.0,
        1 + 2**-8: 1.0,  # the middle between 1 and 1 + 1 / 128, of which 1 is even
        1 + 3 * 2**-8: 1 + 2**-6,
        1 + 2**-8 + 2**-20: 1 + 2**-7,
        -(1 + 3 * 2**-8): -(1 + 2**-6),
        0.0: 0.0,
        3e38: 3.0040553e38,
    }
    array = np.array(list(by_hand), np.float32)
    file = tmp_path / "x.safetensors"
    write_safetensors(file, [("x", array)], "bf16")
    read = read_header(file)["x"]
    assert read.kind == "BF16"
    np.testing.assert_allclose(read.read(), list(by_hand.values()), rtol=1e-5)
    drawn = (rng.standard_normal(5000) * 10 ** rng.uniform(-30, 30, 5000)).astype(np.float32)
    write_safetensors(file, [("x", drawn)], "bf16")
    np.testing.assert_array_equal(read_header(file)["x"].read(), upper_half(drawn))


MODELS = {
    "a decoder": lambda: CausalLM(DECODER, rng=np.random.default_rng(0)),
    "a translator": lambda: Transformer(
        TransformerConfig.t5(max_len=17, **SIZES), rng=np.random.default_rng(0)
    ),
    "a classifier": lambda: TextClassifier(
        TextEncoder(TransformerConfig.bert(max_len=17, **SIZES), rng=np.random.default_rng(0)),
        ["bad", "good"],
    ),
}


@pytest.mark.parametrize("kind", ["f16", "bf16"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_in_two_bytes_is_widened_again(tmp_path, name, kind):
    model = MODELS[name]()
    save_pretrained(tmp_path / "whole", model)
    save_pretrained(tmp_path / "half", model, kind=kind)
    described = json.loads((tmp_path / "half" / "config.json").read_text())
    assert described["dtype"] == {"f16": "float16", "bf16": "bfloat16"}[kind]
    stored = read_header(tmp_path / "half" / "model.safetensors")
    assert {tensor.kind for tensor in stored.values()} == {kind.upper()}
    sizes = [
        (tmp_path / folder / "model.safetensors").stat().st_size for folder in ("whole", "half")
    ]
    assert sizes[1] < 0.6 * sizes[0]
    again = load_pretrained(tmp_path / "half").model
    before, after = model.state_dict(), again.state_dict()
    for key, value in before.items():
        assert after[key].dtype == np.float32
        near = value.astype(np.float16) if kind == "f16" else upper_half(value)
        np.testing.assert_array_equal(after[key], near, err_msg=key)


def with_a_large_number(value):
    model = CausalLM(DECODER, rng=np.random.default_rng(0))
    weight = model.stack.layers[0].linear2.weight
    weight.data = np.where(np.arange(32) == 5, np.float32(value), weight.data)
    return model


def test_a_number_that_is_too_large_for_float16_is_refused_by_the_name_of_its_tensor(tmp_path):
    model = with_a_large_number(70_000)
    with pytest.raises(
        ValueError,
        match=r"save_pretrained: model.layers.0.mlp.down_proj.weight has numbers as large as "
        r"70,000, and float16 ends at 65,504; write it as bf16 or f32",
    ):
        save_pretrained(tmp_path, model, kind="f16")
    assert not list(tmp_path.iterdir())
    save_pretrained(tmp_path, model, kind="bf16")
    with no_grad():
        assert np.isfinite(load_pretrained(tmp_path).model(np.array([[1, 2]])).data).all()
    # 65,519 is still rounded to the largest number, and 65,520 no more.
    assert narrowed("x", np.array([65519], np.float32), "f16") == [65504]
    with pytest.raises(ValueError, match="x has numbers as large as"):
        narrowed("x", np.array([-65520], np.float32), "f16")
    with pytest.raises(ValueError, match="bfloat16 ends at .*; write it as f32"):
        narrowed("x", np.array([3.4e38], np.float32), "bf16")


def test_what_is_no_number_is_told_from_what_is_too_large(tmp_path):
    for value in (np.nan, np.inf):
        model = with_a_large_number(value)
        for kind in ("f16", "bf16"):
            with pytest.raises(ValueError, match=r"down_proj.weight holds infinity or NaN"):
                save_pretrained(tmp_path, model, kind=kind)


@pytest.mark.parametrize(("kind", "value"), [("f16", 70_000), ("q8_0", 9e6)])
def test_a_gguf_file_does_not_hold_infinity_either(tmp_path, kind, value):
    pytest.importorskip("gguf", reason="needs the extra gguf")
    tokenizer = BPETokenizer.train(["low lower"], max_size=270)
    file = tmp_path / "m.gguf"
    with pytest.raises(
        ValueError, match=r"save_gguf: blk.0.ffn_down.weight has numbers as large as .*65,504"
    ):
        save_gguf(file, with_a_large_number(value), tokenizer, kind=kind)
    assert not file.exists()
    save_gguf(file, with_a_large_number(value), tokenizer, kind="bf16")
    with no_grad():
        assert np.isfinite(load_pretrained(file).model(np.array([[1, 2]])).data).all()


def test_an_unknown_type_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown kind 'fp16'; did you mean 'f16'"):
        save_pretrained(tmp_path, CausalLM(DECODER), kind="fp16")

"""GGUF files, written by the library that reads and writes them for llama.cpp."""

import contextlib
import struct

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_seq import SamplingConfig
from foundation_transformer import CausalLM, RotaryScaling, TransformerConfig
from foundation_transformer.pretrained import load_pretrained
from foundation_transformer.pretrained._gguf import read_gguf
from foundation_transformer.pretrained._tokenizer import _CUTS, WHOLE_WORDS, name_of_cut

gguf = pytest.importorskip("gguf", reason="needs the extra gguf")
KINDS = gguf.GGMLQuantizationType

V, D, F, HEADS, KV_HEADS, LAYERS = 37, 64, 96, 4, 2, 2
IDS = np.array([[3, 1, 4, 1, 5, 9, 2, 6, 5, 36]])


def tensors_of(rng):
    """A Llama as GGUF names it, with weights that are not the same after a mistake."""
    shapes = {"token_embd.weight": (V, D), "output_norm.weight": (D,)}
    for i in range(LAYERS):
        shapes |= {
            f"blk.{i}.attn_norm.weight": (D,),
            f"blk.{i}.attn_q.weight": (D, D),
            f"blk.{i}.attn_k.weight": (D // HEADS * KV_HEADS, D),
            f"blk.{i}.attn_v.weight": (D // HEADS * KV_HEADS, D),
            f"blk.{i}.attn_output.weight": (D, D),
            f"blk.{i}.ffn_norm.weight": (D,),
            f"blk.{i}.ffn_gate.weight": (F, D),
            f"blk.{i}.ffn_up.weight": (F, D),
            f"blk.{i}.ffn_down.weight": (D, F),
        }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def write(file, tensors, kind=KINDS.F32, architecture="llama", cut="smollm", more=None, **fields):
    writer = gguf.GGUFWriter(file, architecture)
    numbers = {
        "context_length": 64,
        "embedding_length": D,
        "block_count": LAYERS,
        "feed_forward_length": F,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
    }
    for name, number in (numbers | fields).items():
        writer.add_uint32(f"{architecture}.{name}", number)
    writer.add_float32(f"{architecture}.rope.freq_base", 1e5)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(["<end>", "a", "b", "ab", "<x>"])
    writer.add_token_types([3, 1, 1, 1, 4])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)
    writer.add_chat_template("template")
    if more is not None:
        more(writer)
    for name, tensor in tensors.items():
        if tensor.ndim == 1 or kind == KINDS.F32:
            writer.add_tensor(name, tensor)
        elif kind == KINDS.F16:
            writer.add_tensor(name, tensor.astype(np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def twin(tensors):
    """The same model put together by hand; its rotary positions turn neighbours, as GGUF has it."""
    config = TransformerConfig.llama(
        vocab_size=V,
        max_len=64,
        d_model=D,
        num_heads=HEADS,
        num_kv_heads=KV_HEADS,
        num_layers=LAYERS,
        d_ff=F,
        rotary_base=1e5,
        rotary_pairs="neighbours",
        tie_embeddings="output.weight" not in tensors,
    )
    model, t = CausalLM(config), tensors
    state = {
        "embedding.weight": t["token_embd.weight"],
        "stack.norm.weight": t["output_norm.weight"],
    }
    if not config.tie_embeddings:
        state["output.weight"] = t["output.weight"]
    for i in range(LAYERS):
        b, ours = f"blk.{i}.", f"stack.layers.{i}."
        qkv = [t[f"{b}attn_{part}.weight"] for part in "qkv"]
        state |= {
            f"{ours}norm1.weight": t[f"{b}attn_norm.weight"],
            f"{ours}self_attn.in_proj_weight": np.concatenate(qkv),
            f"{ours}self_attn.out_proj.weight": t[f"{b}attn_output.weight"],
            f"{ours}norm2.weight": t[f"{b}ffn_norm.weight"],
            f"{ours}linear1.weight": np.concatenate(
                [t[f"{b}ffn_gate.weight"], t[f"{b}ffn_up.weight"]]
            ),
            f"{ours}linear2.weight": t[f"{b}ffn_down.weight"],
        }
    model.load_state_dict(state)
    return model


def logits(model):
    with no_grad():
        return model(IDS).data


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1", "Q4_0"])
def test_every_type_gives_the_numbers_that_the_library_gives(rng, tmp_path, kind):
    tensors = tensors_of(rng)
    loaded = load_pretrained(write(tmp_path / "m.gguf", tensors, KINDS[kind]))
    if kind == "F16":
        wide = {n: t.astype(np.float16).astype(np.float32) for n, t in tensors.items()}
    elif kind != "F32":
        wide = {
            n: gguf.quants.dequantize(gguf.quants.quantize(t, KINDS[kind]), KINDS[kind])
            for n, t in tensors.items()
        }
    else:
        wide = tensors
    wide |= {n: t for n, t in tensors.items() if t.ndim == 1}
    np.testing.assert_allclose(logits(loaded.model), logits(twin(wide)), rtol=1e-4, atol=1e-3)
    assert loaded.model.config.rotary_pairs == "halves"
    assert loaded.model.config.norm_eps == 1e-5


WIDENED = ["Q5_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
WIDENED += ["IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"]


@pytest.mark.parametrize("kind", WIDENED)
def test_types_that_can_only_be_widened(rng, tmp_path, kind):
    block, size = gguf.GGML_QUANT_SIZES[KINDS[kind]]
    packed = rng.integers(0, 56, (701, 2 * size), dtype=np.uint8)  # scales that are no NaN
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("x", packed, raw_dtype=KINDS[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensor = read_gguf(tmp_path / "m.gguf")[1]["x"]
    assert tensor.shape == (701, 2 * block)
    np.testing.assert_array_equal(tensor.read(), gguf.quants.dequantize(packed, KINDS[kind]))


def test_an_output_layer_of_its_own(rng, tmp_path):
    tensors = tensors_of(rng) | {"output.weight": rng.standard_normal((V, D)).astype(np.float32)}
    model = load_pretrained(write(tmp_path / "m.gguf", tensors)).model
    np.testing.assert_allclose(logits(model), logits(twin(tensors)), rtol=1e-4, atol=1e-3)


def test_the_tokenizer_is_put_together_from_the_metadata(rng, tmp_path):
    loaded = load_pretrained(write(tmp_path / "m.gguf", tensors_of(rng)))
    assert loaded.chat_template.text() == "template"
    assert loaded.chat_template.special_tokens == {"eos_token": "<end>"}
    tokenizer = loaded.tokenizer
    assert list(tokenizer.vocabulary) == ["<end>", "a", "b", "ab", "<x>"]
    assert tokenizer.vocabulary.specials.eos == "<end>"
    assert loaded.stop_ids == [0]
    assert tokenizer.encode("ab<x>a") == [3, 4, 1]
    assert tokenizer.encode("a<x><end>", allow_special=True, framed=True) == [1, 4, 0]
    document = tokenizer.to_dict()["tokenizer"]
    assert [(t["content"], t["special"]) for t in document["added_tokens"]] == [
        ("<end>", True),
        ("<x>", False),
    ]
    assert document["pre_tokenizer"]["pretokenizers"][0]["type"] == "Digits"


def test_a_tokenizer_of_another_kind_is_refused_and_can_be_left_out(rng, tmp_path):
    file = write(tmp_path / "m.gguf", tensors_of(rng), cut="unheard-of")
    with pytest.raises(ValueError, match=r"m\.gguf: .*'unheard-of' is not .*tokenizer=False"):
        load_pretrained(file)
    assert load_pretrained(file, tokenizer=False).tokenizer is None


@pytest.mark.parametrize("name", ["rope.scaling.factor", "rope.scale_linear"])
def test_positions_that_are_scaled_and_nobody_says_how_are_scaled_evenly(rng, tmp_path, name):
    def more(writer):
        writer.add_float32(f"llama.{name}", factor)

    factor = 4.0
    loaded = load_pretrained(write(tmp_path / "m.gguf", tensors_of(rng), more=more))
    assert loaded.model.config.rotary_scaling == RotaryScaling(kind="linear", factor=4)
    factor = 1.0
    loaded = load_pretrained(write(tmp_path / "one.gguf", tensors_of(rng), more=more))
    assert loaded.model.config.rotary_scaling is None


def test_a_token_that_stands_twice_is_named_with_its_file(rng, tmp_path):
    def more(writer):
        del writer.kv_data[0]["tokenizer.ggml.tokens"]
        writer.add_token_list(["<end>", "a", "b", "a", "<x>"])

    file = write(tmp_path / "m.gguf", tensors_of(rng), more=more)
    with pytest.raises(
        ValueError, match=r"m\.gguf: .*'a' stands there twice, with the ids 1 and 3"
    ):
        load_pretrained(file)


def test_ends_and_sampling_of_the_metadata_are_obeyed(rng, tmp_path):
    def more(writer):
        writer.add_bos_token_id(1)
        writer.add_eot_token_id(3)
        writer.add_add_bos_token(True)
        writer.add_float32("general.sampling.temp", 0.6)
        writer.add_int32("general.sampling.top_k", 20)

    loaded = load_pretrained(write(tmp_path / "m.gguf", tensors_of(rng), more=more))
    assert loaded.tokenizer.encode("b", framed=True) == [1, 2]
    assert loaded.stop_ids == [0, 3]
    assert loaded.generation.bos_id == 1
    assert loaded.generation.sampling() == SamplingConfig(temperature=0.6, top_k=20)


def test_what_is_not_supported_is_refused(rng, tmp_path):
    tensors = tensors_of(rng)
    with pytest.raises(
        ValueError, match="'qwen9' are not supported; expected one of llama, .*; did you mean 'qwen"
    ):
        load_pretrained(write(tmp_path / "a.gguf", tensors, architecture="qwen9"))
    with pytest.raises(ValueError, match="dimension_count=8 is not supported; expected 16"):
        load_pretrained(write(tmp_path / "b.gguf", tensors, **{"rope.dimension_count": 8}))
    with pytest.raises(ValueError, match="expert_count=8 is not supported; expected 0"):
        load_pretrained(write(tmp_path / "b.gguf", tensors, expert_count=8))
    with pytest.raises(ValueError, match="attention.windw=8 is not known"):
        load_pretrained(write(tmp_path / "b.gguf", tensors, **{"attention.windw": 8}))
    scaled = tensors | {"rope_freqs.weight": np.arange(1, 9, dtype=np.float32)}
    with pytest.raises(ValueError, match=r"rope_freqs\.weight: expected the scaled positions of"):
        load_pretrained(write(tmp_path / "c.gguf", scaled))
    with pytest.raises(ValueError, match="wrong shape  layers.0.mlp.gate_proj.weight: expected"):
        load_pretrained(write(tmp_path / "d.gguf", tensors, feed_forward_length=95))
    with pytest.raises(ValueError, match="unexpected   blk.0.surprise.weight"):
        load_pretrained(
            write(tmp_path / "e.gguf", tensors | {"blk.0.surprise.weight": np.ones(3, np.float32)})
        )


def test_damaged_files_are_refused(rng, tmp_path):
    file = write(tmp_path / "m.gguf", tensors_of(rng))
    content = file.read_bytes()
    for cut in (0, 10, 30, 200, 500, len(content) - 100):
        file.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"m\.gguf: truncated"):
            load_pretrained(file)
    file.write_bytes(b"GGML" + content[4:])
    with pytest.raises(ValueError, match="not a GGUF file of version 2 or 3"):
        load_pretrained(file)
    kind = content.index(b"blk.0.attn_k.weight") + len(b"blk.0.attn_k.weight") + 4 + 16
    file.write_bytes(content[:kind] + (99).to_bytes(4, "little") + content[kind + 4 :])
    with pytest.raises(ValueError, match="blk.0.attn_k.weight is of an unknown type, 99"):
        load_pretrained(file)


def test_a_byte_altered_in_the_header_raises_nothing_but_a_value_error(rng, tmp_path):
    file = write(tmp_path / "m.gguf", tensors_of(rng))
    content = bytearray(file.read_bytes())
    header = content.index(b"output_norm.weight")
    for _ in range(60):
        place = int(rng.integers(4, header))
        altered = content.copy()
        altered[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(altered)
        with contextlib.suppress(ValueError):  # and nothing else
            load_pretrained(file)


# --- files that were made to cost time and memory, or to be misread


def header(fields, tensors=()):
    """The bytes of a header: fields of (name, type, bytes), tensors of (name, shape, offset)."""
    text = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    for name, kind, content in fields:
        text += packed(name) + struct.pack("<I", kind) + content
    for name, shape, offset in tensors:
        text += packed(name) + struct.pack("<I", len(shape))
        text += struct.pack(f"<{len(shape)}QIQ", *shape, 0, offset)
    return text


def packed(text):
    return struct.pack("<Q", len(text)) + text.encode()


NUMBER, STRING, ARRAY = 4, 8, 9


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("general.alignment", NUMBER, struct.pack("<I", 0))], "alignment: expected at least 1"),
        ([("general.alignment", STRING, packed("32"))], "alignment: expected a whole number"),
        ([("a", NUMBER, bytes(4)), ("a", NUMBER, bytes(4))], "the name 'a' stands twice"),
        ([("a", ARRAY, struct.pack("<IQ", ARRAY, 1) + bytes(99))], "an array of arrays"),
        (
            [("a", ARRAY, struct.pack("<IQ", STRING, 1 << 60))],
            "bytes are wanted",
        ),
        ([("a", ARRAY, struct.pack("<IQ", NUMBER, 1 << 60))], "bytes are wanted"),
        ([("a", ARRAY, struct.pack("<IQ", 77, 1))], "a value of the unknown type 77"),
        ([("a", 77, b"")], "a value of the unknown type 77"),
        ([("a", STRING, struct.pack("<Q", 1 << 62))], "bytes are wanted"),
        ([("a", STRING, struct.pack("<Q", 1) + b"\xff")], "can't decode byte"),
    ],
)
def test_a_header_that_is_none(tmp_path, fields, message):
    file = tmp_path / "model.gguf"
    file.write_bytes(header(fields) + bytes(32 if "\xff" not in message else 0))
    with pytest.raises(ValueError, match=rf"model\.gguf: truncated or altered header .*{message}"):
        read_gguf(file)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([("a", (8,), 0), ("a", (8,), 32)], "the tensor 'a' stands twice"),
        ([("a", (), 0)], "'a' has 0 axes; expected 1 to 4"),
        ([("a", (1,) * 5, 0)], "'a' has 5 axes"),
        ([("a", (8, 0), 0)], r"'a' has the shape \(0, 8\), without a number"),
        ([("a", (8,), 0), ("b", (8,), 16)], "b overlaps the tensor before it"),
        ([("a", (1 << 60, 1 << 60), 0)], "a ends at byte"),
        ([("a", (8,), 1 << 63)], "a ends at byte"),
    ],
)
def test_tensors_that_cannot_be(tmp_path, tensors, message):
    file = tmp_path / "model.gguf"
    file.write_bytes(header([], tensors) + bytes(256))
    with pytest.raises(ValueError, match=rf"model\.gguf: .*{message}"):
        read_gguf(file)


@pytest.mark.parametrize("kind", [STRING, 0, 3])
def test_a_file_with_holes_is_not_read_for_ever(tmp_path, kind):
    file = tmp_path / "model.gguf"
    with file.open("wb") as stream:
        stream.write(header([("a", ARRAY, struct.pack("<IQ", kind, 1 << 30))]))
        stream.truncate(1 << 36)
    with pytest.raises(ValueError, match="more than the 67,108,864 bytes .* raise max_bytes"):
        read_gguf(file)


def test_more_of_a_header_is_read_if_it_is_meant(tmp_path):
    file = write(tmp_path / "model.gguf", tensors_of(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="more than the 100 bytes that are read; .* raise max_byt"):
        load_pretrained(file, max_bytes=100)
    assert load_pretrained(file, max_bytes=10_000).model


@pytest.mark.parametrize("name", ["context_length", "block_count", "feed_forward_length"])
def test_sizes_that_a_file_chooses_cost_nothing(tmp_path, name):
    tensors = tensors_of(np.random.default_rng(0))
    file = write(tmp_path / "model.gguf", tensors, **{name: 2**32 - 1})
    if name == "context_length":  # positions are computed when a text has them
        expected = twin(tensors)
        with no_grad():
            found = load_pretrained(file).model(IDS).data
            np.testing.assert_allclose(found, expected(IDS).data, rtol=1e-4, atol=1e-5)
    else:
        with pytest.raises(ValueError, match="describes a model of far more"):
            load_pretrained(file)


def test_no_heads(tmp_path):
    file = write(
        tmp_path / "m.gguf", tensors_of(np.random.default_rng(0)), **{"attention.head_count": 0}
    )
    with pytest.raises(ValueError, match=r"attention\.head_count: expected at least 1, got 0"):
        load_pretrained(file)


def test_scales_that_are_no_numbers(tmp_path):
    tensors = tensors_of(np.random.default_rng(0))
    file = write(tmp_path / "model.gguf", tensors, kind=KINDS.Q8_0)
    _, stored = read_gguf(file)
    content = bytearray(file.read_bytes())
    start = stored["blk.1.ffn_up.weight"].offset  # the first two bytes of a block are its scale
    content[start : start + 2] = np.array(np.nan, np.float16).tobytes()
    file.write_bytes(content)
    for compact in (False, True):
        with pytest.raises(ValueError, match=r"layers\.1\.mlp\..*up_proj.* holds infinity or NaN"):
            load_pretrained(file, compact)


def test_the_name_of_a_cut_says_whether_words_need_merges():
    cut = _CUTS["llama-bpe"]
    assert name_of_cut(cut, ignores_merges=True) == "llama-bpe"
    assert _CUTS[name_of_cut(cut)] == cut
    assert name_of_cut(cut) not in WHOLE_WORDS
    with pytest.raises(ValueError, match="a way that these files have no name for"):
        name_of_cut(_CUTS["gpt-2"], ignores_merges=True)

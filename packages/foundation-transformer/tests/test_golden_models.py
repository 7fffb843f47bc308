"""GPT-2, Llama and BERT as a reference computes them, recorded by golden/record_models.py.

Each model is given weights under the names of Hugging Face; the functions that rename them show
that loading such a model is nothing but renaming, transposing and stacking.
"""

from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_transformer import CausalLM, TextEncoder, TransformerConfig

SMALL = {"vocab_size": 17, "max_len": 8, "d_model": 12, "num_layers": 2, "d_ff": 19, "dropout": 0.0}
LAYERS = range(2)


def gpt2(w):
    yield "embedding.weight", w["wte.weight"]
    yield "positions.weight", w["wpe.weight"]
    for i in LAYERS:
        theirs, ours = f"h.{i}", f"stack.layers.{i}"
        for kind in ("weight", "bias"):
            yield f"{ours}.self_attn.in_proj_{kind}", w[f"{theirs}.attn.c_attn.{kind}"].T
            yield f"{ours}.self_attn.out_proj.{kind}", w[f"{theirs}.attn.c_proj.{kind}"].T
            yield f"{ours}.linear1.{kind}", w[f"{theirs}.mlp.c_fc.{kind}"].T
            yield f"{ours}.linear2.{kind}", w[f"{theirs}.mlp.c_proj.{kind}"].T
            yield f"{ours}.norm1.{kind}", w[f"{theirs}.ln_1.{kind}"]
            yield f"{ours}.norm2.{kind}", w[f"{theirs}.ln_2.{kind}"]
    for kind in ("weight", "bias"):
        yield f"stack.norm.{kind}", w[f"ln_f.{kind}"]


def llama(w):
    yield "embedding.weight", w["model.embed_tokens.weight"]
    for i in LAYERS:
        theirs, ours = f"model.layers.{i}", f"stack.layers.{i}"
        qkv = [w[f"{theirs}.self_attn.{n}_proj.weight"] for n in "qkv"]
        yield f"{ours}.self_attn.in_proj_weight", np.concatenate(qkv)
        yield f"{ours}.self_attn.out_proj.weight", w[f"{theirs}.self_attn.o_proj.weight"]
        gated = [w[f"{theirs}.mlp.{n}_proj.weight"] for n in ("gate", "up")]
        yield f"{ours}.linear1.weight", np.concatenate(gated)
        yield f"{ours}.linear2.weight", w[f"{theirs}.mlp.down_proj.weight"]
        yield f"{ours}.norm1.weight", w[f"{theirs}.input_layernorm.weight"]
        yield f"{ours}.norm2.weight", w[f"{theirs}.post_attention_layernorm.weight"]
    yield "stack.norm.weight", w["model.norm.weight"]


def bert(w):
    yield "embedding.weight", w["embeddings.word_embeddings.weight"]
    yield "positions.weight", w["embeddings.position_embeddings.weight"]
    yield "token_types.weight", w["embeddings.token_type_embeddings.weight"]
    for kind in ("weight", "bias"):
        yield f"embedding_norm.{kind}", w[f"embeddings.LayerNorm.{kind}"]
        yield f"pooler.{kind}", w[f"pooler.dense.{kind}"]
        for i in LAYERS:
            theirs, ours = f"encoder.layer.{i}", f"stack.layers.{i}"
            qkv = [w[f"{theirs}.attention.self.{n}.{kind}"] for n in ("query", "key", "value")]
            yield f"{ours}.self_attn.in_proj_{kind}", np.concatenate(qkv)
            yield f"{ours}.self_attn.out_proj.{kind}", w[f"{theirs}.attention.output.dense.{kind}"]
            yield f"{ours}.linear1.{kind}", w[f"{theirs}.intermediate.dense.{kind}"]
            yield f"{ours}.linear2.{kind}", w[f"{theirs}.output.dense.{kind}"]
            yield f"{ours}.norm1.{kind}", w[f"{theirs}.attention.output.LayerNorm.{kind}"]
            yield f"{ours}.norm2.{kind}", w[f"{theirs}.output.LayerNorm.{kind}"]


RENAMED = {"gpt2": gpt2, "llama": llama, "bert": bert}


def make(kind):
    if kind == "gpt2":
        return CausalLM(TransformerConfig.gpt2(**SMALL, num_heads=3))
    if kind == "llama":
        options = {"num_heads": 6, "num_kv_heads": 2, "rotary_base": 1e5, "tie_embeddings": True}
        return CausalLM(TransformerConfig.llama(**SMALL, **options))
    return TextEncoder(TransformerConfig.bert(**SMALL, num_heads=4))


def run(model, ids, mask):
    """All that the reference returns, (B, T, ...) and for BERT also the pooled (B, D)."""
    if isinstance(model, CausalLM):
        return [model(ids, mask)]
    types = np.broadcast_to(np.arange(ids.shape[1]) // 3 % 2, ids.shape)
    hidden = model(ids, mask, token_types=types)
    return [hidden, model.pool(hidden)]


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parent / "golden" / "models.npz", allow_pickle=False) as file:
        return dict(file)


def part(golden, kind, role):
    start = f"{kind}.{role}."
    return {n.removeprefix(start): a for n, a in golden.items() if n.startswith(start)}


#: float64 to 1e-10, float32 to 1e-5 of the largest value.
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("kind", RENAMED)
def test_outputs_and_gradients(golden, kind, dtype, tolerance):
    def check(actual, expected):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, 0, tolerance * np.abs(expected).max())

    rename = RENAMED[kind]
    model = make(kind).astype(dtype)
    model.load_state_dict(dict(rename(part(golden, kind, "weight"))))
    ids, lengths = golden["ids"], golden["lengths"]
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    outputs = run(model, ids, mask)

    loss = Tensor(np.zeros((), dtype))
    for row, n in enumerate(lengths):
        expected, upstream = (
            golden[f"{kind}.{role}.{row}"].astype(dtype) for role in ("output", "upstream")
        )
        check(outputs[0].data[row, :n], expected[:n])
        loss = loss + (outputs[0][row, :n] * upstream[:n]).sum()
        if kind == "bert":
            check(outputs[1].data[row], expected[n])
            loss = loss + (outputs[1][row] * upstream[n]).sum()

    loss.backward()
    expected = dict(rename(part(golden, kind, "gradient")))
    for name, p in model.named_parameters():
        check(p.grad, expected[name])

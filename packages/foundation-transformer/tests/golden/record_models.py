"""Record what GPT-2, Llama and BERT compute, by a reference written for it, as ``models.npz``.

In an environment with PyTorch (recorded with 2.13.0, CPU)::

    python packages/foundation-transformer/tests/golden/record_models.py          # record
    python packages/foundation-transformer/tests/golden/record_models.py --check  # compare only

The models are written out below after their papers and published configurations, sharing nothing
with the package: small functions on ``torch`` tensors, one attention head after the other, each
text by itself and without padding. Weights carry the names and layouts under which Hugging Face
publishes such models, so that the test that loads them is also the recipe for loading real ones.
All numbers are float64.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[3]))  # for what the recorders share
from golden_arrays import record_or_check

FILE = Path(__file__).with_name("models.npz")
V, D, LAYERS, LENGTHS = 17, 12, 2, (5, 7, 2)


def attention(q, k, v, heads, groups, causal):
    """Heads side by side in the last axis; each group of query heads shares a key head."""
    T, width = len(q), q.shape[1] // heads
    out = []
    for head in range(heads):
        mine = slice(head * width, (head + 1) * width)
        shared = head * groups // heads
        theirs = slice(shared * width, (shared + 1) * width)
        scores = q[:, mine] @ k[:, theirs].T / width**0.5
        if causal:
            scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -torch.inf)
        out.append(scores.softmax(-1) @ v[:, theirs])
    return torch.cat(out, -1)


def layer_norm(x, w, name, eps):
    return torch.nn.functional.layer_norm(
        x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps
    )


def dense(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def gpt2(w, ids, heads=3):
    """Hugging Face's ``GPT2LMHeadModel``; its matrices are (in, out)."""

    def conv(x, name):
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][: len(ids)]
    for i in range(LAYERS):
        h = layer_norm(x, w, f"h.{i}.ln_1", 1e-5)
        q, k, v = conv(h, f"h.{i}.attn.c_attn").split(D, -1)
        x = x + conv(attention(q, k, v, heads, heads, True), f"h.{i}.attn.c_proj")
        h = conv(layer_norm(x, w, f"h.{i}.ln_2", 1e-5), f"h.{i}.mlp.c_fc")
        h = 0.5 * h * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (h + 0.044715 * h**3)))
        x = x + conv(h, f"h.{i}.mlp.c_proj")
    return layer_norm(x, w, "ln_f", 1e-5) @ w["wte.weight"].T


def gpt2_shapes(F=19, max_len=8):
    yield "wte.weight", (V, D)
    yield "wpe.weight", (max_len, D)
    for i in range(LAYERS):
        for norm in ("ln_1", "ln_2"):
            yield f"h.{i}.{norm}.weight", (D,)
            yield f"h.{i}.{norm}.bias", (D,)
        for name, shape in (
            ("attn.c_attn", (D, 3 * D)),
            ("attn.c_proj", (D, D)),
            ("mlp.c_fc", (D, F)),
            ("mlp.c_proj", (F, D)),
        ):
            yield f"h.{i}.{name}.weight", shape
            yield f"h.{i}.{name}.bias", shape[1:]
    yield "ln_f.weight", (D,)
    yield "ln_f.bias", (D,)


def llama(w, ids, heads=6, groups=2, base=1e5):
    """Hugging Face's ``LlamaForCausalLM``, tied, with grouped heads, as SmolLM2 is."""

    def norm(x, name):
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt() * w[f"{name}.weight"]

    def turn(x):
        """Every head by itself, as complex numbers (i, i + K/2)."""
        width = D // heads
        theta = base ** (-torch.arange(width // 2, dtype=torch.float64) * 2 / width)
        angle = torch.arange(len(x), dtype=torch.float64)[:, None] * theta
        z = torch.polar(torch.ones_like(angle), angle)
        out = []
        for head in x.split(width, -1):
            turned = torch.complex(head[:, : width // 2], head[:, width // 2 :]) * z
            out += [turned.real, turned.imag]
        return torch.cat(out, -1)

    x = w["model.embed_tokens.weight"][ids]
    for i in range(LAYERS):
        p = f"model.layers.{i}"
        h = norm(x, f"{p}.input_layernorm")
        q, k, v = (h @ w[f"{p}.self_attn.{n}_proj.weight"].T for n in "qkv")
        h = attention(turn(q), turn(k), v, heads, groups, True)
        x = x + h @ w[f"{p}.self_attn.o_proj.weight"].T
        h = norm(x, f"{p}.post_attention_layernorm")
        gate = torch.nn.functional.silu(h @ w[f"{p}.mlp.gate_proj.weight"].T)
        h = gate * (h @ w[f"{p}.mlp.up_proj.weight"].T)
        x = x + h @ w[f"{p}.mlp.down_proj.weight"].T
    return norm(x, "model.norm") @ w["model.embed_tokens.weight"].T


def llama_shapes(F=19, groups=2, heads=6):
    kv = D // heads * groups
    yield "model.embed_tokens.weight", (V, D)
    for i in range(LAYERS):
        p = f"model.layers.{i}"
        for name, shape in (("q", (D, D)), ("k", (kv, D)), ("v", (kv, D)), ("o", (D, D))):
            yield f"{p}.self_attn.{name}_proj.weight", shape
        yield f"{p}.mlp.gate_proj.weight", (F, D)
        yield f"{p}.mlp.up_proj.weight", (F, D)
        yield f"{p}.mlp.down_proj.weight", (D, F)
        yield f"{p}.input_layernorm.weight", (D,)
        yield f"{p}.post_attention_layernorm.weight", (D,)
    yield "model.norm.weight", (D,)


def bert(w, ids, heads=4):
    """Hugging Face's ``BertModel``: hidden states, and the pooler's output below them."""
    types = torch.arange(len(ids)) // 3 % 2
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + w["embeddings.token_type_embeddings.weight"][types]
    x = layer_norm(x, w, "embeddings.LayerNorm", 1e-12)
    for i in range(LAYERS):
        p = f"encoder.layer.{i}"
        q, k, v = (dense(x, w, f"{p}.attention.self.{n}") for n in ("query", "key", "value"))
        h = dense(attention(q, k, v, heads, heads, False), w, f"{p}.attention.output.dense")
        x = layer_norm(x + h, w, f"{p}.attention.output.LayerNorm", 1e-12)
        h = dense(x, w, f"{p}.intermediate.dense")
        h = h * 0.5 * (1 + torch.erf(h / 2**0.5))
        x = layer_norm(x + dense(h, w, f"{p}.output.dense"), w, f"{p}.output.LayerNorm", 1e-12)
    pooled = torch.tanh(dense(x[:1], w, "pooler.dense"))
    return torch.cat([x, pooled])


def bert_shapes(F=19, max_len=8):
    yield "embeddings.word_embeddings.weight", (V, D)
    yield "embeddings.position_embeddings.weight", (max_len, D)
    yield "embeddings.token_type_embeddings.weight", (2, D)
    denses = {"pooler.dense": (D, D)}
    norms = ["embeddings.LayerNorm"]
    for i in range(LAYERS):
        p = f"encoder.layer.{i}"
        denses |= {f"{p}.attention.self.{n}": (D, D) for n in ("query", "key", "value")}
        denses |= {f"{p}.attention.output.dense": (D, D)}
        denses |= {f"{p}.intermediate.dense": (F, D), f"{p}.output.dense": (D, F)}
        norms += [f"{p}.attention.output.LayerNorm", f"{p}.output.LayerNorm"]
    for name, shape in denses.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]
    for name in norms:
        yield f"{name}.weight", (D,)
        yield f"{name}.bias", (D,)


MODELS = {"gpt2": (gpt2, gpt2_shapes), "llama": (llama, llama_shapes), "bert": (bert, bert_shapes)}


def record():
    torch.set_num_threads(1)
    rng = np.random.default_rng(20240301)
    data = {"ids": rng.integers(V, size=(len(LENGTHS), max(LENGTHS))), "lengths": np.array(LENGTHS)}
    for kind, (model, shapes) in MODELS.items():
        w = {}
        for name, shape in shapes():
            values = rng.normal(float(len(shape) == 1) * 0.4, 0.5, shape)
            w[name] = torch.tensor(values, requires_grad=True)
        outputs = [
            model(w, torch.tensor(row[:n])) for row, n in zip(data["ids"], LENGTHS, strict=True)
        ]
        upstream = [rng.standard_normal(tuple(y.shape)) for y in outputs]
        sum((y * torch.tensor(g)).sum() for y, g in zip(outputs, upstream, strict=True)).backward()
        for row, (y, g) in enumerate(zip(outputs, upstream, strict=True)):
            data[f"{kind}.output.{row}"] = y.detach().numpy()
            data[f"{kind}.upstream.{row}"] = g
        for name, p in w.items():
            data[f"{kind}.weight.{name}"] = p.detach().numpy()
            data[f"{kind}.gradient.{name}"] = p.grad.numpy()
    return data


if __name__ == "__main__":
    record_or_check(record, FILE, __doc__, 1e-11)

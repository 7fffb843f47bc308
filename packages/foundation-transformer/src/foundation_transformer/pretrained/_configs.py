"""``config.json`` of Hugging Face's models as a :class:`TransformerConfig`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundation_nn.files import field

from foundation_transformer.config import TransformerConfig

Json = Mapping[str, Any]

#: Names of activations there and here.
_GELUS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}
_ACTIVATIONS = {"gelu_tanh": "gelu_new"}


def _only(c: Json, name: str, *supported: Any) -> Any:
    """A field that has to be one of these; the first where it is not given."""
    value = c.get(name, supported[0])
    if not any(type(value) is type(each) and value == each for each in supported):
        expected = " or ".join(map(repr, supported))
        raise ValueError(f"{name}={value!r:.60} is not supported; expected {expected}")
    return value


def _count(c: Json, name: str) -> int:
    """How many there are of something, at least one."""
    count: int = field(c, name, int)
    if count < 1:
        raise ValueError(f"{name}: expected at least 1, got {count}")
    return count


def _activation(c: Json, name: str, default: str) -> str:
    return _GELUS[_only({name: default} | dict(c), name, *_GELUS)]


def labels_of(c: Json) -> list[str]:
    """What a head that classifies tells apart; nothing if the folder has no such head.

    Raises
    ------
    ValueError
        If labels are missing, or not numbered from 0.
    """
    architectures = field(c, "architectures", list | None, default=None) or []
    if not any(str(name).endswith("ForSequenceClassification") for name in architectures):
        return []
    names = field(c, "id2label", dict | None, default=None)
    if names is None:
        return [f"LABEL_{i}" for i in range(field(c, "num_labels", int, default=2))]
    labels = {int(index): field(names, index, str) for index in names}
    if sorted(labels) != list(range(len(labels))):
        raise ValueError(f"id2label: expected numbers from 0 on, got {sorted(labels)!r:.60}")
    return [labels[i] for i in range(len(labels))]


def score_of(c: Json, num_labels: int) -> str:
    """How the logits of a head become scores: "softmax", "sigmoid" or "identity"."""
    ours = field(c, "sentence_transformers", dict | None, default=None) or {}
    said = [
        field(ours, "activation_fn", str | None, default=None),
        field(c, "sbert_ce_default_activation_function", str | None, default=None),
    ]
    for name in filter(None, said):
        kind = str(name).rpartition(".")[2].lower()
        if kind not in ("identity", "sigmoid"):
            raise ValueError(f"the activation {name!r:.60} of scores is not supported")
        return kind
    problem = field(c, "problem_type", str | None, default=None)
    if problem == "regression":
        return "identity"
    return "sigmoid" if num_labels == 1 or problem == "multi_label_classification" else "softmax"


def read_gpt2(c: Json) -> TransformerConfig:
    """GPT-2 [1]_.

    References
    ----------
    .. [1] A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
    """
    _only(c, "scale_attn_weights", True)
    _only(c, "scale_attn_by_inverse_layer_idx", False)
    _only(c, "add_cross_attention", False)
    return TransformerConfig.gpt2(
        vocab_size=_count(c, "vocab_size"),
        max_len=_count(c, "n_positions"),
        d_model=_count(c, "n_embd"),
        num_heads=_count(c, "n_head"),
        num_layers=_count(c, "n_layer"),
        d_ff=field(c, "n_inner", int | None, default=None) or 4 * _count(c, "n_embd"),
        dropout=field(c, "resid_pdrop", float, default=0.1),
        activation=_activation(c, "activation_function", "gelu_new"),
        norm_eps=field(c, "layer_norm_epsilon", float, default=1e-5),
        tie_embeddings=field(c, "tie_word_embeddings", bool, default=True),
    )


def write_gpt2(c: TransformerConfig) -> dict[str, Any]:
    """The opposite of :func:`read_gpt2`."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": c.vocab_size,
        "n_positions": c.max_len,
        "n_embd": c.d_model,
        "n_head": c.num_heads,
        "n_layer": c.num_layers,
        "n_inner": c.feed_forward_width,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.dropout,
        "activation_function": _ACTIVATIONS.get(c.activation, c.activation),
        "layer_norm_epsilon": c.norm_eps,
        "tie_word_embeddings": c.tie_embeddings,
    }


def read_llama(c: Json) -> TransformerConfig:
    """Llama and what is built like it, such as SmolLM2 [1]_.

    References
    ----------
    .. [1] L. Ben Allal et al., "SmolLM2: When Smol Goes Big", 2025, arXiv:2502.02737.
    """
    _only(c, "hidden_act", "silu")
    heads = _count(c, "num_attention_heads")
    bias = field(c, "attention_bias", bool, default=False)
    _only(c, "mlp_bias", bias)  # all biases, or none
    _only(c, "head_dim", _count(c, "hidden_size") // heads, None)
    newer: Json = field(c, "rope_parameters", dict | None, None) or {}
    older: Json = field(c, "rope_scaling", dict | None, None) or {}
    for rope in (newer, older):
        _only(rope, "rope_type", "default")
        _only(rope, "type", "default")
    bases = (field(each, "rope_theta", float | None, None) for each in (newer, c, older))
    rotary_base = next(filter(None, bases), 10000.0)
    return TransformerConfig.llama(
        vocab_size=_count(c, "vocab_size"),
        max_len=_count(c, "max_position_embeddings"),
        d_model=_count(c, "hidden_size"),
        num_heads=heads,
        num_kv_heads=field(c, "num_key_value_heads", int | None, default=None) or heads,
        num_layers=_count(c, "num_hidden_layers"),
        d_ff=_count(c, "intermediate_size"),
        norm_eps=field(c, "rms_norm_eps", float, default=1e-6),
        rotary_base=float(rotary_base),
        bias=bias,
        tie_embeddings=field(c, "tie_word_embeddings", bool, default=False),
    )


def write_llama(c: TransformerConfig) -> dict[str, Any]:
    """The opposite of :func:`read_llama`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_key_value_heads": c.num_kv_heads or c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_act": "silu",
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rotary_base,
        "attention_bias": c.bias,
        "mlp_bias": c.bias,
        "tie_word_embeddings": c.tie_embeddings,
    }


def read_bert(c: Json) -> TransformerConfig:
    """BERT, MiniLM and other models of sentence-transformers [1]_.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese
       BERT-Networks", EMNLP 2019, arXiv:1908.10084.
    """
    _only(c, "position_embedding_type", "absolute")
    _only(c, "is_decoder", False)
    _only(c, "add_cross_attention", False)
    return TransformerConfig.bert(
        vocab_size=_count(c, "vocab_size"),
        max_len=_count(c, "max_position_embeddings"),
        d_model=_count(c, "hidden_size"),
        num_heads=_count(c, "num_attention_heads"),
        num_layers=_count(c, "num_hidden_layers"),
        d_ff=_count(c, "intermediate_size"),
        dropout=field(c, "hidden_dropout_prob", float, default=0.1),
        activation=_activation(c, "hidden_act", "gelu"),
        norm_eps=field(c, "layer_norm_eps", float, default=1e-12),
        num_token_types=field(c, "type_vocab_size", int, default=2),
    )


def write_bert(c: TransformerConfig) -> dict[str, Any]:
    """The opposite of :func:`read_bert`."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": c.dropout,
        "hidden_act": _ACTIVATIONS.get(c.activation, c.activation),
        "layer_norm_eps": c.norm_eps,
        "type_vocab_size": c.num_token_types,
    }

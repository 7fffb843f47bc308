"""Which matrices of a model a change has, and which rows of them belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from foundation_nn import Module, did_you_mean

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.adapters._layers import shape_of

Model: TypeAlias = CausalLM | TextEncoder | Transformer
#: What can be adapted in each layer: the projections of attention, the output of attention, and
#: the matrices of the feed-forward network.
TARGETS = ("q", "k", "v", "qkv", "o", "gate", "up", "down")
#: The attentions of a layer; that to the source is in the layers of a decoder alone.
_ATTENTIONS = ("self_attn", "multihead_attn")
#: The layers within a layer whose matrices can be changed.
_MATRICES = (
    *_ATTENTIONS,
    *(f"{name}.out_proj" for name in _ATTENTIONS),
    "linear1",
    "linear2",
)
#: The width of a matrix, and the rows of its parts by their names.
Layout: TypeAlias = Mapping[str, tuple[int, Mapping[str, tuple[int, int]]]]


def body_of(model: Model | TextClassifier) -> Model:
    """What a change is of: of a classifier, what reads the texts."""
    return model.body if isinstance(model, TextClassifier) else model


def layout_of(model: Model | TextClassifier, targets: Sequence[str] | None = None) -> Layout:
    """The matrices of a model that an adapter changes.

    Raises
    ------
    TypeError
        If it is no such model.
    ValueError
        If a target is unknown, or the model has none of this name.
    """
    model = body_of(model)
    if not isinstance(model, Model):
        raise TypeError(
            "Lora: expected a CausalLM, a TextEncoder, a Transformer or a TextClassifier, got "
            f"{type(model).__name__}; the model of a SentenceTranslator is its attribute model"
        )
    for name in targets or ():
        if name not in TARGETS:
            raise ValueError(f"Lora: unknown target {name!r}{did_you_mean(name, list(TARGETS))}")
    if targets is not None and "qkv" in targets and {"q", "k", "v"} & set(targets):
        raise ValueError('Lora: targets: "qkv" is all three; leave out "q", "k" and "v", or it')
    layout: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {}
    unused = set(targets or ())
    for path, layer in _layers_of(model):
        for name in _MATRICES:
            module = _module(layer, name)
            if module is None:
                continue
            rows, width = shape_of(module)
            parts = _parts_of(layer, name, rows)
            if targets is None:
                parts.pop("qkv", None)
            else:
                parts = {part: where for part, where in parts.items() if part in targets}
            unused -= set(parts)
            if parts:
                layout[f"{path}.{name}"] = (width, parts)
    if unused:
        raise ValueError(
            f"Lora: targets: the layers of this model have no {', '.join(sorted(unused))}"
        )
    if not layout:
        raise ValueError("Lora: targets: expected at least one matrix to change, got none")
    return layout


def _layers_of(model: Model) -> Iterator[tuple[str, Module]]:
    """The layers of a model with their paths."""
    stacks: dict[str, Any] = (
        {"encoder": model.encoder, "decoder": model.decoder}
        if isinstance(model, Transformer)
        else {"stack": model.stack}
    )
    for name, stack in stacks.items():
        for i, layer in enumerate(stack.layers):
            yield f"{name}.layers.{i}", layer


def _module(layer: Module, path: str) -> Any:
    """The module at a path within a layer; None if a layer of this kind has none."""
    found: Any = layer
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _parts_of(layer: Any, name: str, rows: int) -> dict[str, tuple[int, int]]:
    """The parts that lie one beneath the other in a matrix of a layer."""
    if name in _ATTENTIONS:
        attention = getattr(layer, name)
        H, G = attention.num_heads, attention.num_kv_heads
        K = rows // (H + 2 * G)
        ends = H * K, (H + G) * K
        return {
            "q": (0, ends[0]),
            "k": (ends[0], ends[1]),
            "v": (ends[1], rows),
            "qkv": (0, rows),
        }
    if name.endswith("out_proj"):
        return {"o": (0, rows)}
    if name == "linear2":
        return {"down": (0, rows)}
    _, inner = shape_of(layer.linear2)
    if rows == 2 * inner:  # what gates, above what is gated
        return {"gate": (0, inner), "up": (inner, rows)}
    return {"up": (0, rows)}

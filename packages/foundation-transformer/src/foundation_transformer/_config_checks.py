"""What a configuration refuses, and what it says then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral
from typing import TYPE_CHECKING, Any

from foundation_nn import number

from foundation_transformer._buckets import check_buckets
from foundation_transformer._feed_forward import ACTIVATIONS
from foundation_transformer._rotary_scaling import RotaryScaling

if TYPE_CHECKING:
    from foundation_transformer.config import TransformerConfig

#: What a layer may look at.
LAYER_KINDS = ("global", "local", "no_positions")
_CHOICES = {
    "activation": tuple(ACTIVATIONS),
    "norm": ("layer", "rms"),
    "positions": (
        "sinusoidal",
        "learned",
        "rotary",
        "alibi",
        "buckets",
        "learned_and_buckets",
        "none",
    ),
    "pooler_activation": ("tanh", "relu"),
    "rotary_pairs": ("halves", "neighbours"),
    "sinusoid_pairs": ("neighbours", "halves"),
    "qk_norm": ("head", "width", None),
    "attention_bias": ("all", "qkv", "none", None),
}
#: Which positions read a field.
_OF_POSITIONS = {
    "sinusoid_pairs": "sinusoidal",
    "first_position": "learned",
    "rotary_base": "rotary",
    "rotary_pairs": "rotary",
    "rotary_width": "rotary",
    "rotary_scaling": "rotary",
    "local_rotary_base": "rotary",
    "num_buckets": "buckets",
    "max_distance": "buckets",
}
_OPTIONAL_SIZES = (
    "target_vocab_size",
    "num_kv_heads",
    "head_width",
    "num_decoder_layers",
    "d_ff",
    "rotary_width",
    "window",
)
_OPTIONAL_NUMBERS = ("local_rotary_base", "attention_scale", "attention_cap", "logit_cap")
_SIZES = (
    "vocab_size",
    "max_len",
    "d_model",
    "num_heads",
    "num_layers",
    "num_buckets",
    "max_distance",
)
#: Sizes of which 0 means that there is no such thing.
_SIZES_OR_ZERO = ("num_token_types", "first_position")
_NUMBERS = ("norm_eps", "rotary_base", "logit_scale")


def plain_values(c: TransformerConfig) -> dict[str, Any]:
    """What NumPy and JSON give as the types that the fields have: int, tuple, RotaryScaling.

    Raises
    ------
    ValueError
        If a size is no positive integer.
    """
    plain: dict[str, Any] = {}
    for name in (*_SIZES, *_OPTIONAL_SIZES, *_SIZES_OR_ZERO):
        value = getattr(c, name)
        is_left_out = (value is None and name in _OPTIONAL_SIZES) or (
            not value and name in _SIZES_OR_ZERO
        )
        if not is_left_out:
            plain[name] = _positive(name, value)
    if isinstance(c.layer_pattern, list):
        plain["layer_pattern"] = tuple(c.layer_pattern)
    if isinstance(c.rotary_scaling, Mapping):
        plain["rotary_scaling"] = RotaryScaling.from_dict(c.rotary_scaling)
    return plain


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")
    return int(value)


def check_config(c: TransformerConfig) -> None:
    """Refuse values that are out of range, and values that do not fit together.

    Raises
    ------
    TypeError, ValueError
    """
    _check_heads(c)
    _check_numbers(c)
    _check_choices(c)
    _check_positions(c)
    _check_layer_pattern(c)
    _check_rotary(c)


def _check_heads(c: TransformerConfig) -> None:
    if c.head_width is None and c.d_model % c.num_heads:
        raise ValueError(
            f"num_heads={c.num_heads} does not divide d_model={c.d_model}; give head_width if it "
            "need not"
        )
    if c.num_kv_heads is not None and c.num_heads % c.num_kv_heads:
        raise ValueError(f"num_kv_heads={c.num_kv_heads} does not divide num_heads={c.num_heads}")


def _check_numbers(c: TransformerConfig) -> None:
    number("TransformerConfig", "dropout", c.dropout, at_least=0, less_than=1)
    given = [name for name in _OPTIONAL_NUMBERS if getattr(c, name) is not None]
    for name in (*_NUMBERS, *given):
        number("TransformerConfig", name, getattr(c, name), more_than=0)


def _check_choices(c: TransformerConfig) -> None:
    for name, known in _CHOICES.items():
        if getattr(c, name) not in known:
            raise ValueError(f"{name}: expected one of {known}, got {getattr(c, name)!r}")
    if c.share_embeddings and c.target_vocab_size not in (None, c.vocab_size):
        raise ValueError(
            f"share_embeddings: one embedding cannot be for vocab_size={c.vocab_size} and "
            f"target_vocab_size={c.target_vocab_size}"
        )
    for each in fields(c):
        value = getattr(c, each.name)
        may_be_none = value is None and "None" in str(each.type)
        if str(each.type).startswith("bool") and not (isinstance(value, bool) or may_be_none):
            raise TypeError(f"{each.name}: expected True or False, got {value!r:.60}")


def _check_positions(c: TransformerConfig) -> None:
    """Refuse fields that other positions read."""
    for name, positions in _OF_POSITIONS.items():
        is_default = getattr(c, name) == getattr(type(c), name)
        if not reads_field(c, name) and not is_default:
            raise ValueError(
                f"{name}: positions={c.positions!r} has no use for it; leave it out, or write "
                f"positions={positions!r}"
            )
    if "buckets" in c.positions:
        check_buckets(c.num_buckets, c.max_distance)


def reads_field(c: TransformerConfig, name: str) -> bool:
    """Whether the positions that a model has read a field; others are read in any case."""
    return _OF_POSITIONS.get(name, c.positions) in (c.positions, *c.positions.split("_and_"))


def _check_layer_pattern(c: TransformerConfig) -> None:
    """A tuple of known kinds, and a window if it has local layers."""
    pattern: Any = c.layer_pattern
    if not isinstance(pattern, tuple) or not pattern or not set(pattern) <= set(LAYER_KINDS):
        raise ValueError(
            f"layer_pattern: expected a tuple of {', '.join(LAYER_KINDS)}, got {pattern!r:.60}"
        )
    if "no_positions" in pattern and c.positions != "rotary":
        raise ValueError(
            "layer_pattern: 'no_positions' leaves rotary positions out, and here "
            f"positions={c.positions!r}"
        )
    has_local_layers = "local" in pattern
    if has_local_layers and c.window is None:
        raise ValueError("window: expected a number, for layer_pattern has local layers")
    for name in ("window", "local_rotary_base"):
        if not has_local_layers and getattr(c, name) is not None:
            raise ValueError(
                f"{name}: no layer is local and needs it; leave it out, or write "
                "layer_pattern=('local',)"
            )


def _check_rotary(c: TransformerConfig) -> None:
    """The scaling is one, and what is turned is of even width."""
    if not isinstance(c.rotary_scaling, RotaryScaling | None):
        raise TypeError(f"rotary_scaling: expected a RotaryScaling, got {c.rotary_scaling!r:.60}")
    turned = c.rotary_width or c.width_of_heads
    if c.positions == "rotary" and (turned % 2 or turned > c.width_of_heads):
        raise ValueError(
            "rotary positions turn pairs of the numbers of a head: expected an even number up to "
            f"{c.width_of_heads}, got {turned}"
        )

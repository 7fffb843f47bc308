"""Rotary positions as ``config.json`` has them, in its older form and in its newer one."""

from __future__ import annotations

from typing import Any

from foundation_transformer._rotary_scaling import RotaryScaling
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._fields import Fields

#: Names of the fields of a scaling there, and here.
_NAMES = {
    "llama3": {
        "factor": "factor",
        "original_max_position_embeddings": "original_max_len",
        "low_freq_factor": "slow",
        "high_freq_factor": "fast",
    },
    "yarn": {
        "factor": "factor",
        "original_max_position_embeddings": "original_max_len",
        "beta_slow": "slow",
        "beta_fast": "fast",
        "attention_factor": "attention_factor",
    },
    "linear": {"factor": "factor"},
}


def read_rotary(c: Fields, default_base: float, newer: Fields | None = None) -> dict[str, Any]:
    """Our fields of rotary positions.

    The newer form has all in ``rope_parameters``, or in what is given as ``newer``; in the older
    one the base is a field of its own, and the scaling stands in ``rope_scaling``. If both are
    there, the newer one holds.
    """
    newer = c.inner("rope_parameters") if newer is None else newer
    older = c.inner("rope_scaling")
    max_len = c.count("max_position_embeddings")
    # Both are read, so that both are known, and neither may say what is not supported.
    scalings = [read_scaling(each, max_len) for each in (newer, older)]
    bases = [each.get("rope_theta", float | None, None) for each in (newer, c, older)]
    return {
        "rotary_base": float(next((base for base in bases if base is not None), default_base)),
        "rotary_scaling": scalings[0] if newer.content else scalings[1],
    }


def read_part(c: Fields, rope: Fields, head_width: int) -> int | None:
    """How many numbers of a head are turned, in families that turn a part; None: all."""
    parts = [each.get("partial_rotary_factor", float | None, None) for each in (rope, c)]
    part = next((part for part in parts if part is not None), 1.0)
    return None if part == 1 else int(head_width * part)


def read_scaling(rope: Fields, max_len: int) -> RotaryScaling | None:
    """The scaling that an object of rotary positions describes; None if it describes none."""
    older = rope.only("type", "default", "linear", "llama3", "yarn")
    kind = rope.only("rope_type", older, "default", "linear", "llama3", "yarn")
    if kind == "default":
        return None
    rope.only("truncate", True)
    values: dict[str, Any] = {"kind": kind}
    for theirs, ours in _NAMES[kind].items():
        values[ours] = rope.get(theirs, float | None, None)
    if values["factor"] is None:
        raise ValueError(f"{rope.name}: 'factor' is missing")
    if kind != "linear" and values["original_max_len"] is None:
        values["original_max_len"] = max_len
    return RotaryScaling(**values)


def write_rotary(c: TransformerConfig) -> dict[str, Any]:
    """The opposite of :func:`read_rotary`, in the older form, which all versions read."""
    return {
        "rope_theta": c.rotary_base,
        "rope_scaling": None if c.rotary_scaling is None else write_scaling(c.rotary_scaling),
    }


def write_part(c: TransformerConfig) -> float:
    """The opposite of :func:`read_part`; a little more, so that nothing is rounded down."""
    return 1.0 if c.rotary_width is None else (c.rotary_width + 1e-6) / c.width_of_heads


def write_scaling(scaling: RotaryScaling) -> dict[str, Any]:
    """The opposite of :func:`read_scaling`."""
    names = _NAMES[scaling.kind]
    return {"rope_type": scaling.kind} | {
        theirs: getattr(scaling, ours) for theirs, ours in names.items()
    }

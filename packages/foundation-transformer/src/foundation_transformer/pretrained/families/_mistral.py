"""Mistral [1]_: every layer sees a window of the text alone; since version 0.2, all of it.

References
----------
.. [1] A. Jiang et al., "Mistral 7B", 2023, arXiv:2310.06825.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._decoder import (
    IGNORED,
    MODULES,
    read_decoder,
    with_window,
    write_decoder,
)
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields


def _read(c: Fields) -> TransformerConfig:
    c.only("hidden_act", "silu")
    window = c.get("sliding_window", int | None, 4096)
    return TransformerConfig.llama(**read_decoder(c), **with_window(("local",), window))


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        **write_decoder(c, "mistral", "MistralForCausalLM"),
        "hidden_act": "silu",
        "sliding_window": c.window,
    }


MISTRAL = Family(
    name="Mistral",
    model=CausalLM,
    read=_read,
    write=_write,
    modules=MODULES,
    prefix="model.",
    ignored=IGNORED,
)

"""Fine-tuning by a small change beside the weights, which stay as they are.

Read in this order: ``_low_rank`` (the mathematics, and the change of one matrix), ``_layers``
(layers with a change beside their weights), ``_layout`` (which matrices of a model these are),
``_lora`` (the changes of a whole model) and ``_peft`` (files that Hugging Face's library peft reads
and writes).
"""

from foundation_nn import publish

from foundation_transformer.adapters._layers import AdaptedAttention, AdaptedLinear
from foundation_transformer.adapters._layout import TARGETS, layout_of
from foundation_transformer.adapters._lora import Lora
from foundation_transformer.adapters._low_rank import Adapter, LowRank, adapters_off, low_rank
from foundation_transformer.adapters._peft import load_adapter, save_adapter

__all__ = [
    "TARGETS",
    "AdaptedAttention",
    "AdaptedLinear",
    "Adapter",
    "Lora",
    "LowRank",
    "adapters_off",
    "layout_of",
    "load_adapter",
    "low_rank",
    "save_adapter",
]

publish(__name__)

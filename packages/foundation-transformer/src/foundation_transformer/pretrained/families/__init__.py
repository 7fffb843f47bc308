"""The families of published models: a small file for each.

Read in this order: ``_fields`` (how ``config.json`` is read, and what it must not hold),
``_family`` (what a family is), ``_weights`` (which tensors become which of our parameters),
``_gpt2``; the encoders ``_bert``, ``_roberta``, ``_distilbert``, ``_mpnet``, ``_modernbert`` and
``_nomic``; ``_decoder`` and ``_rotary`` (what the decoders since Llama share),
``_llama``, ``_mistral``, ``_qwen``, ``_gemma``, ``_smollm3``, ``_phi3`` and ``_olmo2``; the
encoder-decoders ``_marian`` and ``_t5``; ``_registry`` (which one a folder is of, and which one can
say what a model is), and ``_gguf`` (a GGUF file, seen as the folder that Hugging Face would have).
"""

from foundation_transformer.pretrained.families._family import Change, Family, Head, Model
from foundation_transformer.pretrained.families._fields import Fields
from foundation_transformer.pretrained.families._registry import FAMILIES, family_named, family_of
from foundation_transformer.pretrained.families._weights import Weight, weights_of

__all__ = [
    "FAMILIES",
    "Change",
    "Family",
    "Fields",
    "Head",
    "Model",
    "Weight",
    "family_named",
    "family_of",
    "weights_of",
]

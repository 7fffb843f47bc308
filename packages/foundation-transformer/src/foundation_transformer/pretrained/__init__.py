"""Published models: read, run, and written for others.

Read in this order: ``_load`` (what happens), ``families`` (what each family calls its parts),
``_safetensors`` and ``_gguf`` (where the numbers lie), ``_tokenizer``, ``_generation``,
``_decoding``, ``_chat_template``, ``_labels`` and ``_gguf_text`` (what stands beside the numbers),
``_compact`` (one byte a number), ``_embed``, ``_save`` and ``_save_gguf``, and ``_base_model``
(what an adapter remembers of the model it is for).
"""

from foundation_nn import publish

from foundation_transformer.pretrained._base_model import BaseModel
from foundation_transformer.pretrained._compact import CompactWeight
from foundation_transformer.pretrained._dense import Dense
from foundation_transformer.pretrained._embed import classify, embed, rerank
from foundation_transformer.pretrained._generation import GenerationDefaults
from foundation_transformer.pretrained._load import Pretrained, find_model, load_pretrained
from foundation_transformer.pretrained._pooling import Pooling
from foundation_transformer.pretrained._save import save_pretrained
from foundation_transformer.pretrained._save_gguf import save_gguf

__all__ = [
    "BaseModel",
    "CompactWeight",
    "Dense",
    "GenerationDefaults",
    "Pooling",
    "Pretrained",
    "classify",
    "embed",
    "find_model",
    "load_pretrained",
    "rerank",
    "save_gguf",
    "save_pretrained",
]

publish(__name__)

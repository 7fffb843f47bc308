"""From a model of ours to files that others load."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from foundation_nn import did_you_mean
from foundation_nn.files import write_file
from numpy.typing import NDArray

from foundation_transformer._build import refuse_compact
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained._generation import GenerationDefaults, ids_of
from foundation_transformer.pretrained._labels import described_head
from foundation_transformer.pretrained._narrow import DTYPES
from foundation_transformer.pretrained._pooling import Pooling, write_pooling
from foundation_transformer.pretrained._safetensors import write_safetensors
from foundation_transformer.pretrained._tokenizer import write_tokenizer
from foundation_transformer.pretrained.families import Family, family_of, weights_of
from foundation_transformer.pretrained.families._gguf import neighbours_to_halves

if TYPE_CHECKING:
    from foundation_data import Tokenizer


def save_pretrained(
    folder: str | os.PathLike[str],
    model: CausalLM | TextEncoder | TextClassifier | Transformer,
    tokenizer: Tokenizer | None = None,
    chat_template: ChatTemplate | None = None,
    generation: GenerationDefaults | None = None,
    target_tokenizer: Tokenizer | None = None,
    pooling: Pooling | None = None,
    *,
    kind: str = "f32",
) -> Path:
    """Write a folder that Hugging Face's ``transformers`` and :func:`load_pretrained` load.

    Parameters
    ----------
    folder : path
        Made if need be; files of the same names are replaced.
    model : CausalLM, TextEncoder, TextClassifier or Transformer
        With a configuration that a family has, in float32. A classifier has to read the pooler of
        its encoder.
    tokenizer : foundation_data.Tokenizer, optional
        Of subwords; of a translator, that of the source.
    chat_template : ChatTemplate, optional
        Written with the tokenizer.
    generation : GenerationDefaults, optional
        Special ids, and how the model is meant to write. By default the ids are the tokenizer's.
    target_tokenizer : foundation_data.Tokenizer, optional
        Of a translator, that of the target, if it differs.
    pooling : Pooling, optional
        Of a text encoder: how the vector of a text is made, in the files that sentence-transformers
        has for it.
    kind : {"f32", "f16", "bf16"}
        Of the numbers in the file: four bytes each, or two as float16 or bfloat16. Two take half
        the place, and three digits are left of seven, or with bfloat16 two.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TypeError
        If it is another kind of model, or a compact one, or a tokenizer of another kind.
    ValueError
        If no family has such a configuration: the message says where each differs. If a number is
        too large for the type: the message names its tensor.
    """
    if kind not in DTYPES:
        raise ValueError(
            f"save_pretrained: unknown kind {kind!r}{did_you_mean(kind, list(DTYPES))}"
        )
    head: TextClassifier | None = None
    if isinstance(model, TextClassifier):
        head = model
        body: CausalLM | TextEncoder | Transformer = _encoder_of(model)
    else:
        body = model
    family = family_of(body)
    config = body.config
    if head is not None and family.head is None:
        raise ValueError(f"save_pretrained: {family.name} has no head of this kind")
    if pooling is not None and not isinstance(model, TextEncoder):
        raise TypeError(f"save_pretrained: a {type(model).__name__} has no use for pooling")
    for name, value in model.named_parameters():
        if value.dtype != np.float32:
            raise TypeError(f"save_pretrained: expected float32, got {value.dtype} for {name}")
    refuse_compact(model)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_safetensors(folder / "model.safetensors", _tensors(body, head, family), kind)
    except ValueError as error:
        raise ValueError(f"save_pretrained: {error}") from None
    if pooling is not None:
        write_pooling(folder, pooling, config.d_model)
    if tokenizer is not None:
        write_tokenizer(folder, tokenizer, chat_template, target_tokenizer)
        if generation is None:
            specials = (target_tokenizer or tokenizer).vocabulary.specials
            ids = {
                "bos_token_id": specials.bos_id,
                "eos_token_id": specials.eos_id,
                "pad_token_id": specials.pad_id,
            }
            if isinstance(model, Transformer):
                ids["decoder_start_token_id"] = specials.bos_id
            generation = GenerationDefaults.from_json(ids)
    said = {} if generation is None else dict(generation.content)
    # What a family says of an id wins: RoBERTa's positions begin after that of padding.
    described = {"dtype": DTYPES[kind], **family.write(config)}
    described |= {name: i for name, i in ids_of(said).items() if described.get(name) is None}
    if head is not None:
        kind = described["architectures"][0].removesuffix("Model")
        described["architectures"] = [kind + "ForSequenceClassification"]
        described |= described_head(head.labels, head.score)
    _write_json(folder / "config.json", described)
    if said:
        _write_json(folder / "generation_config.json", said)
    return folder


def _encoder_of(head: TextClassifier) -> TextEncoder:
    """What a classifier reads with, if other libraries have such a classifier."""
    if not isinstance(head.body, TextEncoder) or head.pooling != "pooler":
        raise ValueError(
            "save_pretrained: expected a TextClassifier that reads the pooler of a TextEncoder, "
            f"got one with pooling={head.pooling!r} of a {type(head.body).__name__}"
        )
    return head.body


def _tensors(
    body: CausalLM | TextEncoder | Transformer, head: TextClassifier | None, family: Family
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """All tensors of a model, with their names in a file."""
    config = body.config
    values = dict(body.named_parameters())
    outputs = family.outputs(config)
    pooler_of_head = None if head is None or family.head is None else family.head.pooler
    for weight in weights_of(body, config, family):
        array = values[weight.name].data
        if "self_attn.in_proj" in weight.name and config.positions == "rotary":
            array = paired_as_halves(array, config)
        for name, part in weight.split(array):
            # A bare encoder is written without the prefix, those with a head with it.
            bare = name in outputs or (isinstance(body, TextEncoder) and head is None)
            if weight.name.startswith("pooler.") and pooler_of_head is not None:
                yield f"{pooler_of_head}.{name.rpartition('.')[2]}", part
            else:
                yield name if bare else family.prefix + name, part
    if head is not None and family.head is not None:
        for kind, value in head.classifier.state_dict().items():
            yield f"{family.head.classifier}.{kind}", value


def paired_as_halves(
    in_proj: NDArray[np.float32], config: TransformerConfig
) -> NDArray[np.float32]:
    """The rows of queries and keys as others have them, if ours pair neighbours."""
    if config.rotary_pairs != "neighbours":
        return in_proj
    H, G = config.num_heads, config.num_kv_heads or config.num_heads
    K = config.width_of_heads
    queries, keys, values = np.split(in_proj, [H * K, (H + G) * K])
    turned = neighbours_to_halves(queries, H), neighbours_to_halves(keys, G)
    return np.concatenate([*turned, values])


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    write_file(file, json.dumps(content, indent=1) + "\n")

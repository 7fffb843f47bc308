"""From published files to a model of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from foundation_nn import skip_init
from foundation_nn.files import MAX_BYTES, field, read_json
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained import _llama_gguf as llama_gguf
from foundation_transformer.pretrained._chat_template import folder_chat_template
from foundation_transformer.pretrained._compact import load_compact
from foundation_transformer.pretrained._families import FAMILIES, Family, Weight, weights_of
from foundation_transformer.pretrained._generation import GenerationDefaults, folder_generation
from foundation_transformer.pretrained._gguf import read_gguf
from foundation_transformer.pretrained._safetensors import stored_tensors
from foundation_transformer.pretrained._tokenizer import (
    folder_tokenizer,
    require_foundation_data,
)

if TYPE_CHECKING:
    from foundation_data import Tokenizer


class _Stored(Protocol):
    """A tensor in a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Pretrained:
    """What :func:`load_pretrained` returns: a model, and what stands beside its weights.

    Attributes
    ----------
    model : CausalLM or TextEncoder
    tokenizer : foundation_data.Tokenizer or None
        None if there is none, or none was asked for. What the model reads around a text is the
        tokenizer's ``frame``.
    chat_template : ChatTemplate or None
        How the model was taught to read a conversation; None if it was not.
    generation : GenerationDefaults
        Where texts end and how tokens are drawn, as far as that is said.
    """

    model: CausalLM | TextEncoder
    tokenizer: Tokenizer | None = None
    chat_template: ChatTemplate | None = None
    generation: GenerationDefaults = dataclass_field(default_factory=GenerationDefaults)

    @property
    def stop_ids(self) -> list[int]:
        """The ids that end a text: those of ``generation``, and the tokenizer's end of a text.

        Ids that the model does not have are left out: it cannot write them.
        """
        ids = set(self.generation.eos_ids)
        if self.tokenizer is not None:
            ids.add(self.tokenizer.vocabulary.specials.eos_id)
        return sorted(i for i in ids if 0 <= i < self.model.config.vocab_size)


def load_pretrained(
    path: str | os.PathLike[str],
    compact: bool = False,
    *,
    tokenizer: bool = True,
    max_bytes: int = MAX_BYTES,
) -> Pretrained:
    """Load a published model.

    Tensors are read and widened to float32 one at a time, so that memory stays near that of the
    weights. Nothing in the files is run, and what is built is bounded by the weights that are
    there, whatever the configuration says.

    Parameters
    ----------
    path : path
        A folder as Hugging Face's libraries write it: ``config.json``, ``model.safetensors`` or
        several files with an index, ``tokenizer.json``; of the families GPT-2, Llama (SmolLM2) and
        BERT (MiniLM). Or a file ``*.gguf`` of the Llama family, for which the extra ``gguf`` is
        needed.
    compact : bool
        Keep matrices as one byte a number, see :class:`CompactWeight`: a quarter of the memory,
        and results that are near. Such a model is not trained further.
    tokenizer : bool
        Load the tokenizer, too, which needs the package foundation-data.
    max_bytes : int
        How much is read of anything but the weights: of the configuration, of the tokenizer, and of
        the header that says where the weights lie.

    Returns
    -------
    Pretrained
        The model, its tokenizer, its chat template, and how it is meant to write.

    Raises
    ------
    FileNotFoundError
        If there is nothing at ``path``, or no configuration or weights in it.
    ValueError
        If the architecture or one of its options is not supported, a file is truncated, damaged,
        too large, a pipe or a device, weights are pickled or not finite, or configuration and
        weights disagree: then with a table.
    ImportError
        For a GGUF file without the library ``gguf``; for a tokenizer without foundation-data.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_dir():
        return _load_folder(path, compact, tokenizer, max_bytes)
    if path.suffix != ".gguf":
        raise ValueError(f"{path}: expected a folder with config.json, or a file *.gguf")
    return _load_gguf(path, compact, tokenizer, max_bytes)


def _load_folder(folder: Path, compact: bool, with_tokenizer: bool, max_bytes: int) -> Pretrained:
    source = folder / "config.json"
    if not source.exists():
        raise FileNotFoundError(f"{folder}: no config.json; expected the folder of a model")
    described = read_json(source, max_bytes)
    try:
        kind = field(described, "model_type", str, default=None)
        if kind not in FAMILIES:
            raise ValueError(
                f"model_type={kind!r:.60} is not supported; expected one of {', '.join(FAMILIES)}"
            )
        family = FAMILIES[kind]
        config = family.read(described)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from None
    # What is cheap to refuse comes before the weights are read.
    tokenizer = folder_tokenizer(folder, max_bytes) if with_tokenizer else None
    template = folder_chat_template(folder, max_bytes)
    generation = folder_generation(folder, described, max_bytes)
    tensors: dict[str, _Stored] = {}
    for name, tensor in stored_tensors(folder, max_bytes).items():
        bare = name.removeprefix(family.prefix)
        if not re.fullmatch(family.ignored, bare):
            tensors[bare] = tensor
    if config.pooler and "pooler.dense.weight" not in tensors:
        config = replace(config, pooler=False)
    model = _load_weights(str(folder), config, family, tensors, compact)
    return Pretrained(model, tokenizer, template, generation)


def _load_gguf(file: Path, compact: bool, with_tokenizer: bool, max_bytes: int) -> Pretrained:
    metadata, stored = read_gguf(file, max_bytes)
    try:
        described = llama_gguf.config_of(metadata, stored)
        config = FAMILIES["llama"].read(described)
        tokenizer = None
        if with_tokenizer and llama_gguf.has_tokenizer(metadata):
            require_foundation_data(file)
            tokenizer = llama_gguf.tokenizer_of(metadata)
        generation = llama_gguf.generation_of(metadata)
        template = llama_gguf.chat_template_of(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from None
    tensors = llama_gguf.tensors_of(described, stored)
    model = _load_weights(str(file), config, FAMILIES["llama"], tensors, compact)
    return Pretrained(model, tokenizer, template, generation)


def _load_weights(
    where: str,
    config: TransformerConfig,
    family: Family,
    tensors: Mapping[str, _Stored],
    compact: bool,
) -> CausalLM | TextEncoder:
    try:
        with skip_init(tensor.shape for tensor in tensors.values()):
            model = family.model(config)
    except (ValueError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{where}: {error}") from None
    weights = weights_of(model, config, family)
    if config.tie_embeddings:
        tensors = {name: t for name, t in tensors.items() if name != "lm_head.weight"}
    _require_agreement(where, weights, tensors)

    def read() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for weight in weights:
            array = weight.join(lambda name: tensors[name].read())
            # Both are NaN if there is one. A scale in a file may be, for a whole block of weights.
            if array.size and not (np.isfinite(array.max()) and np.isfinite(array.min())):
                names = " or ".join(name for name, _ in weight.parts)
                raise ValueError(f"{where}: {names} holds infinity or NaN; fetch it again")
            yield weight.name, array

    if compact:
        load_compact(model, read())
    else:
        model.load_state_dict(dict(read()), assign=True)
    return model


def _require_agreement(where: str, weights: list[Weight], tensors: Mapping[str, _Stored]) -> None:
    """Refuse weights that are not those of the configuration, before any is read."""
    wanted = {name: shape for weight in weights for name, shape in weight.parts}
    problems = [f"  missing      {name} {wanted[name]}" for name in wanted if name not in tensors]
    problems += [
        f"  wrong shape  {name}: expected {shape}, got {tensors[name].shape}"
        for name, shape in wanted.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems += [f"  unexpected   {name}" for name in tensors if name not in wanted]
    if problems:
        shown = problems[:20] + [f"  and {len(problems) - 20} more"] * (len(problems) > 20)
        raise ValueError(
            f"{where}: configuration and weights do not belong together:\n" + "\n".join(shown)
        )

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

from foundation_transformer._decoding import Decoding
from foundation_transformer._heads import TextClassifier
from foundation_transformer._sentence_translator import SentenceTranslator
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained import _gguf_text as gguf_text
from foundation_transformer.pretrained._chat_template import folder_chat_template
from foundation_transformer.pretrained._compact import load_compact
from foundation_transformer.pretrained._decoding import folder_decoding
from foundation_transformer.pretrained._generation import GenerationDefaults, folder_generation
from foundation_transformer.pretrained._gguf import read_gguf
from foundation_transformer.pretrained._hub_cache import cache_folder, cached_model
from foundation_transformer.pretrained._labels import labels_of, score_of
from foundation_transformer.pretrained._pooling import Pooling, folder_pooling
from foundation_transformer.pretrained._safetensors import stored_tensors
from foundation_transformer.pretrained._tokenizer import (
    folder_tokenizer,
    folder_tokenizers,
    require_foundation_data,
)
from foundation_transformer.pretrained.families import (
    Family,
    Model,
    Weight,
    family_named,
    weights_of,
)
from foundation_transformer.pretrained.families import _gguf as gguf

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
    model : CausalLM, TextEncoder, TextClassifier or Transformer
        A classifier if the folder has a head that classifies.
    tokenizer : foundation_data.Tokenizer or None
        None if there is none, or none was asked for. What the model reads around a text is the
        tokenizer's ``frame``. Of a translator, that of the source.
    chat_template : ChatTemplate or None
        How the model was taught to read a conversation; None if it was not.
    generation : GenerationDefaults
        Where texts end and how tokens are drawn, as far as that is said.
    pooling : Pooling
        How the vector of a text is made, by :func:`embed`.
    left_out : tuple of str
        Tensors of heads beside the model that it has no place for, such as those of pretraining.
    target_tokenizer : foundation_data.Tokenizer or None
        Of a translator, that of the target, which may be the same.
    decoding : Decoding
        How a translator is meant to write.
    """

    model: Model | TextClassifier
    tokenizer: Tokenizer | None = None
    chat_template: ChatTemplate | None = None
    generation: GenerationDefaults = dataclass_field(default_factory=GenerationDefaults)
    pooling: Pooling = dataclass_field(default_factory=Pooling)
    left_out: tuple[str, ...] = ()
    target_tokenizer: Tokenizer | None = None
    decoding: Decoding = dataclass_field(default_factory=Decoding)

    @property
    def stop_ids(self) -> list[int]:
        """The ids that end a text: those of ``generation``, and the tokenizer's end of a text.

        Ids that the model does not have are left out: it cannot write them.
        """
        ids = set(self.generation.eos_ids)
        if self.tokenizer is not None:
            ids.add(self.tokenizer.vocabulary.specials.eos_id)
        return sorted(i for i in ids if 0 <= i < self.model.config.vocab_size)

    @property
    def translator(self) -> SentenceTranslator:
        """The translator that it is, which writes no token that its tokenizer does not have.

        Raises
        ------
        ValueError
            If it is no encoder-decoder, or has no tokenizers.
        """
        source, target = self.tokenizer, self.target_tokenizer
        if not isinstance(self.model, Transformer) or source is None or target is None:
            raise ValueError(
                f"translate: expected an encoder-decoder with its tokenizers, got a "
                f"{type(self.model).__name__}"
            )
        unknown = range(len(target), self.model.config.decoder_vocab_size)
        forbidden = (*self.decoding.forbidden_ids, *unknown)
        return SentenceTranslator(
            self.model, source, target, replace(self.decoding, forbidden_ids=forbidden)
        )


def find_model(path: str | os.PathLike[str]) -> Path:
    """The folder or file of a model: a path, or ``owner/name`` in the cache of Hugging Face.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    """
    place = Path(path)
    if place.exists():
        return place
    found = cached_model(os.fspath(path))
    if found is None:
        raise FileNotFoundError(
            f"{place}: no such file or folder, and no model of that name in {cache_folder()}; "
            "nothing is downloaded"
        )
    return found


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
        several files with an index, ``tokenizer.json`` or a model of SentencePiece; of one of the
        families that the message about an unknown one lists. Or a file ``*.gguf`` of a decoder, for
        which the extra ``gguf`` is needed. Or a name such as "owner/model", which is looked for in
        the cache that Hugging Face's libraries keep (``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``):
        nothing is downloaded.
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
        The model, its tokenizer, its chat template, and how it is meant to write; a translator has
        the tokenizers of both languages, and :func:`translate` takes it as it is.

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
    path = find_model(path)
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
        family = family_named(field(described, "model_type", str, default=None))
        config = family.config(described)
        labels = labels_of(described)
        score = score_of(described, len(labels))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from None
    # What is cheap to refuse comes before the weights are read.
    tokenizer = target_tokenizer = None
    if with_tokenizer and family.model is Transformer:
        tokenizer, target_tokenizer = folder_tokenizers(folder, max_bytes)
    elif with_tokenizer:
        tokenizer = folder_tokenizer(folder, max_bytes)
    template = folder_chat_template(folder, max_bytes)
    generation = folder_generation(folder, described, max_bytes)
    pooling = folder_pooling(folder, max_bytes)
    try:
        pooling.width(config.d_model)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    sides = (tokenizer, config.vocab_size), (target_tokenizer, config.decoder_vocab_size)
    for each, vocab_size in sides:
        if each is not None and len(each) > vocab_size:
            raise ValueError(
                f"{folder}: its tokenizer has {len(each):,} tokens and its model "
                f"{vocab_size:,}; is it the tokenizer of another model?"
            )
    decoding = Decoding()
    if family.model is Transformer:
        decoding = folder_decoding(folder, described, max_bytes)
    tensors, heads = _sorted(stored_tensors(folder, max_bytes), config, family)
    config = family.as_in_file(config, tensors)
    pooler = family.modules_of(config).get("pooler")
    classifier: dict[str, _Stored] = {}
    if labels and family.head is not None and _has_layer(heads, family.head.classifier):
        classifier = _take_layer(heads, family.head.classifier)
        if family.head.pooler is not None and _has_layer(heads, family.head.pooler):
            for kind, tensor in _take_layer(heads, family.head.pooler).items():
                tensors[f"{pooler}.{kind}"] = tensor
    config = replace(config, pooler=pooler is not None and f"{pooler}.weight" in tensors)
    model: Model | TextClassifier
    model = _load_weights(str(folder), config, family, tensors, compact)
    if classifier and isinstance(model, TextEncoder):
        model = _with_head(str(folder), model, classifier, labels, score)
    return Pretrained(
        model,
        tokenizer,
        template,
        generation,
        pooling,
        tuple(sorted(heads)),
        target_tokenizer,
        decoding,
    )


def _sorted(
    stored: Mapping[str, _Stored], config: TransformerConfig, family: Family
) -> tuple[dict[str, _Stored], dict[str, _Stored]]:
    """The tensors of the model, and those of heads beside it, which it has no place for.

    A model that was saved with a head has a prefix before all names but the head's.
    """
    outputs = family.outputs(config)
    prefixes = (*family.other_prefixes, family.prefix)
    prefix = next((p for p in prefixes if any(name.startswith(p) for name in stored)), None)
    tensors: dict[str, _Stored] = {}
    heads: dict[str, _Stored] = {}
    for name, tensor in stored.items():
        bare = name.removeprefix(prefix or "")
        if re.fullmatch(family.ignored, bare):
            continue
        for end, newer in family.renamed.items():
            if bare.endswith(end):
                bare = bare.removesuffix(end) + newer
        beside = not name.startswith(prefix or "") and bare not in outputs
        (heads if beside else tensors)[bare] = tensor
    _drop_copies(tensors, config, family)
    return tensors, heads


def _drop_copies(tensors: dict[str, _Stored], config: TransformerConfig, family: Family) -> None:
    """Leave one of several tensors that are tied, under the name that the model has for it.

    Files hold all of them, or any. One that differs stays, and is then refused by its name.
    """
    wanted = {f"{name}.weight" for name in family.modules_of(config).values()}
    for name, copies in family.copies.items():
        for copy in copies:
            if name not in wanted or copy not in tensors:
                continue
            if name not in tensors:
                tensors[name] = tensors.pop(copy)
            elif _are_equal(tensors[name], tensors[copy]):
                del tensors[copy]


def _has_layer(tensors: Mapping[str, _Stored], name: str) -> bool:
    """Whether weight and bias of a layer are there."""
    return f"{name}.weight" in tensors and f"{name}.bias" in tensors


def _take_layer(tensors: dict[str, _Stored], name: str) -> dict[str, _Stored]:
    """Take weight and bias of a layer out of the others."""
    return {kind: tensors.pop(f"{name}.{kind}") for kind in ("weight", "bias")}


def _with_head(
    where: str,
    encoder: TextEncoder,
    head: Mapping[str, _Stored],
    labels: list[str],
    score: str,
) -> TextClassifier:
    """The encoder with the head that was saved beside it."""
    config = encoder.config
    wanted = {"weight": (len(labels), config.d_model), "bias": (len(labels),)}
    for kind, shape in wanted.items():
        if head[kind].shape != shape:
            raise ValueError(
                f"{where}: classifier.{kind}: expected {shape}, got {head[kind].shape}"
            )
    if encoder.pooler is None:
        raise ValueError(f"{where}: has a head that classifies, but not the layer before it")
    model = TextClassifier(encoder, labels, score)
    model.classifier.weight.data = head["weight"].read()
    model.classifier.bias.data = head["bias"].read()  # type: ignore[union-attr]
    return model


def _load_gguf(file: Path, compact: bool, with_tokenizer: bool, max_bytes: int) -> Pretrained:
    metadata, stored = read_gguf(file, max_bytes)
    try:
        described = gguf.config_of(metadata, stored)
        family = gguf.family_of_file(described)
        config = family.config(described)
        tokenizer = None
        if with_tokenizer and gguf_text.has_tokenizer(metadata):
            require_foundation_data(file)
            tokenizer = gguf_text.tokenizer_of(metadata)
        generation = gguf_text.generation_of(metadata)
        template = gguf_text.chat_template_of(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from None
    tensors = gguf.tensors_of(metadata["general.architecture"], described, stored)
    model = _load_weights(str(file), config, family, tensors, compact)
    return Pretrained(model, tokenizer, template, generation)


def _load_weights(
    where: str,
    config: TransformerConfig,
    family: Family,
    tensors: Mapping[str, _Stored],
    compact: bool,
) -> Model:
    modules = family.modules_of(config)
    output = f"{modules.get('output')}.weight"
    if config.tie_embeddings and output in tensors:
        # The configuration says that it is the embedding, and the file has the last word.
        embedding = f"{modules[_tied_embedding(config, family)]}.weight"
        if _are_equal(tensors.get(embedding, tensors[output]), tensors[output]):
            others = {name: t for name, t in tensors.items() if name != output}
            tensors = {embedding: tensors[output], **others}
        else:
            config = replace(config, tie_embeddings=False)
    try:
        with skip_init(tensor.shape for tensor in tensors.values()):
            model = family.model(config)
    except (ValueError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{where}: {error}") from None
    weights = weights_of(model, config, family)
    _require_agreement(where, weights, tensors)

    def read() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for weight in weights:
            array = weight.join(lambda name: tensors[name].read())
            # Both are NaN if there is one. A scale in a file may be, for a whole block of weights.
            if array.size and not (np.isfinite(array.max()) and np.isfinite(array.min())):
                names = " or ".join(name for name, _ in weight.parts)
                raise ValueError(f"{where}: {names} holds infinity or NaN; fetch it again")
            yield weight.name, array

    if not compact:
        model.load_state_dict(dict(read()), assign=True)
    elif isinstance(model, Transformer):
        raise ValueError(f"{where}: an encoder-decoder has no compact form; leave compact out")
    else:
        load_compact(model, read())
    return model


def _tied_embedding(config: TransformerConfig, family: Family) -> str:
    """The embedding to which an output layer is tied."""
    if family.model is not Transformer:
        return "embedding"
    return "source_embedding" if config.shares_embeddings else "target_embedding"


def _are_equal(one: _Stored, other: _Stored) -> bool:
    if one is other:
        return True
    return one.shape == other.shape and np.array_equal(one.read(), other.read())


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

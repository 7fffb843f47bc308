"""What a family of published models is, and what its file has to say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._fields import IRRELEVANT, Fields

#: What the weights of a folder become. A head that classifies is put on an encoder afterwards.
Model: TypeAlias = CausalLM | TextEncoder | Transformer


class Change(NamedTuple):
    """A change of each number on its way from their file to our parameter, and back.

    Attributes
    ----------
    read, write : callable
        From their array to ours, of the same shape, and the opposite.
    """

    read: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    write: Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Head(NamedTuple):
    """The names of the layers with which an encoder classifies texts.

    Attributes
    ----------
    pooler : str or None
        The first layer, if it belongs to the head; None: to the encoder.
    classifier : str
        The last layer, with a row for each label.
    """

    pooler: str | None
    classifier: str


def _unchanged(config: TransformerConfig, names: Collection[str]) -> TransformerConfig:  # noqa: ARG001
    return config


@dataclass(frozen=True, kw_only=True)
class Family:
    """How Hugging Face writes one kind of model.

    Attributes
    ----------
    name : str
        For people.
    model : type
        Ours.
    read : callable
        From the content of ``config.json``. It asks for each field that it knows, and the others
        are refused.
    write : callable
        The opposite of ``read``.
    modules : mapping from str to str, or callable
        The names of our modules and theirs; several of theirs, parted by spaces, are stacked in
        one of ours. ``{i}`` is the number of a layer. The name of a parameter, such as
        "output.bias", goes before that of its module. A callable gives the mapping for a
        configuration.
    prefix : str
        Of the names in a file, but for the output layer's; a file of the bare model has none.
    other_prefixes : sequence of str
        Those that take its place in files where the model is part of a larger one.
    irrelevant : str
        Fields of ``config.json``, parted by spaces, that say nothing about what such a model
        computes, beside those that say nothing in any family.
    ignored : str
        A pattern of what may be in a file and is no weight of the model.
    renamed : mapping from str to str
        Ends of names in old files, and those that they have since.
    transposed : bool
        Whether weights in the layers are (in, out).
    changed : mapping from str to Change
        Patterns of the names of our parameters whose numbers stand otherwise in a file.
    with_axis : str
        A pattern of the names of our parameters that have an axis of length 1 more in a file.
    copies : mapping from str to names
        For a tensor, the other names under which a file may hold it because they are tied, such as
        "shared.weight" and ("encoder.embed_tokens.weight", ...). One of them is enough, under any
        name. Where there are several, those that are equal count once, and one that differs is
        refused by its name.
    as_in_file : callable
        From the configuration and the names of the tensors in the file to the configuration of
        what is really there. Marian has no bias of the output where the file has none.
    head : Head or None
        Of an encoder: what a head that classifies texts is called.
    """

    name: str
    model: type[Model]
    read: Callable[[Fields], TransformerConfig]
    write: Callable[[TransformerConfig], dict[str, Any]]
    modules: Mapping[str, str] | Callable[[TransformerConfig], Mapping[str, str]]
    prefix: str
    other_prefixes: Sequence[str] = ()
    irrelevant: str = ""
    ignored: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    transposed: bool = False
    changed: Mapping[str, Change] = field(default_factory=dict)
    with_axis: str = ""
    copies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    as_in_file: Callable[[TransformerConfig, Collection[str]], TransformerConfig] = _unchanged
    head: Head | None = None

    def modules_of(self, config: TransformerConfig) -> Mapping[str, str]:
        """The names of our modules and theirs, in a model of a configuration."""
        return self.modules(config) if callable(self.modules) else self.modules

    def outputs(self, config: TransformerConfig) -> set[str]:
        """The tensors of the output layer, before which no prefix stands."""
        modules = self.modules_of(config)
        bias = {modules["output.bias"]} if "output.bias" in modules else set()
        return bias | ({f"{modules['output']}.weight"} if "output" in modules else set())

    def config(self, described: Mapping[str, Any]) -> TransformerConfig:
        """Our configuration from the content of ``config.json``.

        Raises
        ------
        ValueError
            If a field is missing, of the wrong kind, has a value that is not supported, or is not
            known at all.
        """
        fields = Fields(described)
        config = self.read(fields)
        fields.refuse_others(IRRELEVANT.union(self.irrelevant.split()))
        return config

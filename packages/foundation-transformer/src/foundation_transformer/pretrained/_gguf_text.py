"""What stands beside the weights in a GGUF file: the tokenizer, the chat template, the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from foundation_nn.files import field

from foundation_transformer.chat import ChatTemplate
from foundation_transformer.pretrained._generation import GenerationDefaults
from foundation_transformer.pretrained._tokenizer import byte_level_bpe

if TYPE_CHECKING:
    from foundation_data import Tokenizer

#: Tokens that end a text, an answer, or a message to a tool.
ENDS = ("eos", "eot", "eom")
#: How tokens are drawn, by the names that GGUF files and transformers have for it.
SAMPLING = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
#: Types of tokens; the last two stand in a text as they are.
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


def has_tokenizer(metadata: Mapping[str, Any]) -> bool:
    """Whether the file holds a tokenizer, of whichever kind."""
    return "tokenizer.ggml.model" in metadata


def tokenizer_of(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of the file, with the ends that it puts around a text.

    Raises
    ------
    ValueError
        If it is of a kind that is not known, something is missing or of the wrong type, or a token
        has two ids.
    """
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    kind = field(m, "model", str)
    if kind != "gpt2":
        raise ValueError(
            f"a tokenizer of kind {kind!r:.60} is not supported; expected 'gpt2'; "
            "load_pretrained(path, tokenizer=False) loads the model alone"
        )
    tokens = field(m, "tokens", list[str])
    ids = {token: index for index, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        index, token = next((i, t) for i, t in enumerate(tokens) if ids[t] != i)
        raise ValueError(
            f"tokens: {token!r:.60} stands there twice, with the ids {index} and {ids[token]}"
        )
    types = np.asarray(m.get("token_type", np.ones(len(tokens))))
    if types.shape != (len(tokens),):
        raise ValueError(f"token_type: expected {len(tokens)} numbers, got shape {types.shape}")
    roles = {role: tokens[index] for role, index in _role_ids(m, len(tokens)).items()}
    tokenizer = byte_level_bpe(
        ids,
        field(m, "merges", list[str]),
        field(m, "pre", str, default="gpt-2"),
        special=[token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL],
        added=[token for token, kind in zip(tokens, types, strict=True) if kind == USER_DEFINED],
        roles=roles,
    )
    add_bos, add_eos = (
        field(m, f"add_{role}_token", bool, default=False) and role in roles
        for role in ("bos", "eos")
    )
    return tokenizer.with_ends(add_bos, add_eos) if add_bos or add_eos else tokenizer


def chat_template_of(metadata: Mapping[str, Any]) -> ChatTemplate | None:
    """How the model was taught to read a conversation; None if it was not.

    Raises
    ------
    ValueError
        If something is of the wrong type.
    """
    prefix = "tokenizer.chat_template"
    names = field(metadata, f"{prefix}s", list[str], default=[])
    keys = {"default": prefix} | {name: f"{prefix}.{name}" for name in names}
    texts = {name: field(metadata, key, str) for name, key in keys.items() if key in metadata}
    if not texts:
        return None
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    tokens = field(m, "tokens", list[str], default=[])
    roles = _role_ids(m, len(tokens))
    return ChatTemplate(texts, {f"{role}_token": tokens[index] for role, index in roles.items()})


def generation_of(metadata: Mapping[str, Any]) -> GenerationDefaults:
    """Where texts end, and how tokens are drawn, as far as the file says.

    Raises
    ------
    ValueError
        If something is of the wrong type.
    """
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    ends = (field(m, f"{name}_token_id", int, default=None) for name in ENDS)
    said: dict[str, Any] = {
        "bos_token_id": field(m, "bos_token_id", int, default=None),
        "pad_token_id": field(m, "padding_token_id", int, default=None),
        "eos_token_id": list(dict.fromkeys(end for end in ends if end is not None)),
    }
    for theirs, ours in SAMPLING.items():
        value = field(metadata, f"general.sampling.{theirs}", float, default=None)
        # Written in float32: 0.6 comes back as 0.6000000238418579.
        said[ours] = float(f"{value:.7g}") if isinstance(value, float) else value
    return GenerationDefaults.from_json(
        {name: v for name, v in said.items() if v not in (None, [])}
    )


def _role_ids(m: Mapping[str, Any], num_tokens: int) -> dict[str, int]:
    """The ids of bos, eos, unk and pad, as far as the file says."""
    roles: dict[str, int] = {}
    for role, name in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        index = field(m, f"{name}_token_id", int, default=None)
        if index is not None:
            if not 0 <= index < num_tokens:
                raise ValueError(f"{name}_token_id: {index} is no id of {num_tokens} tokens")
            roles[role] = index
    return roles

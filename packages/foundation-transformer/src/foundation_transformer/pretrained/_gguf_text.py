"""What stands beside the weights in a GGUF file: the tokenizer, the chat template, the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from foundation_nn.files import field

from foundation_transformer.chat import ChatTemplate
from foundation_transformer.pretrained._generation import GenerationDefaults
from foundation_transformer.pretrained._tokenizer import WHOLE_WORDS, byte_level_bpe

if TYPE_CHECKING:
    from foundation_data import BPETokenizer, SentencePieceTokenizer, Tokenizer

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
#: Types of tokens; control and user-defined ones stand in a text as they are.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


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
    if kind not in _READERS:
        raise ValueError(
            f"a tokenizer of kind {kind!r:.60} is not supported; expected "
            f"{' or '.join(map(repr, _READERS))}; load_pretrained(path, tokenizer=False) loads the "
            "model alone"
        )
    tokens = field(m, "tokens", list[str])
    ids = {token: index for index, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        index, token = next((i, t) for i, t in enumerate(tokens) if ids[t] != i)
        raise ValueError(
            f"tokens: {token!r:.60} stands there twice, with the ids {index} and {ids[token]}"
        )
    types = np.asarray(m.get("token_type", np.ones(len(tokens), np.int32)))
    if types.shape != (len(tokens),):
        raise ValueError(f"token_type: expected {len(tokens)} numbers, got shape {types.shape}")
    roles = {role: tokens[index] for role, index in _role_ids(m, len(tokens)).items()}
    tokenizer, has_bos = _READERS[kind](m, tokens, types.tolist(), roles)
    add_bos, add_eos = (
        field(m, f"add_{role}_token", bool, default=default) and role in roles
        for role, default in (("bos", has_bos), ("eos", False))
    )
    return tokenizer.with_ends(add_bos, add_eos) if add_bos or add_eos else tokenizer


def _byte_pairs(
    m: Mapping[str, Any], tokens: list[str], types: list[int], roles: Mapping[str, str]
) -> tuple[BPETokenizer | SentencePieceTokenizer, bool]:
    """GPT-2's kind, and whether it has a BOS where the file does not say."""
    cut = field(m, "pre", str, default="gpt-2")
    tokenizer = byte_level_bpe(
        {token: index for index, token in enumerate(tokens)},
        field(m, "merges", list[str]),
        cut,
        special=[token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL],
        added=[token for token, kind in zip(tokens, types, strict=True) if kind == USER_DEFINED],
        roles=roles,
    )
    return tokenizer, cut in WHOLE_WORDS


def _sentencepiece(
    m: Mapping[str, Any], tokens: list[str], types: list[int], roles: Mapping[str, str]
) -> tuple[BPETokenizer | SentencePieceTokenizer, bool]:
    """SentencePiece's BPE, which has a BOS where the file does not say."""
    from foundation_data import SentencePieceModel, tokenizer_of_model

    scores = np.asarray(m.get("scores", np.zeros(0)))
    if scores.ndim != 1 or scores.dtype.kind != "f":
        raise ValueError(f"scores: expected a row of {len(tokens)} numbers, got {scores!r:.60}")
    unknown = tokens.index(roles["unk"]) if "unk" in roles else 0
    if tokens and UNKNOWN not in types:
        types[unknown] = UNKNOWN
    model = SentencePieceModel.of_table(
        tokens,
        scores.tolist(),
        types,
        algorithm="bpe",
        byte_fallback=BYTE in types,
        add_dummy_prefix=field(m, "add_space_prefix", bool, default=True),
        remove_extra_whitespaces=False,
    )
    return tokenizer_of_model(model, roles), True


#: How each kind of tokenizer is read.
_READERS = {"gpt2": _byte_pairs, "llama": _sentencepiece}


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

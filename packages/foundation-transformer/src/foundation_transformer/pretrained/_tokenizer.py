"""The tokenizer beside a model, as plain JSON: models do not know the package that reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES, field, read_json, read_text, write_file

_ROLES = {"bos": ("bos", "cls"), "eos": ("eos", "sep"), "pad": ("pad",), "unk": ("unk",)}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
#: How a text is cut before bytes are joined, by the names that GGUF files have for it.
_CUTS: dict[str, Any] = {
    "gpt-2": _BYTES,
    "smollm": {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTES]},
}


def folder_tokenizer(folder: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any] | None:
    """The tokenizer of a folder, for ``foundation_data.Tokenizer.from_dict``; None without one.

    Raises
    ------
    ValueError
        If a file is damaged, larger than ``max_bytes``, or no such file.
    """
    source = folder / "tokenizer.json"
    roles = _roles(folder, max_bytes)
    if source.exists():
        document = _read(source, max_bytes)
        if not isinstance(document.get("model"), dict):
            raise ValueError(f"{source}: not a tokenizer: its table 'model' is missing")
        try:
            model = document["model"]
            known = {"BPE": "bpe", "WordPiece": "wordpiece"}
            kind = known.get(field(model, "type", str | None, default=None) or "")
            ours = field(model, "foundation-data", dict, default={})
            model.pop("foundation-data", None)
            specials = field(ours, "specials", dict | None, default=roles)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None
        if kind is None:
            return None
        return {"kind": kind, "specials": specials, "tokenizer": document}
    if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        lines = read_text(folder / "merges.txt", max_bytes).split("\n")
        merges = [line for line in lines if line.strip() and not line.startswith("#version")]
        vocab = _read(folder / "vocab.json", max_bytes)
        for token in vocab:
            try:
                field(vocab, token, int)
            except ValueError as error:
                raise ValueError(f"{folder / 'vocab.json'}: {error}") from None
        special = [token for token in {*roles.values(), "<|endoftext|>"} if token in vocab]
        return byte_level_bpe(vocab, merges, "gpt-2", special, [], roles)
    return None


def folder_chat_template(folder: Path, max_bytes: int = MAX_BYTES) -> str | None:
    """How a conversation is written as one text, in Jinja's language; None without one.

    Raises
    ------
    ValueError
        If a file is damaged, or larger than ``max_bytes``.
    """
    source = folder / "chat_template.jinja"
    if source.exists():
        return read_text(source, max_bytes)
    source = folder / "tokenizer_config.json"
    try:
        content = _read(source, max_bytes)
        template: str | list[Any] | None = field(
            content, "chat_template", str | list | None, default=None
        )
        if isinstance(template, list):  # several, by name
            named = {field(each, "name", str): field(each, "template", str) for each in template}
            return named.get("default")
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return template


def byte_level_bpe(
    ids: Mapping[str, int],
    merges: Sequence[str],
    cut: str,
    special: Sequence[str],
    added: Sequence[str],
    roles: Mapping[str, str],
) -> dict[str, Any] | None:
    """A ``tokenizer.json`` of byte-level BPE; None if texts are cut in a way not known here.

    Parameters
    ----------
    ids : mapping from str to int
        All tokens.
    merges : sequence of str
        "first second".
    cut : str
        "gpt-2" or "smollm".
    special, added : sequence of str
        Tokens that steer the model, and others that are never joined or parted.
    roles : mapping
        The tokens of bos, eos, pad and unk, as far as known.
    """
    if cut not in _CUTS:
        return None
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    found = [(token, token in special) for token in (*special, *added)]
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[token], "content": token, **plain, "special": steers}
            for token, steers in sorted(found, key=lambda entry: ids[entry[0]])
        ],
        "normalizer": None,
        "pre_tokenizer": _CUTS[cut],
        "post_processor": None,
        "decoder": _BYTES,
        "model": {"type": "BPE", "vocab": dict(ids), "merges": list(merges)},
    }
    return {"kind": "bpe", "specials": dict(roles), "tokenizer": document}


def write_tokenizer(folder: Path, tokenizer: Mapping[str, Any], chat_template: str | None) -> None:
    """Write ``tokenizer.json`` and what stands beside it."""
    specials = tokenizer.get("specials") or {}
    settings: dict[str, Any] = {
        f"{role}_token": specials[role] for role in _ROLES if role in specials
    }
    _write(folder / "special_tokens_map.json", settings)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if chat_template is not None:
        settings["chat_template"] = chat_template
    _write(folder / "tokenizer_config.json", settings)
    _write(folder / "tokenizer.json", tokenizer["tokenizer"])


def _roles(folder: Path, max_bytes: int) -> dict[str, str]:
    """Which tokens have which role; what the first file says counts."""
    roles: dict[str, str] = {}
    for file in (folder / "special_tokens_map.json", folder / "tokenizer_config.json"):
        content = _read(file, max_bytes)
        try:
            for role, names in _ROLES.items():
                found = filter(None, (_token(content, name) for name in names))
                roles.setdefault(role, next(found, ""))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        roles = {role: token for role, token in roles.items() if token}
    return roles


def _token(content: Mapping[str, Any], name: str) -> str | None:
    """The token with this name, which is written as it is or as an object about it."""
    token = field(content, f"{name}_token", str | dict | None, default=None)
    if isinstance(token, dict):
        token = field(token, "content", str | None, default=None)
    return token  # type: ignore[no-any-return]


def _read(file: Path, max_bytes: int) -> dict[str, Any]:
    """The content of a JSON file; nothing if there is none."""
    if not file.exists():
        return {}
    content = read_json(file, max_bytes)
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a table, got {type(content).__name__}")
    return content


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_file(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

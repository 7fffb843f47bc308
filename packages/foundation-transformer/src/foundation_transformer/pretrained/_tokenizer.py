"""The tokenizer beside a model, as plain JSON: models do not know the package that reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foundation_nn.files import write_file

_ROLES = {"bos": ("bos", "cls"), "eos": ("eos", "sep"), "pad": ("pad",), "unk": ("unk",)}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
#: How a text is cut before bytes are joined, by the names that GGUF files have for it.
_CUTS: dict[str, Any] = {
    "gpt-2": _BYTES,
    "smollm": {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTES]},
}


def folder_tokenizer(folder: Path) -> dict[str, Any] | None:
    """The tokenizer of a folder, for ``foundation_data.Tokenizer.from_dict``; None without one."""
    source = folder / "tokenizer.json"
    settings = [
        _read(folder / name) for name in ("special_tokens_map.json", "tokenizer_config.json")
    ]
    roles = {
        role: token
        for role, names in _ROLES.items()
        for token in [_first_token(settings, names)]
        if token is not None
    }
    if source.is_file():
        document = _read(source)
        if not isinstance(document.get("model"), dict):
            raise ValueError(f"{source}: not a tokenizer: its table 'model' is missing")
        kind = {"BPE": "bpe", "WordPiece": "wordpiece"}.get(document["model"].get("type"))
        ours = document["model"].pop("foundation-data", {})
        if kind is None:
            return None
        return {"kind": kind, "specials": ours.get("specials", roles), "tokenizer": document}
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        lines = (folder / "merges.txt").read_text("utf-8").split("\n")
        merges = [line for line in lines if line.strip() and not line.startswith("#version")]
        vocab = _read(folder / "vocab.json")
        special = [token for token in {*roles.values(), "<|endoftext|>"} if token in vocab]
        return byte_level_bpe(vocab, merges, "gpt-2", special, [], roles)
    return None


def folder_chat_template(folder: Path) -> str | None:
    """How a conversation is written as one text, in Jinja's language; None without one."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text("utf-8")
    template = _read(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):  # several, by name
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
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


def _first_token(settings: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    for content in settings:
        for name in names:
            token = content.get(f"{name}_token")
            token = token.get("content") if isinstance(token, dict) else token
            if token:
                return str(token)
    return None


def _read(file: Path) -> dict[str, Any]:
    """The content of a JSON file; nothing if there is none."""
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a table, got {type(content).__name__}")
    return content


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_file(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

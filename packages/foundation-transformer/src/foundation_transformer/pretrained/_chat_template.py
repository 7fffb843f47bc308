"""The chat template of a folder, and the special tokens that it knows by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES, field, read_json, read_text

from foundation_transformer.chat import ChatTemplate

_NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def folder_chat_template(folder: Path, max_bytes: int = MAX_BYTES) -> ChatTemplate | None:
    """How the model of a folder was taught to read a conversation; None if it was not.

    Raises
    ------
    ValueError
        If a file is damaged, or larger than ``max_bytes``.
    """
    texts = _configured(folder / "tokenizer_config.json", max_bytes)
    single = folder / "chat_template.jinja"
    if single.exists():
        texts["default"] = read_text(single, max_bytes)
    for file in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        texts[file.stem] = read_text(file, max_bytes)
    return ChatTemplate(texts, special_tokens_of(folder, max_bytes)) if texts else None


def _configured(source: Path, max_bytes: int) -> dict[str, str]:
    """The templates in ``tokenizer_config.json``: one, or several by name."""
    if not source.exists():
        return {}
    content = read_json(source, max_bytes)
    try:
        template: str | list[Any] | None = field(
            content, "chat_template", str | list | None, default=None
        )
        if isinstance(template, list):
            return {field(each, "name", str): field(each, "template", str) for each in template}
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return {} if template is None else {"default": template}


def special_tokens_of(folder: Path, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """The tokens that a folder names, such as ``bos_token``; what its first file says counts.

    Raises
    ------
    ValueError
        If a file is damaged, or larger than ``max_bytes``.
    """
    tokens: dict[str, str] = {}
    for file in (folder / "tokenizer_config.json", folder / "special_tokens_map.json"):
        if not file.exists():
            continue
        content = read_json(file, max_bytes)
        try:
            for name in (f"{role}_token" for role in _NAMES):
                token = field(content, name, str | dict | None, default=None)
                if isinstance(token, dict):
                    token = field(token, "content", str | None, default=None)
                if token:
                    tokens.setdefault(name, token)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    return tokens

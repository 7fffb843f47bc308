"""How a conversation is written as one text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES, field, read_json, read_text


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
    if not source.exists():
        return None
    content = read_json(source, max_bytes)
    try:
        template: str | list[Any] | None = field(
            content, "chat_template", str | list | None, default=None
        )
        if isinstance(template, list):  # several, by name
            named = {field(each, "name", str): field(each, "template", str) for each in template}
            return named.get("default")
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return template

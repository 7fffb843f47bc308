"""Reading examples to tune a model with: one in each line of JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation_data.reading._lines import (
    DEFAULT_LIMITS,
    ReadLimits,
    check_file,
    content_suffix,
)
from foundation_data.reading._records import JSON_LINES, json_records

ROLES = ("system", "developer", "user", "assistant", "tool")
#: The fields of each kind of example.
_KINDS = {
    "messages": ("messages",),
    "completion": ("prompt", "completion"),
    "text": ("text",),
    "label": ("text", "label"),
}


@dataclass(frozen=True, slots=True)
class TuningExample:
    """What a model is shown, and what of it is to learn.

    Attributes
    ----------
    line : int
        Of the file, from 1.
    kind : str
        "messages", "completion", "text" or "label".
    messages : tuple of mappings
        Of a conversation: each has a ``role`` and mostly ``content``.
    prompt, text : str
        What is given, and what follows: the completion, or all of a text.
    label : str
        What kind of text it is.
    """

    line: int
    kind: str
    messages: tuple[Mapping[str, Any], ...] = ()
    prompt: str = ""
    text: str = ""
    label: str = ""

    @property
    def key(self) -> str:
        """What it asks: examples that ask the same are held out together."""
        if self.kind != "messages":
            return self.prompt or self.text
        asked = (m.get("content") for m in self.messages if m["role"] == "user")
        return str(next(asked, self.messages[0].get("content")))


def read_examples(
    path: str | os.PathLike[str], *, limits: ReadLimits = DEFAULT_LIMITS
) -> list[TuningExample]:
    """Read what a model is to be tuned with.

    Parameters
    ----------
    path : path
        A ``.jsonl`` file in UTF-8, gzipped (``.gz``) or not. Each line is an object with one of

        * ``messages``: a list of objects with ``role`` and ``content``, of which the model learns
          the contents of "assistant";
        * ``prompt`` and ``completion``: two texts, of which it learns the second;
        * ``text``: it learns all of it;
        * ``text`` and ``label``: a head learns the second of the first. Then all lines are of this
          kind.

    limits : ReadLimits
        How much is read before the file is refused.

    Returns
    -------
    list of TuningExample
        In the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is no JSON, has none of these fields or several, a role is unknown, a content is
        of the wrong type, or some lines have a label and others none; names the line. If there is
        no line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "examples.jsonl")
    >>> _ = file.write_text('{"prompt": "2 + 2 =", "completion": " 4"}\\n')
    >>> read_examples(file)[0].text
    ' 4'
    """
    path = Path(path)
    check_file(path)
    if content_suffix(path) not in JSON_LINES:
        raise ValueError(
            f"{path}: expected a name that ends in .jsonl, with an example in each line of JSON"
        )
    found = []
    for line, record in json_records(path, limits):
        if record is None:
            continue
        try:
            found.append(_example(line, record))
            if (found[0].kind == "label") != (found[-1].kind == "label"):
                raise ValueError("some examples have a label and some have none; use two files")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
    if not found:
        raise ValueError(f"{path}: the file is empty; expected an example in each line")
    return found


def _example(line: int, record: object) -> TuningExample:
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    kinds = [kind for kind, fields in _KINDS.items() if all(name in record for name in fields)]
    if "label" in kinds:  # the text belongs to it
        kinds.remove("text")
    if len(kinds) != 1:
        raise ValueError(
            "expected the field messages, or prompt and completion, or text, or text and label, "
            f"and one of these alone; found: {', '.join(record) or 'nothing':.80}"
        )
    kind = kinds[0]
    if kind == "messages":
        return TuningExample(line, kind, messages=_messages(record["messages"]))
    for name in _KINDS[kind]:
        if not isinstance(record[name], str):
            raise ValueError(f"{name}: expected a text, got {type(record[name]).__name__}")
    if kind == "label" and not (record["label"].strip() and record["text"].strip()):
        raise ValueError("text and label: expected something in both")
    if kind in ("text", "label"):
        return TuningExample(line, kind, text=record["text"], label=record.get("label", ""))
    return TuningExample(line, kind, prompt=record["prompt"], text=record["completion"])


def _messages(messages: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: expected a list of them, with at least one")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise ValueError(f"message {number}: expected a JSON object with role and content")
        role = message.get("role")
        if role not in ROLES:
            raise ValueError(
                f"message {number}: unknown role {role!r:.60}; expected one of {', '.join(ROLES)}"
            )
        content = message.get("content")
        if not isinstance(content, str | list | None):
            raise ValueError(
                f"message {number}: expected a text as content, got {type(content).__name__}"
            )
    return tuple(messages)

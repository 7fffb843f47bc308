"""Examples to tune a model with: what is read, and which line is to blame."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from foundation_data import read_examples

TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


def write(file: Path, *records: Any) -> Path:
    file.write_text("\n".join(json.dumps(record) for record in records), "utf-8")
    return file


def test_each_kind_is_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    records = [
        {"messages": TALK},
        {"prompt": "2 + 2 =", "completion": " 4", "source": "arithmetic"},
        {"text": "  kept as it is \n"},
    ]
    first, second, third = read_examples(write(tmp_path / "x.jsonl", *records))
    assert (first.kind, first.messages, first.key) == ("messages", tuple(TALK), "Hi")
    assert (second.prompt, second.text, second.key) == ("2 + 2 =", " 4", "2 + 2 =")
    assert (third.prompt, third.text, third.line) == ("", "  kept as it is \n", 3)


def test_texts_with_labels(tmp_path: Path) -> None:
    records = [{"text": "so good", "label": "praise", "source": "x"}, {"text": "a", "label": "b"}]
    first, second = read_examples(write(tmp_path / "x.jsonl", *records))
    assert (first.kind, first.text, first.label, first.key) == (
        "label",
        "so good",
        "praise",
        "so good",
    )
    assert second.label == "b"
    mixed = write(tmp_path / "y.jsonl", records[0], {"text": "without"})
    with pytest.raises(ValueError, match=r"y\.jsonl, line 2: some examples have a label"):
        read_examples(mixed)


def test_packed_files_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(gzip.compress(b'\n{"text": "a"}\n\n{"text": "b"}\n'))
    assert [(each.line, each.text) for each in read_examples(file)] == [(2, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "expected a JSON object, got int"),
        ({}, "found: nothing"),
        ({"completion": "x"}, "found: completion"),
        ({"messages": TALK, "text": "x"}, "one of these alone; found: messages, text"),
        ({"prompt": 1, "completion": "x"}, "prompt: expected a text, got int"),
        ({"text": "x", "label": "y"}, "some examples have a label and some have none"),
        ({"label": "y"}, "found: label"),
        ({"text": "x", "label": 1}, "label: expected a text, got int"),
        ({"text": "x", "label": " "}, "text and label: expected something in both"),
        ({"text": "", "label": "y"}, "text and label: expected something in both"),
        ({"messages": TALK + [{"role": "bot"}]}, "message 3: unknown role 'bot'; expected one of"),
    ],
)
def test_the_line_to_blame_is_named(tmp_path: Path, record: Any, message: str) -> None:
    file = write(tmp_path / "x.jsonl", {"text": "fine"}, record)
    with pytest.raises(ValueError, match=f"x.jsonl, line 2: .*{message}"):
        read_examples(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a\n", "utf-8")
    with pytest.raises(ValueError, match=r"x.txt: expected a name that ends in .jsonl"):
        read_examples(tmp_path / "x.txt")
    (tmp_path / "x.jsonl").write_text("\n\n", "utf-8")
    with pytest.raises(ValueError, match=r"x.jsonl: the file is empty"):
        read_examples(tmp_path / "x.jsonl")

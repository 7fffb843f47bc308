"""``foundation search``: the passages of Markdown files that are nearest to a question."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill, indent, shorten
from typing import NamedTuple

import numpy as np
from foundation_nn.files import read_text

from foundation_transformer.cli._pretrained import text_encoder
from foundation_transformer.pretrained import embed


class Passage(NamedTuple):
    """A part of a file, and the heading it stands under."""

    file: Path
    line: int
    heading: str
    text: str


def search(options: argparse.Namespace) -> None:
    """Print the passages whose vectors are nearest to that of the question.

    Raises
    ------
    OSError, ValueError
        If there is no text encoder, no passage, or no question.
    """
    if not options.question.strip():
        raise ValueError("there is nothing to look for; ask a question")
    found = [p for file in _files(options.folder) for p in passages(file)]
    if not found:
        raise ValueError(f"{options.folder}: its .md files hold no text")
    loaded = text_encoder(options.model)
    prompts = loaded.pooling.prompts
    of_query = "query" if "query" in prompts else None
    of_passage = next((name for name in ("document", "passage") if name in prompts), None)
    texts = [f"{p.heading}\n{p.text}" for p in found]
    (question,) = embed(loaded, [options.question], of_query)
    vectors = embed(loaded, texts, of_passage)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(question)
    scores = vectors @ question / np.where(lengths > 0, lengths, 1)  # cosines
    for i in scores.argsort()[::-1][: options.top_k].tolist():
        p = found[i]
        print(f"{scores[i]:.2f}  {p.file}:{p.line}  {p.heading}")
        print(indent(fill(shorten(p.text, 240, placeholder=" …"), 84), " " * 6), end="\n\n")


def passages(file: Path) -> Iterator[Passage]:
    """Paragraphs, lists and tables of a Markdown file; blocks of code are left out.

    Raises
    ------
    ValueError
        If the file is not UTF-8, or very large.
    """
    prose = _without_code(read_text(file))
    heading = file.stem
    line = 1
    start = 0
    for block in re.finditer(r"(?:^.*\S.*\n?)+", prose, flags=re.M):
        line += prose.count("\n", start, block.start())
        start = block.start()
        text = block[0].strip()
        title = re.match(r"#+\s+(.*)", text)
        if title:
            heading, text = title[1].strip(), text[title.end() :].strip()
        if text:
            yield Passage(file, line + 1 if title else line, heading, text)


def _without_code(content: str) -> str:
    """Code becomes empty lines, so that the lines after it keep their numbers."""
    lines: list[str] = []
    fence = ""  # what the present block of code begins with; it ends with as many signs, or more
    for line in content.split("\n"):
        signs = len(line) - len(line.lstrip("`"))
        if fence:
            lines.append("")
            if signs >= len(fence) and not line[signs:].strip():
                fence = ""
        elif signs >= 3:
            lines.append("")
            fence = "`" * signs
        else:
            lines.append(line)
    return "\n".join(lines)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    files = sorted(file for file in folder.rglob("*.md") if file.is_file())
    if not files:
        raise FileNotFoundError(f"{folder}: no .md file in it, nor in its folders")
    return files

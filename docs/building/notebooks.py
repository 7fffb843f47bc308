"""The chapters as Jupyter notebooks: prose and mathematics as they are, examples as cells to run.

An example loses its prompts and what it printed. A cell ends where an example printed something, as
a notebook shows the value of the last line of a cell. Pictures become part of the notebook, so that
it needs no other file.
"""

import base64
import doctest
import json
import re
from pathlib import Path
from typing import Any

from building.names import CHAPTERS

FENCE = re.compile(r"^(```+)(\{?[\w-]*\}?) ?(.*)\n((?:.*\n)*?)\1$", re.MULTILINE)
FIRST_CELL = """\
*This notebook is a chapter of the course of Foundation, made from the same text as its page. To run
it, start Jupyter in an environment in which the packages are installed:*
`python3 -m pip install jupyterlab ./packages/*`
"""


def write_notebooks(docs: Path, folder: Path) -> None:
    """Write all chapters as notebooks into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in CHAPTERS:
        page = docs / f"{chapter}.md"
        if page.exists():
            notebook = convert(page.read_text("utf-8"), docs)
            text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
            (folder / f"{chapter}.ipynb").write_text(text, "utf-8")


def convert(text: str, docs: Path) -> dict[str, Any]:
    """The notebook of a page, as its JSON says it; pictures are read from the folder ``docs``."""
    title, _, rest = text.partition("\n")
    cells = [_prose(title + "\n\n" + FIRST_CELL, docs)]
    end = 0
    prose = ""
    for fence in FENCE.finditer(rest):
        prose += rest[end : fence.start()]
        end = fence.end()
        _, language, argument, content = fence.groups()
        code = _code(language, content)
        if code:
            cells += [_prose(prose, docs), *code]
            prose = ""
        elif language == "{figure}":
            prose += _figure(argument, content)
        elif language == "{literalinclude}":
            prose += f"```python\n{_included(docs / argument, content)}\n```"
        elif language not in ("{toctree}", "{include}"):
            prose += fence.group()
    cells.append(_prose(prose + rest[end:], docs))
    cells = [cell for cell in cells if "".join(cell["source"]).strip()]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def code_of(notebook: dict[str, Any]) -> list[str]:
    """What the cells of a notebook would run."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _code(language: str, content: str) -> list[dict[str, Any]]:
    """The cells of a block of examples; none for a block that is no Python."""
    if language == "{testcode}":
        return [_cell("code", content, execution_count=None, outputs=[])]
    if language not in ("{doctest}", "python") or ">>> " not in content:
        return []
    cells = []
    lines = ""
    fails = False
    for example in doctest.DocTestParser().get_examples(content):
        lines += re.sub(r"  # doctest: .*", "", example.source)
        fails = fails or example.exc_msg is not None
        if example.want:
            cells.append(_cell("code", lines, execution_count=None, outputs=[]))
            if fails:  # that is what the example shows; a notebook goes on behind it
                cells[-1]["metadata"]["tags"] = ["raises-exception"]
            lines = ""
            fails = False
    if lines:
        cells.append(_cell("code", lines, execution_count=None, outputs=[]))
    return cells


def _figure(path: str, content: str) -> str:
    alternative = re.search(r"^:alt: (.*)$", content, re.MULTILINE)
    caption = re.sub(r"^:\w+:.*\n", "", content, flags=re.MULTILINE).strip()
    return f"![{alternative[1] if alternative else ''}]({path})\n\n*{caption}*"


def _included(file: Path, content: str) -> str:
    """The part of a source that a page shows."""
    options = dict(re.findall(r'^:([\w-]+): "?(.*?)"?$', content, re.MULTILINE))
    source = file.read_text("utf-8")
    start = source.index(options["start-at"]) if "start-at" in options else 0
    end = source.index(options["end-before"], start) if "end-before" in options else None
    return source[start:end].strip()


def _prose(text: str, docs: Path) -> dict[str, Any]:
    """A cell of Markdown as notebooks understand it, with its pictures inside."""
    text = re.sub(r"\{[\w:]+\}(`[^`]+`)", r"\1", text)  # a role; its text remains
    # A term and its explanation, for which plain Markdown has no form of its own.
    text = re.sub(r"^(\S.*)\n: {1,3}(?=\S)", r"* \1  \n  ", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", _link, text)
    pictures = {}
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        file = docs / path
        if file.exists():
            data = base64.b64encode(file.read_bytes()).decode()
            pictures[file.name] = {"image/png": data}
            text = text.replace(f"]({path})", f"](attachment:{file.name})")
    cell = _cell("markdown", text.strip("\n"))
    if pictures:
        cell["attachments"] = pictures
    return cell


def _link(found: re.Match[str]) -> str:
    """A link to another chapter leads to its notebook; one to another page is only its text."""
    text, target = found.groups()
    page = re.fullmatch(r"([\w/.]+)\.md(#[\w-]+)?", target)
    if page is None:
        return found.group() if not target.startswith("#") else text
    return f"[{text}]({page[1]}.ipynb)" if page[1] in CHAPTERS else text


def _cell(kind: str, text: str, **more: Any) -> dict[str, Any]:
    lines = text.strip("\n").splitlines(keepends=True)
    return {"id": "", "cell_type": kind, "metadata": {}, **more, "source": lines}

"""The page that shows all pictures, each with the command or the code that makes it."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pictures import chapters, pictures_of

from building.names import CHAPTERS

INTRODUCTION = """\
All pictures of the site were made by the packages. Under each stand the lines that draw it; open
them, and copy what you need. Every function ``plot_...`` returns a figure of matplotlib, which a
notebook shows, and takes a ``path`` to write it to a file.
"""
#: Pictures that a command leaves: file, what it shows, and the command.
OF_COMMANDS = (
    (
        "attention.png",
        "Where a translator looks at the source while it writes.",
        "foundation demo",
    ),
    (
        "attention_page.png",
        "A page for the browser with every head of a model; here, one head of a small one.",
        'foundation attention MODEL "a sentence"',
    ),
    (
        "surprisal.png",
        "What a language model did not expect.",
        'foundation surprisal MODEL "a text" --out surprisal.png',
    ),
)


def write_page(path: Path) -> None:
    """Write the page, in reStructuredText, into a folder within that of the documentation."""
    lines = [*_heading("Gallery", "="), INTRODUCTION, *_heading("From the command line", "-")]
    for file, text, command in OF_COMMANDS:
        lines += _picture(f"/images/{file}", text)
        lines += [".. code-block:: sh", "", f"   {command}", ""]
    modules = {module.__name__.rpartition(".")[2]: module for module in chapters()}
    order = ["gallery", *(name for name in CHAPTERS if name in modules)]
    for name in [*order, *(name for name in modules if name not in order)]:
        if name == "gallery":
            lines += _heading("Of your own models and data", "-")
        else:
            lines += [*_heading(_title(path.parents[1] / f"{name}.md"), "-")]
            lines += [f"From the chapter :doc:`/{name}`.", ""]
        for picture, draw in pictures_of(modules[name]).items():
            lines += _picture(f"/_generated/{picture}.png", inspect.getdoc(draw) or "")
            lines += _code(name, draw)
    text = "\n".join(lines)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def _title(chapter: Path) -> str:
    """The heading of a chapter, without its number."""
    line = chapter.read_text("utf-8").partition("\n")[0].removeprefix("# ")
    return line.split(". ", 1)[-1]


def _heading(text: str, rule: str) -> list[str]:
    return [text, rule * len(text), ""]


def _picture(path: str, text: str) -> list[str]:
    caption = " ".join(text.split("\n\n")[0].split())
    alternative = caption.replace("`", "")
    return [f".. figure:: {path}", f"   :alt: {alternative}", "", f"   {caption}", ""]


def _code(module: str, draw: Callable[[], Any]) -> list[str]:
    """The function that draws a picture, and those that it calls beside it, folded away."""
    lines = [
        ".. raw:: html",
        "",
        "   <details class='code-of-picture'><summary>The code</summary>",
        "",
    ]
    for function in [*_helpers(draw), draw.__name__]:
        lines += [f".. literalinclude:: ../pictures/{module}.py", f"   :pyobject: {function}", ""]
    lines += [f"Its imports stand at the top of ``docs/pictures/{module}.py``.", ""]
    return [*lines, ".. raw:: html", "", "   </details>", ""]


def _helpers(function: Callable[..., Any]) -> list[str]:
    """The private functions of the same file that a function needs, the innermost first."""
    found: list[str] = []
    file = inspect.getmodule(function)
    for name in dict.fromkeys(re.findall(r"\b_[a-z]\w*", inspect.getsource(function))):
        helper = getattr(file, name, None)
        if not inspect.isfunction(helper) or helper.__module__ != function.__module__:
            continue  # a variable, or imported
        if name != function.__name__:
            found += [*_helpers(helper), name]
    return list(dict.fromkeys(found))

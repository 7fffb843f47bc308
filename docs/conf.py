"""Sphinx: the guide is written by hand, the API pages come from the docstrings."""

import doctest
import importlib
import os
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "foundation_nn",
    "foundation_seq",
    "foundation_attn",
    "foundation_data",
    "foundation_transformer",
)

# What examples print is compared; other processes would print past that.
os.environ["FOUNDATION_PROCESSES"] = "1"

project = "Foundation"
author = "Foundation contributors"
copyright = author

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",  # the renderer is part of the site, which works without a network
    "sphinx_copybutton",
]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3  # [text](page.md#a-heading) leads to a heading, and is checked
# What is copied from an example is what one types, without prompts and results.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
exclude_patterns = ["_build", "_generated"]
default_role = "code"
html_theme = "furo"
html_title = "Foundation"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# Examples in docstrings run in the tests, inside their module; here only {doctest} blocks of pages.
doctest_test_doctest_blocks = ""
doctest_default_flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# References to our own names are checked. Those of other projects are not: that would need their
# inventories from the network.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!foundation_).*"),
    (r"py:class", r"foundation_[\w.]+\._\w+\.(State|BatchT_co|P|Out)"),  # type variables
]
# `source` in prose may be an attribute of two classes: either link will do.
suppress_warnings = ["ref.python"]


def pages(package: str) -> list[str]:
    """The package, and those of its public modules that hold more than the package re-exports."""
    top = importlib.import_module(package)
    names = [package]
    for module in pkgutil.iter_modules(top.__path__, f"{package}."):
        if not module.name.split(".")[-1].startswith("_") and not module.name.endswith(".cli"):
            exported = getattr(importlib.import_module(module.name), "__all__", ())
            if not set(exported) <= set(getattr(top, "__all__", ())):
                names.append(module.name)
    return names


def write_api() -> None:
    """One page per package in api/, which is generated and not committed."""
    folder = Path(__file__).parent / "api"
    folder.mkdir(exist_ok=True)
    for package in PACKAGES:
        lines = []
        for name in pages(package):
            rule = ("=" if name == package else "-") * len(name)
            lines += [name, rule, "", f".. automodule:: {name}", "   :members:", ""]
        # reStructuredText, because footnotes get lost in MyST's eval-rst
        (folder / f"{package}.rst").write_text("\n".join(lines), "utf-8")


write_api()


def draw_pictures(app: Any) -> None:
    """The pictures of the chapters in _generated/, those that code has changed since."""
    here = Path(__file__).parent
    sys.path.insert(0, str(here))
    importlib.import_module("pictures").draw_all(here / "_generated")


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Find names where they are public: ``foundation_nn.engine._tensor.Tensor`` is imported as
    ``foundation_nn.Tensor``."""
    if node.get("refdomain") != "py":
        return None
    parts = node["reftarget"].split(".")
    public = ".".join(part for part in parts if not part.startswith("_"))
    python = env.get_domain("py")
    for target in (public, *(f"{package}.{public}" for package in PACKAGES)):
        if target in python.objects:
            return python.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], target, node, contnode
            )
    return None


def number_references(app: Any, what: str, name: str, obj: Any, options: Any, lines: Any) -> None:
    """Each docstring counts its references from [1]; on a page they need names of their own."""
    label = name.replace(".", "-")
    for index, line in enumerate(lines):
        lines[index] = re.sub(r"(?<=\.\. )\[(\d+)\]|\[(\d+)\](?=_)", rf"[#{label}-\1\2]", line)


def skip_fields(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """The fields of named tuples stand under "Attributes" already."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    app.connect("builder-inited", draw_pictures)
    app.connect("autodoc-skip-member", skip_fields)
    # before napoleon, which would take the references for a section of its own
    app.connect("autodoc-process-docstring", number_references, priority=400)
    app.connect("missing-reference", resolve)

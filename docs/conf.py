"""Sphinx: the guide is written by hand; ``building`` makes everything else from the code."""

import doctest
import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pictures  # noqa: E402
from building import api_pages, card, check_links, commands, gallery, notebooks  # noqa: E402
from building.links_to_api import Links  # noqa: E402
from building.names import CHAPTERS, PACKAGES  # noqa: E402
from docutils import nodes  # noqa: E402
from sphinx import addnodes  # noqa: E402

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
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Where the site is published, which pages that are shared must say of themselves.
html_baseurl = os.environ.get("FOUNDATION_SITE", "")
html_extra_path = ["_generated/site"]  # copied as it is: notebooks, and the card of shared links
SITE = HERE / html_extra_path[0]
SITE.mkdir(parents=True, exist_ok=True)

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # `write_types` shows them as the source writes them
python_maximum_signature_line_length = 88
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


LINKS = Links(HERE)


def write_parts(app: Any) -> None:
    """Write the pages, pictures and notebooks that come from code; none of them is committed."""
    generated = HERE / "_generated"
    api = HERE / "api"
    api_pages.write_pages(api)
    commands.write_page(api / "commands.rst")
    gallery.write_page(api / "gallery.rst")
    pictures.draw_all(generated)
    card.draw_card(SITE / card.CARD)
    notebooks.write_notebooks(HERE, SITE / "notebooks")


def offer_notebook(app: Any, doctree: nodes.document) -> None:
    """Put a link to its notebook beneath the title of each chapter."""
    chapter = app.env.docname
    if chapter in CHAPTERS:
        link = (
            f'<a href="notebooks/{chapter}.ipynb" download>Download this chapter as a notebook</a>'
        )
        title = next(iter(doctree.findall(nodes.title)))
        position = title.parent.index(title) + 1
        title.parent.insert(
            position, nodes.raw("", f'<p class="notebook">{link}</p>', format="html")
        )


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


def leave_letters(app: Any, doctree: nodes.document) -> None:
    """Letters in "(B, T, D) tensor" are sizes, though a class somewhere may have an attribute B."""
    for reference in list(doctree.findall(addnodes.pending_xref)):
        if re.fullmatch("[A-Z]", reference.get("reftarget", "")):
            reference.replace_self(reference.children)


def number_references(app: Any, what: str, name: str, obj: Any, options: Any, lines: Any) -> None:
    """Each docstring counts its references from [1]; on a page they need names of their own."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())
    for index, line in enumerate(lines):
        lines[index] = re.sub(r"(?<=\.\. )\[(\d+)\]|\[(\d+)\](?=_)", rf"[#{label}-\1\2]", line)


class Written(str):
    """An annotation as the source writes it, which a signature shows without quotes."""

    __repr__ = str.__str__


def write_types(
    app: Any, what: str, name: str, obj: Any, options: Any, given: str | None, returned: str | None
) -> tuple[str, str] | None:
    """Show the types of a signature in the words of the source: ``NDArray[Any]``, not what it is
    short for."""
    if given is None or what not in ("function", "class", "exception", "method"):
        return None
    signature = inspect.signature(obj)
    parameters = [each.replace(annotation=_written(each)) for each in _seen(signature, what)]
    shown = str(inspect.Signature(parameters))
    result = signature.return_annotation
    if what in ("class", "exception") or result is signature.empty:
        return shown, ""
    return shown, result if isinstance(result, str) else inspect.formatannotation(result)


def _seen(signature: inspect.Signature, what: str) -> list[inspect.Parameter]:
    """The parameters that a caller gives: of a method, not the object."""
    parameters = list(signature.parameters.values())
    bound = what == "method" and parameters and parameters[0].name in ("self", "cls")
    return parameters[1:] if bound else parameters


def _written(parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    return Written(annotation) if isinstance(annotation, str) else annotation


def read_private(app: Any, what: str, name: str, obj: Any, options: Any, lines: Any) -> None:
    """What private files say is written for those who read the source.

    What they refer to has no page mostly, so their references are words. Tables and drawings are
    only indented there.
    """
    if "._" not in name:
        return
    for index, line in enumerate(lines):
        # Plain lists instead of footnotes: some are cited within drawings, where no link can stand.
        line = re.sub(r"^\.\. \[#[a-z0-9-]+-(\d+)\] ", r"*  [\1] ", line)
        line = re.sub(r"\[#[a-z0-9-]+-(\d+)\]_", r"[\1]", line)
        line = re.sub(r":(?:func|class|mod|meth|attr):`~?([^`]+)`", r"``\1``", line)
        is_drawn = "".join(lines[index + 1 : index + 3]).startswith("    ") and not lines[index + 1]
        if is_drawn and re.search(r"[^:]:$", line):
            line += ":"
        lines[index] = line


def skip_fields(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """The fields of named tuples stand under "Attributes" already."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    app.connect("builder-inited", write_parts)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-signature", write_types)
    # before napoleon, which would take the references for a section of its own
    app.connect("autodoc-process-docstring", number_references, priority=400)
    app.connect("autodoc-process-docstring", read_private, priority=450)
    app.connect("autodoc-process-docstring", LINKS.tell_chapters, priority=900)
    app.connect("doctree-read", leave_letters)
    app.connect("doctree-read", LINKS.link_names)
    app.connect("doctree-read", offer_notebook)
    app.connect("missing-reference", resolve)
    app.connect("html-page-context", card.describe_page)
    app.connect("build-finished", check_links.check_site)

"""Links between chapters and API pages, in both directions.

In a chapter, the name of something public that stands between backquotes leads to its API page, the
first time in each section. On an API page, each name tells which chapters use it in their examples.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

from building.names import CHAPTERS, Name, chapters_of, imported_in, public_names

#: At most so many chapters are named beside a name: ``Tensor`` is in all of them.
MOST_CHAPTERS = 3


class Links:
    """The names of the packages beside the chapters in which they are used."""

    def __init__(self, docs: Path) -> None:
        self.docs = docs
        self.names = public_names()
        self.chapters = chapters_of(self.names, docs)
        counts = Counter(name.short for name in self.names)
        self.certain = {
            name.short: name.path
            for name in self.names
            if counts[name.short] == 1 and _is_distinctive(name)
        }
        self.certain.update({name.path: name.path for name in self.names})

    def tell_chapters(
        self, app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
    ) -> None:
        """Add a line to the docstring of what chapters use."""
        chapters = self.chapters.get(name, [])[:MOST_CHAPTERS]
        if chapters:
            listed = ", ".join(f":doc:`/{chapter}`" for chapter in chapters)
            lines += ["", ".. rst-class:: in-the-course", "", f"In the course: {listed}", ""]

    def link_names(self, app: Any, doctree: nodes.document) -> None:
        """Turn names between backquotes into references."""
        chapter = app.env.docname
        if chapter not in (*CHAPTERS, "faq", "glossary", "command"):
            return
        text = (self.docs / f"{chapter}.md").read_text("utf-8")
        known = self.certain | imported_in(text, self.names)
        linked: set[tuple[int, str]] = set()
        for literal in list(doctree.findall(nodes.literal)):
            path = known.get(literal.astext().removesuffix("()"))
            section = _section_of(literal)
            if path and section is not None and (id(section), path) not in linked:
                linked.add((id(section), path))
                literal.replace_self(_reference(chapter, path, literal))


def _is_distinctive(name: Name) -> bool:
    """Whether a word between backquotes can mean nothing else: ``step`` might be any step."""
    return bool(re.search(r"[A-Z_]", name.short)) and len(name.short) > 2


def _section_of(literal: nodes.literal) -> nodes.section | None:
    """The section in which a link may stand; none within headings and within other links."""
    parent = literal.parent
    while parent is not None and not isinstance(parent, nodes.section):
        if isinstance(parent, nodes.reference | nodes.title | addnodes.pending_xref):
            return None
        parent = parent.parent
    return parent


def _reference(chapter: str, path: str, literal: nodes.literal) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        literal.deepcopy(),
        refdoc=chapter,
        refdomain="py",
        reftype="obj",
        reftarget=path,
        refexplicit=True,
        refwarn=True,
    )

"""Every link of the finished site: the file must be there, and so must the place within it."""

import html.parser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
ADDRESSES = ("href", "src")
#: Pages that Sphinx makes by itself, whose links depend on what was built.
SKIPPED = ("genindex.html", "py-modindex.html", "search.html")


@dataclass
class Page(html.parser.HTMLParser):
    """The links of a page and the places that others may link to."""

    links: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" or (name == "name" and tag == "a"):
                self.places.add(value or "")
            elif name in ADDRESSES and value:
                self.links.add(value)


def read_page(path: Path) -> Page:
    """A page of the site with its links and places."""
    page = Page()
    page.feed(path.read_text("utf-8"))
    return page


def broken_links(site: Path) -> list[str]:
    """One line for each link within the site that leads nowhere."""
    pages = {path: read_page(path) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        if path.name in SKIPPED or "_modules" in path.parts:
            continue
        for link in sorted(page.links):
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            place = unquote(target.fragment)
            if not file.exists():
                broken.append(f"{path.relative_to(site)}: {link}: there is no such file")
            elif place and file in pages and place not in pages[file].places:
                broken.append(f"{path.relative_to(site)}: {link}: there is no such place")
    return broken


def check_site(app: Any, error: Exception | None) -> None:
    """Warn of each broken link, once the site is complete."""
    if error is None and app.builder.name == "html":
        for line in broken_links(Path(app.outdir).resolve()):
            LOGGER.warning(line)

"""The public names of the packages: where they are defined, and which chapters show them."""

import importlib
import inspect
import pkgutil
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = (
    "foundation_nn",
    "foundation_seq",
    "foundation_attn",
    "foundation_data",
    "foundation_transformer",
)
DOCS = Path(__file__).parents[1]


def _chapters() -> tuple[str, ...]:
    """The pages of the course, as the landing page lists them, and those that show more code."""
    text = (DOCS / "index.md").read_text("utf-8")
    (course,) = re.findall(r":caption: The course\n:maxdepth: 1\n\n(.*?)```", text, re.DOTALL)
    listed = [name for name in course.split() if name != "exercises"]
    return (*listed, "extending")


CHAPTERS = _chapters()
#: Parts of the packages that have no page: the command has its own reference.
WITHOUT_PAGE = ("cli", "examples")


@dataclass(frozen=True)
class Name:
    """A public name.

    Attributes
    ----------
    path : str
        How users import it, such as ``foundation_nn.functional.softmax``.
    file : str
        The module that defines it, such as ``foundation_nn.functional._softmax``.
    room : str
        The module on whose page it stands: the sub-package of that file.
    """

    path: str
    file: str
    room: str
    value: Any

    @property
    def short(self) -> str:
        return self.path.rpartition(".")[2]


def first_sentence(module: str) -> str:
    """The first paragraph of a module's docstring, on one line."""
    doc = inspect.getdoc(sys.modules[module]) or ""
    return " ".join(doc.split("\n\n")[0].split())


def public_names() -> list[Name]:
    """All of them, in the order of the packages and of their lists of names."""
    found: dict[tuple[int, str], Name] = {}
    for package in PACKAGES:
        for module in _modules(package):
            for short in getattr(module, "__all__", ()):
                value = getattr(module, short)
                if isinstance(value, ModuleType):
                    continue
                file = _file_of(value, short, module, package)
                # A name of two modules is imported from the package, which comes first.
                key = (id(value), short)
                room = _room(file, module.__name__)
                found.setdefault(key, Name(f"{module.__name__}.{short}", file, room, value))
    return list(found.values())


def _modules(package: str) -> list[ModuleType]:
    """A package and its public modules."""
    top = importlib.import_module(package)
    modules = [top]
    for found in pkgutil.walk_packages(top.__path__, f"{package}."):
        parts = found.name.split(".")[1:]
        private = any(part.startswith("_") for part in parts)
        if not private and parts[0] not in WITHOUT_PAGE:
            modules.append(importlib.import_module(found.name))
    return modules


def _file_of(value: Any, short: str, module: ModuleType, package: str) -> str:
    """The module in which a value is defined. Types and constants do not know theirs."""
    own = getattr(value, "__module__", None) or ""
    if own.startswith(f"{package}.") and own in sys.modules and hasattr(sys.modules[own], short):
        return own
    assignment = re.compile(rf"^(class )?{short}\b[^\n=]*(=|:)", re.MULTILINE)
    for name, other in sorted(sys.modules.items()):
        if name.startswith(f"{package}.") and vars(other).get(short) is value:
            source = Path(other.__file__ or "")
            if source.name != "__init__.py" and assignment.search(source.read_text("utf-8")):
                return name
    return module.__name__


def _room(file: str, module: str) -> str:
    """The page of a name that ``module`` exports: the public part of the path of its file."""
    if module.count("."):  # a name of a sub-module stands on its page
        return module
    parts = file.split(".")
    public = [part for part in parts if not part.startswith("_")]
    return ".".join(public[:2])


def chapters_of(names: list[Name], docs: Path) -> dict[str, list[str]]:
    """For the path of each name: the chapters whose code uses it, in the order of the course."""
    found: dict[str, list[str]] = {}
    for chapter in CHAPTERS:
        page = docs / f"{chapter}.md"
        if page.exists():
            for path in sorted(shown_in(page.read_text("utf-8"), names)):
                found.setdefault(path, []).append(chapter)
    return found


def imported_in(text: str, names: list[Name]) -> dict[str, str]:
    """What the examples of a page import: each name as it is written there, and its path."""
    known = {name.path for name in names}
    imported: dict[str, str] = {}
    statements = re.findall(r"^>>> from (foundation_[\w.]+) import (.+)$", text, re.MULTILINE)
    for module, listed in statements:
        for item in re.sub(r"[()]|#.*", "", listed).split(","):
            original, _, alias = item.strip().partition(" as ")
            if original:
                imported[alias or original] = f"{module}.{original}"
    exact = {alias: path for alias, path in imported.items() if path in known}
    # ``functional as F``: then F.softmax is a name, too.
    for alias, path in imported.items():
        inside = [name for name in known if name.rpartition(".")[0] == path]
        exact.update({f"{alias}.{name.rpartition('.')[2]}": name for name in inside})
    return exact


def shown_in(text: str, names: list[Name]) -> set[str]:
    """The paths of the names that the code of a page uses."""
    code = "\n".join(re.findall(r"^(?:>>>|\.\.\.) (.*)$", text, re.MULTILINE))
    return {
        path
        for written, path in imported_in(text, names).items()
        if re.search(rf"(?<![\w.]){re.escape(written)}\b", code)
    }

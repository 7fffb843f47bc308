"""The API pages: one for each room of a package, with a section for each of its files.

A page begins with the docstring of its room. A section has the first sentence of its file for a
heading, and the sections follow one another as that docstring names the files: both are kept by
those who change the code, and no list has to be kept here.
"""

import ast
import importlib
import inspect
import re
import sys
from collections import defaultdict
from pathlib import Path
from types import GenericAlias

from sphinx.pycode import ModuleAnalyzer

from building.names import PACKAGES, Name, first_sentence, public_names

#: Headings of pages whose docstring begins with a sentence that is too long for one.
TITLES = {
    "foundation_nn.engine": "Tensors and differentiation",
    "foundation_nn.functional": "Operations",
    "foundation_nn.optim": "Optimisers",
    "foundation_nn.training": "Training",
    "foundation_nn.schedules": "Learning rates",
    "foundation_nn.files": "Files",
    "foundation_nn.init": "Initial weights",
    "foundation_nn.lessons": "For examples",
    "foundation_nn.distributed.launch": "Starting processes",
    "foundation_attn.plotting": "Pictures of attention",
    "foundation_data.plotting": "Pictures of data",
    "foundation_data.corpora": "Real data",
    "foundation_data.tasks": "Made-up tasks",
    "foundation_data.tokenizers": "Tokenizers",
    "foundation_data.reading": "Reading",
    "foundation_data.batches": "Batches",
    "foundation_transformer.recipes": "Recipes",
    "foundation_transformer.adapters": "Adapters",
    "foundation_transformer.chat": "Conversations",
}
#: The page of a package that shows what its files say of themselves.
INSIDE = ".inside"
INSIDE_INTRODUCTION = """\
This page is for those who read the source. It holds what the files of the package say at their
beginning: how each part works, why it was made so, and the plain version of what is fast. The
functions, classes and numbers that explain more than their name follow, though nobody imports them.
The examples are run by the tests.
"""
#: Parts of the packages of which that page says nothing.
WITHOUT_INSIDE = ("examples",)
#: Headings of the parts of a docstring. What stands before the first of them explains.
PARTS = ("Parameters", "Attributes", "Returns", "Raises", "Examples", "References")
#: A title is not longer than this, as it stands in the list of pages at the left.
LONGEST_TITLE = 34


def write_pages(folder: Path) -> None:
    """Write the pages of all packages into a folder, and remove those of names that are gone."""
    folder.mkdir(exist_ok=True)
    rooms: dict[str, list[Name]] = defaultdict(list)
    for name in public_names():
        rooms[name.room].append(name)
    written = set()
    for package in PACKAGES:
        own = [room for room in rooms if room.startswith(f"{package}.")]
        own_names = [name for room in (package, *own) for name in rooms.get(room, [])]
        inside = _inside_page(package, own_names)
        written.add(_write(folder / f"{package}{INSIDE}.rst", inside))
        text = _package_page(package, rooms.get(package, []), own)
        written.add(_write(folder / f"{package}.rst", text))
        for room in own:
            written.add(_write(folder / f"{room}.rst", _page(title_of(room), room, rooms[room])))
    for page in folder.glob("foundation_*.rst"):
        if page not in written:
            page.unlink()


def _write(path: Path, lines: list[str]) -> Path:
    """Write a page, but not if it is there already: Sphinx reads anew what is younger."""
    text = "\n".join(lines)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
    return path


def title_of(room: str) -> str:
    """A few words for a heading and for the list of pages."""
    if room in TITLES:
        return TITLES[room]
    title = re.split(r"[:;,.]( |$)", first_sentence(room))[0].replace("``", "")
    return title if 0 < len(title) <= LONGEST_TITLE else room.rpartition(".")[2].capitalize()


def _heading(text: str, rule: str) -> list[str]:
    return [text, rule * len(text), ""]


def _package_page(package: str, names: list[Name], rooms: list[str]) -> list[str]:
    """What is in a package: its own names, if they have no room, and a list of its rooms."""
    lines = [*_heading(package, "="), f".. automodule:: {package}", ""]
    lines += [".. toctree::", "   :maxdepth: 1", ""]
    lines += [f"   {title_of(room)} <{room}>" for room in rooms]
    lines += [f"   How it works inside <{package}{INSIDE}>", ""]
    return lines + _sections(names)


def _inside_page(package: str, names: list[Name]) -> list[str]:
    """What the files that nobody imports tell of themselves and of what is in them.

    Parameters
    ----------
    names : list of Name
        The public names of the package, which have pages of their own.
    """
    public = {(name.file, name.short) for name in names}
    lines = [*_heading(f"How {package} works inside", "="), INSIDE_INTRODUCTION]
    folder = Path(sys.modules[package].__path__[0])
    for file in sorted(folder.rglob("_*.py")):
        path = file.relative_to(folder)
        if file.name == "__init__.py" or path.parts[0] in WITHOUT_INSIDE:
            continue
        module = ".".join((package, *path.with_suffix("").parts))
        tree = ast.parse(file.read_text("utf-8"))
        entries: list[str] = []
        for node in tree.body:
            if (module, getattr(node, "name", "")) not in public:
                entries += _private_entry(module, node)
            elif isinstance(node, ast.ClassDef):
                entries += _private_methods(module, node)
        entries += _numbers(module, public)
        if entries or "\n\n" in (ast.get_docstring(tree) or ""):
            importlib.import_module(module)
            lines += [*_heading(path.as_posix(), "-"), f".. automodule:: {module}"]
            lines += ["   :no-index:", "", *entries]
    return lines


def _private_entry(module: str, node: ast.stmt) -> list[str]:
    """What Sphinx is told of a function or class that has no page, if it explains something."""
    if isinstance(node, ast.FunctionDef):
        entry = [f".. autofunction:: {module}.{node.name}", "   :no-index:", ""]
        return entry if _explains(node) else []
    if not isinstance(node, ast.ClassDef):
        return []
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    told = [method.name for method in methods if _explains(method)]
    if not told and not _explains(node):
        return []
    lines = [f".. autoclass:: {module}.{node.name}", "   :no-index:"]
    return [*lines, *([f"   :members: {', '.join(told)}"] if told else []), ""]


def _private_methods(module: str, node: ast.ClassDef) -> list[str]:
    """What Sphinx is told of methods that explain something and that the page of a class leaves
    out."""
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    lines: list[str] = []
    for method in methods:
        is_private = method.name.startswith("_") and not method.name.startswith("__")
        if is_private and _explains(method):
            path = f"{module}.{node.name}.{method.name}"
            lines += [f".. automethod:: {path}", "   :no-index:", ""]
    return lines


def _explains(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a docstring has more prose than a first sentence."""
    _, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
    title, _, rule = rest.partition("\n")
    return bool(rest) and not (title in PARTS and rule.startswith("---"))


def _numbers(module: str, public: set[tuple[str, str]]) -> list[str]:
    """Constants with a comment ``#:`` that says what they are for."""
    analyzer = ModuleAnalyzer.for_module(module)
    values = vars(importlib.import_module(module))
    lines: list[str] = []
    before: list[str] = []
    for (owner, short), comment in analyzer.find_attr_docs().items():
        is_number = isinstance(values.get(short), int | float) and short.isupper()
        is_told, before = comment == before, comment  # one comment for several names
        if not owner and is_number and (module, short) not in public and not is_told:
            lines += [f".. py:data:: {short}", f"   :module: {module}", "   :no-index:"]
            lines += [f"   :value: {values[short]!r}", "", *(f"   {line}" for line in comment), ""]
    return lines


def _page(title: str, room: str, names: list[Name]) -> list[str]:
    return [*_heading(title, "="), f".. automodule:: {room}", "", *_sections(names)]


def _sections(names: list[Name]) -> list[str]:
    """The names, file by file; a page of one file has no headings."""
    files: dict[str, list[Name]] = defaultdict(list)
    for name in names:
        files[name.file].append(name)
    lines: list[str] = []
    for file, own in sorted(files.items(), key=_place_in_reading_order):
        if len(files) > 1 and file != own[0].room:
            heading = first_sentence(file) if file in sys.modules else ""
            lines += _heading(heading.rstrip(".").replace("`", ""), "-")
        for name in own:
            lines += _entry(name)
    return lines


def _entry(name: Name) -> list[str]:
    """What Sphinx is told of one name."""
    if isinstance(name.value, GenericAlias) or not (
        inspect.isclass(name.value) or inspect.isroutine(name.value)
    ):
        return _data(name)
    lines = [f".. {_kind(name)}:: {name.path}"]
    lines += ["   :members:"] if inspect.isclass(name.value) else []
    return [*lines, ""]


def _data(name: Name) -> list[str]:
    """A constant or a type, with the comment ``#:`` above it."""
    comments = ModuleAnalyzer.for_module(name.file).find_attr_docs()
    lines = [f".. py:data:: {name.short}", f"   :module: {name.path.rpartition('.')[0]}"]
    if isinstance(name.value, int | float | str | tuple):
        lines += [f"   :value: {name.value!r}"]
    return [*lines, "", *(f"   {line}" for line in comments.get(("", name.short), [])), ""]


def _place_in_reading_order(item: tuple[str, list[Name]]) -> int:
    """Where the docstring of the room names a file; behind all others if it does not."""
    file, names = item
    doc = inspect.getdoc(sys.modules[names[0].room]) or ""
    stem = file.rpartition(".")[2]
    found = re.search(rf"(?<!\w){stem}(?!\w)", doc)
    return found.start() if found else len(doc)


def _kind(name: Name) -> str:
    if inspect.isclass(name.value):
        is_error = issubclass(name.value, BaseException)
        return "autoexception" if is_error else "autoclass"
    return "autofunction"

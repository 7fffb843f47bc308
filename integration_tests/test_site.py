"""What the site makes of its pages: notebooks whose code runs, links that are followed."""

import ast
import base64
import doctest
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx")  # the docs session has it, and runs these tests
from foundation_transformer.cli._arguments import make_parser

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

from building import gallery  # noqa: E402
from building.check_links import broken_links  # noqa: E402
from building.names import CHAPTERS, chapters_of, public_names  # noqa: E402
from building.notebooks import FENCE, code_of, convert  # noqa: E402
from pictures import chapters, pictures_of  # noqa: E402

WRITTEN = [chapter for chapter in CHAPTERS if (DOCS / f"{chapter}.md").exists()]
PAGE = """\
# A page

What is `1 + 1`, as a formula: $x_1 + x_2$? See [Data](data.md#padding) and {py:mod}`foundation_nn`.

```{doctest}
>>> x = 1
>>> def double(y):
...     return 2 * y
>>> double(x)
2
>>> 1 / 0  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ZeroDivisionError: division by zero
>>> y = double(double(x))
```

`term`
: What it means.

```sh
ls
```

```{figure} dot.png
:alt: A dot.
:width: 80%

The dot.
```
"""


def test_a_page_becomes_cells(tmp_path):
    (tmp_path / "dot.png").write_bytes(b"dot")
    notebook = convert(PAGE, tmp_path)
    assert code_of(notebook) == [
        "x = 1\ndef double(y):\n    return 2 * y\ndouble(x)",
        "1 / 0",
        "y = double(double(x))",
    ]
    fails = [c["metadata"].get("tags") for c in notebook["cells"] if c["cell_type"] == "code"]
    assert fails == [None, ["raises-exception"], None]
    first, second, *_, last = ["".join(c["source"]) for c in notebook["cells"]]
    assert first.startswith("# A page\n")
    assert second.endswith("$x_1 + x_2$? See [Data](data.ipynb) and `foundation_nn`.")
    assert last.startswith("* `term`  \n  What it means.\n\n```sh\nls\n```\n")
    assert last.endswith("![A dot.](attachment:dot.png)\n\n*The dot.*")
    image = notebook["cells"][-1]["attachments"]["dot.png"]["image/png"]
    assert base64.b64decode(image) == b"dot"


@pytest.mark.parametrize("chapter", WRITTEN)
def test_a_notebook_holds_all_examples_of_its_chapter(chapter):
    """What the examples of the page run is run by the cells, statement by statement."""
    text = (DOCS / f"{chapter}.md").read_text("utf-8")
    notebook = json.loads(json.dumps(convert(text, DOCS)))
    cells = code_of(notebook)
    examples = "".join(e.source for e in doctest.DocTestParser().get_examples(text))
    assert ast.dump(ast.parse("\n".join(cells))) == ast.dump(ast.parse(examples))
    for cell in notebook["cells"]:
        assert set(cell) >= {"id", "cell_type", "metadata", "source"}
        assert (cell["cell_type"] == "code") == ({"outputs", "execution_count"} <= set(cell))
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_the_code_of_a_notebook_runs(tmp_path):
    """As a notebook does: all cells in one process, one after another."""
    notebook = convert((DOCS / "attention.md").read_text("utf-8"), DOCS)
    lines = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            if cell["metadata"].get("tags"):
                source = f"try:\n    exec({source!r})\nexcept Exception: pass"
            lines.append(source)
    script = tmp_path / "cells.py"
    script.write_text("\n".join(lines), "utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_code_fits_on_narrow_screens(page):
    """A long line of code has to be scrolled sideways to be read."""
    long = []
    for fence in FENCE.finditer(page.read_text("utf-8")):
        if fence[2] != "{figure}":
            long += [line for line in fence[4].splitlines() if len(line) > 120]
    assert not long


def test_no_page_is_wider_than_a_phone(tmp_path):
    """Wide tables, formulas and code scroll by themselves; the page does not."""
    browsers = map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))
    browser = next(filter(None, browsers), None)
    pages = sorted((DOCS / "_build" / "html").rglob("*.html"))
    if browser is None or not pages:
        pytest.skip("there is no Chromium here" if pages else "the site was not built")
    frames = "".join(
        f'<iframe src="{page.as_uri()}" width=390 height=800 frameborder=0></iframe>'
        for page in pages
    )
    measure = """<script>onload = () => {
        const found = [...document.querySelectorAll("iframe")];
        const pages = found.map(each => each.contentDocument.documentElement);
        document.body.textContent = pages.map(each => each.scrollWidth).join(" ");
    }</script>"""
    wrapper = tmp_path / "frames.html"
    wrapper.write_text(f"<!DOCTYPE html><body>{frames}{measure}</body>", "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-web-security"]
    options += ["--disable-site-isolation-trials", "--allow-file-access-from-files"]
    options += [f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *options, "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    body = re.search(r"<body>([\d ]*)</body>", done.stdout)
    assert body, done.stdout[:500] + done.stderr[-500:]
    widths = dict(zip(pages, map(int, body[1].split()), strict=True))
    assert min(widths.values()) >= 375  # each of them was laid out
    assert {page.name: width for page, width in widths.items() if width > 390} == {}


def test_broken_links_are_found(tmp_path):
    (tmp_path / "one.html").write_text(
        '<h1 id="top"></h1><a href="two.html#here"></a><a href="#top"></a><img src="no.png">'
        '<a href="two.html#there"></a><a href="https://example.org"></a><a href="#bottom"></a>'
    )
    (tmp_path / "two.html").write_text('<p id="here"></p><a href="one.html"></a>')
    assert broken_links(tmp_path) == [
        "one.html: #bottom: there is no such place",
        "one.html: no.png: there is no such file",
        "one.html: two.html#there: there is no such place",
    ]


def test_the_gallery_shows_every_picture_with_all_the_code_that_it_needs(tmp_path):
    (tmp_path / "api").mkdir()
    for chapter in WRITTEN:
        (tmp_path / f"{chapter}.md").write_text(f"# {chapter}\n", "utf-8")
    gallery.write_page(tmp_path / "api" / "gallery.rst")
    text = (tmp_path / "api" / "gallery.rst").read_text("utf-8")
    names = [name for module in chapters() for name in pictures_of(module)]
    assert len(names) > 20
    assert all(f"/_generated/{name}.png" in text for name in names)
    needed = [text.index(f":pyobject: {name}\n") for name in ("_spirals", "_trained", "boundary")]
    assert needed == sorted(needed)  # a helper stands before what calls it


def test_chapters_show_what_they_import():
    names = public_names()
    shown = chapters_of(names, DOCS)
    assert "attention" in shown["foundation_attn.attention"]
    assert "data" in shown["foundation_data.BatchLoader"]
    assert "neural_networks" in shown["foundation_nn.functional.cross_entropy"]
    softmax = next(name for name in names if name.path == "foundation_nn.functional.softmax")
    assert (softmax.file, softmax.room) == (
        "foundation_nn.functional._softmax",
        "foundation_nn.functional",
    )


@pytest.mark.parametrize("name", sorted(make_parser().commands()))
def test_every_command_has_an_example_that_it_understands(name):
    parser = make_parser()
    command = parser.commands()[name]
    if command.commands():  # its own commands have them
        return
    line = command.example.partition("| ")[2] or command.example
    typed = line.partition(" > ")[0].partition(" < ")[0]
    program, *arguments = shlex.split(typed)
    assert program == "foundation"
    assert arguments[: len(name.split())] == name.split()
    parser.parse_args(arguments)
    assert command.example in command.format_help()

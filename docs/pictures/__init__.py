"""The pictures of the course, drawn when the site is built, so that they show what the code does.

Each chapter with pictures has a module here whose functions are named like its files: ``norms``
in ``transformer_layer.py`` returns the figure that the page shows as ``_generated/norms.png``.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

import foundation_attn
import foundation_data
import foundation_nn
import foundation_seq
import foundation_transformer
from foundation_nn.plotting import save_figure

PACKAGES = (
    foundation_nn,
    foundation_seq,
    foundation_attn,
    foundation_data,
    foundation_transformer,
)


def draw_all(folder: Path) -> None:
    """Draw the pictures of all chapters into ``folder``, but those newer than their code."""
    folder.mkdir(exist_ok=True)
    here = Path(__file__).parent
    common = list(here.glob("_*.py"))
    for package in PACKAGES:
        common += Path(package.__path__[0]).rglob("*.py")
    for found in pkgutil.iter_modules(__path__):
        if found.name.startswith("_"):
            continue
        chapter = importlib.import_module(f"{__name__}.{found.name}")
        code = [here / f"{found.name}.py", *common]
        changed = max(file.stat().st_mtime for file in code)
        for name, draw in inspect.getmembers(chapter, inspect.isfunction):
            if draw.__module__ != chapter.__name__ or name.startswith("_"):
                continue  # imported, or a part of a picture
            path = folder / f"{name}.png"
            if not path.exists() or path.stat().st_mtime < changed:
                save_figure(draw(), path)

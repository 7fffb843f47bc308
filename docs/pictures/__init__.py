"""The pictures of the course, drawn when the site is built, so that they show what the code does.

Each chapter with pictures has a module here whose functions are named like its files: ``norms``
in ``transformer_layer.py`` returns the figure that the page shows as ``_generated/norms.png``.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

from foundation_nn.plotting import save_figure


def draw_all(folder: Path, *, again: bool) -> None:
    """Draw the pictures of all chapters into ``folder``; those that are there only if ``again``."""
    folder.mkdir(exist_ok=True)
    for found in pkgutil.iter_modules(__path__):
        if found.name.startswith("_"):
            continue
        chapter = importlib.import_module(f"{__name__}.{found.name}")
        for name, draw in inspect.getmembers(chapter, inspect.isfunction):
            path = folder / f"{name}.png"
            of_this_chapter = draw.__module__ == chapter.__name__ and not name.startswith("_")
            if of_this_chapter and (again or not path.exists()):
                save_figure(draw(), path)

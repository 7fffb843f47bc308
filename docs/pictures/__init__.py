"""The pictures of the course, drawn when the site is built, so that they show what the code does.

Each chapter with pictures has a module here whose functions are named like its files: ``norms``
in ``transformer_layer.py`` returns the figure that the page shows as ``_generated/norms.png``.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

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


def chapters() -> list[ModuleType]:
    """The modules of this folder that hold pictures."""
    names = [found.name for found in pkgutil.iter_modules(__path__)]
    return [importlib.import_module(f"{__name__}.{n}") for n in names if not n.startswith("_")]


def pictures_of(chapter: ModuleType) -> dict[str, Callable[[], Any]]:
    """The functions of a module that draw a picture each, in their order."""
    return {
        name: function
        for name, function in vars(chapter).items()
        # Others are imported, or draw a part of a picture.
        if inspect.isfunction(function)
        and function.__module__ == chapter.__name__
        and not name.startswith("_")
    }


def draw_all(folder: Path) -> None:
    """Draw the pictures of all chapters into ``folder``, but those newer than their code."""
    folder.mkdir(exist_ok=True)
    here = Path(__file__).parent
    common = list(here.glob("_*.py"))
    for package in PACKAGES:
        common += Path(package.__path__[0]).rglob("*.py")
    for chapter in chapters():
        code = [Path(chapter.__file__ or ""), *common]
        changed = max(file.stat().st_mtime for file in code)
        for name, draw in pictures_of(chapter).items():
            path = folder / f"{name}.png"
            if not path.exists() or path.stat().st_mtime < changed:
                save_figure(draw(), path)

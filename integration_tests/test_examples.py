"""What every example of the five packages promises."""

import importlib
import pkgutil
import runpy
import sys
from pathlib import Path

import pytest

PACKAGES = ("nn", "data", "seq", "attn", "transformer")


def examples():
    """The name of each example, and its file."""
    for package in PACKAGES:
        folder = importlib.import_module(f"foundation_{package}.examples")
        for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
            name = module.name.rpartition(".")[2]
            if not name.startswith("_"):
                yield module.name, Path(folder.__path__[0], f"{name}.py")


EXAMPLES = list(examples())


@pytest.mark.parametrize(("name", "file"), EXAMPLES)
def test_an_example_answers_help_and_has_the_options_that_all_have(name, file, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(file), run_name="__main__")  # what python -m does
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.split()[:4] == ["usage:", "python", "-m", name]
    for option in ("--seed", "--out", "--quick"):
        assert option in said


@pytest.mark.parametrize("name", [name for name, _ in EXAMPLES])
def test_an_example_says_what_it_does_and_how_to_start_it(name):
    documentation = importlib.import_module(name).__doc__
    assert f"python -m {name}" in documentation
    assert ".png" in documentation or "pictures" in documentation

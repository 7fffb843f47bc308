"""Every example in a docstring runs and is right."""

import doctest
import importlib
import pkgutil

import foundation_data
import pytest

MODULES = sorted(module.name for module in pkgutil.iter_modules(foundation_data.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"foundation_data.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_public_names_exist_and_are_documented() -> None:
    for name in foundation_data.__all__:
        assert getattr(foundation_data, name).__doc__

"""The classes of a package show its name."""

import sys
from types import ModuleType

import pytest
from foundation_nn import Tensor, publish


@pytest.fixture
def package(monkeypatch):
    """A package with a public class, a helper, and a class of another package."""
    inner, outer = ModuleType("a_package._inner"), ModuleType("a_package")
    code = """
class Public:
    def method(self): ...
    @classmethod
    def make(cls): ...
    @staticmethod
    def helper(): ...
    number = 1

class Private: ...
def function(): ...
"""
    exec(code, vars(inner))  # noqa: S102 - a module without a file
    outer.Public = inner.Public
    outer.function = inner.function
    outer.Tensor = Tensor
    outer.__all__ = ["Public", "Tensor", "function"]
    for module in (inner, outer):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return inner


def test_public_classes_and_their_methods_name_the_package(package):
    before = Tensor.__module__
    publish("a_package")
    assert repr(package.Public) == "<class 'a_package.Public'>"
    for method in (package.Public.method, package.Public.make, package.Public.helper):
        assert method.__module__ == "a_package"
    assert package.Private.__module__ == "a_package._inner"
    assert Tensor.__module__ == before  # not this package's

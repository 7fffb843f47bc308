"""Errors show the path by which they are imported, and the source of all classes is found."""

import inspect

import foundation_transformer
import pytest
from foundation_transformer import evaluation, pretrained, recipes

PACKAGES = [foundation_transformer, evaluation, pretrained, recipes]
CLASSES = {getattr(package, name) for package in PACKAGES for name in package.__all__}


@pytest.mark.parametrize("cls", sorted((c for c in CLASSES if isinstance(c, type)), key=str))
def test_errors_show_the_public_path_and_sources_are_found(cls):
    if issubclass(cls, BaseException):
        assert cls.__module__ in [package.__name__ for package in PACKAGES]
    else:
        assert inspect.getsource(cls).startswith(("class ", "@"))


def test_an_error_names_the_path_by_which_it_is_caught():
    expected = "<class 'foundation_transformer.ContextLengthError'>"
    assert repr(foundation_transformer.ContextLengthError) == expected

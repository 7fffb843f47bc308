"""Errors show the path by which they are imported, and the source of all classes is found."""

import inspect

import foundation_seq
import pytest

CLASSES = [
    value
    for value in (getattr(foundation_seq, name) for name in foundation_seq.__all__)
    if isinstance(value, type)
]


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_show_the_public_path_and_sources_are_found(cls):
    if issubclass(cls, BaseException):
        assert cls.__module__ == "foundation_seq"
    else:
        assert inspect.getsource(cls).startswith(("class ", "@"))

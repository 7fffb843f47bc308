"""Errors show the package that exports them, and the source of everything public is found."""

import importlib
import inspect
import traceback

import foundation_nn
import pytest
from foundation_nn import GradientError, Linear, checkpoint


def test_a_traceback_ends_with_the_public_path():
    for error, path in [
        (GradientError("wrong"), "foundation_nn.GradientError: wrong"),
        (checkpoint.CheckpointError("gone"), "foundation_nn.checkpoint.CheckpointError: gone"),
    ]:
        assert traceback.format_exception_only(error) == [f"{path}\n"]
        module, name = path.partition(":")[0].rsplit(".", 1)
        assert getattr(importlib.import_module(module), name) is type(error)


def test_other_classes_keep_the_file_that_holds_their_source():
    assert Linear.__module__ == "foundation_nn.modules._linear"


@pytest.mark.parametrize("name", foundation_nn.__all__)
def test_the_source_of_what_is_public_is_found(name):
    value = getattr(foundation_nn, name)
    if isinstance(value, type) and not issubclass(value, BaseException):
        assert inspect.getsource(value).startswith(("class ", "@"))

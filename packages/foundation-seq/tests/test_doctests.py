"""The examples in the docstrings run as they are printed."""

import doctest
import importlib
import pkgutil

import foundation_seq
import numpy as np
import pytest

MODULES = [
    module.name for module in pkgutil.walk_packages(foundation_seq.__path__, "foundation_seq.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    known = {"np": np} | {
        public: getattr(foundation_seq, public) for public in foundation_seq.__all__
    }
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs=known)
    assert not failed


def test_all_names_exist_and_have_docstrings():
    for name in foundation_seq.__all__:
        assert getattr(foundation_seq, name).__doc__

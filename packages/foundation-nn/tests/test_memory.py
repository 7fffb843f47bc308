"""Asking the C library to keep freed memory."""

import ctypes
import sys

import pytest
from foundation_nn import keep_freed_memory


@pytest.fixture(autouse=True)
def asked_for_the_first_time():
    keep_freed_memory.cache_clear()
    yield
    keep_freed_memory.cache_clear()


class Library:
    def __init__(self, answers):
        self.answers = answers
        self.settings = {}

    def mallopt(self, name, value):
        self.settings[name] = value
        return self.answers.pop(0)


@pytest.mark.parametrize(("answers", "kept"), [([1, 1], True), ([1, 0], False), ([0], False)])
def test_both_thresholds_are_raised(monkeypatch, answers, kept):
    library = Library(answers)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert keep_freed_memory() is kept
    assert keep_freed_memory() is kept  # asked but once
    assert all(value >= 1 << 30 for value in library.settings.values())
    assert set(library.settings) <= {-1, -3}


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("asked"))
    assert keep_freed_memory() is False


def test_c_libraries_without_the_setting(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert keep_freed_memory() is False

"""Patterns of tokenizer files: which of them are searched without a time limit."""

import time

import pytest
from foundation_data.tokenizers._patterns import QUICK, WORDS_WITH_SPACE, compile_pattern


@pytest.mark.parametrize("pattern", sorted(QUICK))
@pytest.mark.parametrize("text", [" ", "a", "1", "'", "\n", " a", "a1", "!", "\u0301", " \t\n"])
def test_patterns_without_a_time_limit_need_none(pattern, text):
    started = time.monotonic()
    found = compile_pattern(pattern).findall(text * 200_000)
    assert "".join(found) == text * 200_000
    assert time.monotonic() - started < 2  # a tenth of that; a square would take hours


def test_only_known_patterns_have_no_time_limit():
    assert not compile_pattern(WORDS_WITH_SPACE).limited
    assert compile_pattern(r"\p{L}+").limited

"""Normalisation: which texts count as the same."""

import unicodedata

import pytest
from foundation_data import normalize
from foundation_data._text import source_key
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("  two  \t words\r\n", "two words"),
        ("Cours\u202f!", "Cours !"),
        ("a\u00a0b\u2009c\u3000d", "a b c d"),
        ("e\u0301te\u0301", "été"),
        ("zero\u200bwidth soft\u00adhyphen \ufeffmark", "zerowidth softhyphen mark"),
        ("nul\x00bell\x07end\x7f", "nul bell end"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("می\u200cروم", "می\u200cروم"),
        ("", ""),
        ("\u200b \n", ""),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert normalize(text) == expected


# Any code points, lone surrogates and control characters included.
anything = st.text(st.characters(codec=None, exclude_categories=[]))


@given(anything)
def test_twice_is_once_and_the_result_is_clean(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())
    once.encode("utf-8")


@given(anything)
def test_the_key_ignores_case_and_spacing(text: str) -> None:
    assert source_key(f"  {text} ") == source_key(text)
    assert source_key(source_key(text)) == source_key(text)


def test_the_key_of_sharp_s_and_dotted_i() -> None:
    assert source_key("STRASSE") == source_key("straße")
    assert source_key("É t é") == source_key("e\u0301  T  e\u0301")
    assert source_key("go") != source_key("go!")


def test_no_string() -> None:
    with pytest.raises(TypeError, match="normalize: expected a str, got bytes: b'x'"):
        normalize(b"x")  # type: ignore[arg-type]

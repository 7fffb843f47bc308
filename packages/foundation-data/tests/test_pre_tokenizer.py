"""Cutting text into pieces, and the regular expressions that say how."""

import re
import unicodedata

import pytest
from foundation_data.tokenizers._patterns import WHITE_SPACE, compile_pattern
from foundation_data.tokenizers.pipeline._pre_tokenizer import (
    ByteLevel,
    Digits,
    Split,
    Step,
    cut_text,
    steps_from_json,
)
from hypothesis import given
from hypothesis import strategies as st
from many_scripts import CORPUS


@pytest.mark.parametrize("category", ["L", "Lu", "N", "Nd", "P", "M", "Mc", "Z", "Co", "Cf"])
def test_categories_are_those_of_unicodedata(category: str) -> None:
    inside = compile_pattern(rf"\p{{{category}}}")
    outside = compile_pattern(rf"\P{{{category}}}")
    for code in (*range(0x3000), *range(0x3000, 0x110000, 7), 0xFFFFD, 0xFFFFE, 0x10FFFD, 0x10FFFF):
        found = unicodedata.category(chr(code))
        if found != "Cn":  # assigned since this Python was built, or never
            belongs = found.startswith(category)
            assert (inside.findall(chr(code)) == [chr(code)]) == belongs
            assert (outside.findall(chr(code)) == []) == belongs


def test_white_space_is_unicodes() -> None:
    pattern = compile_pattern(r"\s")
    for code in range(0x3100):
        # The four separators are white space for Python, but not for Unicode.
        expected = chr(code).isspace() and not 0x1C <= code <= 0x1F
        assert (pattern.findall(chr(code)) == [chr(code)]) == expected
        assert (chr(code) in WHITE_SPACE) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"\p{L}+", "añb1ç", ["añb", "ç"]),
        (r"[^\s\p{L}]", "a 1\x1c.", ["1", "\x1c", "."]),
        (r"\p{^L}", "a1", ["1"]),
        (r"\P{^L}", "a1", ["a"]),
        (r"[\P{L}x]+", "ax1b", ["x1"]),
        (r"\S+", "a b\u2028c", ["a", "b", "c"]),
        (r"(a|b)c", "acbc", ["ac", "bc"]),
        (r"(?i:'S)|[(]\]", "'s(]", ["'s", "(]"]),
        (r"\d{1,3}(?=(\d{3})*\b)".replace(r"\b", "$"), "1234567", ["1", "234", "567"]),
        (r"\\\.\-\ ", r"\.- ", [r"\.- "]),
        (r"[]a]", "]a", ["]", "a"]),
        (r" ?\p{L}++", " ab", [" ab"]),
        (r"\p{Han}+", "漢字かな", ["漢字"]),
        (r"^a|b$", "a\nab\nb", ["a", "a", "b", "b"]),  # at every line
        (r"a{e<=1}|x{2}", "a{e<=1}axx", ["a{e<=1}", "xx"]),  # a brace that counts nothing
        (r"(?>a+)b|\v|\x41\u00e9", "aab\vAé", ["aab", "\v", "Aé"]),
    ],
)
def test_patterns_by_hand(pattern: str, text: str, matches: list[str]) -> None:
    assert compile_pattern(pattern).findall(text) == matches


@pytest.mark.parametrize(
    "pattern",
    [r"\p{Klingon}", r"\w+", r"\bx", r"[a&&b]", r"[a[b]]", r"[[:alpha:]]", r"\h", r"\X", r"\L<a>"]
    + ["(", "a**", "(?m:a.)", "(?<name>a)", "(?P<name>a)", "(?|a)", "\\", "a" * 10_001, "(" * 9000],
)
def test_patterns_that_are_not_supported(pattern: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(pattern)[:60])):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["a{1001}", "(a{10}){101}", "(?:x|(?:[ab]{40}c){26})+", "((a{100}){100}){100}"]
)
def test_repetitions_that_would_take_gigabytes(pattern: str) -> None:
    with pytest.raises(ValueError, match="repeats a part at most 1,000 times"):
        compile_pattern(pattern)


def test_repetitions_beside_each_other() -> None:
    assert compile_pattern("(a{2}b{500}){2}|[a{9}]{1,1000}").findall("{{a") == ["{{a"]


@pytest.mark.parametrize("behavior", ["Isolated", "Removed"])
def test_a_pattern_that_would_never_end(behavior: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundation_data.tokenizers._patterns.SECONDS", 0.1)
    text = "a" * 60 + "!"
    message = re.escape(
        "the pattern '(a|a)*$' of this tokenizer takes more than 0.1 seconds for 61"
    )
    with pytest.raises(ValueError, match=message):
        Split("(a|a)*$", behavior).cut(text)
    # The engine sees through this one, which Python's `re` does not.
    assert Split("(a+)+$", behavior).cut(text) == [text]


@pytest.mark.parametrize(
    ("behavior", "invert", "pieces"),
    [
        ("Removed", False, ["a", "bc"]),
        ("Removed", True, ["-", "-", "-"]),
        ("Isolated", False, ["-", "a", "-", "-", "bc"]),
        ("Isolated", True, ["-", "a", "-", "-", "bc"]),
        ("Contiguous", False, ["-", "a", "--", "bc"]),
        ("MergedWithPrevious", False, ["-", "a-", "-", "bc"]),
        ("MergedWithNext", False, ["-a", "-", "-bc"]),
        ("MergedWithPrevious", True, ["-a", "-", "-bc"]),
        ("MergedWithNext", True, ["-", "a-", "-", "bc"]),
    ],
)
def test_what_becomes_of_a_match(behavior: str, invert: bool, pieces: list[str]) -> None:
    assert Split("-", behavior, invert).cut("-a--bc") == pieces


def test_cuts_by_hand() -> None:
    words = [ByteLevel()]
    assert cut_text(words, "I'll go  now,\n\nok 25€") == [
        *("I", "'ll", " go", " ", " now", ",", "\n", "\n", "ok", " 25", "€")
    ]
    assert cut_text(words, "तेज़ x") == ["त", "े", "ज", "़", " x"]  # a sign is no letter here
    assert cut_text([ByteLevel(prefix_space=True)], "a b") == [" a", " b"]
    assert cut_text([ByteLevel(words=False)], "a b") == ["a b"]
    assert cut_text([Digits(individual=True)], "a12½b") == ["a", "1", "2", "½", "b"]
    assert cut_text([Digits()], "a12½b") == ["a", "12½", "b"]
    assert cut_text(words, "") == []
    assert cut_text([Split("x*")], "axxb") == ["a", "xx", "b"]


STEPS: list[Step] = [
    *(ByteLevel(), ByteLevel(words=False), Digits(), Digits(individual=True)),
    *(Split(r"\p{L}+"), Split(r"\s", "MergedWithNext"), Split(r"\d", "Contiguous", invert=True)),
]


@given(st.text(st.characters(codec=None, exclude_categories=[])), st.lists(st.sampled_from(STEPS)))
def test_no_step_loses_anything(text: str, steps: list[Step]) -> None:
    pieces = cut_text(steps, text)
    assert "".join(pieces) == text
    assert all(pieces)


@pytest.mark.parametrize("text", CORPUS)
def test_steps_as_json(text: str) -> None:
    content = {"type": "Sequence", "pretokenizers": [step.to_json() for step in STEPS]}
    assert steps_from_json(content) == tuple(STEPS)
    assert cut_text(steps_from_json(content), text) == cut_text(STEPS, text)


def test_what_is_not_supported() -> None:
    assert steps_from_json(None) == ()
    with pytest.raises(ValueError, match="got 'CharDelimiterSplit', which is not supported"):
        steps_from_json({"type": "CharDelimiterSplit"})
    with pytest.raises(ValueError, match="pre_tokenizer: 'pattern' is missing"):
        steps_from_json({"type": "Split"})
    with pytest.raises(ValueError, match="a behavior among Removed, .* got 'Chopped'"):
        Split("x", "Chopped")

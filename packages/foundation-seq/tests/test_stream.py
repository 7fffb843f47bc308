"""Tokens and text as they come."""

import itertools

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_seq import (
    NewToken,
    SamplingConfig,
    generate,
    stream_text,
    stream_tokens,
    token_probabilities,
)
from step_table import Table

V = 5


@pytest.fixture
def table():
    return np.random.default_rng(0).standard_normal((V, V))


def options(**more):
    config = SamplingConfig(temperature=1.3, top_p=0.9, repetition_penalty=1.2)
    return {"sampling": config, "rng": np.random.default_rng(3), "stop_ids": [2]} | more


def test_streamed_tokens_are_the_generated_ones(table):
    prompts, limits = [[0], [1, 3], [4], [1]], [29, 17, 0, 23]
    rows = [[] for _ in prompts]
    for token in stream_tokens(Table(table), prompts, limits, **options()):
        rows[token.row].append(token.id)
    assert rows == generate(Table(table), prompts, limits, **options())
    assert sum(map(len, rows)) > 7


def test_log_probabilities_are_the_models_own(table):
    last = {0: 0, 1: 3}
    probabilities = token_probabilities(table, SamplingConfig())
    tokens = list(stream_tokens(Table(table), [[0], [1, 3]], 13, **options()))
    for row, token, log_prob in tokens:
        np.testing.assert_allclose(np.exp(log_prob), probabilities[last[row], token])
        last[row] = token


def test_nothing_is_computed_ahead(table):
    model = Table(table)
    fed = []
    step = model.step
    model.step = lambda state, tokens: fed.append(tokens.tolist()) or step(state, tokens)
    stream = stream_tokens(model, [[0]], 99)
    assert model.calls == []
    first = next(stream)
    assert fed == []
    next(stream)
    assert fed == [[first.id]]


def test_gradients_stay_on_between_tokens(table):
    for _ in stream_tokens(Table(table), [[0]], 3):
        x = Tensor(np.ones(3), requires_grad=True)
        assert (x * 2).requires_grad


def test_arguments_are_checked_at_once(table):
    with pytest.raises(ValueError, match="prompt of row 0 is empty"):
        stream_tokens(Table(table), [[]], 3)
    with pytest.raises(TypeError, match="stop_strings need decode="):
        stream_tokens(Table(table), [[1]], 3, stop_strings=["x"])


# --- text


def tokens_of(values):
    return [NewToken(0, value, 0.0) for value in values]


def utf8(ids):
    return bytes(ids).decode(errors="replace")


def pieces(text, stop_strings=()):
    return list(stream_text(tokens_of(text.encode()), utf8, stop_strings))


def test_characters_come_whole():
    assert pieces("né 猫!") == ["n", "é", " ", "猫", "!"]


def test_an_unfinished_character_at_the_end_is_shown_as_such():
    ids = "ab猫".encode()[:-1]
    assert list(stream_text(tokens_of(ids), utf8)) == ["a", "b", "\ufffd"]


def test_the_text_ends_before_a_stop_string():
    assert pieces("one\n\ntwo", ["\n\n"]) == ["o", "n", "e"]
    # "\n" might have been the beginning, and was not.
    assert pieces("a\nb\n\nc", ["\n\n"]) == ["a", "\nb"]
    assert pieces("ab\n", ["\n\n"]) == ["a", "b", "\n"]
    assert pieces("stop", ["stop"]) == []


def test_a_stop_string_may_be_spread_over_bytes_and_tokens():
    assert "".join(pieces("Uxé Ué!", ["Ué"])) == "Uxé "
    words = ["Hello", " wor", "ld. User", ": hi"]
    stream = stream_text(tokens_of(range(4)), lambda ids: "".join(words[i] for i in ids), ["User:"])
    assert list(stream) == ["Hello", " wor", "ld. "]


def test_of_several_stop_strings_the_first_in_the_text_counts():
    words = ["a", "b--c##", "d"]
    for strings in (["##", "--"], ["--", "##"]):
        stream = stream_text(
            tokens_of(range(3)), lambda ids: "".join(words[i] for i in ids), strings
        )
        assert "".join(stream) == "ab"


@pytest.mark.parametrize("stop_strings", [["aab"], ["ab", "ba"], ["aaa", "b"]])
def test_every_text_of_two_letters_is_cut_where_it_should(stop_strings):
    for letters in itertools.product("ab", repeat=7):
        text = "".join(letters)
        ends = [text.find(s) for s in stop_strings if s in text]
        assert "".join(pieces(text, stop_strings)) == text[: min(ends, default=None)]


def test_no_token_is_asked_for_after_a_stop_string():
    asked = iter(tokens_of(b"a.b"))
    assert list(stream_text(asked, utf8, ["."])) == ["a"]
    assert next(asked).id == ord("b")


def test_errors_of_text():
    with pytest.raises(TypeError, match="write stop_strings="):
        stream_text([], utf8, "x")
    with pytest.raises(ValueError, match=r"tokens of one row, got rows \[0, 2\]"):
        list(stream_text([NewToken(0, 65, 0.0), NewToken(2, 65, 0.0)], utf8))

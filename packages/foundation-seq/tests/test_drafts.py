"""Whatever is guessed, the same is written: with models whose every step is known."""

import numpy as np
import pytest
from foundation_seq import (
    PromptLookup,
    RecurrentLM,
    SamplingConfig,
    generate,
    stream_tokens,
)
from hypothesis import given
from hypothesis import strategies as st
from step_table import Memory, Table

V = 5


class Reader(Memory):
    """A model whose logits depend on the whole text, and which reads several tokens at once."""

    def read_ahead(self, state, tokens):
        logits = []
        for column in tokens.T:
            after, state = self.step(state, column)
            logits.append(after)
        self.calls.append(("read", tokens.tolist()))
        return np.stack(logits, axis=1), state

    def take_back(self, state, count):
        self.calls.append(("take_back", count))
        history, filled = state
        filled -= count
        history[0, filled[0] :] = -1
        return state


class Circle(Reader):
    """After t comes t + 1, around the circle."""

    def __init__(self):
        super().__init__(0, V)

    def after(self, text):
        return np.eye(V)[(text[-1] + 1) % V]


def test_what_is_read_by_hand():
    model = Circle()
    guesses = iter([[3, 4, 0], [3, 4, 0], [], [0, 1, 2, 3, 4], [1]])
    written = generate(model, [[0, 1]], 9, draft=lambda ids: next(guesses))
    assert written == [[2, 3, 4, 0, 1, 2, 3, 4, 0]]
    assert model.calls == [
        ("start", (1, 2), [2], 10),
        ("read", [[2, 3, 4, 0]]),  # all three are right, and 1 comes after them
        ("read", [[1, 3, 4, 0]]),  # none is right: 2 comes after 1
        ("take_back", 3),
        ("read", [[2]]),
        ("read", [[3, 0]]),  # two tokens are left, the last of which is never read
        ("take_back", 1),
        ("read", [[4]]),
    ]


def test_the_state_of_a_wrong_guess_is_taken_back():
    model = Circle()
    guesses = iter([[3, 0, 0, 0]] + [[]] * 9)
    assert generate(model, [[1]], 6, draft=lambda ids: next(guesses)) == [[2, 3, 4, 0, 1, 2]]
    assert [call for call in model.calls if call[0] != "start"] == [
        ("read", [[2, 3, 0, 0, 0]]),
        ("take_back", 3),
        ("read", [[4]]),
        ("read", [[0]]),
        ("read", [[1]]),
    ]


@given(st.data())
def test_drafts_change_nothing_that_is_written(data):
    model = Reader(data.draw(st.integers(0, 99)), V)
    rows = data.draw(st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=5), max_size=3))
    limits = [data.draw(st.integers(0, 12)) for _ in rows]
    stop_ids = data.draw(st.sets(st.integers(0, V - 1), max_size=1))
    sampling = data.draw(
        st.sampled_from([None, SamplingConfig(1.3, top_k=3, repetition_penalty=1.5)])
    )
    guesses = np.random.default_rng(data.draw(st.integers(0, 99)))

    def anything(ids):
        if guesses.random() < 0.5:  # partly right: what the model would choose by itself
            right, text = [], ids.tolist()
            for _ in range(3):
                right.append(int(model.after(text + right).argmax()))
            return right + [0]
        return guesses.integers(0, V, guesses.integers(0, 6))

    draft = data.draw(st.sampled_from([anything, PromptLookup(4, 1), PromptLookup(7, 2)]))

    def write(**options):
        rng = np.random.default_rng(0)
        return generate(model, rows, limits, sampling, rng, stop_ids=stop_ids, **options)

    assert write(draft=draft) == write()


def test_stop_strings_end_within_a_guess():
    def write(**options):
        return generate(
            Circle(),
            [[0], [2]],
            [20, 3],
            stop_strings=["341"],
            decode=lambda ids: "".join(map(str, ids)).replace("0", ""),
            **options,
        )

    assert write(draft=PromptLookup(9, 1)) == write() == [[1, 2, 3, 4, 0, 1], [3, 4, 0]]


def test_streamed_tokens_have_the_log_probs_of_their_steps():
    prompt = [[1, 2, 1, 2, 1], [0]]
    drafted = list(stream_tokens(Reader(3, V), prompt, 9, draft=PromptLookup(4, 1)))
    alone = [
        token._replace(row=row)
        for row, ids in enumerate(prompt)
        for token in stream_tokens(Reader(3, V), [ids], 9)
    ]
    assert drafted == alone


@pytest.mark.parametrize(
    ("text", "lookup", "guess"),
    [
        ([7, 1, 2, 3, 8, 9, 1, 2], PromptLookup(3, 2), [3, 8, 9]),
        ([1, 2, 3, 1, 2, 4, 1, 2], PromptLookup(2, 2), [4, 1]),  # the latest place counts
        ([1, 2, 3, 9, 2], PromptLookup(2, 2), []),
        ([1, 2, 3, 9, 2], PromptLookup(2, 1), [3, 9]),
        ([5, 5, 5], PromptLookup(4, 2), [5, 5, 5, 5]),  # goes on with its own beginning
        ([1, 2, 1, 2], PromptLookup(5, 2), [1, 2, 1, 2, 1]),
        ([1, 2], PromptLookup(5, 2), []),
        ([1], PromptLookup(5, 2), []),
    ],
)
def test_lookup_by_hand(text, lookup, guess):
    assert list(lookup(np.array(text))) == guess


def test_refusals():
    with pytest.raises(TypeError, match=r"a RecurrentLM has no method read_ahead\(\).*DraftReader"):
        generate(RecurrentLM(11, 3, 5), [[1]], 3, draft=PromptLookup())
    with pytest.raises(TypeError, match="a Table has no method"):
        stream_tokens(Table(np.eye(V)), [[1]], 3, draft=PromptLookup())  # at once
    with pytest.raises(TypeError, match="expected a function such as PromptLookup"):
        generate(Circle(), [[1]], 3, draft=True)
    for options in ({"max_tokens": 0}, {"match": 0}, {"match": True}, {"max_tokens": 2.5}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} to be 1 or more"):
            PromptLookup(**options)

"""Generation from toy models whose every step is known."""

import numpy as np
import pytest
from foundation_seq import RecurrentLM, SamplingConfig, generate
from step_table import Table

V = 5


def successor():
    """Most likely after t is t + 1, around the circle."""
    return np.roll(np.eye(V), 1, axis=1) * 3


def random_table():
    return np.random.default_rng(0).standard_normal((V, V))


def test_greedy_by_hand():
    assert generate(Table(successor()), [[2], [4]], 6) == [[3, 4, 0, 1, 2, 3], [0, 1, 2, 3, 4, 0]]


def test_ragged_prompts_continue_after_their_last_token():
    model = Table(successor())
    assert generate(model, [[0], [3, 1, 2], [4, 4]], 2) == [[1, 2], [3, 4], [0, 1]]
    assert model.calls[0] == ("start", (3, 3), [1, 3, 2], 4)


def test_prompt_may_be_an_array():
    assert generate(Table(successor()), np.array([[0, 1], [2, 3]], np.int32), 1) == [[2], [4]]


def test_stop_ids_end_rows_and_are_left_out():
    model = Table(successor())
    assert generate(model, [[0], [2], [3]], 9, stop_ids=[4]) == [[1, 2, 3], [3], []]
    assert generate(model, [[0], [2], [3]], 9, stop_ids={4, 2}) == [[1], [3], []]
    assert ("select", [0, 1]) in model.calls  # finished rows are dropped


def test_a_row_is_shorter_than_its_limit_exactly_when_stopped():
    model = Table(successor())
    assert generate(model, [[0], [0]], [3, 4], stop_ids=[4]) == [[1, 2, 3], [1, 2, 3]]


def test_a_limit_for_each_row():
    model = Table(successor())
    assert generate(model, [[0], [1], [2], [3]], [0, 3, 1, 2]) == [[], [2, 3, 4], [3], [4, 0]]
    assert model.calls[0][-1] == 3  # a prompt of 1 and 2 fed tokens; the third is only written


def test_there_is_room_for_a_prompt_that_is_not_continued():
    model = Table(successor())
    assert generate(model, [[0, 1, 2], [1]], [0, 1]) == [[], [2]]
    assert model.calls[0][-1] == 3


def test_nothing_to_write():
    model = Table(successor())
    assert generate(model, [[0], [1]], 0) == [[], []]
    assert generate(model, [], 5) == []
    assert model.calls == []


def test_sampling_with_top_k_1_is_greedy():
    model, prompt = Table(random_table()), [[0], [1], [2]]
    rng = np.random.default_rng(0)
    assert generate(model, prompt, 7, SamplingConfig(top_k=1), rng) == generate(model, prompt, 7)


def test_seeds_reproduce_and_differ():
    def write(seed):
        return generate(
            Table(random_table()), [[0]] * 3, 23, SamplingConfig(), np.random.default_rng(seed)
        )

    assert write(1) == write(1) != write(2)
    rows = write(1)
    assert rows[0] != rows[1]


def test_successive_calls_draw_anew():
    rng = np.random.default_rng(1)
    model = Table(random_table())
    first, second = (generate(model, [[0]], 23, SamplingConfig(), rng) for _ in range(2))
    assert first != second


def test_a_row_does_not_depend_on_its_batch_mates():
    model, config = Table(random_table()), SamplingConfig(temperature=1.3, repetition_penalty=1.2)
    prompts = [[0], [1, 2, 3], [4]]

    def write(prompt, limits):
        return generate(model, prompt, limits, config, np.random.default_rng(3), stop_ids=[2])

    together = write(prompts, 29)
    assert write(prompts[:1], 29) == together[:1]
    assert write(prompts[:2], 29) == together[:2]
    assert write([[4, 4], *prompts[1:]], [0, 29, 1])[1] == together[1]


def test_samples_follow_the_table():
    p = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    model = Table(np.tile(np.log(p), (V, 1)))
    rows = generate(model, [[0]] * 41, 199, SamplingConfig(), np.random.default_rng(0))
    frequencies = np.bincount(np.concatenate(rows)) / (41 * 199)
    np.testing.assert_allclose(frequencies, p, atol=0.02)


def test_repetition_penalty_knows_prompt_and_new_tokens():
    # Equal logits and a huge penalty: what was seen is never drawn again while others remain.
    model = Table(np.ones((V, V)))
    config = SamplingConfig(repetition_penalty=1e6, temperature=1e-2)
    for seed in range(7):
        rows = generate(model, [[0, 3], [1]], [3, 4], config, np.random.default_rng(seed))
        assert sorted(rows[0]) == [1, 2, 4]
        assert sorted(rows[1]) == [0, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1], []], 3), ValueError, "prompt of row 1 is empty"),
        (([1, 2], 3), ValueError, r"rows of ids, \(B, T\)"),
        (([[1.0, 2.0]], 3), TypeError, "prompt to be integers, got float64"),
        ((["ab"], 3), TypeError, "prompt to be integers"),
        (([[1]], -1), ValueError, "max_new_tokens >= 0, got -1"),
        (([[1]], 2.5), TypeError, "max_new_tokens to be integers"),
        (([[1]], [2, 3]), ValueError, r"of shape \(B=1,\), got shape \(2,\)"),
        (([[1]], 3, SamplingConfig(), 42), TypeError, "default_rng"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        generate(Table(successor()), *arguments)


def test_errors_of_stop_ids():
    with pytest.raises(ValueError, match="stop id 7 lies outside the vocabulary of 5"):
        generate(Table(successor()), [[1]], 3, stop_ids=[2, 7])
    with pytest.raises(TypeError, match=r"collection, got 2; write stop_ids=\[2\]"):
        generate(Table(successor()), [[1]], 3, stop_ids=2)


def letters(ids):
    return "".join("abcde"[i] for i in ids)


def test_stop_strings_end_rows_with_the_token_that_completes_them():
    model = Table(successor())
    options = {"stop_strings": ["cde", "ab"], "decode": letters}
    # Only what is new counts: the prompt "ab" of the second row ends nothing.
    assert generate(model, [[0], [0, 1], [3]], 9, **options) == [
        [1, 2, 3, 4],
        [2, 3, 4],
        [4, 0, 1],
    ]
    # A token of several characters is kept whole.
    options = {"stop_strings": ["b"], "decode": lambda ids: "".join("<abc>" for _ in ids)}
    assert generate(model, [[0], [2]], [3, 0], **options) == [[1], []]


def test_the_text_is_not_decoded_anew_for_each_token():
    decoded = []

    def decode(ids):
        decoded.append(len(ids))
        return letters(ids)

    (row,) = generate(Table(successor()), [[0]], 2000, stop_strings=["bb"], decode=decode)
    assert len(row) == 2000
    assert max(decoded) < 32
    assert sum(decoded) < 32 * 2000


def test_errors_of_stop_strings():
    for strings, decode, error, message in [
        (["x"], None, TypeError, "stop_strings need decode="),
        ("x", letters, TypeError, r"got 'x'; write stop_strings=\['x'\]"),
        (["x", ""], letters, ValueError, "at least one character"),
    ]:
        with pytest.raises(error, match=message):
            generate(Table(successor()), [[1]], 3, stop_strings=strings, decode=decode)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0, np.nan, 0, 0, 0], "got NaN in row 1; has the training"),
        ([0, np.inf, 0, 0, 0], "got \\+inf in row 1; has the training"),
        ([-np.inf] * 5, "only -inf in row 1; leave at least one logit finite"),
    ],
)
def test_logits_that_leave_no_choice_are_refused(row, message):
    table = successor()
    table[3] = row
    for sampling in (None, SamplingConfig()):
        with pytest.raises(ValueError, match=message):
            generate(Table(table), [[1], [3]], 3, sampling)


def test_minus_infinity_forbids_a_token():
    table = successor()
    table[:, 4] = -np.inf
    assert generate(Table(table), [[2]], 3) == [[3, 0, 1]]  # after 3, of equals the lowest id
    config = SamplingConfig(temperature=9.0, repetition_penalty=1.5)
    rows = generate(Table(table), [[4]] * 5, 101, config, np.random.default_rng(0))
    assert set().union(*rows) == {0, 1, 2, 3}


# The recurrent model as a step-wise one


def model(dropout=0.0):
    return RecurrentLM(11, 3, 5, 2, dropout, rng=np.random.default_rng(0)).astype(np.float64)


IDS = np.random.default_rng(1).integers(11, size=(3, 7))


def test_start_and_step_equal_the_whole_sequence():
    lm = model()
    whole = lm(IDS).data
    logits, state = lm.start(IDS[:, :4], np.full(3, 4), 7)
    np.testing.assert_allclose(logits, whole[:, 3], rtol=1e-12)
    for t in range(4, 7):
        logits, state = lm.step(state, IDS[:, t])
        np.testing.assert_allclose(logits, whole[:, t], rtol=1e-12)


def test_start_ignores_padding():
    lm, lengths = model(), np.array([2, 7, 5])
    logits, state = lm.start(IDS, lengths, 8)
    changed = IDS.copy()
    changed[np.arange(7) >= lengths[:, None]] = 10
    again, state_again = lm.start(changed, lengths, 8)
    np.testing.assert_array_equal(logits, again)
    np.testing.assert_array_equal(lm.step(state, IDS[:, 0])[0], lm.step(state_again, IDS[:, 0])[0])
    whole = lm(IDS).data
    np.testing.assert_allclose(logits, whole[np.arange(3), lengths - 1], rtol=1e-12)


def test_select_leaves_out_repeats_and_moves():
    lm = model()
    _, state = lm.start(IDS, np.full(3, 7), 8)
    rows = np.array([2, 0, 0, 2])
    picked = lm.step(lm.select(state, rows), np.full(4, 6))[0]
    np.testing.assert_allclose(picked, lm.step(state, np.full(3, 6))[0][rows], rtol=1e-12)


def test_generate_equals_reading_everything_again():
    lm = model()
    written = generate(lm, [IDS[0], IDS[1, :2]], 13)
    for prompt, row in zip((IDS[0], IDS[1, :2]), written, strict=True):
        text = list(prompt)
        for token in row:
            assert token == lm(np.array([text])).data[0, -1].argmax()
            text.append(token)


@pytest.mark.parametrize("bad", [11, -1])
def test_generate_with_the_recurrent_model_refuses_unknown_ids(bad):
    with pytest.raises(ValueError, match=f"id {bad} lies outside"):
        generate(model(), [[3], [bad]], 3)

"""Distributions and draws by hand, on a vocabulary of four words."""

import numpy as np
import pytest
from foundation_seq import SamplingConfig, token_probabilities
from foundation_seq.generation._sampling import draw
from hypothesis import given
from hypothesis import strategies as st

P = np.array([[0.1, 0.4, 0.2, 0.3]])
LOGITS = np.log(P) + 5  # a constant changes nothing


def probabilities(seen=None, **options):
    return token_probabilities(LOGITS, SamplingConfig(**options), seen)[0]


def test_default_is_softmax():
    np.testing.assert_allclose(probabilities(), P[0])


def test_temperature():
    squares = P[0] ** 2
    np.testing.assert_allclose(probabilities(temperature=0.5), squares / squares.sum())
    np.testing.assert_allclose(probabilities(temperature=1e-3), [0, 1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(probabilities(temperature=1e9), [0.25] * 4)
    for lowest in (1e-300, 1e-310, 5e-324):  # differences that overflow
        np.testing.assert_array_equal(probabilities(temperature=lowest), [0, 1, 0, 0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 9}, P[0]),
        ({"top_p": 0.01}, [0, 1, 0, 0]),
        ({"top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.8}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_p": 1.0}, P[0]),
        ({"min_p": 0.6}, [0, 4 / 7, 0, 3 / 7]),
        ({"min_p": 0.4}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"min_p": 1.0}, [0, 1, 0, 0]),
        # After the first three, 4/9 and 3/9 reach 7/9 > 0.75, although 0.4 + 0.3 would not.
        ({"top_k": 3, "top_p": 0.75}, [0, 4 / 7, 0, 3 / 7]),
        # Squared, 1 : 16 : 4 : 9, the third is only a quarter as likely as the first.
        ({"temperature": 0.5, "min_p": 0.4}, [0, 16 / 25, 0, 9 / 25]),
    ],
)
def test_filters(options, expected):
    np.testing.assert_allclose(probabilities(**options), expected, atol=1e-15)


def test_top_p_keeps_what_reaches_it_exactly():
    p = token_probabilities(np.log([[0.5, 0.25, 0.125, 0.125]]), SamplingConfig(top_p=0.75))
    np.testing.assert_allclose(p, [[2 / 3, 1 / 3, 0, 0]])


def test_of_equals_the_lower_id_stays():
    p = token_probabilities(np.zeros((1, 4)), SamplingConfig(top_k=3))
    np.testing.assert_allclose(p, [[1 / 3, 1 / 3, 1 / 3, 0]])


@given(st.data())
def test_filters_equal_sorting_everything(data):
    """The plain way: the likeliest in front, of equals the lower id, and filters cut the end."""
    weights = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=9).filter(any))
    top_k = data.draw(st.none() | st.integers(1, 10))
    top_p = data.draw(st.none() | st.sampled_from([0.1234, 0.5017, 0.7712, 1.0]))
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([weights, weights[::-1]], float))  # 0 is a forbidden token
    found = token_probabilities(logits, SamplingConfig(top_k=top_k, top_p=top_p))
    for row, logit in zip(found, logits, strict=True):
        p = np.exp(logit - np.log(np.exp(logit).sum()))
        order = sorted(range(len(p)), key=lambda i: (-p[i], i))[:top_k]
        expected = np.zeros(len(p))
        reached, total = 0.0, p[order].sum()
        for i in order:
            if top_p is not None and reached >= min(top_p, 1 - 1e-9):
                break
            expected[i] = p[i]
            reached += p[i] / total
        np.testing.assert_allclose(row, expected / expected.sum(), atol=1e-12)


@pytest.mark.parametrize("bad", [[0, np.nan], [np.inf, 0], [-np.inf, -np.inf]])
def test_unusable_logits_are_refused(bad):
    with pytest.raises(ValueError, match="in row 1"):
        token_probabilities(np.array([[0.0, -np.inf], bad]), SamplingConfig())


def test_repetition_penalty():
    logits = np.array([[2.0, -2.0, 1.0, 0.0]])
    seen = np.array([[True, True, False, False]])
    p = token_probabilities(logits, SamplingConfig(repetition_penalty=2), seen)
    weights = np.exp([1.0, -4.0, 1.0, 0.0])
    np.testing.assert_allclose(p[0], weights / weights.sum())
    np.testing.assert_allclose(
        token_probabilities(logits, SamplingConfig(), seen),
        token_probabilities(logits, SamplingConfig()),
    )


def test_rows_do_not_mix_and_inputs_are_unchanged():
    logits = np.concatenate([LOGITS, LOGITS[:, ::-1]])
    before = logits.copy()
    p = token_probabilities(logits, SamplingConfig(top_k=2))
    np.testing.assert_allclose(p[1], p[0][::-1])
    np.testing.assert_array_equal(logits, before)


def test_impossible_tokens_stay_impossible():
    logits = np.array([[0.0, -np.inf, 0.0, -np.inf]])
    for options in ({}, {"top_k": 3}, {"top_p": 1.0}, {"min_p": 0.1}, {"repetition_penalty": 2.0}):
        seen = np.ones((1, 4), bool)
        p = token_probabilities(logits, SamplingConfig(**options), seen)
        np.testing.assert_allclose(p, [[0.5, 0, 0.5, 0]])


def test_draw_is_the_inverse_distribution_function():
    p = np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    for u, token in ((0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (1 - 2**-53, 4)):
        assert draw(p[None], np.array([u])) == [token]


def test_draw_follows_the_distribution():
    uniforms = np.random.default_rng(0).random(20011)
    tokens = draw(np.repeat(P, len(uniforms), axis=0), uniforms)
    frequencies = np.bincount(tokens, minlength=4) / len(uniforms)
    np.testing.assert_allclose(frequencies, P[0], atol=0.015)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temperature": 0}, ValueError, "temperature > 0, got 0; .* sampling=None"),
        ({"temperature": -1.0}, ValueError, "temperature > 0"),
        ({"temperature": np.nan}, ValueError, "temperature > 0"),
        ({"temperature": np.inf}, ValueError, "temperature > 0"),
        ({"top_k": 0}, ValueError, "top_k >= 1, got 0"),
        ({"top_k": 2.0}, TypeError, "top_k to be an integer, got 2.0"),
        ({"top_k": True}, TypeError, "top_k to be an integer"),
        ({"top_p": 0.0}, ValueError, "0 < top_p <= 1, got 0.0"),
        ({"top_p": 1.01}, ValueError, "0 < top_p <= 1"),
        ({"min_p": -0.1}, ValueError, "0 < min_p <= 1"),
        ({"min_p": np.nan}, ValueError, "0 < min_p <= 1"),
        ({"repetition_penalty": 0.0}, ValueError, "repetition_penalty > 0"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        SamplingConfig(**options)


def test_config_is_frozen():
    with pytest.raises(AttributeError):
        SamplingConfig().temperature = 2


@pytest.mark.parametrize("name", ["temperature", "top_p", "min_p", "repetition_penalty"])
@pytest.mark.parametrize("value", ["0.5", [1.0], True])
def test_what_is_no_number_is_refused_by_name(name, value):
    with pytest.raises(TypeError, match=f"SamplingConfig: expected {name} to be a number, got"):
        SamplingConfig(**{name: value})


@pytest.mark.parametrize("penalty", [1e300, 1e-300])
def test_an_extreme_repetition_penalty_leaves_probabilities(penalty):
    logits = np.array([[1e9, -1e9, -1.0, -np.inf], [-1e9, -1e9, -1e9, -np.inf]])
    seen = np.array([[True, True, False, True], [True, True, True, True]])
    p = token_probabilities(logits, SamplingConfig(repetition_penalty=penalty), seen)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p[:, 3] == 0).all()  # what is forbidden stays so
    np.testing.assert_allclose(p[1, :3], 1 / 3)
    first = 1 / (1 + np.exp(-1)) if penalty > 1 else 1  # of the logits 0, -inf and -1, or inf
    np.testing.assert_allclose(p[0, :3], [first, 0, 1 - first], atol=1e-15)

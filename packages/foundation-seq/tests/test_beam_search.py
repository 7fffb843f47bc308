"""Beam search beside brute force, a naive beam search and a second scoring of what it finds."""

import itertools

import numpy as np
import pytest
from foundation_seq import RecurrentLM, SamplingConfig, beam_search, generate, token_probabilities
from foundation_seq.generation._beam_search import _largest
from step_table import Memory, Table

V = 4


def random_table():
    return np.random.default_rng(0).standard_normal((V, V))


def log_p(logits):
    return np.log(token_probabilities(np.atleast_2d(logits), SamplingConfig()))


def score(total, length, alpha, penalty="wu"):
    return total / {"wu": (5 + length) / 6, "power": length}[penalty] ** alpha


def log_prob(model, prompt, tokens):
    """Of the tokens after the prompt, one after the other."""
    text = [*prompt, *tokens]
    steps = range(len(prompt), len(text))
    return sum(log_p(model.after(text[:t]))[0, text[t]] for t in steps)


def brute_force(model, prompt, limit, stop, alpha):
    """Every sequence that ends in the stop id or at the limit, the best first."""
    found = []
    for length in range(1, limit + 1):
        for tokens in itertools.product(range(V), repeat=length):
            if stop in tokens[:-1] or (length < limit and tokens[-1] != stop):
                continue
            value = score(log_prob(model, prompt, tokens), length, alpha)
            found.append((value, [t for t in tokens if t != stop], tokens[-1] == stop))
    return sorted(found, key=lambda f: -f[0])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.7])
def test_a_wide_beam_is_brute_force(alpha):
    model, limit, stop = Memory(0, V), 4, 2
    prompts = [[0], [3, 1]]
    options = {"beam_size": V**limit, "length_penalty": alpha, "stop_ids": [stop]}
    results = beam_search(model, prompts, limit, **options)
    for prompt, result in zip(prompts, results, strict=True):
        expected = brute_force(model, prompt, limit, stop, alpha)
        assert [(h.tokens, h.stopped) for h in result] == [e[1:] for e in expected]
        np.testing.assert_allclose([h.score for h in result], [e[0] for e in expected])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.5])
@pytest.mark.parametrize("beam_size", [1, 2, 3, 7])
def test_scores_are_those_of_a_second_scoring(beam_size, alpha):
    model, stop = Memory(5, 7), 6
    prompts = [[0], [1, 2, 3], [4], [5, 5]]
    options = {"beam_size": beam_size, "length_penalty": alpha, "stop_ids": [stop]}
    results = beam_search(model, prompts, [9, 5, 1, 13], **options)
    for prompt, result in zip(prompts, results, strict=True):
        assert 0 < len(result) <= beam_size
        for h in result:
            tokens = [*h.tokens, *([stop] if h.stopped else [])]
            total = log_prob(model, prompt, tokens)
            expected = total, score(total, len(tokens), alpha)
            np.testing.assert_allclose((h.log_prob, h.score), expected)
        assert [h.score for h in result] == sorted((h.score for h in result), reverse=True)
        assert len({(*h.tokens, h.stopped) for h in result}) == len(result)


def naive(model, prompt, limit, beam_size, stop, alpha, penalty="wu", patience="exact"):
    """The textbook loop over lists, which goes on to the limit if its patience is exact."""
    beams, finished = [(0.0, [])], []
    for length in range(1, limit + 1):
        candidates = [
            (total + step[v], [*tokens, v])
            for total, tokens in beams
            for step in log_p(model.after([*prompt, *tokens]))
            for v in range(len(step))
        ]
        candidates.sort(key=lambda c: -c[0])
        for total, tokens in candidates[:beam_size]:
            if tokens[-1] == stop:
                finished.append((score(total, length, alpha, penalty), tokens[:-1], True))
        beams = [c for c in candidates if c[1][-1] != stop][:beam_size]
        best = sorted((f[0] for f in finished), reverse=True)[:beam_size]
        if (
            length < limit
            and len(best) == beam_size
            and (
                patience == "first"
                or (patience == "now" and best[-1] >= score(beams[0][0], length, alpha, penalty))
            )
        ):
            beams = []
            break
    finished += [(score(total, limit, alpha, penalty), tokens, False) for total, tokens in beams]
    return sorted(finished, key=lambda f: -f[0])[:beam_size]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("beam_size", [1, 2, 5])
@pytest.mark.parametrize("penalty", ["wu", "power"])
@pytest.mark.parametrize("patience", ["exact", "now", "first"])
@pytest.mark.parametrize("seed", range(3))
def test_stopping_early_changes_nothing(seed, beam_size, alpha, penalty, patience):
    """With exact patience; with less, it stops where the plain loop stops."""
    model = Memory(seed, 5)
    how = {"penalty": penalty, "patience": patience}
    options = {"beam_size": beam_size, "length_penalty": alpha, "stop_ids": [3], **how}
    prompts = [[0], [1, 4]]
    for prompt, result in zip(prompts, beam_search(model, prompts, 11, **options), strict=True):
        expected = naive(model, prompt, 11, beam_size, 3, alpha, **how)
        np.testing.assert_allclose([h.score for h in result], [e[0] for e in expected])
        assert [(h.tokens, h.stopped) for h in result] == [e[1:] for e in expected]


def test_it_does_stop_early():
    table = np.zeros((V, V))
    table[:, 2] = 9  # the stop id is nearly certain
    model = Table(table)
    ((best,),) = beam_search(model, [[0]], 500, beam_size=1, stop_ids=[2])
    assert (best.tokens, best.stopped) == ([], True)
    assert sum(call[0] == "select" for call in model.calls) < 5


def test_a_beam_of_one_without_penalty_is_greedy():
    for seed in range(9):
        model, prompts = Memory(seed, 7), [[0], [1, 2], [3]]
        greedy = generate(model, prompts, [9, 4, 7], stop_ids=[5, 6])
        options = {"beam_size": 1, "length_penalty": 0, "stop_ids": [5, 6]}
        found = beam_search(model, prompts, [9, 4, 7], **options)
        assert [h.tokens for (h,) in found] == greedy


def test_a_row_does_not_depend_on_its_batch_mates():
    model, prompts, limits = Memory(0, 7), [[0], [1, 2, 3], [4], [2]], [9, 4, 0, 11]
    options = {"beam_size": 3, "stop_ids": [6]}
    together = beam_search(model, prompts, limits, **options)
    for prompt, limit, result in zip(prompts, limits, together, strict=True):
        assert beam_search(model, [prompt], limit, **options) == [result]


def test_a_longer_penalty_prefers_the_longer():
    # From 0 either stop at once (p = 0.5) or write 1 and then stop (0.45 · 0.9 = 0.405).
    p = np.array([[0.01, 0.45, 0.5, 0.04], [0.05, 0.03, 0.9, 0.02], [1, 1, 1, 1], [1, 1, 1, 1]])
    found = {}
    for alpha in (0.0, 3.0):
        ((best, *_),) = beam_search(
            Table(np.log(p)), [[0]], 5, beam_size=2, length_penalty=alpha, stop_ids=[2]
        )
        found[alpha] = (best.tokens, round(float(np.exp(best.log_prob)), 9))
    assert found == {0.0: ([], 0.5), 3.0: ([1], 0.405)}


def test_impossible_tokens_are_never_written():
    table = np.full((V, V), -np.inf)
    table[:, 1] = 0  # the only way
    (result,) = beam_search(Table(table), [[0]], 3, beam_size=4)
    assert [h.tokens for h in result] == [[1, 1, 1]]


def test_with_a_recurrent_model_states_follow_their_beams():
    model = RecurrentLM(7, 3, 5, 2, rng=np.random.default_rng(0)).astype(np.float64)
    for p in model.parameters():
        p.data = 3 * p.data
    prompts = [[0], [1, 2, 3]]
    for prompt, result in zip(prompts, beam_search(model, prompts, 6, beam_size=4), strict=True):
        for h in result:
            ids = np.array([[*prompt, *h.tokens]])
            steps = log_p(model(ids[:, :-1]).data[0])[len(prompt) - 1 :]
            total = steps[np.arange(6), h.tokens].sum()
            np.testing.assert_allclose(h.log_prob, total)


def test_patience_by_hand():
    """Stopping has 1/4 and 1/2 and so on: the second hypothesis is better for its length."""
    table = np.full((3, 3), -np.inf)
    table[0] = np.log([1e-9, 0.75, 0.25])  # 2 stops
    table[1] = np.log([1e-9, 0.99, 0.01])
    options = {"beam_size": 1, "stop_ids": [2], "penalty": "power", "length_penalty": 1.0}
    # A beam of one writes the likeliest token, and its candidates do not hold the stop id.
    ((greedy,),) = beam_search(Table(table), [[0]], 4, **options)
    assert greedy.tokens == [1, 1, 1, 1]
    found = {}
    for patience in ("exact", "now", "first"):
        options["beam_size"] = 2
        (found[patience],) = beam_search(Table(table), [[0]], 4, patience=patience, **options)
    # At once: after two steps two have stopped, [] with log 1/4 and [1] with log(0.0075) / 2.
    assert [h.tokens for h in found["first"]] == [[], [1]]
    np.testing.assert_allclose(
        [h.score for h in found["first"]], [np.log(0.25), np.log(0.0075) / 2]
    )
    # The open one is better already, and stays so to the limit.
    assert [h.tokens for h in found["now"]] == [h.tokens for h in found["exact"]]
    assert found["exact"][0].tokens == [1, 1, 1, 1]


def test_a_forbidden_token_leaves_the_probabilities_of_the_others():
    table = np.log(np.array([[0.5, 0.3, 0.15, 0.05]] * 4))
    options = {"beam_size": 3, "length_penalty": 0.0, "stop_ids": [3]}
    (found,) = beam_search(Table(table), [[0]], 1, forbidden_ids=[0], **options)
    assert [(h.tokens, h.stopped) for h in found] == [([1], False), ([2], False), ([], True)]
    np.testing.assert_allclose([h.log_prob for h in found], np.log([0.3, 0.15, 0.05]))


def test_a_forced_end_costs_nothing():
    model = Memory(1, 5)
    options = {"beam_size": 2, "length_penalty": 1.0, "stop_ids": [3, 4], "forced_stop_id": 3}
    (found,) = beam_search(model, [[0]], 3, penalty="power", **options)
    (shorter,) = beam_search(model, [[0]], 2, penalty="power", beam_size=2, stop_ids=[3, 4])
    assert all(h.stopped for h in found)
    whole = [h for h in found if len(h.tokens) == 2]
    assert whole
    for h in whole:
        assert h.tokens in [other.tokens for other in shorter]
        np.testing.assert_allclose(h.log_prob, log_prob(model, [0], h.tokens))
        np.testing.assert_allclose(h.score, h.log_prob / 3)  # the end counts as a token
    (one,) = beam_search(model, [[0]], 1, **options)
    assert [(h.tokens, h.log_prob, h.stopped) for h in one] == [([], 0.0, True)]


def test_nothing_to_write():
    model = Table(random_table())
    assert beam_search(model, [], 5) == []
    ((empty,),) = beam_search(model, [[0]], 0)
    assert (empty.tokens, empty.log_prob, empty.stopped) == ([], 0.0, False)
    assert model.calls == []


def test_the_largest_in_order():
    values = np.array([3.0, 1.0, 3.0, -np.inf, 2.0, 3.0])
    for count, expected in [(1, [0]), (2, [0, 2]), (4, [0, 2, 5, 4]), (9, [0, 2, 5, 4, 1])]:
        assert _largest(values, count).tolist() == expected
    assert _largest(values[3:4], 1).tolist() == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"beam_size": 0}, ValueError, "beam_size >= 1, got 0"),
        ({"beam_size": 2.0}, TypeError, "beam_size to be an integer, got 2.0"),
        ({"beam_size": True}, TypeError, "beam_size to be an integer"),
        ({"length_penalty": -0.1}, ValueError, "length_penalty >= 0"),
        ({"length_penalty": np.nan}, ValueError, "length_penalty >= 0"),
        ({"prompt": [[]]}, ValueError, "prompt of row 0 is empty"),
        ({"penalty": "Wu"}, ValueError, "penalty: expected one of .*'wu', 'power'.*, got 'Wu'"),
        ({"patience": True}, ValueError, "patience: expected one of .*, got True"),
        ({"forbidden_ids": [9]}, ValueError, "forbidden id 9 lies outside the vocabulary of 4"),
        ({"forced_stop_id": 2}, ValueError, r"expected one of the stop ids \[\], got 2"),
        ({"stop_ids": [9]}, ValueError, "stop id 9 lies outside the vocabulary of 4"),
        ({"max_new_tokens": -1}, ValueError, "max_new_tokens >= 0"),
    ],
)
def test_errors(options, error, message):
    arguments = {"prompt": [[1]], "max_new_tokens": 3} | options
    with pytest.raises(error, match=message):
        beam_search(Table(random_table()), **arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    table = random_table()
    table[1, 2] = bad
    with pytest.raises(ValueError, match="expected finite logits"):
        beam_search(Table(table), [[0]], 5, beam_size=4)

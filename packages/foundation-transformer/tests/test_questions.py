"""Questions with choices and with short answers: read, answered, counted."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from foundation_data import CharTokenizer
from foundation_nn import no_grad
from foundation_transformer import CausalLM, ContextLengthError, TransformerConfig
from foundation_transformer.evaluation import (
    AnswerQuestion,
    ChoiceQuestion,
    HarnessModel,
    Rate,
    encode_after,
    log_likelihoods,
    normalise_answer,
    read_questions,
    score_answers,
    score_choices,
)
from hypothesis import given
from hypothesis import strategies as st

V, MAX_LEN = 23, 13


def make(style="llama", **options):
    config = getattr(TransformerConfig, style)(
        vocab_size=V, d_model=12, num_heads=2, num_layers=2, max_len=MAX_LEN, **options
    )
    model = CausalLM(config, rng=np.random.default_rng(0)).astype(np.float64)
    for parameter in model.parameters():
        parameter.data = parameter.data * 5  # so that tokens differ in their probability
    return model


MODELS = {"llama": make(), "gpt2": make("gpt2"), "alibi": make("gpt2", positions="alibi")}
IDS = st.lists(st.integers(0, V - 1), min_size=1, max_size=5)


def directly(model, prompt, continuation):
    """log p of each token, by the definition and without a cache."""
    with no_grad():
        logits = model(np.array([[*prompt, *continuation]])).data[0]
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    rows = log_p[len(prompt) - 1 : -1]
    greedy = bool((rows.argmax(axis=-1) == continuation).all())
    return rows[np.arange(len(continuation)), continuation].sum(), greedy


@given(st.sampled_from(list(MODELS)), IDS, st.lists(IDS, max_size=4))
def test_log_likelihoods_are_those_of_the_definition(name, prompt, continuations):
    model = MODELS[name]
    found = log_likelihoods(model, prompt, continuations)
    for each, ids in zip(found, continuations, strict=True):
        total, greedy = directly(model, prompt, ids)
        assert each.total == pytest.approx(total, rel=1e-9, abs=1e-9)
        assert (each.num_tokens, each.is_greedy) == (len(ids), greedy)


def test_the_prompt_is_read_once(monkeypatch):
    model, read = make(), []
    through_layers = CausalLM._through_layers

    def counted(self, ids, *args, **kwargs):
        read.append(np.shape(ids))
        return through_layers(self, ids, *args, **kwargs)

    monkeypatch.setattr(CausalLM, "_through_layers", counted)
    log_likelihoods(model, [1, 2, 3, 4, 5], [[6, 7, 8], [9], [10, 11]])
    assert read == [(1, 5), (3, 2)]


def test_what_greedy_decoding_would_write_is_recognised():
    model, ids = MODELS["llama"], [3, 1, 4]
    for _ in range(3):
        ids.append(int(model(np.array([ids])).data[0, -1].argmax()))
    worse = [*ids[3:5], (ids[5] + 1) % V]
    best, other = log_likelihoods(model, ids[:3], [ids[3:], worse])
    assert (best.is_greedy, other.is_greedy) == (True, False)


def test_what_has_no_likelihood_is_refused():
    model = MODELS["llama"]
    with pytest.raises(ValueError, match="at least one token before the continuations"):
        log_likelihoods(model, [], [[1]])
    with pytest.raises(ValueError, match="continuation 1 has no token"):
        log_likelihoods(model, [1], [[1], []])
    with pytest.raises(ContextLengthError):
        log_likelihoods(model, [1] * 10, [[1] * 4])


def pairs(text):
    """A tokenizer that joins two letters, and a space to the letter behind it."""
    ids, i = [], 0
    while i < len(text):
        size = 2 if text[i] == " " or text[i : i + 2] in ("ab", "cd") else 1
        ids.append(text[i : i + size])
        i += size
    return ids


@pytest.mark.parametrize(
    ("prompt", "continuation", "expected"),
    [
        ("xy", " ab", (["x", "y"], [" a", "b"])),
        ("xy ", "ab", (["x", "y"], [" a", "b"])),  # the space goes to the word behind it
        ("xa", "bx", (["x", "a"], ["x"])),  # "ab" is joined: two tokens are taken off as before
        ("a", "b", (["a"], ["b"])),  # nothing is left of the joined token
    ],
)
def test_where_the_prompt_ends(prompt, continuation, expected):
    assert encode_after(pairs, prompt, continuation) == expected


# --- multiple choice, with a model that is told what to say


TOKENIZER = CharTokenizer.train(["abcdefghijklmnopqrstuvwxyz .:?123456789\n"])


@pytest.fixture
def told(monkeypatch):
    """Let ``score_choices`` find the likelihoods in a table of (question, choice)."""
    table = {}

    def find(model, prompt, continuations):
        question = TOKENIZER.decode(prompt)
        found = []
        for ids in continuations:
            total = table.get((question, TOKENIZER.decode(ids).strip()), -99.0)
            found.append(SimpleNamespace(total=total, num_tokens=len(ids)))
        return found

    from foundation_transformer.evaluation import _choices

    monkeypatch.setattr(_choices, "log_likelihoods", find)
    return table


ANY = CausalLM(
    TransformerConfig.gpt2(
        vocab_size=len(TOKENIZER), d_model=8, num_heads=2, num_layers=1, max_len=40
    ),
    rng=np.random.default_rng(0),
)


def test_accuracies_by_hand(told):
    questions = [ChoiceQuestion("q", ("aa", "bbbbbb"), 1), ChoiceQuestion("r", ("cc", "dd"), 0)]
    told.update({("q", "aa"): -6.0, ("q", "bbbbbb"): -9.0, ("r", "cc"): -1.0, ("r", "dd"): -2.0})
    scores = score_choices(ANY, TOKENIZER, questions)
    assert scores.accuracy == Rate(0.5, 0.5)  # -6 > -9 is wrong; s² = 1/2, √(1/2) / √2
    assert scores.accuracy_per_byte == Rate(1.0, 0.0)  # -3 < -1.5
    assert scores.accuracy_per_token == Rate(1.0, 0.0)  # with the space: -6/3 < -9/7
    assert scores.controls["longest choice"] == Rate.of([1, 0.5])  # the second question: a tie
    assert scores.controls["shortest choice"] == Rate.of([0, 0.5])
    assert scores.controls["chance"] == Rate(0.5, 0.0)
    assert scores.controls["commonest place"] == Rate.of([1, 0])
    assert "another question" not in scores.controls


def test_bytes_are_those_of_utf8_without_the_space(told):
    tokens = CharTokenizer.train(["qé aa"])
    told.update({})
    questions = [ChoiceQuestion("q", ("éé", "aaa"), 0)]
    scores = score_choices(ANY, tokens, questions)  # all equally likely: -99
    assert scores.accuracy.value == 0.5
    assert scores.accuracy_per_byte.value == 1.0  # -99 / 4 > -99 / 3
    assert scores.accuracy_per_token.value == 0.0  # -99 / 3 < -99 / 4, with the space


@given(st.permutations(range(4)), st.integers(0, 3))
def test_the_order_of_choices_has_no_influence(order, answer):
    choices = ("abc", "b", "cde ab", "dd")
    moved = ChoiceQuestion("what:", tuple(choices[i] for i in order), order.index(answer))
    expected = score_choices(ANY, TOKENIZER, [ChoiceQuestion("what:", choices, answer)])
    found = score_choices(ANY, TOKENIZER, [moved])
    for name in ("accuracy", "accuracy_per_token", "accuracy_per_byte"):
        assert getattr(found, name).value == getattr(expected, name).value


def test_the_control_tells_choices_that_give_themselves_away(told):
    questions = [ChoiceQuestion(f"q{i}", ("yes", "no"), 0) for i in "123"]
    for each in questions:
        told[each.question, "yes"] = -1.0  # whatever is asked
    scores = score_choices(ANY, TOKENIZER, questions, rng=np.random.default_rng(0))
    assert scores.accuracy.value == 1.0
    assert scores.controls["another question"].value == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_in_the_control_no_question_has_its_own_choices(told, seed):
    letters = "abcdef"
    questions = [ChoiceQuestion(f"q{x}", (f"right {x}", f"wrong {x}"), 0) for x in letters]
    for x in letters:
        told[f"q{x}", f"right {x}"] = -1.0
        for y in letters:
            if y != x:
                told[f"q{y}", f"wrong {x}"] = -1.0
    scores = score_choices(ANY, TOKENIZER, questions, rng=np.random.default_rng(seed))
    assert scores.accuracy.value == 1.0
    assert scores.controls["another question"].value == 0.0
    assert scores.controls["another question, per byte"].value == 0.0


def test_a_long_question_is_cut_at_its_beginning():
    choices = ("ab", "c")
    room = 40 - 3  # the longer choice with its space
    long = ChoiceQuestion("x" * 9 + "y" * room, choices, 0)
    cut = score_choices(ANY, TOKENIZER, [long])
    whole = score_choices(ANY, TOKENIZER, [ChoiceQuestion("y" * room, choices, 0)])
    assert (cut.num_cut, whole.num_cut) == (1, 0)
    assert cut.choices == whole.choices
    with pytest.raises(
        ValueError, match="a choice of 41 tokens is too long for a model that reads"
    ):
        score_choices(ANY, TOKENIZER, [ChoiceQuestion("q", ("a" * 40, "b"), 0)])


def test_a_prompt_of_ones_own_stands_for_the_question():
    def prompt(question):
        return TOKENIZER.encode(f"user: {question}\nanswer:")

    questions = [ChoiceQuestion("why", ("ab", "c"), 0)]
    found = score_choices(ANY, TOKENIZER, questions, prompt=prompt)
    expected = log_likelihoods(ANY, prompt("why"), [TOKENIZER.encode("ab"), TOKENIZER.encode("c")])
    assert found.choices == (tuple(expected),)


def test_nothing_to_answer_is_refused():
    with pytest.raises(ValueError, match="at least one question"):
        score_choices(ANY, TOKENIZER, [])
    with pytest.raises(ValueError, match="at least one question"):
        score_answers(ANY, TOKENIZER, [])
    with pytest.raises(ValueError, match="write what shall stand before the choices"):
        score_choices(ANY, TOKENIZER, [ChoiceQuestion("", ("a", "b"), 0)])
    with pytest.raises(ValueError, match="question 0 is empty"):
        score_answers(ANY, TOKENIZER, [AnswerQuestion("", ("a",))])


def test_of_one_question_the_error_is_not_known():
    rate = Rate.of([1])
    assert rate.value == 1
    assert math.isnan(rate.standard_error)


# --- short answers


class Parrot(CausalLM):
    """Writes what a table holds for the last letter it has read."""

    def __init__(self, answers, max_len=40):
        config = TransformerConfig.gpt2(
            vocab_size=len(TOKENIZER), d_model=8, num_heads=2, num_layers=1, max_len=max_len
        )
        super().__init__(config, rng=np.random.default_rng(0))
        self.answers = answers

    def start(self, prompt, lengths, capacity):
        rows = [TOKENIZER.decode(row[:n]) for row, n in zip(prompt, lengths, strict=True)]
        state = [list(TOKENIZER.encode(self.answers[row[-1]])) for row in rows]
        return self._next(state), state

    def step(self, state, tokens):
        return self._next(state), state

    def select(self, state, rows):
        return [state[row] for row in rows]

    def _next(self, state):
        logits = np.zeros((len(state), len(TOKENIZER)), np.float32)
        for row, left in zip(logits, state, strict=True):
            row[left.pop(0) if left else TOKENIZER.encode("\n")[0]] = 9
        return logits


def test_answers_are_compared_after_normalisation():
    model = Parrot({"a": " paris.\nand more", "b": " rome", "c": " x" * 50, "d": " oslo"})
    questions = [
        AnswerQuestion("a", ("Paris",)),
        AnswerQuestion("bbb", ("milan", "rome")),
        AnswerQuestion("c", ("x",)),
        AnswerQuestion("d" * 40, ("oslo",)),  # no room for an answer
    ]
    for batch_size in (1, 2, 16):
        scores = score_answers(model, TOKENIZER, questions, max_new_tokens=9, batch_size=batch_size)
        assert scores.written == ("paris.", "rome", "x x x x", "")
        assert scores.exact.value == 0.5
        assert scores.verbatim.value == 0.25
        assert (scores.num_questions, scores.num_too_long) == (4, 1)


def test_a_stop_id_ends_an_answer():
    stop = TOKENIZER.encode(".")[0]
    model = Parrot({"a": " paris. x"})
    questions = [AnswerQuestion("a", ("paris",))]
    assert score_answers(model, TOKENIZER, questions, stop_ids=[stop]).written == ("paris",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße", "strasse"),
        ("\ufb01sh\u00a0 & chips", "fish & chips"),
        ("(a) 3.5!", "a) 3.5"),
        ("...", ""),
        ("", ""),
        ("don't", "don't"),
    ],
)
def test_normalisation(text, expected):
    assert normalise_answer(text) == expected


# --- files


def written(tmp_path, *lines):
    path = tmp_path / "task.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_questions_are_read(tmp_path):
    path = written(
        tmp_path,
        '{"question": "q", "choices": ["a", "b"], "answer": 1, "subject": "left alone"}',
        "",
        '{"question": "r", "choices": ["c", "d", "e"], "answer": "e"}',
    )
    assert read_questions(path) == [
        ChoiceQuestion("q", ("a", "b"), 1),
        ChoiceQuestion("r", ("c", "d", "e"), 2),
    ]
    path = written(
        tmp_path,
        '\ufeff{"question": "q", "answer": "x"}',
        '{"question": "r", "answer": ["y", "z"]}',
    )
    assert read_questions(path) == [AnswerQuestion("q", ("x",)), AnswerQuestion("r", ("y", "z"))]


GOOD = '{"question": "q", "choices": ["a", "b"], "answer": 0}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1, 2]", "expected an object in each line"),
        ("{", "not valid JSON"),
        ('{"question": "q"}', "'answer' is missing"),
        ('{"answer": "x", "choices": ["x", "y"]}', "'question' is missing"),
        ('{"question": 3, "answer": "x"}', "question: expected a string, got 3"),
        ('{"question": "q", "answer": ""}', "answer: expected a text, got an empty one"),
        ('{"question": "q", "answer": []}', "expected at least one that is right"),
        ('{"question": "q", "answer": true}', "answer: expected a string, got True"),
        ('{"question": "q", "choices": ["a"], "answer": 0}', "expected at least two, got 1"),
        ('{"question": "q", "choices": ["a", " "], "answer": 0}', "choices: number 1 is empty"),
        ('{"question": "q", "choices": ["a", 2], "answer": 0}', "choices: expected a list of"),
        ('{"question": "q", "choices": ["a", "b"], "answer": 2}', "0 to 1, got 2"),
        ('{"question": "q", "choices": ["a", "b"], "answer": -1}', "0 to 1, got -1"),
        ('{"question": "q", "choices": ["a", "b"], "answer": "c"}', "one of the choices"),
        ('{"question": "q", "choices": ["a", "a"], "answer": "a"}', "one of the choices"),
        ('{"question": "q", "choices": ["a", "b"], "answer": true}', "answer: expected"),
        ('{"question": "q", "answer": "x"}', "some questions have choices and some have none"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = written(tmp_path, GOOD, "", line)
    with pytest.raises(ValueError, match=r"task\.jsonl, line 3: ") as caught:
        read_questions(path)
    assert message in str(caught.value)


def test_files_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got an empty file"):
        read_questions(written(tmp_path, "", ""))
    with pytest.raises(FileNotFoundError):
        read_questions(tmp_path / "nothing.jsonl")
    with pytest.raises(ValueError, match="max_bytes"):
        read_questions(written(tmp_path, GOOD), max_bytes=10)


# --- the harness's requests


def request(*args):
    return SimpleNamespace(args=args)


def test_requests_of_the_harness():
    harness = HarnessModel(ANY, TOKENIZER, prefix_id=0)
    found = harness.loglikelihood(
        [request("grass is", " green"), request("grass is", " red"), request("", "abc")]
    )
    first = log_likelihoods(
        ANY, TOKENIZER.encode("grass is"), [TOKENIZER.encode(" green"), TOKENIZER.encode(" red")]
    )
    (last,) = log_likelihoods(ANY, [0], [TOKENIZER.encode("abc")])
    assert found == [(each.total, each.is_greedy) for each in (*first, last)]
    (rolled,) = harness.loglikelihood_rolling([request("abc")])
    assert rolled == pytest.approx(last.total)


def test_too_long_requests_are_cut_at_their_beginning():
    harness = HarnessModel(ANY, TOKENIZER)
    long, short = harness.loglikelihood([request("x" * 60, " ab"), request("x" * 37, " ab")])
    assert long == pytest.approx(short)


def test_texts_are_written_until_they_stop():
    harness = HarnessModel(Parrot({"a": " one. two? three"}), TOKENIZER)
    asked = [
        request("a", {"until": ["?", "."], "max_gen_toks": 30}),
        request("a", {"until": "?", "max_gen_toks": 30}),
        request("a", {"max_gen_toks": 4}),
    ]
    assert harness.generate_until(asked) == [" one", " one. two", " one"]
    with pytest.raises(ValueError, match="set do_sample to false"):
        harness.generate_until([request("a", {"do_sample": True, "temperature": 0.7})])


def test_what_the_harness_cannot_have_is_refused():
    with pytest.raises(ValueError, match="give prefix_id"):
        HarnessModel(ANY, TOKENIZER).loglikelihood([request("", "abc")])
    with pytest.raises(ValueError, match="leave no room"):
        HarnessModel(ANY, TOKENIZER).generate_until([request("a", {"max_gen_toks": 40})])

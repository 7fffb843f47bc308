"""Multiple choice by log-likelihood, and what guessing gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.evaluation._log_likelihood import (
    LogLikelihood,
    encode_after,
    log_likelihoods,
)
from foundation_transformer.evaluation._questions import (
    ChoiceQuestion,
    EvaluationTokenizer,
    Prompt,
)
from foundation_transformer.evaluation._rate import Rate


@dataclass(frozen=True)
class ChoiceScores:
    """How often a model takes the right choice.

    Attributes
    ----------
    accuracy : Rate
        The choice with the largest log-likelihood is taken; long ones are at a disadvantage, as
        each token can only lower it.
    accuracy_per_token, accuracy_per_byte : Rate
        The same with the log-likelihood divided by the tokens of the choice, or by its bytes in
        UTF-8 (without the space before it), which do not depend on the tokenizer.
    controls : dict of str to Rate
        What can be reached without understanding a question: "chance", the "longest choice" and
        the "shortest choice" (in bytes), the "commonest place" of the answer in this file, and,
        unless it was left out, "another question": ``accuracy`` when each list of choices follows
        the question of another one, and the same per token and per byte. A model whose accuracy is
        not above these has learnt how answers look, not which one is right.
    num_questions : int
    num_cut : int
        Questions that were too long for the model, whose beginning was cut off.
    choices : tuple of tuples of LogLikelihood
        Of each question, in order.
    """

    accuracy: Rate
    accuracy_per_token: Rate
    accuracy_per_byte: Rate
    controls: dict[str, Rate]
    num_questions: int
    num_cut: int
    choices: tuple[tuple[LogLikelihood, ...], ...]


def score_choices(
    model: CausalLM,
    tokenizer: EvaluationTokenizer,
    questions: Sequence[ChoiceQuestion],
    *,
    prompt: Prompt | None = None,
    rng: np.random.Generator | None = None,
) -> ChoiceScores:
    """Answer multiple-choice questions by the log-likelihood of each choice after the question.

    A space is put between question and choice, and the tokens are cut as in the lm-eval harness,
    see :func:`encode_after`. Each question is read once for all of its choices. Where several
    choices are equally likely, each of them counts as taken in part, so that their order has no
    influence.

    Parameters
    ----------
    model : CausalLM
    tokenizer : EvaluationTokenizer
        The model's; what its ``frame`` puts before every text is put before the questions.
    questions : sequence of ChoiceQuestion
        From :func:`read_questions`, for instance.
    prompt : callable, optional
        Gives the ids of a question instead, such as a chat template's; choices then follow as they
        are.
    rng : numpy.random.Generator, optional
        Draws whose question each list of choices follows in the control, which takes as long as the
        questions do; without it, that control is left out.

    Raises
    ------
    ValueError
        If there is no question, or a choice is too long for the model.

    Examples
    --------
    A model that nobody has trained knows as little as a guess:

    >>> import numpy as np
    >>> from foundation_data import CharTokenizer
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> from foundation_transformer.evaluation import ChoiceQuestion, score_choices
    >>> tokenizer = CharTokenizer.train(["The sky is blue; grass is green."])
    >>> V = len(tokenizer)
    >>> config = TransformerConfig.gpt2(vocab_size=V, d_model=8, num_heads=2, num_layers=1)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> questions = [
    ...     ChoiceQuestion("The sky is", ("green", "blue"), 1),
    ...     ChoiceQuestion("The grass is", ("green", "blue"), 0),
    ... ]
    >>> scores = score_choices(model, tokenizer, questions)
    >>> scores.accuracy.value, scores.controls["chance"].value
    (0.5, 0.5)
    """
    if not questions:
        raise ValueError("score_choices: expected at least one question, got none")
    reader = _Reader(model, tokenizer, prompt)
    found = [reader.read(each.question, each.choices) for each in questions]
    num_cut = reader.num_cut
    accuracies = _accuracies(questions, found)
    controls = _guesses(questions)
    if rng is not None and len(questions) > 1:
        # In a random circle of all questions, each list of choices follows the next one's.
        circle = rng.permutation(len(questions))
        others = np.empty_like(circle)
        others[circle] = np.roll(circle, 1)
        exchanged = [
            reader.read(questions[other].question, each.choices)
            for each, other in zip(questions, others, strict=True)
        ]
        names = ("another question", "another question, per token", "another question, per byte")
        controls.update(zip(names, _accuracies(questions, exchanged), strict=True))
    return ChoiceScores(*accuracies, controls, len(questions), num_cut, tuple(map(tuple, found)))


class _Reader:
    """Reads questions, and counts those that were cut."""

    def __init__(
        self, model: CausalLM, tokenizer: EvaluationTokenizer, prompt: Prompt | None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.prompt = prompt
        self.num_cut = 0

    def read(self, question: str, choices: Sequence[str]) -> list[LogLikelihood]:
        """The log-likelihoods of the choices after the question."""
        ids, continuations = self.ids(question, choices)
        config = self.model.config
        if config.has_length_limit:
            room = config.max_len - max(map(len, continuations))
            before = [] if self.prompt else list(self.tokenizer.frame.before)
            if room <= len(before):
                raise ValueError(
                    f"score_choices: a choice of {max(map(len, continuations))} tokens is too long "
                    f"for a model that reads {config.max_len}: {max(choices, key=len)!r:.60}"
                )
            if len(ids) > room:
                ids = before + ids[len(ids) - room + len(before) :]
                self.num_cut += 1
        return log_likelihoods(self.model, ids, continuations)

    def ids(self, question: str, choices: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        """The ids of a question, and those of each choice."""
        if self.prompt is not None:
            return list(self.prompt(question)), [self.tokenizer.encode(each) for each in choices]
        pairs = [encode_after(self.tokenizer.encode, question, f" {each}") for each in choices]
        ids = list(self.tokenizer.frame.before) + pairs[0][0]
        if not ids:
            raise ValueError(
                "score_choices: a question is empty, and the tokenizer puts nothing before it; "
                "write what shall stand before the choices, such as 'Answer:'"
            )
        return ids, [after for _, after in pairs]


def _accuracies(
    questions: Sequence[ChoiceQuestion], found: Sequence[Sequence[LogLikelihood]]
) -> tuple[Rate, Rate, Rate]:
    """The shares of right choices by the sum, per token and per byte."""
    totals = [[choice.total for choice in choices] for choices in found]
    tokens = [[choice.total / choice.num_tokens for choice in choices] for choices in found]
    sizes = [[_bytes(choice) for choice in each.choices] for each in questions]
    per_byte = [np.divide(row, size).tolist() for row, size in zip(totals, sizes, strict=True)]
    answers = [each.answer for each in questions]
    by_sum, by_token, by_byte = (
        Rate.of([_credit(row, answer) for row, answer in zip(scores, answers, strict=True)])
        for scores in (totals, tokens, per_byte)
    )
    return by_sum, by_token, by_byte


def _guesses(questions: Sequence[ChoiceQuestion]) -> dict[str, Rate]:
    """What one gets without reading the questions."""
    sizes = [[_bytes(choice) for choice in each.choices] for each in questions]
    answers = [each.answer for each in questions]
    place, _ = Counter(answers).most_common(1)[0]
    pairs = list(zip(sizes, answers, strict=True))
    return {
        "chance": Rate.of([1 / len(each.choices) for each in questions]),
        "longest choice": Rate.of([_credit(row, answer) for row, answer in pairs]),
        "shortest choice": Rate.of([_credit([-x for x in row], answer) for row, answer in pairs]),
        "commonest place": Rate.of([float(answer == place) for answer in answers]),
    }


def _credit(scores: Sequence[float], answer: int) -> float:
    """1 / k if the answer is one of the k best, otherwise 0."""
    best = max(scores)
    return 1 / scores.count(best) if scores[answer] == best else 0.0


def _bytes(choice: str) -> int:
    return len(choice.strip().encode())

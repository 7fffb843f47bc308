"""Short answers that a model writes, compared with those that are right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from foundation_seq import generate

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._known_tokens import KnownTokens
from foundation_transformer.evaluation._questions import (
    AnswerQuestion,
    EvaluationTokenizer,
    Prompt,
)
from foundation_transformer.evaluation._rate import Rate


@dataclass(frozen=True)
class AnswerScores:
    """How often a model writes a right answer.

    Attributes
    ----------
    exact : Rate
        The share that is equal to a right answer after normalisation.
    verbatim : Rate
        The share that is equal to one as it is written.
    num_questions : int
    num_too_long : int
        Questions that leave no room for an answer; they count as wrong.
    written : tuple of str
        What the model wrote, in order.
    """

    exact: Rate
    verbatim: Rate
    num_questions: int
    num_too_long: int
    written: tuple[str, ...]


def normalise_answer(text: str) -> str:
    r"""An answer as it is compared: without what does not make it another one.

    Characters that look alike become the same (NFKC), capital letters small ones, and white space
    one space; punctuation at both ends is left out. Articles, accents and what stands in between
    remain.

    Examples
    --------
    >>> normalise_answer("  The  Eiffel\tTower. ")
    'the eiffel tower'
    >>> normalise_answer("«Déjà vu!»")
    'déjà vu'
    """
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold())
    start, stop = 0, len(text)
    while start < stop and _is_edge(text[start]):
        start += 1
    while start < stop and _is_edge(text[stop - 1]):
        stop -= 1
    return text[start:stop]


def _is_edge(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("P")


def score_answers(
    model: CausalLM,
    tokenizer: EvaluationTokenizer,
    questions: Sequence[AnswerQuestion],
    *,
    prompt: Prompt | None = None,
    stop_ids: Collection[int] = (),
    max_new_tokens: int = 32,
    batch_size: int = 16,
    normalise: Callable[[str], str] = normalise_answer,
) -> AnswerScores:
    """Have a model write the answer to each question, and compare it with those that are right.

    The likeliest token is taken each time, up to the end of a line, and spaces around the answer
    are left out.

    Parameters
    ----------
    model : CausalLM
    tokenizer : EvaluationTokenizer
        The model's; what its ``frame`` puts before every text is put before the questions.
    questions : sequence of AnswerQuestion
        From :func:`read_questions`, for instance.
    prompt : callable, optional
        Gives the ids of a question instead, such as a chat template's.
    stop_ids : collection of int
        Tokens that end an answer, such as that for the end of a text.
    max_new_tokens : int
        The longest answer.
    batch_size : int
        Questions at once; does not change the result beyond rounding.
    normalise : callable
        Both texts are compared after it.

    Raises
    ------
    ValueError
        If there is no question.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_data import CharTokenizer
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> from foundation_transformer.evaluation import AnswerQuestion, score_answers
    >>> tokenizer = CharTokenizer.train(["1 + 1 = 2"])
    >>> V = len(tokenizer)
    >>> config = TransformerConfig.gpt2(vocab_size=V, d_model=8, num_heads=2, num_layers=1)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> scores = score_answers(model, tokenizer, [AnswerQuestion("1 + 1 =", ("2",))])
    >>> scores.exact.value
    0.0
    """
    if not questions:
        raise ValueError("score_answers: expected at least one question, got none")
    before = list(tokenizer.frame.before)
    prompts = [
        list(prompt(each.question) if prompt else before + tokenizer.encode(each.question.rstrip()))
        for each in questions
    ]
    if not all(prompts):
        raise ValueError(
            f"score_answers: question {prompts.index([])} is empty, and the tokenizer puts nothing "
            "before it; write what shall stand before the answer"
        )
    config = model.config
    room = config.max_len - 1 if config.has_length_limit else None
    fits = [room is None or len(ids) <= room for ids in prompts]
    written = [""] * len(questions)
    writer = KnownTokens(model, len(tokenizer))
    order = sorted((i for i, fit in enumerate(fits) if fit), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), batch_size):  # those of about the same length together
        chosen = order[start : start + batch_size]
        rows = [prompts[i] for i in chosen]
        limits = [
            max_new_tokens if room is None else min(max_new_tokens, room + 1 - len(ids))
            for ids in rows
        ]
        answers = generate(
            writer, rows, limits, stop_ids=stop_ids, stop_strings=["\n"], decode=tokenizer.decode
        )
        for i, ids in zip(chosen, answers, strict=True):
            # A tokenizer may drop the space of a first token; decoded together nothing is lost.
            whole = tokenizer.decode(prompts[i] + ids)
            text = whole[len(tokenizer.decode(prompts[i])) :]
            written[i] = text.partition("\n")[0].strip()
    pairs = list(zip(written, questions, strict=True))
    exact = [normalise(text) in map(normalise, each.answers) for text, each in pairs]
    verbatim = [text in each.answers for text, each in pairs]
    return AnswerScores(
        Rate.of(exact), Rate.of(verbatim), len(questions), fits.count(False), tuple(written)
    )

"""``foundation evaluate --task``: a language model answers questions."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from foundation_nn.files import MAX_BYTES, write_file

from foundation_transformer.chat import Conversation
from foundation_transformer.cli._pretrained import Writer, language_model
from foundation_transformer.evaluation import (
    AnswerQuestion,
    ChoiceQuestion,
    Rate,
    read_questions,
    score_answers,
    score_choices,
)


def show_task(options: argparse.Namespace) -> None:
    """Print how many questions of a file a language model answers, for people or as JSON.

    Raises
    ------
    OSError, ValueError
        If there is no language model, the file is not as it should be, or a flag would do nothing.
    """
    questions = read_questions(options.task, options.max_bytes or MAX_BYTES)
    writer = language_model(options.folder, base=options.base)
    talk = _conversation(writer, options)
    found: dict[str, Any]
    details: list[dict[str, Any]]
    if isinstance(questions[0], ChoiceQuestion):
        found, details = _choices(writer, talk, questions, options)
    else:
        found, details = _answers(writer, talk, questions, options)
    if options.details is not None:
        lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in details]
        write_file(options.details, "".join(lines).encode())
    if options.json:
        print(json.dumps({name: _plain(value) for name, value in found.items()}))
    else:
        width = max(map(len, found))
        for name, value in found.items():
            print(f"{name:{width}}  {value}")


def _plain(value: Any) -> Any:
    """A rate as an object; a standard error that is not known is null."""
    if not isinstance(value, Rate):
        return value
    error = None if math.isnan(value.standard_error) else value.standard_error
    return {"value": value.value, "standard_error": error}


def _conversation(writer: Writer, options: argparse.Namespace) -> Conversation | None:
    if not options.chat:
        if options.system is not None:
            raise ValueError("--system: does nothing without --chat")
        return None
    if writer.chat_template is None:
        raise ValueError(
            f"--chat: {options.folder} has no chat template; leave it out, and write into the "
            "questions what shall stand around them"
        )
    return Conversation(writer.chat_template, writer.tokenizer, options.system)


def _prompt(writer: Writer, talk: Conversation | None) -> Any:
    """From a question to the ids of a conversation in which it is asked."""
    if talk is None:
        return None

    def ids(question: str) -> list[int]:
        talk.turns = [("user", question)]
        return talk.ids(writer.model.config.max_len)

    return ids


def _choices(
    writer: Writer,
    talk: Conversation | None,
    questions: Sequence[ChoiceQuestion],
    options: argparse.Namespace,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if options.max_new_tokens is not None:
        raise ValueError("--max-new-tokens: does nothing for multiple choice")
    scores = score_choices(
        writer.model,
        writer.tokenizer,
        questions,
        prompt=_prompt(writer, talk),
        rng=np.random.default_rng(0 if options.seed is None else options.seed),
    )
    found = {
        "questions": scores.num_questions,
        "cut": scores.num_cut,
        "accuracy": scores.accuracy,
        "accuracy per token": scores.accuracy_per_token,
        "accuracy per byte": scores.accuracy_per_byte,
        **{f"control: {name}": rate for name, rate in scores.controls.items()},
    }
    details = [
        {
            "question": each.question,
            "answer": each.answer,
            "log_likelihoods": [choice.total for choice in choices],
            "tokens": [choice.num_tokens for choice in choices],
        }
        for each, choices in zip(questions, scores.choices, strict=True)
    ]
    return found, details


def _answers(
    writer: Writer,
    talk: Conversation | None,
    questions: Sequence[AnswerQuestion],
    options: argparse.Namespace,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if options.seed is not None:
        raise ValueError("--seed: does nothing without choices; the likeliest token is taken")
    scores = score_answers(
        writer.model,
        writer.tokenizer,
        questions,
        prompt=_prompt(writer, talk),
        stop_ids=[*writer.stop_ids, *([] if talk is None else talk.end_ids())],
        max_new_tokens=options.max_new_tokens or 32,
    )
    found = {
        "questions": scores.num_questions,
        "too long": scores.num_too_long,
        "exact match": scores.exact,
        "verbatim": scores.verbatim,
    }
    details = [
        {"question": each.question, "answers": list(each.answers), "written": text}
        for each, text in zip(questions, scores.written, strict=True)
    ]
    return found, details

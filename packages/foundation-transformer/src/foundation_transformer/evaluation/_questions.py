"""Questions with answers that can be checked, one in each line of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from foundation_nn.files import MAX_BYTES, field, read_json_lines

#: From a question to the ids that the model reads before it answers, such as a chat template's.
Prompt: TypeAlias = Callable[[str], Sequence[int]]


class EvaluationTokenizer(Protocol):
    """A tokenizer, as far as evaluations need one; foundation-data's are."""

    @property
    def frame(self) -> Any: ...
    def __len__(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question, and texts of which one is the answer.

    Attributes
    ----------
    question : str
        All that the model reads before the choices, such as ``"Question: ...\\nAnswer:"``.
    choices : tuple of str
        At least two.
    answer : int
        Which of them is right, from 0.

    Raises
    ------
    ValueError
        If there are fewer than two choices, one is empty, or the answer is none of them.
    """

    question: str
    choices: tuple[str, ...]
    answer: int

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise ValueError(f"choices: expected at least two, got {len(self.choices)}")
        for i, choice in enumerate(self.choices):
            if not choice.strip():
                raise ValueError(f"choices: number {i} is empty")
        if not 0 <= self.answer < len(self.choices):
            raise ValueError(
                f"answer: expected the place of a choice, 0 to {len(self.choices) - 1}, got "
                f"{self.answer}"
            )


@dataclass(frozen=True)
class AnswerQuestion:
    """A question that is answered by a short text.

    Attributes
    ----------
    question : str
        All that the model reads before it writes.
    answers : tuple of str
        All that are right.

    Raises
    ------
    ValueError
        If there is no answer, or one is empty.
    """

    question: str
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.answers:
            raise ValueError("answer: expected at least one that is right, got none")
        if not all(answer.strip() for answer in self.answers):
            raise ValueError("answer: expected a text, got an empty one")


def read_questions(
    path: str | os.PathLike[str], max_bytes: int = MAX_BYTES
) -> list[ChoiceQuestion] | list[AnswerQuestion]:
    """The questions of a file in JSON lines: all with choices, or none.

    A line holds ``question``, ``answer``, and for multiple choice ``choices``, a list of texts; the
    answer then is the place of the right one, from 0, or its text. Without choices it is a text, or
    a list of texts that are all right. Further fields are left alone.

    Parameters
    ----------
    path : path
    max_bytes : int
        How large the file may be.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is not as described; the message names it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> place = pathlib.Path(tempfile.mkdtemp(), "task.jsonl")
    >>> _ = place.write_text(
    ...     '{"question": "Grass is", "choices": ["green", "loud"], "answer": "green"}'
    ... )
    >>> read_questions(place)
    [ChoiceQuestion(question='Grass is', choices=('green', 'loud'), answer=0)]
    """
    with_choices: list[ChoiceQuestion] = []
    without: list[AnswerQuestion] = []
    for number, record in read_json_lines(path, max_bytes):
        try:
            if "choices" in record:
                with_choices.append(_choice_question(record))
            else:
                without.append(_answer_question(record))
            if with_choices and without:
                raise ValueError(
                    "some questions have choices and some have none; put them into two files"
                )
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}, line {number}: {error}") from None
    return with_choices or without


def _choice_question(record: dict[str, Any]) -> ChoiceQuestion:
    choices = tuple(field(record, "choices", list[str]))
    answer = field(record, "answer", int | str)
    if isinstance(answer, str):
        if choices.count(answer) != 1:
            raise ValueError(
                f"answer: expected one of the choices or its place from 0, got {answer!r:.60}"
            )
        answer = choices.index(answer)
    return ChoiceQuestion(field(record, "question", str), choices, answer)


def _answer_question(record: dict[str, Any]) -> AnswerQuestion:
    if isinstance(record.get("answer"), list):
        answers = tuple(field(record, "answer", list[str]))
    else:
        answers = (field(record, "answer", str),)
    return AnswerQuestion(field(record, "question", str), answers)

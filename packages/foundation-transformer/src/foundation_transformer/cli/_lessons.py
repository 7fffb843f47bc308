"""Examples of a file as ids, and which of them a model is to learn; and one of them, shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from foundation_data import CorpusReport, Dropped, Tokenizer, TuningExample, split_pairs

from foundation_transformer.chat import ChatTemplate, MarkedText, mark_answers
from foundation_transformer.cli._streams import printable

#: Colours of a terminal: what is learnt, and the end of that.
_GREEN, _PLAIN = "\x1b[32m", "\x1b[0m"


@dataclass
class Lessons:
    """The texts of some examples, with an account of what became of the others.

    Attributes
    ----------
    texts : list of MarkedText
    examples : list of TuningExample
        Those that were kept.
    how : Counter of str
        How the answers were found, and in how many examples.
    num_cut : int
        How many conversations were too long and lost their last turns.
    report : CorpusReport
    """

    texts: list[MarkedText] = field(default_factory=list)
    examples: list[TuningExample] = field(default_factory=list)
    how: Counter[str] = field(default_factory=Counter)
    num_cut: int = 0
    report: CorpusReport = field(default_factory=lambda: CorpusReport("", 0, 0))

    @property
    def num_learnt(self) -> int:
        """The tokens that are learnt."""
        return sum(sum(text.trained) for text in self.texts)


class _Unfit(ValueError):
    """Why an example is left out."""


@dataclass(frozen=True)
class Teacher:
    """Makes texts of examples.

    Attributes
    ----------
    tokenizer : Tokenizer
    template : ChatTemplate or None
    length : int
        The longest row, in predictions: a text may have one token more.
    now : datetime
        What the template takes for the present.
    """

    tokenizer: Tokenizer
    template: ChatTemplate | None
    length: int
    now: datetime

    @property
    def _chat(self) -> ChatTemplate:
        if self.template is None:
            raise ValueError("messages need a chat template, and the base has none")
        return self.template

    def lessons(self, name: str, examples: Sequence[TuningExample]) -> Lessons:
        """Those that can be learnt from; the others are counted, and the first of each named.

        Raises
        ------
        ValueError
            If there are messages and no chat template, or nothing is left.
        """
        made = Lessons()
        dropped: dict[str, Dropped] = {}
        for example in examples:
            try:
                texts = self._texts(example, made)
            except _Unfit as reason:
                known = dropped.get(str(reason))
                where = f"line {example.line}: {printable(example.key)!r:.60}"
                count = 1 if known is None else known.count + 1
                dropped[str(reason)] = Dropped(count, where if known is None else known.example)
                continue
            made.texts += texts
            made.examples.append(example)
        made.report = CorpusReport(name, len(examples), len(made.examples), dropped)
        return made

    def prompt(self, example: TuningExample) -> list[int]:
        """What the model reads before it writes the last answer; nothing for a plain text."""
        if example.kind == "messages":
            last = _answers(example.messages)[-1]
            return self._chat.encode(
                self.tokenizer, example.messages[:last], add_generation_prompt=True, now=self.now
            )
        if example.kind == "text":
            return []
        return [*self.tokenizer.frame.before, *self.tokenizer.encode(example.prompt)]

    def _texts(self, example: TuningExample, made: Lessons) -> list[MarkedText]:
        try:
            if example.kind == "messages":
                return self._conversation(example.messages, made)
            return [self._plain(example)]
        except _Unfit:
            raise
        except ValueError as error:  # of the template or the tokenizer
            raise _Unfit(str(error)) from None

    def _plain(self, example: TuningExample) -> MarkedText:
        """A prompt and its completion, or a text, all of which is learnt."""
        if not example.text.strip():
            raise _Unfit("empty answer" if example.kind == "completion" else "empty")
        encode = self.tokenizer.encode
        given = [*self.tokenizer.frame.before, *encode(example.prompt)]
        whole = [*self.tokenizer.frame.before, *encode(example.prompt + example.text)]
        # The ids of the whole, unless a token would lie across the edge.
        new = whole[len(given) :] if whole[: len(given)] == given else encode(example.text)
        new = [*new, self.tokenizer.vocabulary.specials.eos_id]
        text = MarkedText(given + new, [False] * len(given) + [True] * len(new))
        if example.kind == "completion" and len(text) > self.length + 1:
            raise _Unfit(f"longer than {self.length} tokens")
        return text

    def _conversation(
        self, messages: Sequence[Mapping[str, Any]], made: Lessons
    ) -> list[MarkedText]:
        """A conversation, without its last turns if it is too long."""
        answers = _answers(messages)
        if not answers:
            raise _Unfit("without an answer")
        if any(_is_empty(messages[i]) for i in answers):
            raise _Unfit("empty answer")
        for last in reversed(answers):
            texts, how = mark_answers(
                self._chat, self.tokenizer, messages[: last + 1], now=self.now
            )
            fitting = [text for text in texts if len(text) <= self.length + 1]
            if fitting:
                made.how[how] += 1
                made.num_cut += last != answers[-1] or len(fitting) < len(texts)
                return fitting
        raise _Unfit(f"longer than {self.length} tokens up to the first answer")


def split(
    examples: list[TuningExample], share: float
) -> tuple[list[TuningExample], list[TuningExample]]:
    """Hold out by a hash of what is asked, so that nothing is asked on both sides.

    A word stands before it. Without that, examples that ``split_pairs`` has left for training would
    all be left for training again.
    """
    if not share:
        return examples, []
    numbered = [(f"tuning: {each.key}", str(i)) for i, each in enumerate(examples)]
    train, held_out, _ = split_pairs(numbered, validation=share, test=0.0)
    return [examples[int(i)] for _, i in train], [examples[int(i)] for _, i in held_out]


def _answers(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    return [i for i, message in enumerate(messages) if message["role"] == "assistant"]


def _is_empty(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    says = content.strip() if isinstance(content, str) else content
    return not says and not message.get("tool_calls")


def describe(lessons: Sequence[Lessons], length: int) -> str:
    """What became of the examples, in lines."""
    lines = []
    for each in lessons:
        lines.append(str(each.report))
        if each.num_cut:
            lines.append(f"  {each.num_cut:,} longer than {length} tokens: cut after an answer")
    how: Counter[str] = sum((each.how for each in lessons), Counter())
    lines += [f"answers found {way}: {count:,} examples" for way, count in how.most_common()]
    return "\n".join(lines)


def show(text: MarkedText, tokenizer: Tokenizer, coloured: bool) -> str:
    """A text with what is learnt of it in colour, or in brackets ⟦ ⟧."""
    begin, end = (_GREEN, _PLAIN) if coloured else ("⟦", "⟧")
    shown = ""
    pairs = zip(text.ids, text.trained, strict=True)
    for is_learnt, group in groupby(pairs, key=lambda pair: pair[1]):
        stretch = _readable([i for i, _ in group], tokenizer)
        shown += f"{begin}{stretch}{end}" if is_learnt else stretch
    return shown


def _readable(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """Some ids as text, in which tokens that stand for no text have their names."""
    shown = ""
    for is_text, group in groupby(ids, key=lambda i: tokenizer.decode([i]) != ""):
        stretch = list(group)
        names = tokenizer.vocabulary.to_tokens(stretch)
        shown += printable(tokenizer.decode(stretch) if is_text else "".join(names))
    return shown

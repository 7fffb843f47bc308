"""``foundation chat``: a conversation with a published model."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from foundation_nn.files import parse_json
from foundation_seq import NewToken, SamplingConfig, stream_text, stream_tokens

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._known_tokens import KnownTokens
from foundation_transformer.chat import Conversation
from foundation_transformer.cli._memory import Memory
from foundation_transformer.cli._pretrained import load_with_tokenizer
from foundation_transformer.cli._sampling import draft_of, sampling_of, tell_sampling
from foundation_transformer.cli._streams import is_typed


def chat(options: argparse.Namespace) -> None:
    """Answer what is typed, or each line of standard input, until it ends.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is no such model, or none that was taught to hold a conversation.
    """
    sampling_of(options)  # what is wrong with the flags is said before the model is loaded
    started = time.perf_counter()
    loaded, tokenizer = load_with_tokenizer(options.model, options.compact, options.base)
    if not isinstance(loaded.model, CausalLM):
        raise ValueError(f"{options.model}: a text encoder cannot answer; see: foundation embed")
    if loaded.chat_template is None:
        raise ValueError(
            f"{options.model}: has no chat template, so it was not taught to hold a conversation; "
            "see: foundation generate"
        )
    talk = Conversation(
        loaded.chat_template, tokenizer, options.system, variables=_variables(options.set or [])
    )
    talk.turns.append(("user", ""))
    talk.ids(loaded.model.config.max_len)  # a template that refuses what is asked says so at once
    talk.turns.clear()
    typed = is_typed()
    if typed:
        print(
            f"Loaded in {time.perf_counter() - started:.1f} s. An empty line or Ctrl-D ends, "
            "Ctrl-C stops an answer."
        )
    tell_sampling(options, loaded.generation)
    sampling = sampling_of(options, loaded.generation)
    stop_ids = [*loaded.stop_ids, *talk.end_ids()]
    speaker = _Speaker(loaded.model, talk, sampling, stop_ids, options)
    for question in _questions(typed):
        try:
            speaker.answer(question)
        except ValueError as error:  # too long a question ends nothing
            print(f"  {error}", file=sys.stderr)
    print(speaker.speed(), file=sys.stderr)


def _variables(settings: list[str]) -> dict[str, Any]:
    """What is set for the template, as ``enable_thinking=false``: JSON, or else text."""
    variables: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--set: expected NAME=VALUE, got {setting!r}")
        try:
            variables[name] = parse_json(text)
        except ValueError:
            variables[name] = text
    return variables


class _Speaker:
    """Answers, and counts."""

    def __init__(
        self,
        model: CausalLM,
        conversation: Conversation,
        sampling: SamplingConfig | None,
        stop_ids: list[int],
        options: argparse.Namespace,
    ) -> None:
        self.memory = Memory(model)
        self.writer = KnownTokens(self.memory, len(conversation.tokenizer))
        self.conversation = conversation
        self.options = options
        self.rng = np.random.default_rng(options.seed)
        self.sampling = sampling
        self.stop_ids = stop_ids
        self.written = 0
        self.reading = self.writing = 0.0

    def answer(self, question: str) -> None:
        """Print the answer as it is written, and remember both."""
        talk, max_len = self.conversation, self.memory.model.config.max_len
        tokens = min(self.options.max_new_tokens, max_len // 2)
        talk.turns.append(("user", question))
        try:
            ids = talk.ids(max_len - tokens)
        except ValueError:
            talk.turns.pop()
            raise
        stream = stream_tokens(
            self.writer,
            [ids],
            tokens,
            self.sampling,
            self.rng,
            stop_ids=self.stop_ids,
            draft=draft_of(self.options),
        )
        text = ""
        try:
            for piece in stream_text(self._timed(stream), talk.tokenizer.decode):
                text += piece
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            print(" …", end="")
        print()
        talk.turns.append(("assistant", text))

    def _timed(self, stream: Iterator[NewToken]) -> Iterator[NewToken]:
        before = time.perf_counter()
        first = True
        for token in stream:
            now = time.perf_counter()
            if first:
                self.reading += now - before
            else:
                self.written, self.writing = self.written + 1, self.writing + now - before
            first, before = False, now
            yield token

    def speed(self) -> str:
        """Tokens a second so far."""
        rates = [
            f"{count / seconds:,.0f} tokens/s {what}"
            for count, seconds, what in (
                (self.memory.num_read, self.reading, "read"),
                (self.written, self.writing, "written"),
            )
            if seconds
        ]
        return ", ".join(rates) or "nothing was said"


def _questions(typed: bool) -> Iterator[str]:
    """What is typed after a prompt until an empty line, or the lines of standard input."""
    while True:
        try:
            line = input("\n> " if typed else "").strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            print()
            return
        if not line and typed:
            return
        if line:
            yield line

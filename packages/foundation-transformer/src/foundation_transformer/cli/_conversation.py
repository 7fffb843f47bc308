"""A conversation as the ids that a model was taught to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

START, END = "<|im_start|>", "<|im_end|>"


@dataclass
class Conversation:
    """Turns in ChatML: each begins with a role and ends with a token of its own.

    Attributes
    ----------
    tokenizer : Tokenizer
    system : str
        What the model is told before all else; empty: nothing.
    turns : list of (role, text)
        By "user" and "assistant" in turn.
    """

    tokenizer: Any
    system: str
    turns: list[tuple[str, str]] = field(default_factory=list)

    def ids(self, room: int) -> list[int]:
        """The ids up to where the next answer begins, at most ``room``.

        The oldest turns are left out if need be, a question together with its answer; the system
        prompt and the last question stay.

        Raises
        ------
        ValueError
            If these are too long.
        """
        head = self._turn("system", self.system) if self.system else []
        turns = [self._turn(role, text) for role, text in self.turns]
        opening = self.tokenizer.encode(f"{START}assistant\n", allow_special=True)
        while len(head) + sum(map(len, turns)) + len(opening) > room:
            if len(turns) <= 1:
                raise ValueError(
                    f"the question and what it needs around it are longer than the {room} tokens "
                    "that there are for it; shorten it"
                )
            del turns[:2]
        return [*head, *(token for turn in turns for token in turn), *opening]

    def _turn(self, role: str, text: str) -> list[int]:
        encode = self.tokenizer.encode
        return [
            *encode(f"{START}{role}\n", allow_special=True),
            *self._said(text),  # where special tokens are ordinary text: nobody can type a role
            *encode(f"{END}\n", allow_special=True),
        ]

    def _said(self, text: str) -> list[int]:
        """The ids of a text, without the characters that the vocabulary has no bytes for.

        Published vocabularies lack bytes that their training never met: control characters, and
        those of scripts nobody uses.
        """
        try:
            return self.tokenizer.encode(text)  # type: ignore[no-any-return]
        except ValueError:
            known = {character for character in set(text) if self._has(character)}
            return self.tokenizer.encode("".join(filter(known.__contains__, text)))  # type: ignore[no-any-return]

    def _has(self, character: str) -> bool:
        try:
            self.tokenizer.encode(character)
        except ValueError:
            return False
        return True


def default_system(template: str | None) -> str:
    """The system prompt that a ChatML template has where none is given.

    Raises
    ------
    ValueError
        If the template is of another kind, or there is none.
    """
    if template is None or START not in template:
        raise ValueError(
            "this model has no chat template in ChatML; it was not taught to hold a conversation, "
            "or in another form"
        )
    start = template.find(f"{START}system")
    end = template.find(END, start)
    if start < 0 or end < 0:
        return ""
    prompt = template[start + len(f"{START}system") : end].removeprefix("\\n").strip()
    return "" if "{" in prompt or "'" in prompt else prompt

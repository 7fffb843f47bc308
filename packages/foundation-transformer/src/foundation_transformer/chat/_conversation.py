"""A conversation that must fit into what a model can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foundation_transformer.chat._template import ChatTemplate

if TYPE_CHECKING:
    from foundation_data import Tokenizer


@dataclass
class Conversation:
    """What was said so far.

    Attributes
    ----------
    template : ChatTemplate
    tokenizer : Tokenizer
    system : str or None
        What the model is told before all else; None leaves that to the template.
    turns : list of (role, text)
        By "user" and "assistant" in turn.
    variables : mapping
        What else the template reads, such as ``enable_thinking``.
    """

    template: ChatTemplate
    tokenizer: Tokenizer
    system: str | None = None
    turns: list[tuple[str, str]] = field(default_factory=list)
    variables: Mapping[str, Any] = field(default_factory=dict)

    def ids(self, room: int) -> list[int]:
        """The ids up to where the next answer begins, at most ``room``.

        The oldest turns are left out if need be, a question together with its answer; the system
        prompt and the last question stay.

        Raises
        ------
        ValueError
            If these are too long, or the template refuses the conversation.
        """
        turns = list(self.turns)
        while True:
            ids = self._encoded(turns)
            if len(ids) <= room:
                return ids
            if len(turns) <= 1:
                raise ValueError(
                    f"the question and what it needs around it are longer than the {room} tokens "
                    "that there are for it; shorten it"
                )
            del turns[:2]

    def end_ids(self) -> list[int]:
        """The token that the template writes after an answer; none if text stands there."""
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        try:
            text, is_template = self.template.pieces(turns, **self.variables)[-1]
        except ValueError:  # it wants something else to be said; then it is not known
            return []
        ids = self.tokenizer.encode(text, allow_special=True)[:1] if is_template else []
        return [i for i in ids if not self.tokenizer.decode([i])]  # one without a text

    def _encoded(self, turns: list[tuple[str, str]]) -> list[int]:
        said = [] if self.system is None else [("system", self.system)]
        messages = [{"role": role, "content": self._known(text)} for role, text in said + turns]
        return self.template.encode(
            self.tokenizer, messages, add_generation_prompt=True, **self.variables
        )

    def _known(self, text: str) -> str:
        """A text without the characters that the vocabulary has no bytes for.

        Published vocabularies lack bytes that their training never met: control characters, and
        those of scripts nobody uses.
        """
        if self._has(text):
            return text
        known = {character for character in set(text) if self._has(character)}
        return "".join(filter(known.__contains__, text))

    def _has(self, text: str) -> bool:
        try:
            self.tokenizer.encode(text)
        except ValueError:
            return False
        return True

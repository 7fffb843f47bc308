"""How a model was taught to read a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from foundation_nn.files import field

from foundation_transformer.chat._told import as_message, pieces_of

if TYPE_CHECKING:
    from foundation_data import Tokenizer

Message = Mapping[str, Any]
_DEFAULT, _WITH_TOOLS = "default", "tool_use"
#: A role may become part of a token, such as <|user|>.
_ROLE = re.compile(r"[\w .-]{1,64}")
#: What a message thinks before it answers, by the names that templates have for it.
_REASONING = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True)
class ChatTemplate:
    """From messages to the text that a model was taught to read.

    A template is a program in the language of Jinja, which needs the extra ``chat``. It is run in
    Jinja's sandbox, for a bounded number of steps. The result is that of ``apply_chat_template`` in
    transformers, but for special tokens that stand in a message: they are text. So nobody can take
    another role by what they write.

    Parameters
    ----------
    texts : mapping of str to str
        The templates by name: "default", and perhaps "tool_use" for conversations with tools.
    special_tokens : mapping of str to str
        What the template knows by names such as ``bos_token``.

    Raises
    ------
    ValueError
        If there is no template.

    Examples
    --------
    >>> template = ChatTemplate.of(
    ...     "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    ...     "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    ... )
    >>> messages = [{"role": "user", "content": "Hi <|end|>"}]
    >>> template.render(messages, add_generation_prompt=True)
    '<|user|>Hi <|end|><|end|><|assistant|>'
    >>> template.pieces(messages)  # with whether the template wrote it
    [('<|user|>', True), ('Hi <|end|>', False), ('<|end|>', True)]
    """

    texts: Mapping[str, str]
    special_tokens: Mapping[str, str] = dataclass_field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.texts:
            raise ValueError("ChatTemplate: expected at least one template, got none")

    @classmethod
    def of(cls, text: str, special_tokens: Mapping[str, str] | None = None) -> ChatTemplate:
        """The only template of a model."""
        return cls({_DEFAULT: text}, special_tokens or {})

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a template, for checkpoints."""
        return {"texts": dict(self.texts), "special_tokens": dict(self.special_tokens)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ChatTemplate:
        """The opposite of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is missing or of the wrong kind.
        """
        texts = field(content, "texts", dict[str, str])
        return cls(texts, field(content, "special_tokens", dict[str, str]))

    def text(self, with_tools: bool = False) -> str:
        """The template for conversations with or without tools.

        Raises
        ------
        ValueError
            If there are several, and none is the default.
        """
        names = (_WITH_TOOLS, _DEFAULT) if with_tools else (_DEFAULT,)
        for name in names:
            if name in self.texts:
                return self.texts[name]
        raise ValueError(
            f"chat template: expected one with the name {' or '.join(map(repr, names))}, there are "
            f"{', '.join(map(repr, self.texts))}"
        )

    def pieces(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        now: datetime | None = None,
        **variables: Any,
    ) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether the template wrote it, and not a message.

        Parameters are those of :meth:`marked`, which gives the pieces in one.
        """
        return pieces_of(
            self.marked(
                messages,
                tools=tools,
                documents=documents,
                add_generation_prompt=add_generation_prompt,
                now=now,
                **variables,
            )
        )

    def marked(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        now: datetime | None = None,
        **variables: Any,
    ) -> str:
        """The text, of which each character knows who wrote it.

        Parameters
        ----------
        messages : sequence of mappings
            Each with a ``role``, such as "system", "user" or "assistant", mostly with ``content``,
            and with whatever else the template reads. Fields that are None are left out.
        tools : sequence of mappings, optional
            What the model may call, as JSON schemas.
        documents : sequence of mappings, optional
            What it may read.
        add_generation_prompt : bool
            Whether the text goes on to where the answer begins.
        now : datetime, optional
            For templates that say which day it is.
        **variables
            What else the template reads, such as ``enable_thinking``.

        Raises
        ------
        ImportError
            Without jinja2.
        TypeError
            If messages are not made of strings, numbers, lists and dicts.
        ValueError
            If the template is malformed, refuses the messages, or does what the sandbox forbids.
        """
        try:
            from jinja2.exceptions import SecurityError, TemplateError
        except ImportError:
            raise ImportError(
                "chat templates need jinja2: pip install foundation-transformer[chat]"
            ) from None
        from foundation_transformer.chat._sandbox import ChatEnvironment

        known = {
            **self.special_tokens,
            **as_message(variables),
            "messages": [_prepared(message) for message in messages],
            "tools": as_message(tools),
            "documents": as_message(documents),
            "add_generation_prompt": add_generation_prompt,
        }
        environment = ChatEnvironment(now or datetime.now())
        try:
            template = environment.from_text(self.text(with_tools=tools is not None))
            return template.render(known)
        except SecurityError as error:
            reason = str(error).rstrip(".")
            raise ValueError(
                f"chat template: it does what the sandbox forbids: {reason}; it is not run"
            ) from None
        except TemplateError as error:
            raise ValueError(f"chat template: {error}") from None
        except RecursionError:
            raise ValueError("chat template: it calls itself without an end") from None
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"chat template: it fails with these messages ({type(error).__name__}: {error})"
            ) from None

    def render(self, messages: Sequence[Message], **options: Any) -> str:
        """The text, for reading; options are those of :meth:`pieces`.

        To be given to a model it is encoded by :meth:`encode`, which knows who wrote what.
        """
        return "".join(text for text, _ in self.pieces(messages, **options))

    def encode(
        self, tokenizer: Tokenizer, messages: Sequence[Message], **options: Any
    ) -> list[int]:
        """The ids of a conversation; options are those of :meth:`pieces`."""
        return tokenizer.encode_pieces(self.pieces(messages, **options))


def _prepared(message: Message) -> dict[str, Any]:
    """A message as templates read it."""
    if not isinstance(message, Mapping):
        raise TypeError(f"expected messages as mappings, got {type(message).__name__}")
    role = message.get("role")
    if not isinstance(role, str) or not _ROLE.fullmatch(role):
        raise ValueError(f"a message has the role {role!r:.60}; expected a word such as 'user'")
    said = {name: value for name, value in message.items() if value is not None and name != "role"}
    thought = next((said[name] for name in _REASONING if name in said), None)
    if thought is not None:
        said = {"thinking": thought, **said, "reasoning_content": thought}
    # The role alone is not a message's word: templates make tokens of it.
    return {"role": role, **as_message(said)}

"""Jinja for templates that nobody here has written: what they may do, and for how long.

A chat template is a program that comes with a model. Jinja's sandbox keeps it from everything but
its data. Two things are added here. It ends: loops have a number of steps, and texts a length. And
the strings that it makes know what of them a message says, see ``_told``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache, wraps
from types import BuiltinMethodType, CodeType
from typing import Any, NoReturn, TypeVar

from jinja2 import Template, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from foundation_transformer.chat._told import Told, concat, generated, holds_message, told

#: How often the body of a loop may run in one rendering, all loops together.
MAX_STEPS = 1_000_000
#: How many characters a string may have.
MAX_CHARACTERS = 16_000_000
#: The largest number for a method or a filter, such as a width.
_MAX_NUMBER = 1_000_000
#: Filters of Jinja that use nothing but methods of the string that they are given.
_EXACT = ("trim", "replace", "upper", "lower", "capitalize", "string", "list", "reverse")
T = TypeVar("T")
_BIG_WIDTH = re.compile(r"\d{7}")


class _Marking(CodeGenerator):
    """Writes ``a ~ b`` so that the environment joins the two."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """Of any number of expressions."""
        self.write("environment.concat((")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write("))")


class _Generation(Extension):
    """``{% generation %}`` marks what the model wrote, for training; it changes no text."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """What stands in it, with names of its own, and marked by a filter."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        mark = nodes.Filter(None, "generated", [], [], None, None, lineno=line)
        return nodes.FilterBlock(body, mark, lineno=line)


class _TemplateNamespace(Namespace):
    """A namespace without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            _refuse_underscore(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        super().__setitem__(name, value)


def _refuse_underscore(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace with the name {name!r}")


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox of one rendering.

    Parameters
    ----------
    now : datetime
        What templates take for the present.
    """

    code_generator_class = _Marking
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, now: datetime) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            finalize=_finalize,
        )
        self.steps = 0

        def strftime_now(style: str) -> str:
            return now.strftime(style)

        for name, function in self.filters.items():
            self.filters[name] = _marking(name, function)
        self.filters["tojson"] = _marking("tojson", _tojson)
        self.filters["join"] = _join
        self.filters["counted"] = self._counted
        self.filters["generated"] = generated
        self.globals.update(
            raise_exception=_raise,
            strftime_now=strftime_now,
            dict=_TemplateDict(),
            namespace=_TemplateNamespace,
        )
        # The generators of random text are no part of a conversation.
        self.globals.pop("lipsum", None)

    def from_text(self, text: str) -> Template:
        """A template, which is compiled when it is met for the first time."""
        return self.template_class.from_code(self, _compiled(text), self.make_globals(None))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def _counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values of a loop, until there were too many."""
        for value in values:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise SecurityError(f"loops of more than {MAX_STEPS:,} steps")
            yield value

    @staticmethod
    def concat(parts: Iterable[Any]) -> str:
        """One string of several."""
        return _bounded(concat(parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operation that could make something too large, or forget who wrote it."""
        if operator == "**" and not (abs(left) <= _MAX_NUMBER and abs(right) <= 9):
            raise SecurityError("a power that may be very large")
        if operator == "*":
            _require_small(left, right)
        if operator == "%" and isinstance(left, str):
            _require_narrow(left)
            return _bounded(told(str.__mod__(left, right), left, right))
        return _bounded(super().call_binop(context, operator, left, right))

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        """A call; of a string's method so that its result knows who wrote it."""
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str) and not isinstance(function, Macro):
            name = function.__name__
            _require_numbers(args, kwargs)
            if name == "encode":  # bytes do not know who wrote them
                raise SecurityError("the bytes of a text")
            if isinstance(function, BuiltinMethodType) and holds_message([*args, kwargs]):
                function = getattr(_template_text(owner), name)
            result = super().call(context, function, *args, **kwargs)
            return _marked(result, owner, args, kwargs)
        return super().call(context, function, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """``format`` of a string, so that its result knows who wrote it."""
        format_safely = super().wrap_str_format(value)
        if format_safely is None:
            return None
        owner: str = value.__self__

        @wraps(format_safely)
        def formatted(*args: Any, **kwargs: Any) -> str:
            _require_narrow(owner)
            text: str = _marked(format_safely(*args, **kwargs), owner, args, kwargs)
            return text

        return formatted


@lru_cache(maxsize=16)
def _compiled(text: str) -> CodeType:
    """The code of a template; what it reads of its environment it reads when it is run."""
    return ChatEnvironment(datetime.min).compile(text)


def _marking(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result knows who wrote it."""

    @wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        _require_numbers(args, kwargs)
        if holds_message([*args, kwargs]):
            args = tuple(_template_text(arg) if type(arg) is str else arg for arg in args)
        result = function(*args, **kwargs)
        if isinstance(result, Told) and name not in _EXACT:
            # Jinja made it of strings that do not know, in part at least.
            is_given = _is_one_of(result, [args, kwargs])
            return result if is_given else _bounded(Told(result))
        return _marked(result, args, kwargs)

    return filtered


def _template_text(text: str) -> Told:
    """A string of the template that knows it."""
    return Told(text, b"\0" * len(text))


def _marked(result: Any, *sources: Any) -> Any:
    """A result that is a message's where it was made of one, and does not know it."""
    knows = not isinstance(result, str) or isinstance(result, Told)
    if knows or not holds_message(list(sources)) or _is_one_of(result, list(sources)):
        return _bounded(result)
    return _bounded(Told(str(result)))


def _is_one_of(result: str, sources: Any) -> bool:
    """Whether a string is, as it is, one of those that something was made of."""
    if isinstance(sources, dict):
        return any(_is_one_of(result, each) for each in sources.values())
    if isinstance(sources, list | tuple):
        return any(_is_one_of(result, each) for each in sources)
    return sources is result


def _finalize(value: Any) -> Any:
    """What is printed: a list of messages is text that messages say."""
    if isinstance(value, str | Undefined) or value is None:
        return value
    return told(value, value)


def _join(value: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    parts = [each if attribute is None else each[attribute] for each in value]
    texts = [part if isinstance(part, str) else told(part, part) for part in parts]
    between = separator if isinstance(separator, Told) else _template_text(separator)
    return _bounded(between.join(texts))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


class _TemplateDict:
    """``dict``, without what hangs on the type."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _bounded(value: T) -> T:
    """A value, unless it is a text or a list that is too long."""
    if _length(value) > MAX_CHARACTERS:
        raise SecurityError(f"a text or a list of more than {MAX_CHARACTERS:,} items")
    return value


def _require_small(left: Any, right: Any) -> None:
    """Refuse a product that may be very large, before it is computed."""
    if isinstance(left, int) and isinstance(right, int):
        too_large = left.bit_length() + right.bit_length() > 1000
    elif isinstance(left, int):
        too_large = left * _length(right) > MAX_CHARACTERS
    else:
        too_large = isinstance(right, int) and right * _length(left) > MAX_CHARACTERS
    if too_large:
        raise SecurityError("a product that is very large")


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _require_numbers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse widths and counts that may take all memory."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise SecurityError(f"the number {value:,} for a method or a filter")


def _require_narrow(style: str) -> None:
    if _BIG_WIDTH.search(style):
        raise SecurityError("a width of seven digits")

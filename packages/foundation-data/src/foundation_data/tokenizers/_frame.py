"""What a model reads around a text, such as ``[CLS]`` before it and ``[SEP]`` after it.

A file of the ``tokenizers`` library calls this the post-processor. It may be written in three ways,
all of which come down to a row of tokens with a place for one text, and another row with places for
two:

>>> frame = Frame.from_json({"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]})
>>> frame.around([7, 8])
[1, 7, 8, 2]
>>> frame.around_pair([7, 8], [9])
([1, 7, 8, 2, 9, 2], [0, 0, 0, 0, 1, 1])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from foundation_nn.files import field


class FramePart(NamedTuple):
    """One part of a frame: tokens, or the place of a text.

    Attributes
    ----------
    text : str
        "A" or "B" for the place of the first or the second text; else the name of a token.
    ids : tuple of int
        Those of the token; none for a text.
    token_type : int
        What models that tell two texts apart are told of these tokens.
    """

    text: str
    ids: tuple[int, ...]
    token_type: int


_FIRST = FramePart("A", (), 0)
_SECOND = FramePart("B", (), 1)


@dataclass(frozen=True)
class Frame:
    """The tokens around one text, and those around two.

    Attributes
    ----------
    single : tuple of FramePart
    pair : tuple of FramePart
    """

    single: tuple[FramePart, ...] = (_FIRST,)
    pair: tuple[FramePart, ...] = (_FIRST, _SECOND)

    def around(self, ids: Sequence[int]) -> list[int]:
        """The ids of a text with those that stand around it."""
        return _fill(self.single, {"A": ids})[0]

    def around_pair(
        self, first: Sequence[int], second: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """The ids of two texts with those around and between them, and the type of each token."""
        return _fill(self.pair, {"A": first, "B": second})

    @property
    def before(self) -> list[int]:
        """The ids before a text, which a model that continues it must read, too."""
        return _fill(self.single[: self.single.index(_place(self.single, "A"))], {})[0]

    @property
    def size(self) -> int:
        """How many tokens are added to one text."""
        return len(self.around([]))

    @property
    def pair_size(self) -> int:
        """How many tokens are added to two texts."""
        return len(self.around_pair([], [])[0])

    @classmethod
    def with_ends(cls, bos: tuple[str, int] | None, eos: tuple[str, int] | None) -> Frame:
        """The frame of a token before each text and one after it, either of which may be None."""

        def framed(place: FramePart) -> list[FramePart]:
            before = [] if bos is None else [FramePart(bos[0], (bos[1],), place.token_type)]
            after = [] if eos is None else [FramePart(eos[0], (eos[1],), place.token_type)]
            return [*before, place, *after]

        return cls(tuple(framed(_FIRST)), (*framed(_FIRST), *framed(_SECOND)))

    @classmethod
    def from_json(cls, content: Any) -> Frame:
        """Read the ``post_processor`` of a `tokenizer.json`, which may be None.

        Raises
        ------
        ValueError
            If it is malformed, or of a kind that is not supported.
        """
        try:
            return _read(content)
        except ValueError as error:
            raise ValueError(f"post_processor: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """The frame as a post-processor of the library."""

        def written(part: FramePart) -> dict[str, Any]:
            name = "SpecialToken" if part.ids else "Sequence"
            return {name: {"id": part.text, "type_id": part.token_type}}

        tokens = {part.text: part for part in (*self.single, *self.pair) if part.ids}
        return {
            "type": "TemplateProcessing",
            "single": [written(part) for part in self.single],
            "pair": [written(part) for part in self.pair],
            "special_tokens": {
                name: {"id": name, "ids": list(part.ids), "tokens": [name] * len(part.ids)}
                for name, part in tokens.items()
            },
        }

    def require_ids(self, vocab_size: int) -> None:
        """Refuse ids that the vocabulary does not have.

        Raises
        ------
        ValueError
        """
        for part in (*self.single, *self.pair):
            for index in part.ids:
                if not 0 <= index < vocab_size:
                    raise ValueError(
                        f"post_processor: {part.text!r} has the id {index}, which is not one of "
                        f"the vocabulary's {vocab_size}"
                    )


def _fill(
    parts: Sequence[FramePart], texts: Mapping[str, Sequence[int]]
) -> tuple[list[int], list[int]]:
    """Ids and token types of a row of parts, with texts in their places."""
    ids: list[int] = []
    types: list[int] = []
    for part in parts:
        new = part.ids or texts[part.text]
        ids += new
        types += [part.token_type] * len(new)
    return ids, types


def _place(parts: Sequence[FramePart], text: str) -> FramePart:
    return next(part for part in parts if not part.ids and part.text == text)


def _read(content: Any) -> Frame:
    if content is None:
        return Frame()
    kind = field(content, "type", str)
    if kind == "ByteLevel":  # it changes where tokens are said to stand, and no token
        return Frame()
    if kind == "Sequence":
        frames = [_read(each) for each in field(content, "processors", list)]
        framing = [frame for frame in frames if frame != Frame()]
        if len(framing) > 1:
            raise ValueError("several parts add tokens, which is not supported")
        return framing[0] if framing else Frame()
    if kind == "TemplateProcessing":
        tokens = field(content, "special_tokens", dict)
        return Frame(
            _template(field(content, "single", list), tokens, ["A"]),
            _template(field(content, "pair", list), tokens, ["A", "B"]),
        )
    if kind in ("BertProcessing", "RobertaProcessing"):
        cls, sep = (_named(content, name) for name in ("cls", "sep"))
        start, end = FramePart(cls[0], (cls[1],), 0), FramePart(sep[0], (sep[1],), 0)
        single = (start, _FIRST, end)
        if kind == "BertProcessing":
            return Frame(single, (*single, _SECOND, end._replace(token_type=1)))
        return Frame(single, (*single, end, _SECOND._replace(token_type=0), end))
    raise ValueError(
        f"type {kind!r:.60} is not supported; expected TemplateProcessing, BertProcessing, "
        "RobertaProcessing, ByteLevel or a Sequence of them"
    )


def _named(content: Any, name: str) -> tuple[str, int]:
    """A token and its id, as ``["[CLS]", 101]``."""
    value = field(content, name, list)
    if len(value) != 2 or type(value[0]) is not str or type(value[1]) is not int:
        raise ValueError(f"{name}: expected a token and its id, got {value!r:.60}")
    return value[0], value[1]


def _template(
    parts: list[Any], tokens: Mapping[str, Any], wanted: list[str]
) -> tuple[FramePart, ...]:
    """The parts of a template in which each wanted text has one place."""
    found: list[FramePart] = []
    for part in parts:
        if isinstance(part, dict) and "Sequence" in part:
            place = part["Sequence"]
            name = field(place, "id", str)
            if name not in wanted:
                raise ValueError(f"the text {name!r:.60} has a place, where {wanted} are expected")
            found.append(FramePart(name, (), field(place, "type_id", int)))
        else:
            token = field(part, "SpecialToken", dict)
            name = field(token, "id", str)
            ids = tuple(field(field(tokens, name, dict), "ids", list[int]))
            if not ids:
                raise ValueError(f"the special token {name!r:.60} has no id")
            found.append(FramePart(name, ids, field(token, "type_id", int)))
    places = [part.text for part in found if not part.ids]
    if sorted(places) != wanted:
        raise ValueError(f"expected one place for each of {wanted}, got {places}")
    return tuple(found)

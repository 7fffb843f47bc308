"""Cutting text into pieces before a subword tokenizer sees it, in the steps of `tokenizer.json`.

No token ever crosses a cut, so the steps decide what a token can be: whether it may hold a space,
several digits, or a letter beside a comma. Each step cuts the pieces that the one before has left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, Protocol

from foundation_nn.files import field

from foundation_data.tokenizers._patterns import WORDS_WITH_SPACE, Pattern, compile_pattern

#: How SentencePiece writes a space in a token.
BLANK = "▁"
#: A part of a text, and whether the pattern has matched it.
Part = tuple[str, bool]


class Step(Protocol):
    """One step of cutting."""

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        ...


def cut_text(steps: Iterable[Step], text: str) -> list[str]:
    """Cut `text` by each step in turn; every piece is non-empty.

    Examples
    --------
    >>> cut_text([Digits(individual=True), ByteLevel()], "It's 25 °C!")
    ['It', "'s", ' ', '2', '5', ' °', 'C', '!']
    """
    pieces = [text] if text else []
    for step in steps:
        if len(pieces) == 1:  # mostly, as one step is the rule
            pieces = step.cut(pieces[0])
        else:
            pieces = list(chain.from_iterable(map(step.cut, pieces)))
    return pieces


def _isolate(pattern: str, text: str) -> list[str]:
    """Cut at both ends of every match."""
    compiled = compile_pattern(pattern)
    pieces = compiled.findall(text)
    # Most patterns match every character. Otherwise what is between the matches is a piece, too.
    if not all(pieces) or sum(map(len, pieces)) < len(text):
        pieces = [part for part, _ in _parts(compiled, text)]
    return _not_empty(pieces)


def _not_empty(pieces: list[str]) -> list[str]:
    return pieces if all(pieces) else [piece for piece in pieces if piece]


def _parts(pattern: Pattern, text: str) -> list[Part]:
    """The matches and what stands between them.

    A match of no characters, such as that of ``(?=b)``, is a part as well: the text is cut there.
    """
    parts: list[Part] = []
    done = 0
    for start, end in pattern.spans(text):
        if start > done:
            parts.append((text[done:start], False))
        parts.append((text[start:end], True))
        done = end
    if done < len(text):
        parts.append((text[done:], False))
    return parts


def _merge_backwards(parts: Iterable[Part]) -> list[str]:
    """Append each match to what stands before it, unless that is itself a match."""
    merged: list[str] = []
    before_matched = False
    for text, matched in parts:
        if matched and merged and not before_matched:
            merged[-1] += text
        else:
            merged.append(text)
        before_matched = matched
    return merged


def _merge_forwards(parts: Sequence[Part]) -> list[str]:
    mirrored = [(text[::-1], matched) for text, matched in reversed(parts)]
    return [text[::-1] for text in reversed(_merge_backwards(mirrored))]


_BEHAVIORS: dict[str, Callable[[list[Part]], list[str]]] = {
    "Removed": lambda parts: [text for text, matched in parts if not matched],
    "Isolated": lambda parts: [text for text, _ in parts],
    "MergedWithPrevious": _merge_backwards,
    "MergedWithNext": _merge_forwards,
    "Contiguous": lambda parts: [
        "".join(text for text, _ in run) for _, run in groupby(parts, key=lambda part: part[1])
    ],
}


@dataclass(frozen=True)
class Split:
    """Cut where a pattern matches (or, with `invert`, where it does not)."""

    pattern: str
    behavior: str = "Isolated"
    invert: bool = False

    def __post_init__(self) -> None:
        if self.behavior not in _BEHAVIORS:
            raise ValueError(
                f"Split: expected a behavior among {', '.join(_BEHAVIORS)}, got {self.behavior!r}"
            )
        compile_pattern(self.pattern)

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        if self.behavior == "Isolated":
            return _isolate(self.pattern, text)
        parts = _parts(compile_pattern(self.pattern), text)
        if self.invert:
            parts = [(part, not matched) for part, matched in parts]
        return _not_empty(_BEHAVIORS[self.behavior](parts))

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        options = {"behavior": self.behavior, "invert": self.invert}
        return {"type": "Split", "pattern": {"Regex": self.pattern}, **options}


@dataclass(frozen=True)
class Digits:
    """Cut numbers from everything else, and into single digits if `individual`."""

    individual: bool = False

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        return _isolate(r"\p{N}" if self.individual else r"\p{N}+", text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "Digits", "individual_digits": self.individual}


@dataclass(frozen=True)
class ByteLevel:
    """GPT-2's cut; `prefix_space` lets a text begin like any other word, with a space."""

    prefix_space: bool = False
    words: bool = True

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        if self.prefix_space and not text.startswith(" "):
            text = " " + text
        if not self.words:
            return [text]
        # Every character belongs to a match of this pattern, so that nothing stands between them.
        return compile_pattern(WORDS_WITH_SPACE).findall(text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        options = {"add_prefix_space": self.prefix_space, "use_regex": self.words}
        return {"type": "ByteLevel", "trim_offsets": True, **options}


_BERT = r"[!-/:-@\[-`{-~\p{P}]|[^\s!-/:-@\[-`{-~\p{P}]+"


@dataclass(frozen=True)
class BertWords:
    """Words between white space, which is dropped, and every punctuation mark on its own."""

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        return compile_pattern(_BERT).findall(text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "BertPreTokenizer"}


@dataclass(frozen=True)
class WhitespaceSplit:
    """What stands between white space, which is dropped."""

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        return compile_pattern(r"\S+").findall(text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "WhitespaceSplit"}


@dataclass(frozen=True)
class Metaspace:
    """SentencePiece's cut: a space is written as ``▁``, and begins a piece.

    Attributes
    ----------
    replacement : str
        What a space is written as.
    prepend_scheme : str
        Whether a text that does not begin with a space is given one, so that its first word is
        like any other: "always", "never", or "first", which means: not behind a special token.
        There, the step that `behind_token` gives is taken.
    split : bool
        Whether the text is cut at all.

    Examples
    --------
    >>> Metaspace().cut("so it is")
    ['▁so', '▁it', '▁is']
    """

    replacement: str = BLANK
    prepend_scheme: str = "always"
    split: bool = True

    def __post_init__(self) -> None:
        if len(self.replacement) != 1:
            raise ValueError(
                f"Metaspace: expected a replacement of one character, got {self.replacement!r:.60}"
            )
        if self.prepend_scheme not in ("always", "first", "never"):
            raise ValueError(
                "Metaspace: expected a prepend_scheme of always, first or never, got "
                f"{self.prepend_scheme!r:.60}"
            )

    def cut(self, text: str) -> list[str]:
        """Return the parts of `text`."""
        text = text.replace(" ", self.replacement)
        if self.prepend_scheme != "never" and not text.startswith(self.replacement):
            text = self.replacement + text
        if not self.split:
            return [text]
        first, *words = text.split(self.replacement)
        return [*([first] if first else ()), *(self.replacement + word for word in words)]

    def behind_token(self) -> Metaspace:
        """The step for a text that stands behind a special token."""
        return replace(self, prepend_scheme="never") if self.prepend_scheme == "first" else self

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {
            "type": "Metaspace",
            "replacement": self.replacement,
            "prepend_scheme": self.prepend_scheme,
            "split": self.split,
        }

    @classmethod
    def from_json(cls, content: Any) -> Metaspace:
        """Read the step; old files say ``add_prefix_space`` instead of a scheme.

        Raises
        ------
        ValueError
            If it is malformed.
        """
        replacement = field(content, "replacement", str)
        if field(content, "add_prefix_space", bool, default=True):
            scheme = field(content, "prepend_scheme", str, default="always")
        else:
            scheme = "never"
        return cls(replacement, scheme, field(content, "split", bool, default=True))


def steps_from_json(content: Any) -> tuple[Step, ...]:
    """Read the ``pre_tokenizer`` of a `tokenizer.json`.

    Raises
    ------
    ValueError
        If a step is not supported or malformed.
    """
    if content is None:
        return ()
    try:
        steps = _read_steps(content)
        if any(
            isinstance(step, Metaspace) and step.prepend_scheme == "first" for step in steps[1:]
        ):
            raise ValueError("Metaspace with the prepend_scheme first must be the first step")
    except ValueError as error:
        raise ValueError(f"pre_tokenizer: {error}") from error
    return steps


_PLAIN_STEPS: dict[str, Step] = {
    "BertPreTokenizer": BertWords(),
    "WhitespaceSplit": WhitespaceSplit(),
}


def _read_steps(content: Any) -> tuple[Step, ...]:
    kind = field(content, "type", str)
    if kind == "Sequence":
        return tuple(chain.from_iterable(map(_read_steps, field(content, "pretokenizers", list))))
    if kind == "Split":
        pattern = field(content, "pattern", dict)
        if "Regex" in pattern:
            source = field(pattern, "Regex", str)
        else:
            source = re.escape(field(pattern, "String", str))
        return (Split(source, field(content, "behavior", str), field(content, "invert", bool)),)
    if kind == "Digits":
        return (Digits(field(content, "individual_digits", bool)),)
    if kind == "ByteLevel":
        prefix_space = field(content, "add_prefix_space", bool)
        return (ByteLevel(prefix_space, field(content, "use_regex", bool, default=True)),)
    if kind == "Metaspace":
        return (Metaspace.from_json(content),)
    if kind in _PLAIN_STEPS:
        return (_PLAIN_STEPS[kind],)
    raise ValueError(
        f"expected Sequence, Split, Digits, ByteLevel, Metaspace, {' or '.join(_PLAIN_STEPS)}, "
        f"got {kind!r:.60}, which is not supported"
    )

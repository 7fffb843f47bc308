r"""Regular expressions of tokenizer files, for Python's `re`.

The files are written for engines that know Unicode properties: ``\p{L}`` is any letter, ``\p{N}``
any number. `re` does not, so those become explicit ranges, read once from `unicodedata`; ``\s``
does, too, since `re` counts four control characters as whitespace that Unicode does not.

Characters that Unicode assigned after this Python was built belong to no category yet.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache

Range = tuple[int, int]

# The White_Space property, which no function of the standard library gives.
_WHITESPACE: tuple[Range, ...] = (
    *((0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680)),
    *((0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
# Planes 4 to 13 are unassigned and 15 and 16 private: both need no looking at each character.
_ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))
_PRIVATE: tuple[Range, ...] = ((0xF0000, 0xFFFFD), (0x100000, 0x10FFFD))


@cache
def _category_table() -> dict[str, list[Range]]:
    table: dict[str, list[Range]] = {}
    for codes in _ASSIGNED:
        start, before = codes.start, unicodedata.category(chr(codes.start))
        for code in (*codes[1:], codes.stop):
            category = "" if code == codes.stop else unicodedata.category(chr(code))
            if category != before:
                table.setdefault(before, []).append((start, code - 1))
                start, before = code, category
    table["Co"] += _PRIVATE
    return table


@cache
def ranges_of(category: str) -> tuple[Range, ...]:
    """Return the code points of a general category (``"Lu"``) or of a group of them (``"L"``).

    Raises
    ------
    ValueError
        If there is no such category, or it is the one of unassigned characters.
    """
    table = _category_table()
    found = sorted(r for name, ranges in table.items() if name.startswith(category) for r in ranges)
    if not found or category in ("C", "Cn"):
        raise ValueError(
            f"expected a general category such as L, Lu or N, got \\p{{{category}}}; scripts and "
            "other properties are not supported"
        )
    return tuple(found)


def _complement(ranges: Iterable[Range]) -> tuple[Range, ...]:
    gaps, start = [], 0
    for first, last in sorted(ranges):
        if start < first:
            gaps.append((start, first - 1))
        start = max(start, last + 1)
    if start <= sys.maxunicode:
        gaps.append((start, sys.maxunicode))
    return tuple(gaps)


def character_class(ranges: Iterable[Range]) -> str:
    """Return what stands between the brackets of a character class, such as ``A-Za-z``.

    Examples
    --------
    >>> re.findall(f"[{character_class(ranges_of('Nl'))}]", "Ⅻ 12")
    ['Ⅻ']
    """
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


WHITESPACE = character_class(_WHITESPACE)

_TOKEN = re.compile(
    r"\\(?P<property>[pP])\{(?P<negated>\^?)(?P<name>\w+)\}"
    r"|\\(?P<space>[sS])"
    r"|\\(?P<escape>[dDrntfv]|\W|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
    r"|\\(?P<unknown>.)"
    r"|(?P<bracket>\[\^?\]?|\])"
    r"|(?P<group>\((?!\?))"
    r"|(?P<other>&&|.)",
    re.DOTALL,
)


@cache
def compile_pattern(pattern: str, ascii_only: bool = False) -> re.Pattern[str]:
    r"""Compile a pattern of a tokenizer file, with the meaning it has there.

    Parameters
    ----------
    pattern : str
        A pattern in the syntax of Oniguruma, as far as tokenizers use it: groups, alternatives,
        repetition, look-around, ``\p{..}`` with general categories.
    ascii_only : bool
        Compile it for ASCII text alone: the same matches there, four times as fast.

    Raises
    ------
    ValueError
        If the pattern uses something else, or is no regular expression.

    Examples
    --------
    >>> compile_pattern(r" ?\p{L}+|\p{N}").findall("où 25")
    ['où', '2', '5']
    """
    parts: list[str] = []
    inside = False
    for match in _TOKEN.finditer(pattern):
        kind, piece = match.lastgroup, match.group()
        if match["property"] or match["space"]:
            ranges = _WHITESPACE if match["space"] else _ranges_in(pattern, match["name"])
            if (match["property"] or match["space"]).isupper() != bool(match["negated"]):
                ranges = _complement(ranges)
            text = character_class(r for r in ranges if not ascii_only or r[0] < 0x80)
            parts.append(text if inside else f"[{text}]")
        elif kind == "unknown" or piece == "&&" or (inside and piece.startswith("[")):
            raise ValueError(
                f"expected a pattern with \\p{{..}}, \\s, \\d and plain characters, got {piece!r} "
                f"at character {match.start()} of {pattern!r}"
            )
        else:
            if kind == "bracket":
                inside = piece.startswith("[")
            # `findall` must return whole matches, so no group may capture.
            parts.append("(?:" if kind == "group" and not inside else piece)
    try:
        return re.compile("".join(parts))
    except re.error as error:
        raise ValueError(f"cannot read the pattern {pattern!r}: {error}") from error


def _ranges_in(pattern: str, category: str) -> tuple[Range, ...]:
    try:
        return ranges_of(category)
    except ValueError as error:
        raise ValueError(f"{error}, in the pattern {pattern!r}") from error

r"""Regular expressions of tokenizer files, with the meaning they have there and bounded in time.

The files are written for the engine Oniguruma, as the ``tokenizers`` library uses it: ``\p{L}`` is
any letter, ``\s`` is white space as Unicode defines it, ``^`` and ``$`` match at every line. The
package ``regex`` knows all of that, Python's `re` does not.

A pattern comes from a file, and matching it may take a time that grows exponentially with the text:
``(a+)+$`` on thirty letters takes longer than anybody waits. So each search has a time limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from time import monotonic

import regex

#: The characters of Unicode's White_Space property. Python's `str.isspace` has four more.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
#: How long a search may take: so many seconds, and so many more for each character. The patterns of
#: real tokenizers need a hundredth of that.
SECONDS = 2.0
SECONDS_PER_CHARACTER = 1e-5
#: How GPT-2 cuts text: English clitics, words with the space before them, numbers, other signs,
#: white space. Whatever the text, each character and the one after it decide: no search takes long.
WORDS_WITH_SPACE = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
#: The same where a space is ``▁``: words with the one before them, single digits, other signs, and
#: what is left of white space.
WORDS_WITH_BLANK = r"▁?[\p{L}\p{M}]+|▁?\p{N}|▁?[^\s▁\p{L}\p{M}\p{N}]+|▁+(?=▁)|▁|\s+"
#: Patterns that need no time limit.
QUICK = frozenset([WORDS_WITH_SPACE, WORDS_WITH_BLANK])
_LONGEST_PATTERN = 10_000
_MOST_REPETITIONS = 1000

# Parts of a pattern that mean the same to both engines, or can be written so that they do. What is
# not matched is refused.
_PART = re.compile(
    r"(?P<escape>\\(?:[pP]\{\^?\w+\}|[sSdDrntfv]|\W|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}))"
    r"|(?P<set>\[\^?\]?)"
    r"|(?P<set_end>\])"
    r"|(?P<group>\((?!\?))"
    r"|(?P<special_group>\(\?(?:[:=!>]|<[=!]|i:|i\)))"
    r"|(?P<repetition>\{\d+(?:,\d*)?\}|\{,\d+\})"
    r"|(?P<brace>\{)"
    r"|(?P<plain>(?!&&|\(\?|\\).)",
    re.DOTALL,
)


class Pattern:
    r"""A regular expression in the syntax of Oniguruma, as far as tokenizers use it.

    That is groups, alternatives, repetition, look-around, sets, ``\p{..}`` and ``\s``.

    Parameters
    ----------
    source : str
        The pattern.
    limited : bool
        Whether a search has a time limit. To watch the clock takes twice as long as to search a
        line, so patterns that are known to be quick do without.

    Raises
    ------
    ValueError
        If the pattern uses something else, is no regular expression, or is very long.

    Examples
    --------
    >>> Pattern(r" ?\p{L}+|\p{N}").findall("où 25")
    ['où', '2', '5']
    """

    __slots__ = ("_compiled", "limited", "source")

    def __init__(self, source: str, limited: bool = True) -> None:
        if len(source) > _LONGEST_PATTERN:
            raise ValueError(
                f"expected a pattern of at most {_LONGEST_PATTERN:,} characters, got "
                f"{len(source):,}: {source!r:.80}"
            )
        self.source = source
        self.limited = limited
        try:
            self._compiled = regex.compile(_translated(source), regex.V0 | regex.MULTILINE)
        except (regex.error, RecursionError, OverflowError, MemoryError) as error:
            raise ValueError(f"cannot read the pattern {source!r:.200}: {error!r:.200}") from error

    def findall(self, text: str) -> list[str]:
        """Every match in `text`, from left to right.

        Raises
        ------
        ValueError
            If that takes longer than :data:`SECONDS` allow.
        """
        found: list[str]
        if not self.limited:
            found = self._compiled.findall(text)
            return found
        try:
            found = self._compiled.findall(text, timeout=_seconds(text))
        except TimeoutError as error:
            raise self._endless(text) from error
        return found

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where every match begins and ends; the errors are those of `findall`.

        After a match of no characters the search goes on one character later, as in Oniguruma.
        Python's engines, and so `findall`, try a longer match at the same place.
        """
        deadline = monotonic() + _seconds(text)
        place = 0
        end_before = -1
        while place <= len(text):
            try:
                match = self._compiled.search(text, place, timeout=max(0.0, deadline - monotonic()))
            except TimeoutError as error:
                raise self._endless(text) from error
            if match is None:
                return
            start, end = match.span()
            if start == end == end_before:
                place = end + 1
                continue
            yield start, end
            place = end
            end_before = end

    def _endless(self, text: str) -> ValueError:
        return ValueError(
            f"the pattern {self.source!r:.200} of this tokenizer takes more than "
            f"{_seconds(text):.1f} seconds for {len(text):,} characters: {text!r:.60}; it tries "
            "the same characters again and again, and must be written otherwise"
        )


@cache
def compile_pattern(source: str) -> Pattern:
    """The pattern, compiled once."""
    return Pattern(source, limited=source not in QUICK)


def _seconds(text: str) -> float:
    return SECONDS + SECONDS_PER_CHARACTER * len(text)


def _translated(source: str) -> str:
    """The same pattern for the engine ``regex``."""
    parts: list[str] = []
    repetitions = _Repetitions(source)
    inside_set = False
    place = 0
    while place < len(source):
        match = _PART.match(source, place)
        kind = match.lastgroup if match else None
        # A set within a set would be part of it for Oniguruma, and a bracket for `regex`.
        if match is None or (inside_set and kind == "set"):
            raise ValueError(
                "expected a pattern of plain characters, groups, sets, \\p{..}, \\s and \\d, got "
                f"{source[place : place + 2]!r} at character {place} of {source!r:.200}"
            )
        part = match.group()
        if inside_set:
            inside_set = kind != "set_end"
        elif kind == "set":
            inside_set = True
        else:
            repetitions.follow(part, kind)
            if kind == "group":
                part = "(?:"  # `findall` returns whole matches if no group captures
            elif kind == "brace":
                part = r"\{"  # `regex` would take what follows for a fuzzy match
        parts.append(part)
        place = match.end()
    return "".join(parts)


class _Repetitions:
    """Refuses counted repetitions that would take gigabytes, such as ``(a{1000}){1000}``."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.within = [1]  # of each open group, the largest product of counts in it
        self.latest = 1  # of what stands before this place

    def follow(self, part: str, kind: str | None) -> None:
        """Go on over one part of the pattern, outside of sets."""
        if kind in ("group", "special_group"):
            self.within.append(1)
        elif part == ")" and len(self.within) > 1:
            self.latest = self.within.pop()
        elif kind == "repetition":
            self.latest *= max(int(number) for number in re.findall(r"\d+", part))
            if self.latest > _MOST_REPETITIONS:
                raise ValueError(
                    f"expected a pattern that repeats a part at most {_MOST_REPETITIONS:,} times, "
                    f"got {part} in {self.source!r:.200}"
                )
        else:
            self.latest = 1
        self.within[-1] = max(self.within[-1], self.latest)

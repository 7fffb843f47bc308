r"""SentencePiece's table of characters: what each becomes, before a text is cut.

A model of SentencePiece brings the table by which its texts were normalised: ``ﬁ`` becomes ``fi``,
a tab becomes a space, ``e`` with a combining accent becomes ``é``. It is Unicode's NFKC, mostly, as
the version of its day had it, and some rules more. At every place the longest entry is taken:

>>> entries = {"e\u0301": "é", "ﬁ": "fi", "\t": " "}
>>> def replaced(text):
...     done = ""
...     while text:
...         longest = max(filter(text.startswith, entries), key=len, default="")
...         done += entries[longest] if longest else text[0]
...         text = text[len(longest) or 1 :]
...     return done
>>> replaced("cafe\u0301\tﬁn")
'café fin'

**The file.** The entries are the leaves of a trie, a tree with one byte on each branch, so that the
way from its root to a leaf spells an entry. The tree lies in one array, the *double array*: the
children of a place stand wherever there was room, at ``base ^ byte``, where ``base`` is a number
that the place holds. Each child says which byte has led to it, so that what belongs to another
place is told apart. Where an entry ends, the child of the byte 0 holds where its text begins in the
list of replacements, which follows the array. Entries that end alike share their places: the table
of NFKC spells some hundred thousand entries in 45,000 places.

**Fast.** Most texts hold no entry of several characters. `Charsmap` walks through all places once
and finds the entries of one character, which `str.translate` replaces, and the characters that
follow another one in any entry. Only where one of these stands in a text is the tree searched.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import regex

from foundation_data.tokenizers.pipeline._byte_alphabet import bytes_to_text, text_to_bytes

_OFFSET_IS_LARGE = 1 << 9
_HAS_VALUE = 1 << 8
_IS_VALUE = 1 << 31
#: What a reader sees as one letter is looked up as a whole if it has fewer bytes than this.
_LONGEST_GRAPHEME = 6
_GRAPHEME = regex.compile(r"\X")
#: How many branches are followed to learn what a table holds. That of NFKC has about 100,000.
_MOST_STEPS = 1 << 18


class Charsmap:
    """The entries of a table as SentencePiece writes it.

    Attributes
    ----------
    single : dict of int to str
        What entries of one character become, as `str.translate` takes it.
    following : frozenset of str
        The characters that stand behind another one in any entry.

    Raises
    ------
    ValueError
        If the table is damaged.
    """

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:4], "little")
        if len(data) < 4 or size % 4 or not 4 <= size <= len(data) - 4:
            raise ValueError(
                f"precompiled_charsmap: a table of {len(data)} bytes says that {size} of them are "
                "its tree, which cannot be"
            )
        self._units: list[int] = list(struct.unpack_from(f"<{size // 4}I", data, 4))
        self._texts = data[4 + size :]
        self.single: dict[int, str] = {}
        self.following = self._walk()

    def beginnings(self, data: bytes, start: int = 0) -> Iterator[tuple[int, str]]:
        """The entries that stand in UTF-8 from `start` on, the shortest first.

        Each comes as the place where it ends and what it becomes.
        """
        place = 0
        for index in range(start, len(data)):
            place = self._base(place) ^ data[index]
            if place >= len(self._units) or self._units[place] & (_IS_VALUE | 0xFF) != data[index]:
                return
            value = self._value(place)
            if value is not None:
                yield index + 1, value

    def _base(self, place: int) -> int:
        """Where the children of a place stand, but for the byte of each child."""
        unit = self._units[place]
        return place ^ ((unit >> 10) << (8 if unit & _OFFSET_IS_LARGE else 0))

    def _value(self, place: int) -> str | None:
        """What the entry that ends at this place becomes; None if none does."""
        if not self._units[place] & _HAS_VALUE:
            return None
        base = self._base(place)
        if base >= len(self._units):
            raise ValueError("precompiled_charsmap: a value lies outside of the tree")
        start = self._units[base] & (_IS_VALUE - 1)
        end = self._texts.find(b"\0", start)
        if not start <= end:
            raise ValueError(
                f"precompiled_charsmap: no text begins at {start} of {len(self._texts)} bytes"
            )
        try:
            return self._texts[start:end].decode()
        except UnicodeDecodeError:
            raise ValueError("precompiled_charsmap: a replacement is not UTF-8") from None

    def _walk(self) -> frozenset[str]:
        """Go through the tree, fill `single`, and return what `following` is."""
        # A unit knows the byte that leads to it, and thus the base of its parents.
        children: defaultdict[int, list[int]] = defaultdict(list)
        for place, unit in enumerate(self._units):
            if not unit & _IS_VALUE and unit & 0xFF:
                children[place ^ (unit & 0xFF)].append(place)
        following: set[str] = set()
        # Places to go on from, each with the bytes of a character that is not complete there, and
        # with whether an entry begins with that character.
        waiting = [(0, b"", True)]
        seen = {0}
        steps = 0
        while waiting:
            parent, before, is_first = waiting.pop()
            for place in children[self._base(parent)]:
                steps += 1
                if steps > _MOST_STEPS:
                    raise ValueError("precompiled_charsmap: its entries are too many or endless")
                spelled = before + bytes([self._units[place] & 0xFF])
                value = self._value(place)
                character = _character(spelled)
                if character is None:
                    if len(spelled) < 4:
                        waiting.append((place, spelled, is_first))
                    continue
                if is_first and value is not None:
                    self.single[ord(character)] = value
                if not is_first:
                    following.add(character)
                if place not in seen:
                    seen.add(place)
                    waiting.append((place, b"", False))
        return frozenset(following)


def _character(data: bytes) -> str | None:
    """The character that these bytes are; None if they are none, or a part of one."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class Precompiled:
    """The table of a SentencePiece model, as a step of a `tokenizer.json`.

    Attributes
    ----------
    charsmap : bytes
        The table, as it stands in the file.
    longest : bool
        Whether the longest entry is taken at each place, as SentencePiece does. The ``tokenizers``
        library goes by what a reader sees as one letter: if it has fewer than six bytes and begins
        with an entry, all of it becomes what the shortest such entry becomes; else each of its
        characters is looked up. A file of that library is read in its way.
    """

    charsmap: bytes
    longest: bool = False
    _entries: Charsmap = dataclass_field(init=False, repr=False, compare=False)
    _several: re.Pattern[str] = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entries = Charsmap(self.charsmap)
        following = "".join(map(re.escape, sorted(entries.following)))
        # Where an entry of several characters can stand; nowhere, if there is none.
        several = re.compile(f".[{following}]+" if following else r"(?!)", re.DOTALL)
        object.__setattr__(self, "_entries", entries)
        object.__setattr__(self, "_several", several)

    def apply(self, text: str) -> str:
        """Return `text` with every entry replaced."""
        entries = self._entries
        if not self.longest:
            # In ASCII, a line end is the only pair that a reader sees as one.
            if text.isascii() and "\r\n" not in text:
                return text.translate(entries.single)
            return "".join(map(self._replace_grapheme, _GRAPHEME.findall(text)))
        parts: list[str] = []
        done = 0
        for match in self._several.finditer(text):
            parts.append(text[done : match.start()].translate(entries.single))
            parts.append(self._replace_longest(match.group()))
            done = match.end()
        return "".join((*parts, text[done:].translate(entries.single)))

    def _replace_longest(self, text: str) -> str:
        data = text_to_bytes(text)
        parts: list[bytes] = []
        place = 0
        while place < len(data):
            found = list(self._entries.beginnings(data, place))
            if found:
                place, replaced = found[-1]
                parts.append(replaced.encode())
            else:
                parts.append(data[place : place + 1])
                place += 1
        return bytes_to_text(b"".join(parts))

    def _replace_grapheme(self, grapheme: str) -> str:
        if len(grapheme) > 1:
            data = text_to_bytes(grapheme)
            if len(data) < _LONGEST_GRAPHEME:
                for _, replaced in self._entries.beginnings(data):
                    return replaced
        return grapheme.translate(self._entries.single)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        content: dict[str, Any] = {
            "type": "Precompiled",
            "precompiled_charsmap": base64.b64encode(self.charsmap).decode(),
        }
        # The library does not know this field, and ignores it.
        return {**content, "longest": True} if self.longest else content

    @classmethod
    def from_base64(cls, charsmap: str, longest: bool) -> Precompiled:
        """The step for a table as `tokenizer.json` holds it.

        Raises
        ------
        ValueError
            If it is no base64, or the table is damaged.
        """
        try:
            data = base64.b64decode(charsmap, validate=True)
        except binascii.Error as error:
            raise ValueError(f"precompiled_charsmap: expected base64: {error}") from None
        return cls(data, longest)

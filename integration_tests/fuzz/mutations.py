"""Damage: bytes that were flipped, cut off or written over, and JSON with other values in it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

#: What values in JSON are replaced by.
STRANGE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 3, 0.5, -0.0, 1e308, 2**31, 2**32 - 1, 2**62, 10**9, 10**100),
    *("", "\0", "a", "\x1b[31m", "\ud800", "\u202e", "../x", "x" * 999, "(a+)+$", "[", "é\u0301"),
    *([], {}, [[]], [0], [None], {"": 0}, {"a": {"b": []}}, [1, "a", None]),
)
#: What is written into texts.
SNIPPETS: tuple[bytes, ...] = (
    *(b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1b[2J", b"\r", b"\n", b"\t"),
    *(b'"', b"'", b"\\", b",", b"[", b"]", b"{", b"}", b"[" * 3000, b'{"a":' * 3000, b"(" * 300),
    *(b"1e400", b"-1e400", b"NaN", b"Infinity", b"9" * 5000, b"0" * 99, b"null", b"true", b"-"),
    *(b'"\\ud800"', b'"a": 1, "a": 2,', b"\xe2\x80\xa8", b"`" * 9, b" " * 9999, b"a = 1\n"),
)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with up to three faults in them."""
    for _ in range(int(rng.integers(1, 4))):
        content = _one_fault(content, rng)
    return content


def _one_fault(content: bytes, rng: np.random.Generator) -> bytes:
    size = len(content)
    place = int(rng.integers(size + 1))
    length = int(rng.integers(1, 9)) if rng.random() < 0.8 else int(rng.integers(1, size + 2))
    before, after = content[:place], content[place:]
    match int(rng.integers(9)):
        case 0 if after:  # a bit
            return before + bytes([after[0] ^ 1 << int(rng.integers(8))]) + after[1:]
        case 1:  # the end is missing
            return before
        case 2:  # something is missing
            return before + after[length:]
        case 3:  # something stands twice
            return before + after[:length] + after
        case 4:  # noise
            return before + rng.bytes(length % 99) + after
        case 5:
            return before + SNIPPETS[rng.integers(len(SNIPPETS))] + after
        case 6:  # a number of eight bytes, large or small
            number = int(rng.integers(2 ** int(rng.integers(1, 63))))
            return before + number.to_bytes(8, "little") + after[8:]
        case 7:  # written over by another part
            other = int(rng.integers(size + 1))
            return before + content[other : other + length] + after[length:]
        case _:  # all the same
            return before + after[:1] * length + after[length:]


def changed(value: Any, rng: np.random.Generator) -> Any:
    """The same JSON with up to three values replaced, removed, renamed or doubled."""
    for _ in range(int(rng.integers(1, 4))):
        value = _one_change(value, rng)
    return value


def _one_change(value: Any, rng: np.random.Generator) -> Any:
    names: Any = list(value) if isinstance(value, dict) else ()
    if isinstance(value, list):
        names = range(len(value))
    if not names or rng.random() < 0.1:
        return STRANGE[rng.integers(len(STRANGE))]
    copy = value.copy()
    name = names[rng.integers(len(names))]
    match int(rng.integers(12)):
        case 0:
            del copy[name]
        case 1 if isinstance(copy, dict):
            copy[str(STRANGE[rng.integers(len(STRANGE))])] = copy.pop(name)
        case 1:
            copy.insert(name, copy[name])
        case _:
            copy[name] = _one_change(copy[name], rng)
    return copy


def changed_json(content: bytes, rng: np.random.Generator) -> bytes:
    """A JSON file with other values in it, which is JSON nevertheless."""
    return json.dumps(changed(json.loads(content), rng)).encode()

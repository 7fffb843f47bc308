r"""The wire format of protocol buffers, as far as files of SentencePiece need it.

A message is a row of fields. Each begins with a key, which holds the field's number and, in the
last three bits, the kind of what follows: a whole number (0), eight bytes (1), a length and so many
bytes (2), or four bytes (5). A whole number is written in groups of seven bits, the lowest first;
the highest bit of a byte says whether another group follows. What the fields mean is not in the
file: the reader has to know that, say, number 1 is a text.

>>> list(read_fields(b"\x0a\x02\xe2\x96" + b"\x18\x96\x01"))  # field 1: two bytes; field 3: 150
[(1, b'\xe2\x96'), (3, 150)]
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: A whole number has 64 bits at most, which are ten groups of seven.
_MOST_GROUPS = 10
_FIXED_SIZES = {1: 8, 5: 4}


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and the value of each field: a whole number, or bytes for everything else.

    Raises
    ------
    ValueError
        If the message ends within a field, or holds a kind of value that no such file has.
    """
    place = 0
    while place < len(message):
        key, place = _whole_number(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _whole_number(message, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _whole_number(message, place)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise ValueError(f"byte {place}: a field of kind {kind}, which is not in such files")
        if size > len(message) - place:
            raise ValueError(
                f"byte {place}: a field of {size:,} bytes, but only {len(message) - place:,} follow"
            )
        yield number, message[place : place + size]
        place += size


def _whole_number(message: bytes, place: int) -> tuple[int, int]:
    """A whole number, and where it ends."""
    value = 0
    for group in range(_MOST_GROUPS):
        if place == len(message):
            raise ValueError(f"byte {place}: it ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << (7 * group)
        if byte < 0x80:
            return value, place
    raise ValueError(f"byte {place}: a number of more than 64 bits")


def as_text(value: int | bytes) -> str:
    """The text of a field.

    Raises
    ------
    ValueError
        If it is no UTF-8.
    """
    if isinstance(value, int):
        raise ValueError(f"expected a text, got the number {value}")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"expected a text in UTF-8, got {value!r:.60}") from None


def as_bytes(value: int | bytes) -> bytes:
    """The bytes of a field, such as those of a message in it.

    Raises
    ------
    ValueError
        If it is a number.
    """
    if isinstance(value, int):
        raise ValueError(f"expected bytes, got the number {value}")
    return value


def as_int(value: int | bytes) -> int:
    """The signed whole number of a field.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(value, int):
        raise ValueError(f"expected a whole number, got {value!r:.60}")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def as_float(value: int | bytes) -> float:
    """The number in the four bytes of a field.

    Raises
    ------
    ValueError
        If it has not four bytes.
    """
    if isinstance(value, int) or len(value) != 4:
        raise ValueError(f"expected a number of four bytes, got {value!r:.60}")
    number: float = struct.unpack("<f", value)[0]
    return number


def write_field(number: int, value: bool | int | float | str | bytes) -> bytes:
    """A field of a message; the type of the value says how it is written.

    Examples
    --------
    >>> write_field(1, "▁") + write_field(3, 150)
    b'\\n\\x03\\xe2\\x96\\x81\\x18\\x96\\x01'
    """
    if isinstance(value, float):
        return _groups(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return _groups(number << 3) + _groups(value & (1 << 64) - 1)
    content = value.encode() if isinstance(value, str) else value
    return _groups(number << 3 | 2) + _groups(len(content)) + content


def _groups(value: int) -> bytes:
    """A whole number in groups of seven bits."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])

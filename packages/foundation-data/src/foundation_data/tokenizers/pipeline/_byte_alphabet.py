"""The 256 bytes as 256 printable characters, so that any bytes can be written as a token.

A byte whose Latin-1 character can be printed is written as that character. The others (controls,
the space, U+00AD) are written as the characters from U+0100 on, in order; the space is ``Ġ``. This
is the alphabet of GPT-2's files, and every byte-level tokenizer since has used it.
"""

from __future__ import annotations

_PRINTED = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_HIDDEN = [byte for byte in range(256) if byte not in _PRINTED]

BYTE_TO_CHARACTER: dict[int, str] = {
    **{byte: chr(byte) for byte in _PRINTED},
    **{byte: chr(0x100 + index) for index, byte in enumerate(_HIDDEN)},
}
CHARACTER_TO_BYTE = {character: byte for byte, character in BYTE_TO_CHARACTER.items()}

# In the order of the characters: GPT-2 numbers them like this, and so does every trainer since.
ALPHABET: tuple[str, ...] = tuple(sorted(CHARACTER_TO_BYTE))


def text_to_bytes(text: str) -> bytes:
    """Return `text` in UTF-8; half a surrogate pair as the three bytes it would have.

    Strict UTF-8 cannot hold half a surrogate pair, but a Python string can. If it were refused, a
    tokenizer would fail on some strings; if it were replaced, some strings would not come back.
    """
    return text.encode("utf-8", "surrogatepass")


def bytes_to_text(data: bytes) -> str:
    """Return the inverse of `text_to_bytes`; bytes that no text has become U+FFFD.

    Examples
    --------
    >>> bytes_to_text(text_to_bytes("é\\ud800")) == "é\\ud800"
    True
    >>> bytes_to_text(b"caf\\xc3")
    'caf�'
    """
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def bytes_to_token(data: bytes) -> str:
    """Return the name of a token with these bytes: a character of the alphabet for each.

    Examples
    --------
    >>> bytes_to_token(b" caf")
    'Ġcaf'
    """
    return "".join(BYTE_TO_CHARACTER[byte] for byte in data)


def token_to_bytes(token: str) -> bytes:
    """Return the bytes that a token stands for; its UTF-8 if it is not of this alphabet.

    Examples
    --------
    >>> token_to_bytes("Ġcaf"), token_to_bytes("Ã©").decode()
    (b' caf', 'é')
    """
    try:
        return bytes(CHARACTER_TO_BYTE[character] for character in token)
    except KeyError:
        return text_to_bytes(token)


def missing_bytes(data: bytes | bytearray) -> int:
    """How many bytes the last character of `data` lacks, to be one in UTF-8.

    Examples
    --------
    >>> missing_bytes(b"caf\\xc3"), missing_bytes("café".encode()), missing_bytes(b"\\xe2\\x82")
    (1, 0, 1)
    """
    for back in range(1, min(len(data), 3) + 1):
        byte = data[-back]
        if not is_continuation(byte):
            size = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return max(0, size - back)
    return 0


def is_continuation(byte: int) -> bool:
    """Whether a byte of UTF-8 goes on with a character that an earlier one has begun."""
    return 0x80 <= byte < 0xC0

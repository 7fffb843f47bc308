"""The text of tokens that arrive one by one, and the strings at which it ends.

Decoding all tokens again for each new one would make the work grow with the square of the text.
Here each token is decoded together with the few before it alone. The few are needed because a token
is not always text by itself: a character may be spread over several byte tokens, and whether a
space stands before a word may depend on the word before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

#: From ids to the text they stand for; a tokenizer's ``decode``.
Decode: TypeAlias = Callable[[Sequence[int]], str]


class GrowingText:
    """What is written so far, as far as nobody has taken it.

    Parameters
    ----------
    decode : callable
        From a list of ids to their text. How a token reads may depend on :attr:`CONTEXT` tokens
        before it and as many after it, not on those further away.

    Attributes
    ----------
    text : str
        The text of all tokens, without what was taken from its beginning. Its last characters may
        change with the next token: U+FFFD stands for bytes of an unfinished character.

    Examples
    --------
    >>> growing = GrowingText(lambda ids: bytes(ids).decode(errors="replace"))
    >>> for byte in "né".encode():
    ...     growing.append(byte)
    ...     print(ascii(growing.text))
    'n'
    'n\\ufffd'
    'n\\xe9'
    >>> growing.take(1), growing.text
    ('n', 'é')
    """

    #: Tokens that are decoded together with a new one, at least. A character has four bytes at
    #: most, and words look at their neighbours alone.
    CONTEXT = 8

    def __init__(self, decode: Decode) -> None:
        self.decode = decode
        self.text = ""
        self._window: list[int] = []  # the latest tokens
        self._window_text = ""  # what they decode to

    def append(self, token: int) -> None:
        """Add the text of one more token."""
        self._window.append(token)
        before = self._window_text
        after = self.decode(self._window)
        # Both begin with the same tokens, so that they differ at their ends alone.
        unchanged = _shared_length(before, after)
        changed = len(before) - unchanged  # characters that turned out otherwise
        self.text = self.text[: max(0, len(self.text) - changed)] + after[unchanged:]
        self._window_text = after
        if len(self._window) > 2 * self.CONTEXT:
            self._shorten_window()

    def take(self, count: int) -> str:
        """Remove the first ``count`` characters of :attr:`text`, and return them."""
        taken = self.text[:count]
        self.text = self.text[count:]
        return taken

    def _shorten_window(self) -> None:
        window = self._window[-self.CONTEXT :]
        text = self.decode(window)
        # Tokens without any text, such as special ones, would leave nothing to lean on.
        if text:
            self._window = window
            self._window_text = text


def _shared_length(first: str, second: str) -> int:
    """How many characters two strings share from their beginning on."""
    if second.startswith(first):
        return len(first)
    length = 0
    while length < len(second) and first[length] == second[length]:
        length += 1
    return length


class StopStrings:
    """Tells when a growing text holds one of some strings.

    Parameters
    ----------
    strings : sequence of str

    Raises
    ------
    TypeError
        If ``strings`` is a single string, which would count as its characters.
    ValueError
        If one of them is empty: it would end every text at once.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        if isinstance(strings, str):
            raise TypeError(
                f"expected stop_strings to be a sequence of str, got {strings!r}; "
                f"write stop_strings=[{strings!r}]"
            )
        if "" in strings:
            raise ValueError("expected stop_strings of at least one character, got ''")
        self.strings = tuple(strings)
        self.longest = max(map(len, self.strings), default=0)

    def find(self, text: str) -> int | None:
        """Where the first of the strings begins in the text; None if it holds none."""
        places = [text.find(string) for string in self.strings if string in text]
        return min(places, default=None)

    def length_certain(self, text: str) -> int:
        """How much of a text without stop strings no further token can change or make part of one.

        An end that may become something else stays out: U+FFFD, which may become a character, and
        what looks like the beginning of a stop string.
        """
        end = len(text.rstrip("\ufffd"))
        for length in range(min(self.longest - 1, end), 0, -1):
            begun = text[end - length : end]
            if any(string.startswith(begun) for string in self.strings):
                return end - length
        return end

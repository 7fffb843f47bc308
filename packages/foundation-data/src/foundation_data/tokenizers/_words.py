"""Words and punctuation, cut so that the text can be put together again exactly.

Between two tokens there is a space unless a token says otherwise. The sign ``‿`` on a side of a
token means "no space on this side", and it sits on the punctuation, so that a word is the same
token wherever it stands::

    Hello, world!       Hello  ‿,  world  ‿!
    l'homme             l'‿  homme
    I don't             I  don  ‿'t
    a "big" one         a  "‿  big  ‿"  one
    Où ça ?             Où  ça  ?

An opening and a closing quotation mark thus become different tokens, and French spacing before
``?`` and ``:`` is learnt like any other word choice. Scripts written without spaces (Han, kana,
Thai, ...) are cut into letters that stay together by default; a space between two of them is the
token ``␣``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

GLUE = "‿"
SPACE = "␣"


def _character_class(ranges: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def _mark_ranges() -> list[tuple[int, int]]:
    """Combining marks and the two joiners: they continue a word, though `\\w` excludes them."""
    ranges: list[tuple[int, int]] = [(0x200C, 0x200D)]
    for code in (*range(0x0300, 0x1F000), *range(0xE0100, 0xE01F0)):
        if unicodedata.category(chr(code)).startswith("M"):
            start, end = ranges[-1]
            if end == code - 1:
                ranges[-1] = (start, code)
            else:
                ranges.append((code, code))
    return ranges


_UNSPACED = _character_class(
    [
        (0x0E01, 0x0EFF),  # Thai, Lao
        (0x1000, 0x109F),  # Myanmar
        (0x1780, 0x17FF),  # Khmer
        (0x3005, 0x3007),  # ideographic iteration mark and zero
        (0x3041, 0x30FA),  # Hiragana, Katakana
        (0x30FC, 0x30FF),  # (the middle dot between them is punctuation)
        (0x31F0, 0x31FF),
        (0x3400, 0x4DBF),  # Han
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
        (0xFF66, 0xFF9F),
        (0x20000, 0x323AF),
    ]
)
_MARKS = _character_class(_mark_ranges())
_LETTER = rf"[^\W_{_UNSPACED}]"
_SUFFIX = rf"(?i:s|t|re|ve|ll|d|m)(?!{_LETTER}|[{_MARKS}])"
# In English the apostrophe belongs to what follows (don't, she'll), in most other languages to what
# comes before (l'homme, dell'arte). The short English endings are a closed list, so everything else
# is taken for such an elision.
_PIECE = re.compile(
    rf"(?P<unspaced>(?=[^\W_])[{_UNSPACED}][{_MARKS}]*)"
    rf"|(?P<suffix>(?<=[^\W_])['’]{_SUFFIX})"
    rf"|(?P<word>{_LETTER}+(?:[{_MARKS}]+{_LETTER}*)*(?:(?P<elided>['’])(?={_LETTER})(?!{_SUFFIX}))?)"
    rf"|(?P<other>.[{_MARKS}]*)",
    re.DOTALL,
)
_BETWEEN_UNSPACED = re.compile(rf"(?<=[{_UNSPACED}])[{_MARKS}]* (?=[{_UNSPACED}])")
_UNSPACED_TOKEN = re.compile(rf"(?=[^\W_])[{_UNSPACED}]")


def _cut(chunk: str) -> tuple[str, ...]:
    """Cut a run of text without spaces into tokens, with the signs that glue them together."""
    tokens: list[str] = []
    kind_before = ""
    elided_before = False
    for match in _PIECE.finditer(chunk):
        piece = match.group()
        kind = match.lastgroup or ""
        both_unspaced = kind == kind_before == "unspaced"  # these need no sign
        if tokens and not both_unspaced:
            # The sign goes to the punctuation, so that a word is the same token everywhere.
            is_word = kind in ("word", "unspaced")
            if is_word and (kind_before == "other" or elided_before):
                tokens[-1] += GLUE
            else:
                piece = GLUE + piece
        tokens.append(piece)
        kind_before = kind
        elided_before = match["elided"] is not None
    return tuple(tokens)


# Words repeat (the few thousand most frequent ones make up most of any text), so cutting each of
# them once makes tokenising several times faster. The result depends on the word alone, so sharing
# the cache between tokenizers changes nothing.
_cut_cached = lru_cache(maxsize=1 << 16)(_cut)
_LONGEST_CACHED = 64


def split_text(text: str) -> list[str]:
    """Cut a normalised text into tokens; `join_tokens` is the exact inverse.

    Parameters
    ----------
    text : str
        Normalised text that holds neither of the two signs.

    Returns
    -------
    list of str
        The tokens, with their signs.

    Examples
    --------
    >>> split_text('Ask: "Who\\'s there?"')
    ['Ask', '‿:', '"‿', 'Who', "‿'s", 'there', '‿?', '‿"']
    >>> split_text("peut-être l'ami")
    ['peut', '‿-‿', 'être', "l'‿", 'ami']
    """
    if not text.isascii():
        text = _BETWEEN_UNSPACED.sub(lambda match: f"{match.group()}{SPACE} ", text)
    tokens: list[str] = []
    for chunk in text.split():
        if chunk == SPACE:
            tokens.append(SPACE)
        elif len(chunk) <= _LONGEST_CACHED:
            tokens.extend(_cut_cached(chunk))
        else:
            tokens.extend(_cut(chunk))
    return tokens


def join_tokens(tokens: Iterable[str]) -> str:
    """Put tokens together again, each with or without a space before it, as the signs say.

    Any sequence is accepted, also one that no text would give, such as the output of a model.

    Examples
    --------
    >>> join_tokens(["femme", "en", "vtt", ":", "l'‿", "ami", "‿."])
    "femme en vtt : l'ami."
    """
    parts: list[str] = []
    glued_before = True  # whether the token before forbids a space after it
    unspaced_before = False
    for token in tokens:
        if token == SPACE:
            parts.append(" ")
            glued_before = True
            unspaced_before = False
            continue
        piece = token.removeprefix(GLUE)
        glued = glued_before or token.startswith(GLUE)
        unspaced = _UNSPACED_TOKEN.match(piece) is not None
        if not (glued or (unspaced and unspaced_before)):
            parts.append(" ")
        parts.append(piece.removesuffix(GLUE))
        glued_before = piece.endswith(GLUE)
        unspaced_before = unspaced
    return " ".join("".join(parts).split())

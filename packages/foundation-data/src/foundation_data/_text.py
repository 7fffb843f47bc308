"""What counts as the same text: Unicode normalisation, and the key by which sentences are split."""

from __future__ import annotations

import re
import unicodedata

# Characters that nobody sees: zero-width space, word joiner, byte-order mark, soft hyphen. Two
# sentences that differ only in these look the same to every reader, so they must be the same to a
# model, too. The zero-width joiner and non-joiner stay: Persian spelling and emoji sequences depend
# on them.
INVISIBLE = "\u200b\u2060\ufeff\u00ad"
_CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
_SURROGATES = "\ud800-\udfff"
_NO_TEXT = re.compile(f"[{INVISIBLE}{_CONTROLS}{_SURROGATES}]")


def _replacement(match: re.Match[str]) -> str:
    character = match.group()
    if character in INVISIBLE:
        return ""
    # Half a surrogate pair is what is left of a broken character; UTF-8 cannot hold it.
    is_surrogate = "\ud800" <= character <= "\udfff"
    return "\ufffd" if is_surrogate else " "


def normalize(text: str) -> str:
    r"""Return `text` in NFC, each run of whitespace as one space, without invisible characters.

    Control characters count as whitespace, and half a surrogate pair becomes U+FFFD. Applying it
    twice changes nothing more.

    Parameters
    ----------
    text : str
        Any string.

    Returns
    -------
    str
        The normalised text, without leading or trailing spaces.

    Raises
    ------
    TypeError
        If `text` is not a string.

    Examples
    --------
    >>> normalize("  Cours\u202f! \n")
    'Cours !'
    >>> len("e\u0301"), len(normalize("e\u0301"))
    (2, 1)
    """
    require_str("normalize", text)
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", _NO_TEXT.sub(_replacement, text))
    return " ".join(text.split())


def require_str(name: str, text: object) -> None:
    """Refuse what is no string; `name` is the function that was called.

    Raises
    ------
    TypeError
    """
    if not isinstance(text, str):
        raise TypeError(f"{name}: expected a str, got {type(text).__name__}: {text!r:.80}")


def source_key(text: str) -> str:
    """Return the form in which two sources count as the same sentence: normalised and casefolded.

    Examples
    --------
    >>> source_key("  Go  AWAY! ") == source_key("go away!")
    True
    """
    # Casefolding can take a composed character apart, so the composition comes last.
    return unicodedata.normalize("NFC", normalize(text).casefold())

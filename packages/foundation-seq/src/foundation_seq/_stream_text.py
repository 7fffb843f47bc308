"""From a stream of tokens to a stream of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from foundation_seq._generate import NewToken
from foundation_seq._request import Decode, require_stop_strings


def stream_text(
    tokens: Iterable[NewToken], decode: Decode, stop_strings: Sequence[str] = ()
) -> Iterator[str]:
    """Pieces of text, each as soon as it is certain.

    A token is not always text by itself: a character may be spread over several byte tokens, and
    what looks like the beginning of a stop string may become one. Such ends are held back until
    the next token decides. At a stop string the text ends before it, and no further token is
    asked for.

    Parameters
    ----------
    tokens : iterable of NewToken
        Of one row, such as ``stream_tokens(model, [ids], 200)``.
    decode : callable
        From a list of ids to their text. More ids must only add to the text, but for U+FFFD at its
        end, which stands for bytes of an unfinished character.
    stop_strings : sequence of str

    Yields
    ------
    str
        Never empty.

    Raises
    ------
    TypeError, ValueError
        If ``stop_strings`` is a single str or holds an empty one, or the tokens belong to several
        rows.

    Examples
    --------
    >>> tokens = [NewToken(0, ord(c), 0.0) for c in "Yes.\\n\\nQuestion: ..."]
    >>> list(stream_text(tokens, lambda ids: "".join(map(chr, ids)), ["\\n\\n"]))
    ['Y', 'e', 's', '.']
    """
    return _pieces(tokens, decode, require_stop_strings(stop_strings))


def _pieces(
    tokens: Iterable[NewToken], decode: Decode, stop_strings: tuple[str, ...]
) -> Iterator[str]:
    ids: list[int] = []
    rows: set[int] = set()
    text, shown = "", 0
    for row, token, _ in tokens:
        rows.add(row)
        if len(rows) > 1:
            raise ValueError(f"stream_text: expected tokens of one row, got rows {sorted(rows)}")
        ids.append(token)
        text = decode(ids)
        ends = [text.find(stop) for stop in stop_strings if stop in text]
        certain = min(ends) if ends else _certain(text, stop_strings)
        if certain > shown:
            yield text[shown:certain]
            shown = certain
        if ends:
            return
    if len(text) > shown:
        yield text[shown:]


def _certain(text: str, stop_strings: tuple[str, ...]) -> int:
    """How much of the text no further token can change or turn into a stop string."""
    end = len(text.rstrip("\ufffd"))
    begun = (
        n
        for stop in stop_strings
        for n in range(1, min(len(stop), end + 1))
        if text.endswith(stop[:n], 0, end)
    )
    return end - max(begun, default=0)

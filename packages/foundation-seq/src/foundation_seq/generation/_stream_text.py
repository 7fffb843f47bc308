"""From a stream of tokens to a stream of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from foundation_seq.generation._generate import NewToken
from foundation_seq.generation._growing_text import Decode, GrowingText, StopStrings


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
        From a list of ids to their text. It is called with the latest few ids alone, so how a
        token reads may depend on up to eight tokens before it, not on the whole text. More ids
        must only add to the text, but for U+FFFD at its end, which stands for bytes of an
        unfinished character.
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
    return _pieces(tokens, GrowingText(decode), StopStrings(stop_strings))


def _pieces(
    tokens: Iterable[NewToken], unshown: GrowingText, stop_strings: StopStrings
) -> Iterator[str]:
    rows: set[int] = set()
    for token in tokens:
        rows.add(token.row)
        if len(rows) > 1:
            raise ValueError(f"stream_text: expected tokens of one row, got rows {sorted(rows)}")
        unshown.append(token.id)
        stop = stop_strings.find(unshown.text)
        certain = stop_strings.length_certain(unshown.text) if stop is None else stop
        if certain:
            yield unshown.take(certain)
        if stop is not None:
            return
    if unshown.text:
        yield unshown.text

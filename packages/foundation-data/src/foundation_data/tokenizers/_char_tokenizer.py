"""Characters as tokens."""

from __future__ import annotations

from collections.abc import Iterable

from foundation_data.tokenizers._counted_tokenizer import CountedTokenizer


class CharTokenizer(CountedTokenizer):
    """Each character (Unicode code point) of the normalised text as a token, spaces included.

    Examples
    --------
    >>> tokenizer = CharTokenizer.train(["abracadabra"])
    >>> tokenizer.vocabulary.tokens[4:]
    ('a', 'b', 'r', 'c', 'd')
    >>> tokenizer.encode("cab", add_eos=True)
    [7, 4, 5, 2]
    >>> tokenizer.decode([7, 4, 5, 2])
    'cab'
    """

    __slots__ = ()
    kind = "char"

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into characters."""
        return list(self.normalize(text))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put characters together again: ``detokenize(tokenize(text)) == normalize(text)``."""
        return "".join(tokens)

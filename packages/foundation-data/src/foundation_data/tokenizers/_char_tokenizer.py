"""Characters as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self

from foundation_data._text import require_str
from foundation_data.tokenizers._counted_tokenizer import CountedTokenizer
from foundation_data.tokenizers._vocabulary import Vocabulary

_SURROGATE = re.compile("[\ud800-\udfff]")


class CharTokenizer(CountedTokenizer):
    """Each character (Unicode code point) as a token, spaces and line ends included.

    By default the same text comes back: ``decode(encode(text)) == text``, if all its characters are
    known. Only half a surrogate pair, which no file in UTF-8 holds, becomes U+FFFD.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    lowercase : bool
        Whether text is lower-cased before it is cut.
    lossless : bool
        Whether text is taken as it is. If not, it is normalised first, see
        :func:`foundation_data.normalize`: line ends and several spaces become one space, and texts
        that look the same get the same ids. That is what a translator of single sentences needs.

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

    __slots__ = ("_lossless",)
    kind = "char"
    _options = ("lowercase", "lossless")

    def __init__(
        self, vocabulary: Vocabulary, lowercase: bool = False, lossless: bool = True
    ) -> None:
        super().__init__(vocabulary, lowercase)
        self._lossless = bool(lossless)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        min_freq: int = 1,
        max_size: int | None = None,
        lowercase: bool = False,
        lossless: bool = True,
    ) -> Self:
        """Learn the characters of `texts`.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            Characters seen fewer times become unknown.
        max_size : int, optional
            The largest vocabulary size V, the four specials included.
        lowercase, lossless : bool
            As for the class.

        Returns
        -------
        CharTokenizer
            The trained tokenizer.

        Raises
        ------
        TypeError
            If `texts` is a single string, or holds something that is no string.
        ValueError
            If there is no character in `texts`, or an option is out of range.
        """
        return cls._train(texts, min_freq, max_size, lowercase=lowercase, lossless=lossless)

    @property
    def lossless(self) -> bool:
        """Whether text is taken as it is."""
        return self._lossless

    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back.

        That is, when every token is known: an unknown one comes back as ``<unk>``.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """
        if not self._lossless:
            return super().normalize(text)
        require_str("CharTokenizer.normalize", text)
        text = _SURROGATE.sub("\ufffd", text)
        return text.lower() if self._lowercase else text

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into characters."""
        return list(self.normalize(text))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put characters together again: ``detokenize(tokenize(text)) == normalize(text)``."""
        return "".join(tokens)

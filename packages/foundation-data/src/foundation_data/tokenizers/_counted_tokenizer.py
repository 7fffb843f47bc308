"""Tokenizers whose tokens are counted in the training texts: words and characters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from foundation_nn.files import field

from foundation_data._text import normalize
from foundation_data.tokenizers._tokenizer import Tokenizer
from foundation_data.tokenizers._vocabulary import Vocabulary


class CountedTokenizer(Tokenizer):
    """A tokenizer that cuts by a fixed rule; training counts what comes out.

    It is the base class of tokenizers of one's own: they say how text is cut (`tokenize`), how it
    is put together again (`detokenize`), and by which name their files are recognised (`kind`).

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    lowercase : bool
        Whether text is lower-cased before it is cut.

    Examples
    --------
    >>> from foundation_data import CountedTokenizer
    >>> class Pairs(CountedTokenizer):
    ...     kind = "pairs of letters"
    ...     def tokenize(self, text):
    ...         text = self.normalize(text)
    ...         return [text[i : i + 2] for i in range(0, len(text), 2)]
    ...     def detokenize(self, tokens):
    ...         return "".join(tokens)
    >>> tokenizer = Pairs.train(["abracadabra"])
    >>> tokenizer.tokenize("cadabra"), tokenizer.decode(tokenizer.encode("abra"))
    (['ca', 'da', 'br', 'a'], 'abra')
    """

    __slots__ = ("_lowercase",)
    #: What distinguishes two tokenizers with one vocabulary: arguments of the constructor.
    _options: ClassVar[tuple[str, ...]] = ("lowercase",)

    def __init__(self, vocabulary: Vocabulary, lowercase: bool = False) -> None:
        super().__init__(vocabulary)
        self._lowercase = bool(lowercase)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        min_freq: int = 1,
        max_size: int | None = None,
        lowercase: bool = False,
    ) -> Self:
        """Learn the vocabulary of `texts`.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            Tokens seen fewer times become unknown.
        max_size : int, optional
            The largest vocabulary size V, the four specials included.
        lowercase : bool
            Lower-case all text, here and in `encode`.

        Returns
        -------
        Tokenizer
            The trained tokenizer.

        Raises
        ------
        TypeError
            If `texts` is a single string, or holds something that is no string.
        ValueError
            If there is no token in `texts`, or an option is out of range.
        """
        return cls._train(texts, min_freq, max_size, lowercase=lowercase)

    @classmethod
    def _train(
        cls, texts: Iterable[str], min_freq: int, max_size: int | None, **options: bool
    ) -> Self:
        cls._check_texts(texts, "train")
        # Cutting a text needs no vocabulary, so a tokenizer with an empty one can do it.
        untrained = cls(Vocabulary.build([]), **options)
        token_lists = (untrained.tokenize(text) for text in texts)
        vocabulary = Vocabulary.build(token_lists, min_freq=min_freq, max_size=max_size)
        if vocabulary.total == 0:
            raise ValueError(
                f"{cls.__name__}.train: expected at least one text with a token in it, got none"
            )
        return cls(vocabulary, **options)

    @property
    def lowercase(self) -> bool:
        """Whether text is lower-cased before it is cut."""
        return self._lowercase

    def __repr__(self) -> str:
        options = "".join(f", {name}={getattr(self, name)}" for name in self._options)
        return f"{type(self).__name__}(V={len(self)}{options})"

    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back.

        That is, when every token is known: an unknown one comes back as ``<unk>``.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """
        text = normalize(text)
        return normalize(text.lower()) if self._lowercase else text

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-able dictionary, for `from_dict`."""
        options = {name: getattr(self, name) for name in self._options}
        return {"kind": self.kind, **options, "vocabulary": self._vocabulary.to_dict()}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        vocabulary = Vocabulary.from_dict(field(content, "vocabulary", dict))
        return cls(vocabulary, **{name: field(content, name, bool) for name in cls._options})

"""What every tokenizer can do, whatever its tokens are."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from foundation_data._files import read_json, write_json
from foundation_data._text import normalize
from foundation_data._vocabulary import Vocabulary


class Tokenizer(ABC):
    """A frozen, trained translator between text and ids.

    A subclass says how text is cut (`tokenize`) and put together again (`detokenize`); the
    vocabulary and everything around it is the same for all. There is no untrained tokenizer:
    `train` and `load` return one that is ready, and nothing changes it afterwards.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    lowercase : bool
        Whether text is lower-cased before it is cut.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[dict[str, type[Tokenizer]]] = {}

    __slots__ = ("_lowercase", "_vocabulary")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Tokenizer._kinds[cls.kind] = cls

    def __init__(self, vocabulary: Vocabulary, lowercase: bool = False) -> None:
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(
                f"{type(self).__name__}: expected a Vocabulary, got {type(vocabulary).__name__}; "
                f"use {type(self).__name__}.train(texts) to make one from text"
            )
        self._vocabulary = vocabulary
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
        if isinstance(texts, str):
            raise TypeError(
                f"{cls.__name__}.train: expected a list of texts, got one str; wrap it: [text]"
            )
        # Cutting needs no vocabulary, so a tokenizer with an empty one does it: rules live in one
        # place.
        cutter = cls(Vocabulary.build([]), lowercase=lowercase)
        vocabulary = Vocabulary.build(
            (cutter.tokenize(text) for text in texts), min_freq=min_freq, max_size=max_size
        )
        if vocabulary.total == 0:
            raise ValueError(
                f"{cls.__name__}.train: expected at least one text with a token in it, got none"
            )
        return cls(vocabulary, lowercase=lowercase)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens and their ids."""
        return self._vocabulary

    @property
    def lowercase(self) -> bool:
        """Whether text is lower-cased before it is cut."""
        return self._lowercase

    def __len__(self) -> int:
        """Return the vocabulary size V."""
        return len(self._vocabulary)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(V={len(self)}, lowercase={self._lowercase})"

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

    @abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into tokens."""

    @abstractmethod
    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == normalize(text)``."""

    def encode(self, text: str, add_bos: bool = False, add_eos: bool = False) -> list[int]:
        """Return the ids of the tokens of `text`.

        Parameters
        ----------
        text : str
            Any text. Special tokens written in it are ordinary text.
        add_bos, add_eos : bool
            Whether to put ``bos_id`` before and ``eos_id`` after the ids.

        Returns
        -------
        list of int
            The ids, ``unk_id`` for each unknown token.
        """
        specials = self._vocabulary.specials
        ids = self._vocabulary.to_ids(self.tokenize(text))
        if add_bos:
            ids.insert(0, specials.bos_id)
        if add_eos:
            ids.append(specials.eos_id)
        return ids

    def decode(self, ids: Iterable[int], skip_unknown: bool = False) -> str:
        """Return the text of `ids`.

        Padding, beginning and end are left out. An unknown token stands for something that was
        there, so it is written as ``<unk>``, unless `skip_unknown`.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        specials = self._vocabulary.specials
        silent = {specials.pad_id, specials.bos_id, specials.eos_id}
        if skip_unknown:
            silent.add(specials.unk_id)
        kept = [index for index in map(int, ids) if index not in silent]
        return self.detokenize(self._vocabulary.to_tokens(kept))

    def unknown_rate(self, texts: Iterable[str]) -> float:
        """Return the share of the tokens of `texts` that are unknown: 0 to 1, and 0 for none."""
        if isinstance(texts, str):
            raise TypeError(
                f"{type(self).__name__}.unknown_rate: expected a list of texts, got one str; "
                "wrap it: [text]"
            )
        unknown = total = 0
        for text in texts:
            tokens = self.tokenize(text)
            total += len(tokens)
            unknown += sum(token not in self._vocabulary for token in tokens)
        return unknown / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-able dictionary, for `from_dict`."""
        return {
            "kind": self.kind,
            "lowercase": self._lowercase,
            "vocabulary": self._vocabulary.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild the tokenizer that `to_dict` described; ``Tokenizer.from_dict`` takes any kind.

        Raises
        ------
        ValueError
            If the content is malformed or is another kind of tokenizer.
        """
        kind = content.get("kind")
        found = Tokenizer._kinds.get(kind) if isinstance(kind, str) else None
        if found is None or not issubclass(found, cls):
            expected = sorted(
                name for name, known in Tokenizer._kinds.items() if issubclass(known, cls)
            )
            raise ValueError(
                f"{cls.__name__}: expected a tokenizer of kind {' or '.join(expected)}, "
                f"got {kind!r}"
            )
        return found._from_content(content)

    @classmethod
    def _from_content(cls, content: Mapping[str, Any]) -> Self:
        try:
            vocabulary, lowercase = content["vocabulary"], content["lowercase"]
        except KeyError as error:
            raise ValueError(f"{cls.__name__}: malformed content: {error} is missing") from error
        return cls(Vocabulary.from_dict(vocabulary), lowercase=lowercase)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a JSON file, whole or not at all."""
        write_json(path, "tokenizer", self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; ``Tokenizer.load`` takes any kind.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is no tokenizer of this kind, is damaged or was altered after it was saved.
        """
        content = read_json(path, "tokenizer")
        try:
            return cls.from_dict(content)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

"""The vocabulary: which tokens there are, how often they were seen, and which id each one has."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from foundation_nn.files import MAX_BYTES, field, from_object

from foundation_data._files import read_json, write_json
from foundation_data.tokenizers._specials import SpecialTokens


@dataclass(frozen=True)
class Vocabulary:
    """A frozen two-way table between tokens and ids, with the count of each token.

    Build one with `Vocabulary.build`; the constructor is for tables whose order is already fixed.

    Attributes
    ----------
    tokens : tuple of str, length V
        The token of each id, specials included.
    counts : tuple of int, length V
        How often each token was seen when the vocabulary was built; 0 for specials.
    total : int
        All tokens that were seen, also those that found no place.
    specials : SpecialTokens
        The reserved tokens; each must stand in `tokens` at its own id.

    Raises
    ------
    TypeError
        If a token is not a string, or a count not an integer.
    ValueError
        If lengths differ, a token appears twice, a special is not at its id, or a count is
        impossible.

    Examples
    --------
    >>> vocabulary = Vocabulary.build([["the", "cat"], ["the", "dog"]])
    >>> len(vocabulary), "cat" in vocabulary, "bird" in vocabulary
    (7, True, False)
    >>> vocabulary.token_to_id("the"), vocabulary.id_to_token(4)
    (4, 'the')
    >>> vocabulary.token_to_id("bird") == vocabulary.specials.unk_id
    True
    """

    tokens: tuple[str, ...]
    counts: tuple[int, ...]
    total: int
    specials: SpecialTokens = dataclass_field(default_factory=SpecialTokens)
    _ids: dict[str, int] = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "counts", tuple(self.counts))
        for token in self.tokens:
            if not isinstance(token, str):
                raise TypeError(f"Vocabulary: expected tokens that are strings, got {token!r:.60}")
        for count in (*self.counts, self.total):
            if type(count) is not int:
                raise TypeError(f"Vocabulary: expected counts that are integers, got {count!r:.60}")
        ids = {token: index for index, token in enumerate(self.tokens)}
        object.__setattr__(self, "_ids", ids)
        if len(self.counts) != len(self.tokens):
            raise ValueError(
                f"Vocabulary: expected one count for each of the {len(self.tokens)} tokens, "
                f"got {len(self.counts)}"
            )
        if len(ids) != len(self.tokens):
            # `ids` holds the last place of each token.
            repeated = next(token for i, token in enumerate(self.tokens) if ids[token] != i)
            raise ValueError(f"Vocabulary: the token {repeated!r} appears twice")
        for token, index in zip(self.specials.tokens, self.specials.ids, strict=True):
            if ids.get(token) != index:
                raise ValueError(
                    f"Vocabulary: expected the special token {token!r} at id {index}, "
                    f"found it at {ids.get(token)}"
                )
        smallest = min(self.counts, default=0)
        counted = sum(self.counts)
        if smallest < 0 or counted > self.total:
            raise ValueError(
                "Vocabulary: expected counts of at least 0 that add up to at most "
                f"total={self.total}, got the sum {counted} and the smallest count {smallest}"
            )

    @classmethod
    def build(
        cls,
        token_lists: Iterable[Iterable[str]],
        min_freq: int = 1,
        max_size: int | None = None,
        specials: SpecialTokens | None = None,
    ) -> Vocabulary:
        """Count tokens and give the frequent ones the low ids.

        The order is the same on every machine: specials first, then by falling count, and
        alphabetically (by code point) where counts are equal.

        Parameters
        ----------
        token_lists : iterable of iterables of str
            The tokens of each text.
        min_freq : int
            Leave out tokens seen fewer times.
        max_size : int, optional
            The largest V, specials included.
        specials : SpecialTokens, optional
            The reserved tokens, with ids 0 to 3 in any order.

        Raises
        ------
        TypeError
            If an element of `token_lists` is a string rather than a list of tokens.
        ValueError
            If `min_freq` is below 1, `max_size` leaves no room for the specials, the ids of the
            specials are not 0 to 3, or a special token appears among the tokens.
        """
        specials = SpecialTokens() if specials is None else specials
        if min_freq < 1:
            raise ValueError(f"Vocabulary.build: expected min_freq of at least 1, got {min_freq}")
        if max_size is not None and max_size < 4:
            raise ValueError(
                f"Vocabulary.build: expected max_size of at least 4 (the specials), got {max_size}"
            )
        if sorted(specials.ids) != [0, 1, 2, 3]:
            raise ValueError(
                f"Vocabulary.build: expected specials with the ids 0 to 3, got {specials.ids}"
            )
        counter: Counter[str] = Counter()
        for tokens in token_lists:
            if isinstance(tokens, str):
                raise TypeError(
                    "Vocabulary.build: expected lists of tokens, got the str "
                    f"{tokens[:40]!r}; tokenize it first"
                )
            counter.update(tokens)
        for token in specials.tokens:
            if token in counter:
                raise ValueError(
                    f"Vocabulary.build: {token!r} appears among the tokens but is reserved; "
                    "choose other SpecialTokens"
                )
        frequent = [token for token, count in counter.items() if count >= min_freq]
        frequent.sort(key=lambda token: (-counter[token], token))
        if max_size is not None:
            frequent = frequent[: max_size - 4]
        special_of = dict(zip(specials.ids, specials.tokens, strict=True))
        return cls(
            tokens=(*(special_of[index] for index in range(4)), *frequent),
            counts=(0, 0, 0, 0, *(counter[token] for token in frequent)),
            total=counter.total(),
            specials=specials,
        )

    @classmethod
    def without_counts(cls, tokens: Iterable[str], specials: SpecialTokens) -> Vocabulary:
        """A vocabulary whose tokens were not found by counting them, such as parts of words.

        Parameters
        ----------
        tokens : iterable of str
            The token of each id, specials included.
        specials : SpecialTokens
            The reserved tokens.
        """
        tokens = tuple(tokens)
        return cls(tokens, (0,) * len(tokens), 0, specials)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary(V={len(self)}, coverage={self.coverage():.4f})"

    def token_to_id(self, token: str) -> int:
        """Return the id of `token`, or `specials.unk_id` when it is not known."""
        return self._ids.get(token, self.specials.unk_id)

    def id_to_token(self, index: int) -> str:
        """Return the token with this id.

        Raises
        ------
        ValueError
            If there is no such id.
        """
        if not 0 <= index < len(self.tokens):
            raise ValueError(
                f"Vocabulary: expected an id from 0 to {len(self) - 1}, got {index}; "
                "were the ids made with another vocabulary?"
            )
        return self.tokens[index]

    def to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the id of each token, `specials.unk_id` for the unknown ones."""
        ids = self._ids
        unknown = self.specials.unk_id
        return [ids.get(token, unknown) for token in tokens]

    def to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the token of each id; `ValueError` for an id that does not exist."""
        return [self.id_to_token(index) for index in ids]

    def coverage(self, size: int | None = None) -> float:
        """Return the share of all counted tokens that the first `size` entries cover.

        Parameters
        ----------
        size : int, optional
            How many of the V entries, specials included, to take; all of them by default.

        Returns
        -------
        float
            From 0 to 1, and 1 when nothing was counted. ``1 - coverage()`` is the share of unknown
            tokens in the text that the vocabulary was built from.

        Examples
        --------
        >>> Vocabulary.build([["a", "a", "a", "b"]], max_size=5).coverage()
        0.75
        """
        if self.total == 0:
            return 1.0
        return sum(self.counts[:size]) / self.total

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-able dictionary, for `from_dict`."""
        return {
            "specials": self.specials.to_dict(),
            "total": self.total,
            "tokens": list(self.tokens),
            "counts": list(self.counts),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Vocabulary:
        """Rebuild the vocabulary that `to_dict` described.

        Raises
        ------
        ValueError
            If a key is missing or the values contradict one another.
        """
        try:
            return cls(
                tokens=tuple(field(content, "tokens", list[str])),
                counts=tuple(field(content, "counts", list[int])),
                total=field(content, "total", int),
                specials=from_object(SpecialTokens, field(content, "specials", dict)),
            )
        except ValueError as error:
            raise ValueError(f"Vocabulary.from_dict: malformed content: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary to a JSON file, whole or not at all."""
        write_json(path, "vocabulary", self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Vocabulary:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        max_bytes : int
            How large it may be.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a vocabulary, is damaged or was altered after it was saved.
        """
        content = read_json(path, "vocabulary", max_bytes)
        try:
            return cls.from_dict(content)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error

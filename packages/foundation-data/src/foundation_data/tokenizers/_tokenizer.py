"""What every tokenizer can do, whatever its tokens are."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from foundation_nn.files import MAX_BYTES

from foundation_data._files import write_json
from foundation_data._text import require_str
from foundation_data.tokenizers._added_tokens import AddedToken, TokenFinder
from foundation_data.tokenizers._frame import Frame
from foundation_data.tokenizers._tokenizer_files import read_tokenizer
from foundation_data.tokenizers._vocabulary import Vocabulary

#: Letters of a text in which no special token is to be found, and what stands for them meanwhile.
_LETTER = re.compile(r"\S")
_HIDDEN = "\uffff"


class Tokenizer(ABC):
    """A frozen, trained translator between text and ids.

    A subclass says how text is cut into tokens (`tokenize`) and put together again (`detokenize`).
    The vocabulary and everything around it is the same for all. There is no untrained tokenizer:
    `train` and `load` return one that is ready, and nothing changes it afterwards.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[dict[str, type[Tokenizer]]] = {}

    __slots__ = ("_left_out", "_text_tokens", "_text_tokens_and_specials", "_vocabulary")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" in vars(cls):
            known = Tokenizer._kinds.get(cls.kind, cls)
            same = (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__)
            if not same:  # a cell of a notebook may define its class again
                raise TypeError(
                    f"{cls.__name__}: the kind {cls.kind!r} is that of {known.__name__}, and files "
                    "are recognised by it; choose another one"
                )
            Tokenizer._kinds[cls.kind] = cls

    def __init__(self, vocabulary: Vocabulary, added: Iterable[AddedToken] = ()) -> None:
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(
                f"{type(self).__name__}: expected a Vocabulary, got {type(vocabulary).__name__}; "
                f"use {type(self).__name__}.train(texts) to make one from text"
            )
        if not hasattr(self, "kind"):
            raise TypeError(
                f"{type(self).__name__}: the class needs a name by which its files are recognised; "
                f'write kind = "{type(self).__name__.lower()}" in it'
            )
        self._vocabulary = vocabulary
        specials = vocabulary.specials
        tokens = {token: AddedToken(token) for token in specials.tokens}
        tokens.update((token.content, token) for token in added)
        # Some added tokens are text, the others steer the model: see `allow_special` of `encode`.
        self._text_tokens = TokenFinder(token for token in tokens.values() if not token.special)
        self._text_tokens_and_specials = TokenFinder(tokens.values())
        # The ids that `decode` leaves out.
        self._left_out = {specials.pad_id, specials.bos_id, specials.eos_id}
        for name, token in tokens.items():
            index = vocabulary.token_to_id(name)
            if token.special and index != specials.unk_id:
                self._left_out.add(index)

    @classmethod
    @abstractmethod
    def train(cls, texts: Iterable[str], min_freq: int = 1, max_size: int | None = None) -> Self:
        """Learn the tokens of `texts`.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            What is seen fewer times gets no token of its own.
        max_size : int, optional
            The largest vocabulary size V, specials included.

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

    @classmethod
    def _check_texts(cls, texts: Iterable[str], method: str) -> None:
        if isinstance(texts, str):
            raise TypeError(
                f"{cls.__name__}.{method}: expected a list of texts, got one str; wrap it: [text]"
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens and their ids."""
        return self._vocabulary

    def __len__(self) -> int:
        """Return the vocabulary size V."""
        return len(self._vocabulary)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(V={len(self)})"

    @property
    def frame(self) -> Frame:
        """The tokens that a model reads around a text; none by default."""
        return Frame()

    @abstractmethod
    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back.

        That is, when every token is known: an unknown one comes back as ``<unk>``.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """

    @abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into tokens."""

    @abstractmethod
    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == normalize(text)``."""

    def encode(
        self,
        text: str,
        add_bos: bool = False,
        add_eos: bool = False,
        allow_special: bool = False,
        framed: bool = False,
    ) -> list[int]:
        """Return the ids of the tokens of `text`.

        Parameters
        ----------
        text : str
            Any text.
        add_bos, add_eos : bool
            Whether to put ``bos_id`` before and ``eos_id`` after the ids.
        allow_special : bool
            Whether a special token written in `text` means that token. By default it is ordinary
            text, so that nobody steers a model by what they type. Allow it in templates of your
            own, and what users type in between with `encode_pieces`. Nor do letters of ordinary
            text ever become a special token by being joined: merges that would make one are left
            out, and special tokens are no pieces that a text can be cut into.
        framed : bool
            Whether to put around the ids what the model reads around a text, see `frame`.

        Returns
        -------
        list of int
            The ids, ``unk_id`` for each unknown token.

        Raises
        ------
        TypeError
            If `text` is not a string.
        ValueError
            If ends are asked for twice, by `framed` and by `add_bos` or `add_eos`.
        """
        require_str(f"{type(self).__name__}.encode", text)
        if framed and (add_bos or add_eos):
            raise ValueError(
                f"{type(self).__name__}.encode: framed=True puts the model's own tokens around the "
                "text; leave out add_bos and add_eos"
            )
        specials = self._vocabulary.specials
        finder = self._text_tokens_and_specials if allow_special else self._text_tokens
        ids = [specials.bos_id] if add_bos else []
        ids += self._encode_with(finder, text, is_start=True)
        if add_eos:
            ids.append(specials.eos_id)
        return self.frame.around(ids) if framed else ids

    def encode_pieces(self, pieces: Iterable[tuple[str, bool]]) -> list[int]:
        """Return the ids of one text whose pieces are of two kinds: a template's, and others.

        The text is encoded as a whole, so that the ids are those of the joined pieces. But a
        special token is found only where all of it was written by the template. Thus nobody can
        steer a model by what they type, not even together with what stands beside it.

        Parameters
        ----------
        pieces : iterable of (str, bool)
            The pieces in their order, each with whether special tokens in it are special.

        Raises
        ------
        TypeError
            If a piece is not a string.

        Examples
        --------
        >>> from foundation_data import BPETokenizer
        >>> tokenizer = BPETokenizer.train(["a b"])
        >>> eos_id = tokenizer.vocabulary.specials.eos_id
        >>> ids = tokenizer.encode_pieces([("typed: ", True), ("<eos>", False), ("<eos>", True)])
        >>> ids.count(eos_id), ids[-1] == eos_id
        (1, True)
        """
        whole: list[str] = []
        visible: list[str] = []
        for text, allow_special in pieces:
            require_str(f"{type(self).__name__}.encode_pieces", text)
            whole.append(text)
            visible.append(text if allow_special else _LETTER.sub(_HIDDEN, text))
        text = "".join(whole)
        ids: list[int] = []
        before = 0
        for start, end, token in self._text_tokens_and_specials.find("".join(visible)):
            ids += self._encode_with(self._text_tokens, text[before:start], is_start=before == 0)
            ids.append(self._vocabulary.token_to_id(token))
            before = end
        return ids + self._encode_with(self._text_tokens, text[before:], is_start=before == 0)

    def _encode_with(self, finder: TokenFinder, text: str, is_start: bool) -> list[int]:
        """The ids of a text and of the added tokens that `finder` finds in it."""
        ids: list[int] = []
        for ordinary_text, added_token in finder.split(text):
            ids += self._encode_ordinary(ordinary_text, is_start)
            if added_token is not None:
                ids.append(self._vocabulary.token_to_id(added_token))
            is_start = False
        return ids

    def _encode_ordinary(self, text: str, is_start: bool) -> list[int]:  # noqa: ARG002
        """The ids of a text in which no added token is to be found any more.

        `is_start` says whether it is the start of all that is encoded: some tokenizers put a space
        there.
        """
        unk_id = self._vocabulary.specials.unk_id
        ids = self._vocabulary.to_ids(self.tokenize(text))
        # Text must not become a special token by looking like its name.
        return [unk_id if index in self._left_out else index for index in ids]

    def decode(self, ids: Iterable[int], skip_unknown: bool = False) -> str:
        """Return the text of `ids`.

        Padding, beginning, end and other special tokens are left out. An unknown token stands for
        something that was there, so it is written as ``<unk>``, unless `skip_unknown`.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        return self.detokenize(self._visible_tokens(ids, skip_unknown))

    def _visible_tokens(self, ids: Iterable[int], skip_unknown: bool = False) -> list[str]:
        """The tokens of those ids that stand for text."""
        left_out = self._left_out
        if skip_unknown:
            left_out = left_out | {self._vocabulary.specials.unk_id}
        return self._vocabulary.to_tokens(i for i in map(int, ids) if i not in left_out)

    def unknown_rate(self, texts: Iterable[str]) -> float:
        """Return the share of the tokens of `texts` that are unknown: 0 to 1, and 0 for none."""
        self._check_texts(texts, "unknown_rate")
        unknown = 0
        total = 0
        for text in texts:
            ids = self.encode(text)
            total += len(ids)
            unknown += ids.count(self._vocabulary.specials.unk_id)
        return unknown / total if total else 0.0

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-able dictionary, for `from_dict`."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild the tokenizer that `to_dict` described; ``Tokenizer.from_dict`` takes any kind.

        Raises
        ------
        ValueError
            If the content is malformed or is another kind of tokenizer.
        """
        kind = content.get("kind") if isinstance(content, dict) else content
        found = Tokenizer._kinds.get(kind) if isinstance(kind, str) else None
        if found is not None and issubclass(cls, found):
            found = cls  # a subclass of the caller's without a kind of its own
        if found is None or not issubclass(found, cls):
            expected = sorted(
                name for name, known in Tokenizer._kinds.items() if issubclass(known, cls)
            )
            raise ValueError(
                f"{cls.__name__}: expected a tokenizer of kind {' or '.join(expected)}, "
                f"got {kind!r:.60}"
            )
        try:
            return found.from_content(content)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{found.__name__}: malformed content: {error}") from error

    @classmethod
    @abstractmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a tokenizer of this very class; `from_dict` calls it and names what is wrong."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a JSON file, whole or not at all."""
        write_json(path, "tokenizer", self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Self:
        """Read what `save` wrote; ``Tokenizer.load`` takes any kind.

        A file is recognised by its ``kind``, which a class registers when it is defined. So a class
        of your own must be defined, or its module imported, before its files are loaded.

        A `tokenizer.json` written by the ``tokenizers`` library is read, too, whichever of its
        models of subwords it holds. `load_tokenizer` reads a whole folder, and other files.

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
            If the file is no tokenizer of this kind, is damaged or was altered after it was saved,
            or if no class of its kind has been defined.
        """
        content = read_tokenizer(path, max_bytes)
        try:
            return cls.from_dict(content)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

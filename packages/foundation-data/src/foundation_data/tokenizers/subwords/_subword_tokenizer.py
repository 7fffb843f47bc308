"""What tokenizers of word parts share: the way to the pieces, a cache of them, and the file."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain
from typing import Any, Self, TypeVar

from foundation_nn.files import field, from_object

from foundation_data._text import require_str
from foundation_data.tokenizers._added_tokens import AddedToken, TokenFinder
from foundation_data.tokenizers._frame import Frame
from foundation_data.tokenizers._specials import SpecialTokens, guess_specials
from foundation_data.tokenizers._tokenizer import Tokenizer
from foundation_data.tokenizers._tokenizer_files import write_tokenizer_json
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._normalizer import normalize_with
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import Metaspace, cut_text
from foundation_data.tokenizers.subwords._learn_merges import MAX_SYMBOLS

T = TypeVar("T")
_END_OF_TEXT = "<|endoftext|>"


class PieceCache(dict[str, Sequence[T]]):
    """The ids of pieces that came before: words repeat, so most of a text is looked up.

    It holds a bounded number of pieces, and no long ones, because those do not repeat.
    """

    SIZE = 1 << 16
    LONGEST = 64

    def __init__(self, ids_of: Callable[[str], Sequence[T]]) -> None:
        super().__init__()
        self._ids_of = ids_of

    def __missing__(self, piece: str) -> Sequence[T]:
        ids = self._ids_of(piece)
        if len(self) < self.SIZE and len(piece) <= self.LONGEST:
            self[piece] = ids
        return ids


class SubwordTokenizer(Tokenizer):
    """A tokenizer that cuts text into pieces and each piece into tokens.

    This class does the first half. A subclass says how a piece becomes tokens (`_ids_of_piece`),
    how tokens become text (`detokenize`), and what stands in its file beside the tokens
    (`_model_to_json`, `_from_model`).

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids; counts are 0, since no rule depends on them.
    pipeline : Pipeline
        The way of a text to its pieces.
    """

    __slots__ = (
        "_cache",
        "_frame",
        "_late_ids",
        "_late_tokens",
        "_pipeline",
        "_steps_behind_token",
    )

    def __init__(self, vocabulary: Vocabulary, pipeline: Pipeline) -> None:
        for token in pipeline.added:
            if token.content not in vocabulary:
                raise ValueError(f"added_tokens: {token.content!r} is not in the vocabulary")
        known = {token.content for token in pipeline.added}
        specials = dict.fromkeys(vocabulary.specials.tokens)  # each once: roles may share a token
        added = (*pipeline.added, *(AddedToken(name) for name in specials if name not in known))
        # Tokens that are text may be meant for the normalised text; what steers is found before.
        late = [
            token
            for token in added
            if token.normalized and not token.special and pipeline.normalizers
        ]
        super().__init__(vocabulary, [token for token in added if token not in late])
        names = {pipeline.normalize_token(token.content): token for token in late}
        self._late_tokens = TokenFinder(
            replace(token, content=name) for name, token in names.items() if name
        )
        self._late_ids = {
            name: vocabulary.token_to_id(token.content) for name, token in names.items()
        }
        self._pipeline = replace(pipeline, added=added)
        self._steps_behind_token = tuple(
            step.behind_token() if isinstance(step, Metaspace) else step for step in pipeline.steps
        )
        self._frame = Frame.from_json(pipeline.around.get("post_processor"))
        self._frame.require_ids(len(vocabulary))
        self._cache = PieceCache(self._ids_of_piece)

    @property
    def pipeline(self) -> Pipeline:
        """The way of a text to its pieces."""
        return self._pipeline

    @property
    def frame(self) -> Frame:
        """The tokens that a model reads around a text: the file's post-processor."""
        return self._frame

    def with_frame(self, frame: Frame) -> Self:
        """The same tokenizer with another frame, which is saved with it.

        Raises
        ------
        ValueError
            If an id of the frame is not in the vocabulary.
        """
        frame.require_ids(len(self))
        other = copy(self)
        around = {**self._pipeline.around, "post_processor": frame.to_json()}
        other._pipeline = replace(self._pipeline, around=around)
        other._frame = frame
        return other

    def with_ends(self, bos: bool, eos: bool) -> Self:
        """The same tokenizer whose frame is bos before a text, or eos after it, or both."""
        specials = self._vocabulary.specials
        return self.with_frame(
            Frame.with_ends(
                (specials.bos, specials.bos_id) if bos else None,
                (specials.eos, specials.eos_id) if eos else None,
            )
        )

    @abstractmethod
    def _ids_of_piece(self, piece: str) -> Sequence[int]:
        """The ids of a piece of text, for `encode`; called for pieces that the cache lacks."""

    def _encode_ordinary(self, text: str, is_start: bool) -> list[int]:
        ids: list[int] = []
        for part, token in self._late_tokens.split(self._normalized(text)):
            words = self._words_of(part, is_start)
            ids += chain.from_iterable(map(self._cache.__getitem__, words))
            if token is not None:
                ids.append(self._late_ids[token])
            is_start = False
        return ids

    def _words_of(self, text: str, is_start: bool) -> list[str]:
        """The pieces of a normalised text; no token goes beyond one."""
        steps = self._pipeline.steps if is_start else self._steps_behind_token
        return cut_text(steps, text)

    def _normalized(self, text: str) -> str:
        return normalize_with(self._pipeline.normalizers, text)

    def normalize(self, text: str) -> str:
        """Return the form of `text` that is cut into pieces.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """
        require_str(f"{type(self).__name__}.normalize", text)
        return self._normalized(text)

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into tokens; special tokens written in it are ordinary text."""
        return self._vocabulary.to_tokens(self.encode(text))

    @abstractmethod
    def _model_to_json(self) -> dict[str, Any]:
        """The ``model`` of the file without its tokens, for `to_dict` and `save`."""

    def _tokens_to_json(self) -> Any:
        """The tokens as the ``vocab`` of the file has them."""
        return {token: index for index, token in enumerate(self._vocabulary)}

    @classmethod
    def _ids_from_json(cls, model: Mapping[str, Any]) -> dict[str, int]:
        """The id of each token in the ``vocab`` of a file."""
        ids: dict[str, int] = field(model, "vocab", dict[str, int])
        return ids

    @classmethod
    def _unknown_token(cls, model: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        """The token that the model of a file names for what it does not know, if any."""
        return None

    @classmethod
    @abstractmethod
    def _from_model(
        cls, vocabulary: Vocabulary, model: Mapping[str, Any], pipeline: Pipeline
    ) -> Self:
        """The tokenizer of a file with this ``model``, for `from_dict` and `load`."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-able dictionary, for `from_dict`."""
        ids = {token: index for index, token in enumerate(self._vocabulary)}
        model = {**self._model_to_json(), "vocab": self._tokens_to_json()}
        return {
            "kind": self.kind,
            "specials": self._vocabulary.specials.to_dict(),
            "tokenizer": self._pipeline.to_json(ids, model),
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        document = field(content, "tokenizer", dict)
        model = field(document, "model", dict)
        pipeline = Pipeline.from_json(document)
        added = {
            token["content"]: field(token, "id", int)
            for token in field(document, "added_tokens", list | None, default=None) or ()
        }
        special = [token.content for token in pipeline.added if token.special]
        roles = field(content, "specials", dict | None, default=None) or {}
        ids = {**cls._ids_from_json(model), **added}
        unknown = cls._unknown_token(model)
        if unknown is not None and "pad_id" not in roles:
            roles = {**roles, "unk": unknown}
        return cls._from_model(vocabulary_of(ids, special, roles), model, pipeline)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `tokenizer.json`, whole or not at all; the ``tokenizers`` library reads it, too.

        For that library special tokens in a text are always special, as with ``allow_special``.
        """
        document = self.to_dict()["tokenizer"]
        write_tokenizer_json(path, document, self._vocabulary.specials)


def vocabulary_of(
    ids: Mapping[str, Any], special: Sequence[str], roles: Mapping[str, Any]
) -> Vocabulary:
    """Return the vocabulary for a table from tokens to ids that another program has written.

    Parameters
    ----------
    ids : mapping of str to int
        The id of each token.
    special : sequence of str
        The special tokens among them. If there is none, ``<|endoftext|>`` is added as the last
        token: sequences need something to end and to be padded with.
    roles : mapping
        All fields of `SpecialTokens`, or tokens for some of the roles, as far as known.

    Raises
    ------
    ValueError
        If the ids are not 0 to V - 1, one for each token.
    """
    tokens: list[str | None] = [None] * len(ids)
    for token, index in ids.items():
        if type(index) is not int or not 0 <= index < len(ids) or tokens[index] is not None:
            raise ValueError(
                f"vocab: expected the ids 0 to {len(ids) - 1}, each for one token, got "
                f"{index!r:.60} for {token!r:.60}{_other(tokens, index)}"
            )
        tokens[index] = token
    names = [token for token in tokens if token is not None]
    if not special:
        special = [_END_OF_TEXT]
        if _END_OF_TEXT not in ids:
            ids = {**ids, _END_OF_TEXT: len(ids)}
            names.append(_END_OF_TEXT)
    if "pad_id" in roles:
        specials = from_object(SpecialTokens, roles)
    else:
        known = {role: field(roles, role, str | None) for role in roles}
        specials = guess_specials(ids, special, known)
    return Vocabulary.without_counts(names, specials)


def _other(tokens: Sequence[str | None], index: Any) -> str:
    if isinstance(index, int) and 0 <= index < len(tokens):
        return f" and for {tokens[index]!r}"
    return ""


def check_limits(name: str, min_freq: int, max_size: int | None, *, smallest: int, why: str) -> int:
    """Check the limits of a training, and return `max_size` as a number.

    Parameters
    ----------
    name : str
        Who asks, for the messages.
    min_freq : int
        How often something must be seen; at least 1.
    max_size : int, optional
        How many tokens there may be; None for as many as possible.
    smallest : int
        The least that `max_size` may be.
    why : str
        What these tokens are, for the message.

    Raises
    ------
    ValueError
        If a limit is out of its range.
    """
    if min_freq < 1:
        raise ValueError(f"{name}: expected min_freq of at least 1, got {min_freq}")
    if max_size is None:
        return MAX_SYMBOLS
    if max_size < smallest:
        raise ValueError(
            f"{name}: expected max_size of at least {smallest} ({why}), got {max_size}"
        )
    if max_size > MAX_SYMBOLS:
        raise ValueError(
            f"{name}: expected max_size of at most {MAX_SYMBOLS:,}, because training writes each "
            f"id as a character, got {max_size:,}; take None for no limit of your own"
        )
    return max_size


def count_pieces(pipeline: Pipeline, texts: Iterable[str], name: str) -> Counter[str]:
    """Count the pieces of all texts; `name` is who asks, for the messages.

    Raises
    ------
    TypeError
        If something in `texts` is no string.
    ValueError
        If there is not one piece.
    """

    def pieces_of(text: str) -> list[str]:
        require_str(name, text)
        return cut_text(pipeline.steps, normalize_with(pipeline.normalizers, text))

    # All pieces in one stream: to count each text by itself takes a tenth of the training.
    counts = Counter(chain.from_iterable(map(pieces_of, texts)))
    if not counts:
        raise ValueError(f"{name}: expected at least one text with a token in it, got none")
    return counts

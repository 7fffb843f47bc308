"""What a file of SentencePiece says: its pieces, and how a text is normalised."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from foundation_nn.files import MAX_BYTES, read_bytes

from foundation_data.tokenizers.sentencepiece._wire import (
    as_bytes,
    as_float,
    as_int,
    as_text,
    read_fields,
    write_field,
)

#: The kinds of pieces, by their numbers in the file.
KINDS = {1: "normal", 2: "unknown", 3: "control", 4: "user-defined", 5: "unused", 6: "byte"}
#: The kinds of models.
MODELS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
_NUMBERS_OF_KINDS = {name: number for number, name in KINDS.items()}
_NUMBERS_OF_MODELS = {name: number for number, name in MODELS.items()}
#: The fields of a model: its pieces, what it was trained with, how texts are normalised.
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3


class Piece(NamedTuple):
    """A piece of the vocabulary.

    Attributes
    ----------
    text : str
        Its letters, with ``▁`` for a space.
    score : float
        The logarithm of its probability (unigram), or minus the number of its merge (BPE).
    kind : str
        "normal", "unknown", "control", "user-defined", "unused" or "byte".
    """

    text: str
    score: float = 0.0
    kind: str = "normal"


@dataclass(frozen=True)
class SentencePieceModel:
    """A model of SentencePiece.

    Attributes
    ----------
    pieces : tuple of Piece
        The pieces in the order of their ids.
    algorithm : str
        "unigram" or "bpe"; "word" and "char" are known, and not supported.
    byte_fallback : bool
        Whether a character that is in no piece is written in pieces of bytes.
    charsmap : bytes
        What each character becomes before a text is cut; empty for nothing.
    add_dummy_prefix : bool
        Whether a space is put before a text.
    remove_extra_whitespaces : bool
        Whether spaces around a text are dropped, and several of them become one.
    escape_whitespaces : bool
        Whether a space is written as ``▁``.
    blank_is_suffix : bool
        Whether the space belongs to the word before it.
    unk_piece, bos_piece, eos_piece, pad_piece : str
        The pieces of these roles. A model may have no such piece.
    """

    pieces: tuple[Piece, ...]
    algorithm: str = "unigram"
    byte_fallback: bool = False
    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    blank_is_suffix: bool = False
    unk_piece: str = "<unk>"
    bos_piece: str = "<s>"
    eos_piece: str = "</s>"
    pad_piece: str = "<pad>"

    @property
    def roles(self) -> dict[str, str]:
        """The pieces of the roles unk, bos, eos and pad, as far as the model has them."""
        steering = {piece.text for piece in self.pieces if piece.kind in ("unknown", "control")}
        named = {role: getattr(self, f"{role}_piece") for role in ("unk", "bos", "eos", "pad")}
        return {role: text for role, text in named.items() if text in steering}

    @classmethod
    def of_table(
        cls,
        tokens: Sequence[str],
        scores: Sequence[float],
        kinds: Sequence[int],
        **options: Any,
    ) -> SentencePieceModel:
        """A model whose pieces stand in three columns, as in a GGUF file.

        Parameters
        ----------
        tokens, scores, kinds : sequences of one length
            The texts of the pieces, their scores, and the numbers of their kinds, see `KINDS`.
        **options
            Other fields of the model.

        Raises
        ------
        ValueError
            If the lengths differ, a score is not finite, or there is no such kind.
        """
        if not len(tokens) == len(scores) == len(kinds):
            raise ValueError(
                f"expected as many scores and kinds as the {len(tokens)} tokens, got {len(scores)} "
                f"and {len(kinds)}"
            )
        pieces: list[Piece] = []
        for text, score, kind in zip(tokens, scores, kinds, strict=True):
            if not text or not isfinite(score) or kind not in KINDS:
                raise ValueError(
                    f"token {len(pieces)}: expected a text, a finite score and a kind of 1 to 6, "
                    f"got {text!r:.60}, {score} and {kind}"
                )
            pieces.append(Piece(text, float(score), KINDS[kind]))
        return cls(tuple(pieces), **options)

    @classmethod
    def from_bytes(cls, data: bytes) -> SentencePieceModel:
        """Read the content of a file.

        Raises
        ------
        ValueError
            If it is damaged, or no model of SentencePiece.
        """
        pieces: list[Piece] = []
        model = cls(())
        for number, value in read_fields(data):
            if number == _PIECES:
                try:
                    pieces.append(_read_piece(as_bytes(value)))
                except ValueError as error:
                    raise ValueError(f"piece {len(pieces)}: {error}") from error
            elif number == _TRAINER:
                model = replace(model, **_read(as_bytes(value), _TRAINER_FIELDS, "trainer_spec"))
            elif number == _NORMALIZER:
                found = _read(as_bytes(value), _NORMALIZER_FIELDS, "normalizer_spec")
                model = replace(model, **found)
        if not pieces:
            raise ValueError("expected a model of SentencePiece, found not one piece")
        return replace(model, pieces=tuple(pieces))

    def to_bytes(self) -> bytes:
        """The content of a file that says the same, as far as it is known here."""
        pieces = b"".join(
            write_field(_PIECES, _written(piece._asdict(), _PIECE_FIELDS)) for piece in self.pieces
        )
        said = vars(self)
        trainer = write_field(_TRAINER, _written(said, _TRAINER_FIELDS))
        return pieces + trainer + write_field(_NORMALIZER, _written(said, _NORMALIZER_FIELDS))


def read_sentencepiece(
    path: str | os.PathLike[str], max_bytes: int = MAX_BYTES
) -> SentencePieceModel:
    """Read a ``tokenizer.model`` or an ``.spm`` file.

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
        If it is damaged, too large, or no model of SentencePiece.
    """
    data = read_bytes(path, max_bytes)
    try:
        return SentencePieceModel.from_bytes(data)
    except ValueError as error:
        raise ValueError(f"{Path(path)}: {error}") from error


#: How each field of a part of the file is read, and what it is called here.
_Fields = dict[int, tuple[str, Callable[[int | bytes], Any]]]


def _read(message: bytes, fields: _Fields, part: str) -> dict[str, Any]:
    """The fields of a part that are known here; of one that comes twice, the last."""
    found: dict[str, Any] = {}
    for number, value in read_fields(message):
        if number in fields:
            name, read = fields[number]
            try:
                found[name] = read(value)
            except ValueError as error:
                raise ValueError(f"{part}.{name}: {error}") from error
    return found


def _written(values: Mapping[str, Any], fields: _Fields) -> bytes:
    """A part of the file with these values."""
    numbers_of = {"kind": _NUMBERS_OF_KINDS, "algorithm": _NUMBERS_OF_MODELS}
    return b"".join(
        write_field(number, numbers_of[name][values[name]] if name in numbers_of else values[name])
        for number, (name, _) in fields.items()
    )


def _as_bool(value: int | bytes) -> bool:
    return as_int(value) != 0


def _as_score(value: int | bytes) -> float:
    score = as_float(value)
    if not isfinite(score):
        raise ValueError(f"expected a finite number, got {score}")
    return score


def _one_of(names: dict[int, str]) -> Callable[[int | bytes], str]:
    def read(value: int | bytes) -> str:
        number = as_int(value)
        if number not in names:
            raise ValueError(f"expected a number of {', '.join(names.values())}, got {number}")
        return names[number]

    return read


_PIECE_FIELDS: _Fields = {
    1: ("text", as_text),
    2: ("score", _as_score),
    3: ("kind", _one_of(KINDS)),
}
_TRAINER_FIELDS: _Fields = {
    3: ("algorithm", _one_of(MODELS)),
    24: ("blank_is_suffix", _as_bool),
    35: ("byte_fallback", _as_bool),
    45: ("unk_piece", as_text),
    46: ("bos_piece", as_text),
    47: ("eos_piece", as_text),
    48: ("pad_piece", as_text),
}
_NORMALIZER_FIELDS: _Fields = {
    2: ("charsmap", as_bytes),
    3: ("add_dummy_prefix", _as_bool),
    4: ("remove_extra_whitespaces", _as_bool),
    5: ("escape_whitespaces", _as_bool),
}


def _read_piece(message: bytes) -> Piece:
    found = _read(message, _PIECE_FIELDS, "piece")
    if not found.get("text"):
        raise ValueError("expected a text of at least one character")
    return Piece(**found)

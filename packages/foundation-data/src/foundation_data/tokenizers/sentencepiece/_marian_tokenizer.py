"""The tokenizers of an OPUS-MT translator: pieces of SentencePiece with numbers of their own."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from foundation_nn.files import MAX_BYTES, field, from_object

from foundation_data._files import parse_json
from foundation_data.tokenizers._frame import Frame
from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._tokenizer import Tokenizer
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.sentencepiece._from_model import tokenizer_of_model
from foundation_data.tokenizers.sentencepiece._model_file import (
    SentencePieceModel,
    read_sentencepiece,
)
from foundation_data.tokenizers.subwords import UnigramTokenizer
from foundation_data.tokenizers.subwords._subword_tokenizer import vocabulary_of

#: The language that a translator into several is to write, at the beginning of a source.
_LANGUAGE = re.compile(r">>[^<>\s]+<<")
_ROLES = {"eos": "</s>", "unk": "<unk>", "pad": "<pad>"}


class MarianTokenizer(Tokenizer):
    """One side of a translator that was trained with Marian, such as OPUS-MT.

    Source and target each have a model of SentencePiece, which cuts the text. The numbers of the
    pieces stand in a table beside them, which is mostly one for both sides. A translator into
    several languages reads at the beginning of a source which one is wanted: ``>>fra<< Hello``.

    Parameters
    ----------
    vocabulary : Vocabulary
        The pieces and their ids. What the model cuts and the table lacks is unknown.
    model : SentencePieceModel
        The model of this side.

    Raises
    ------
    ValueError
        If the model is not a unigram model.

    References
    ----------
    Tiedemann, Thottingal, "OPUS-MT: building open translation services for the world", 2020.
    """

    __slots__ = ("_languages", "_model", "_pieces")
    kind = "marian"

    def __init__(self, vocabulary: Vocabulary, model: SentencePieceModel) -> None:
        super().__init__(vocabulary)
        pieces = tokenizer_of_model(model)
        if not isinstance(pieces, UnigramTokenizer):
            raise ValueError(f"expected a unigram model, got one of kind {model.algorithm!r}")
        self._model = model
        self._pieces = pieces
        self._languages = [token for token in vocabulary if _LANGUAGE.fullmatch(token)]

    @classmethod
    def of_folder(
        cls, folder: str | os.PathLike[str], max_bytes: int = MAX_BYTES
    ) -> tuple[Self, Self]:
        """The tokenizers of the source and of the target.

        Parameters
        ----------
        folder : path
            The folder of the translator, with `source.spm`, `target.spm` and `vocab.json`, and
            perhaps `target_vocab.json`.
        max_bytes : int
            How large each of the files may be.

        Raises
        ------
        FileNotFoundError
            If one of the first three is missing.
        ValueError
            If one is damaged, or they do not belong together.
        """
        folder = Path(folder)
        source_table = folder / "vocab.json"
        target_table = folder / "target_vocab.json"
        source, target = (
            cls._of_files(table, folder / model, max_bytes)
            for table, model in (
                (source_table, "source.spm"),
                (target_table if target_table.exists() else source_table, "target.spm"),
            )
        )
        return source, target

    @classmethod
    def _of_files(cls, table: Path, model: Path, max_bytes: int) -> Self:
        ids = parse_json(table, "vocabulary", max_bytes)
        if not isinstance(ids, dict):
            raise ValueError(f"{table}: expected tokens with ids, got {ids!r:.40}")
        missing = [token for token in _ROLES.values() if token not in ids]
        if missing:
            raise ValueError(f"{table}: the token {missing[0]!r} is missing")
        try:
            vocabulary = vocabulary_of(ids, list(_ROLES.values()), _ROLES)
        except ValueError as error:
            raise ValueError(f"{table}: {error}") from error
        read = read_sentencepiece(model, max_bytes)
        try:
            return cls(vocabulary, read)
        except ValueError as error:
            raise ValueError(f"{model}: {error}") from error

    @classmethod
    def train(
        cls,
        texts: Iterable[str],  # noqa: ARG003
        min_freq: int = 1,  # noqa: ARG003
        max_size: int | None = None,  # noqa: ARG003
    ) -> NoReturn:
        """Refuse: such a tokenizer comes with a translator.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            f"{cls.__name__}: it is read from the folder of a translator; train a UnigramTokenizer"
        )

    @property
    def model(self) -> SentencePieceModel:
        """The model of this side, whose `to_bytes` is an ``.spm`` file."""
        return self._model

    @property
    def languages(self) -> list[str]:
        """How the languages are named that the translator can be asked for; often none."""
        return list(self._languages)

    @property
    def frame(self) -> Frame:
        """Each text ends with ``</s>``."""
        specials = self._vocabulary.specials
        return Frame.with_ends(None, (specials.eos, specials.eos_id))

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into pieces; a language at its beginning is one of them.

        Raises
        ------
        ValueError
            If there are languages to choose from, and the text begins with another one.
        """
        language = _LANGUAGE.match(text) if self._languages else None
        if language is None:
            return self._pieces.cut(text)
        name = language.group()
        if name not in self._languages:
            raise ValueError(
                f"MarianTokenizer: the text begins with {name!r:.60}, but the translator knows "
                f"{', '.join(self._languages):.400}"
            )
        return [name, *self._pieces.cut(text[language.end() :])]

    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back."""
        return self.detokenize(self.tokenize(text))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again."""
        return self._pieces.detokenize(tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-able dictionary, for `from_dict`."""
        return {
            "kind": self.kind,
            "specials": self._vocabulary.specials.to_dict(),
            "tokens": list(self._vocabulary),
            "model": base64.b64encode(self._model.to_bytes()).decode(),
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        specials = from_object(SpecialTokens, field(content, "specials", dict))
        tokens = field(content, "tokens", list[str])
        try:
            data = base64.b64decode(field(content, "model", str), validate=True)
        except binascii.Error as error:
            raise ValueError(f"model: expected base64: {error}") from None
        model = SentencePieceModel.from_bytes(data)
        return cls(Vocabulary.without_counts(tokens, specials), model)

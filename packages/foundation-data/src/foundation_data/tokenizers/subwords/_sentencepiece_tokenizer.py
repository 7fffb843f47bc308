"""What the tokenizers of SentencePiece share: ``▁`` for a space, and bytes for the unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from foundation_data._text import require_str
from foundation_data.tokenizers._patterns import WORDS_WITH_BLANK
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._byte_alphabet import text_to_bytes
from foundation_data.tokenizers.pipeline._decoder import byte_token, decode_with, decoder_from_json
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import (
    BLANK,
    Metaspace,
    Split,
    Step,
    cut_text,
)
from foundation_data.tokenizers.subwords._subword_tokenizer import SubwordTokenizer

_BLANK_INSIDE = re.compile(f"[^{BLANK}]{BLANK}", re.DOTALL)
_WORDS = re.compile(f"{BLANK}*[^{BLANK}]+|{BLANK}+")


class SentencePieceTokenizer(SubwordTokenizer):
    """A tokenizer whose tokens are pieces of text in which a space is ``▁``.

    Not each character is in a token, as there are too many. One that is in none is written in the
    256 tokens of bytes, ``<0x00>`` to ``<0xFF>``, if there are such tokens (*byte fallback*), or
    else becomes the unknown token.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    pipeline : Pipeline
        The way of a text to its pieces, and back.
    byte_fallback : bool
        Whether a character that is in no token is written in tokens of bytes.
    unk_token : str, optional
        The token of a character that cannot be written at all. Without one, such a text is refused.
    """

    __slots__ = (
        "_byte_fallback",
        "_byte_ids",
        "_decoder",
        "_plain_ids",
        "_unk_token",
        "_unknown_ids",
        "_words",
    )

    def __init__(
        self,
        vocabulary: Vocabulary,
        pipeline: Pipeline,
        byte_fallback: bool = False,
        unk_token: str | None = None,
    ) -> None:
        super().__init__(vocabulary, pipeline)
        if unk_token is not None and unk_token not in vocabulary:
            raise ValueError(f"unk_token: {unk_token!r:.60} is not in the vocabulary")
        self._byte_fallback = bool(byte_fallback)
        self._unk_token = unk_token
        self._unknown_ids = [] if unk_token is None else [vocabulary.token_to_id(unk_token)]
        self._decoder = decoder_from_json(pipeline.around.get("decoder"))
        ids = {token: index for index, token in enumerate(vocabulary)}
        self._byte_ids = [ids.get(byte_token(byte)) for byte in range(256)]
        # Text must not become a special token, or a byte, by looking like its name.
        reserved = {token.content for token in self.pipeline.added if token.special} | {unk_token}
        if byte_fallback:
            reserved |= set(map(byte_token, range(256)))
        self._plain_ids = {token: index for token, index in ids.items() if token not in reserved}
        # Where no token goes on behind a word, words can be encoded one by one, and remembered.
        inside = any(_BLANK_INSIDE.search(token) for token in self._plain_ids)
        are_cut = any(map(_cuts_words, pipeline.steps))
        self._words = BLANK in self._plain_ids and not inside and not are_cut

    @property
    def byte_fallback(self) -> bool:
        """Whether a character that is in no token is written in tokens of bytes."""
        return self._byte_fallback

    def _words_of(self, text: str, is_start: bool) -> list[str]:
        pieces = super()._words_of(text, is_start)
        return list(chain.from_iterable(map(_WORDS.findall, pieces))) if self._words else pieces

    def _ids_of_unknown(self, text: str) -> Sequence[int]:
        """The ids of characters that are in no token."""
        if self._byte_fallback:
            ids = [self._byte_ids[byte] for byte in text_to_bytes(text)]
            if None not in ids:
                return ids  # type: ignore[return-value]
        if self._unk_token is None:
            raise ValueError(
                f"{type(self).__name__}: {text!r:.60} is in no token, and there is none for what "
                "is unknown; leave it out of the text"
            )
        return self._unknown_ids

    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back.

        Raises
        ------
        TypeError
            If `text` is not a string.
        """
        require_str(f"{type(self).__name__}.normalize", text)
        pieces = cut_text(self._pipeline.steps, self._normalized(text))
        return self.detokenize(chain.from_iterable(pieces))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == normalize(text)``."""
        return decode_with(self._decoder, tokens)


def _cuts_words(step: Step) -> bool:
    """Whether a step leaves no blank behind another character of its piece."""
    if isinstance(step, Metaspace):
        return step.split and step.replacement == BLANK
    return step == Split(WORDS_WITH_BLANK)

"""Byte pairs as tokens: GPT-2's way, and that of most language models since.

What happens to a text in `BPETokenizer.encode`:

1. Special tokens are set apart, where the caller allows them (`Tokenizer.encode`).
2. What stands between them is cut into pieces, mostly words with the space before them. No token
   crosses the border of a piece.
3. A piece is written as its UTF-8 bytes, each of which is a token.
4. Neighbouring tokens are merged into longer ones, in the order that training has found. The plain
   algorithm stands at the beginning of ``_merges.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import add
from types import NoneType
from typing import Any, Self

from foundation_data.tokenizers._fields import field
from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.subwords._byte_alphabet import (
    ALPHABET,
    BYTE_TO_CHARACTER,
    bytes_to_text,
    text_to_bytes,
    token_to_bytes,
)
from foundation_data.tokenizers.subwords._merges import apply_merges, learn_merges
from foundation_data.tokenizers.subwords._normalizer import CleanText
from foundation_data.tokenizers.subwords._pipeline import Pipeline
from foundation_data.tokenizers.subwords._pre_tokenizer import ByteLevel
from foundation_data.tokenizers.subwords._subword_tokenizer import SubwordTokenizer, count_pieces

_DECODER = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_GPT2 = Pipeline(steps=(ByteLevel(),), unused={"decoder": _DECODER})
# Training takes longer pieces in parts: nothing that repeats is as long, and a page without a space
# must not become one word that every merge searches anew.
_LONGEST_TRAINED = 1024
# Options of a file that go beyond plain byte-level BPE, with the values that ask for nothing.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "fuse_unk": (None, False),
    "byte_fallback": (None, False),
}


class BPETokenizer(SubwordTokenizer):
    r"""Byte-level byte-pair encoding: any text in, the same text out.

    A text is cut into words with the space before them, and a word is at first its UTF-8 bytes.
    Training merges the two neighbours that are seen together most often into a new token, again
    and again; encoding merges neighbours in the order that training has found. Since all 256 bytes
    are tokens, nothing is unknown and nothing is lost: ``decode(encode(text)) == text`` for every
    string, also for half a surrogate pair, which is encoded as the three bytes it would have.

    Tokens are written in GPT-2's alphabet, where ``Ġ`` is the space.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    merges : sequence of (str, str)
        Which tokens become one, in the order in which they were learnt.
    pipeline : Pipeline
        How a text is cut; GPT-2's way by default. The text is lossless unless this normalises.
    ignore_merges : bool
        Whether a piece that is itself a token is one, whatever the merges say.
    unk_token : str, optional
        What stands for a byte that is no token, in a foreign vocabulary.

    Raises
    ------
    ValueError
        If a merge needs or makes a token that is not in the vocabulary.

    Examples
    --------
    >>> tokenizer = BPETokenizer.train(["low lower lowest slow"], max_size=265)
    >>> tokenizer.tokenize("slowest lows")
    ['s', 'low', 'e', 's', 't', 'Ġlow', 's']
    >>> tokenizer.decode(tokenizer.encode("naïve 👍\n"))
    'naïve 👍\n'

    References
    ----------
    Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016;
    Radford et al., "Language models are unsupervised multitask learners", 2019.
    """

    __slots__ = (
        "_byte_ids",
        "_bytes",
        "_ignore_merges",
        "_merge_table",
        "_merges",
        "_unk_token",
        "_whole_pieces",
    )
    kind = "bpe"

    def __init__(
        self,
        vocabulary: Vocabulary,
        merges: Sequence[tuple[str, str]],
        pipeline: Pipeline = _GPT2,
        ignore_merges: bool = False,
        unk_token: str | None = None,
    ) -> None:
        super().__init__(vocabulary, pipeline)
        self._merges = tuple(merges)
        self._ignore_merges = bool(ignore_merges)
        self._unk_token = unk_token
        ids = {token: index for index, token in enumerate(vocabulary)}
        added = {token.content for token in self.pipeline.added}
        if unk_token is not None and unk_token not in ids:
            raise ValueError(f"unk_token: {unk_token!r} is not in the vocabulary")
        unknown = None if unk_token is None else ids[unk_token]
        self._byte_ids = [ids.get(BYTE_TO_CHARACTER[byte], unknown) for byte in range(256)]
        self._merge_table = _merge_table(self._merges, ids, added)
        self._whole_pieces = frozenset(ids.keys() - added) if ignore_merges else frozenset()
        self._bytes = {
            token: text_to_bytes(token) if token in added else token_to_bytes(token)
            for token in vocabulary
        }

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        min_freq: int = 2,
        max_size: int | None = 8192,
        lossless: bool = True,
    ) -> BPETokenizer:
        """Learn merges from `texts`.

        Of pairs seen equally often, the one whose first token has the smallest id is merged, then
        the one whose second has: the same texts give the same merges on every machine.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            Stop when no pair is seen so often.
        max_size : int, optional
            The largest V: four specials, 256 bytes and the merges. None: as many as `min_freq`
            leaves.
        lossless : bool
            Whether text is taken as it is. If not, it is normalised first, here and in `encode`,
            see :func:`foundation_data.normalize`: line ends and several spaces become one space,
            and texts that look the same get the same ids. That is what a translator of single
            sentences needs.

        Returns
        -------
        BPETokenizer
            The trained tokenizer.

        Raises
        ------
        TypeError
            If `texts` is a single string, or holds something that is no string.
        ValueError
            If `texts` are empty, `min_freq` is below 1, or `max_size` below 260.
        """
        cls._check_texts(texts, "train")
        specials = SpecialTokens()
        names = [*specials.tokens, *ALPHABET]
        if min_freq < 1:
            raise ValueError(f"BPETokenizer.train: expected min_freq of at least 1, got {min_freq}")
        if max_size is not None and max_size < len(names):
            raise ValueError(
                f"BPETokenizer.train: expected max_size of at least {len(names)} (the specials and "
                f"the bytes), got {max_size}"
            )
        pipeline = _GPT2 if lossless else replace(_GPT2, normalizers=(CleanText(),))
        words = cls._words_of_ids(names, count_pieces(pipeline, texts, "BPETokenizer.train"))
        num_specials = len(specials.tokens)
        merges = learn_merges(words, names, num_specials, max_size, min_freq, add)
        pairs = [(names[first], names[second]) for first, second in merges]
        return BPETokenizer(Vocabulary.without_counts(names, specials), pairs, pipeline)

    @staticmethod
    def _words_of_ids(names: Sequence[str], pieces: Mapping[str, int]) -> Counter[str]:
        """The pieces with a character ``chr(id)`` for each byte, as `learn_merges` takes them."""
        ids = {name: index for index, name in enumerate(names)}
        id_of_byte = {byte: ids[BYTE_TO_CHARACTER[byte]] for byte in range(256)}
        words: Counter[str] = Counter()
        for piece, count in pieces.items():
            # Latin-1 reads each byte as the character of its number, which `translate` looks up.
            word = text_to_bytes(piece).decode("latin-1").translate(id_of_byte)
            for start in range(0, len(word), _LONGEST_TRAINED):
                words[word[start : start + _LONGEST_TRAINED]] += count
        return words

    @property
    def merges(self) -> tuple[tuple[str, str], ...]:
        """Which tokens become one, in the order in which they were learnt."""
        return self._merges

    def _ids_of_piece(self, piece: str) -> Sequence[int]:
        data = text_to_bytes(piece)
        if self._ignore_merges:
            token = "".join(BYTE_TO_CHARACTER[byte] for byte in data)
            if token in self._whole_pieces:
                return [self._vocabulary.token_to_id(token)]
        return apply_merges([self._id_of_byte(byte, piece) for byte in data], self._merge_table)

    def _id_of_byte(self, byte: int, piece: str) -> int:
        index = self._byte_ids[byte]
        if index is None:
            raise ValueError(
                f"BPETokenizer: the byte 0x{byte:02x} of {piece!r:.80} is not in the "
                "vocabulary, which names no unk_token either; leave it out of the text"
            )
        return index

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == text``."""
        return bytes_to_text(b"".join(map(self._to_bytes, tokens)))

    def _to_bytes(self, token: str) -> bytes:
        return self._bytes[token] if token in self._bytes else token_to_bytes(token)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of `ids`, for text that arrives in parts.

        A character can be spread over several tokens. An incremental UTF-8 decoder, fed with the
        bytes of one token at a time, gives it out once it is complete.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        return b"".join(map(self._to_bytes, self._visible_tokens(ids)))

    def _model_to_json(self) -> dict[str, Any]:
        return {
            "type": "BPE",
            "dropout": None,
            "unk_token": self._unk_token,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": self._ignore_merges,
            # In one string each, as every version of the library reads them: no token of this
            # alphabet holds a space.
            "merges": [f"{first} {second}" for first, second in self._merges],
        }

    @classmethod
    def _from_model(
        cls, vocabulary: Vocabulary, model: Mapping[str, Any], pipeline: Pipeline
    ) -> Self:
        for option, harmless in _REFUSED.items():
            if model.get(option) not in harmless:
                raise ValueError(
                    f"model.{option}: expected {harmless[-1]!r}, got {model[option]!r}, which is "
                    "not supported"
                )
        if not any(isinstance(step, ByteLevel) for step in pipeline.steps):
            raise ValueError(
                "pre_tokenizer: expected a ByteLevel step: only byte-level BPE is supported"
            )
        pairs = field(model, "merges", list)
        merges = [read_merge(merge, rank) for rank, merge in enumerate(pairs)]
        ignore_merges = field(model, "ignore_merges", bool, default=False)
        unk_token = field(model, "unk_token", str, NoneType, default=None)
        return cls(vocabulary, merges, pipeline, ignore_merges, unk_token)


def _merge_table(
    merges: Sequence[tuple[str, str]], ids: Mapping[str, int], added: Container[str]
) -> dict[tuple[int, int], tuple[int, int]]:
    """The merges with ids instead of tokens: for each pair its rank and what it becomes.

    A merge that makes one of the `added` tokens is left out: text must not become a special token
    by merging its letters.
    """
    table: dict[tuple[int, int], tuple[int, int]] = {}
    for rank, pair in enumerate(merges):
        first, second = pair
        merged = first + second
        for token in (first, second, merged):
            if token not in ids:
                raise ValueError(
                    f"merges[{rank}]: {first!r} and {second!r} make {merged!r}, but {token!r} is "
                    "not in the vocabulary; do the two belong together?"
                )
        if merged not in added:
            table[ids[first], ids[second]] = (rank, ids[merged])
    return table


def read_merge(merge: Any, rank: int) -> tuple[str, str]:
    """Return the two tokens of an entry of ``merges``: a list of two, or ``"a b"``."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if (
        not isinstance(parts, list)
        or len(parts) != 2
        or not all(isinstance(part, str) and part for part in parts)
    ):
        raise ValueError(f"merges[{rank}]: expected two tokens, got {merge!r}")
    return parts[0], parts[1]

r"""Byte pairs as tokens, as in GPT-2 and in most language models since.

``_plain_bpe.py`` tells what byte pairs are: training, encoding and decoding in plain Python. The
class of this file finds the same tokens, fast, and adds what a model in use needs: special tokens,
GPT-2's way of cutting a text into words, and files. Its ids are others, because special tokens come
first, and a space is written as ``Ġ``, for a reason that step 3 below tells:

>>> tokenizer = BPETokenizer.train(["low lower lowest slow"])
>>> tokenizer.tokenize(" slowest")
['Ġ', 's', 'low', 'e', 's', 't']

**What happens to a text** in `BPETokenizer.encode`, step by step:

1. Special tokens such as ``<eos>`` are set apart, where the caller allows them. The class
   `Tokenizer` does that, which all tokenizers inherit from.
2. The text between them is cut into pieces, mostly words with the space before them. No token goes
   beyond a piece. The parent class `SubwordTokenizer` does that:

   >>> from foundation_data.tokenizers.pipeline._pre_tokenizer import cut_text
   >>> cut_text(tokenizer.pipeline.steps, "slow é")
   ['slow', ' é']

3. Each piece is written as its UTF-8 bytes. Here the class of this file begins: the parent calls
   `BPETokenizer._ids_of_piece` for each piece, and remembers the ids of short pieces, because words
   repeat. A byte has a printable character as its name; that of the space is ``Ġ``, see
   ``_byte_alphabet.py``.

   >>> text_to_bytes(" é"), bytes_to_token(text_to_bytes(" é"))
   (b' \xc3\xa9', 'ĠÃ©')

4. The bytes are merged, in the order that training has found: ``_learn_merges.py`` finds the
   merges, and ``_apply_merges.py`` applies them.

   >>> tokenizer.merges
   (('l', 'o'), ('lo', 'w'), ('Ġ', 'low'), ('Ġlow', 'e'))
   >>> tokenizer.tokenize("slow é")
   ['s', 'low', 'Ġ', 'Ã', '©']

`BPETokenizer.decode` is short: the tokens are written as bytes again, and the bytes read as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers.pipeline._byte_alphabet import (
    ALPHABET,
    BYTE_TO_CHARACTER,
    CHARACTER_TO_BYTE,
    bytes_to_text,
    bytes_to_token,
    is_continuation,
    missing_bytes,
    text_to_bytes,
    token_to_bytes,
)
from foundation_data.tokenizers.pipeline._cleaning import CleanText
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import ByteLevel
from foundation_data.tokenizers.subwords._apply_merges import apply_merges
from foundation_data.tokenizers.subwords._bpe_model import (
    BPEModel,
    model_from_json,
    model_to_json,
    new_ids_of,
)
from foundation_data.tokenizers.subwords._learn_merges import learn_merges
from foundation_data.tokenizers.subwords._subword_tokenizer import (
    SubwordTokenizer,
    check_limits,
    count_pieces,
)

# Written to the file for the `tokenizers` library, which needs it for decoding. We do not read it.
_DECODER = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_GPT2 = Pipeline(steps=(ByteLevel(),), around={"decoder": _DECODER})
# Training cuts longer pieces into parts of so many bytes, and does not see the pairs across a cut.
# Otherwise a page without a space would be one word, which almost every merge searches anew.
_LONGEST_TRAINED = 1024


class BPETokenizer(SubwordTokenizer):
    r"""Byte-level byte-pair encoding: any text in, the same text out.

    A text is cut into words with the space before them, and each word is at first a sequence of
    bytes. Training merges the two neighbours that are seen together most often into a new token,
    again and again; encoding merges neighbours in the order that training has found. Since all 256
    bytes are tokens, nothing is unknown and nothing is lost: ``decode(encode(text)) == text`` for
    every string. That includes broken ones, which hold half of a surrogate pair.

    A token is stored as printable text, with one character for each of its bytes, because files of
    tokens are text files. In this alphabet, which is GPT-2's, ``Ġ`` is the space.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their ids.
    merges : sequence of (str, str)
        Which tokens become one, in the order in which they were learnt. If a pair comes twice, its
        last place counts, as in the ``tokenizers`` library.
    pipeline : Pipeline
        How a text is cut; GPT-2's way by default. Decoding gives the same text back unless the
        pipeline normalises it.
    ignore_merges : bool
        Whether a piece that is a token becomes that token at once, without looking at the merges.
    unk_token : str, optional
        The token of a byte that is not in the vocabulary. Other programs make vocabularies that
        lack some bytes; `train` does not.

    Raises
    ------
    ValueError
        If a merge needs or makes a token that is not in the vocabulary.

    Examples
    --------
    Four specials, 256 bytes and four merges, which are all that is seen twice:

    >>> tokenizer = BPETokenizer.train(["low lower lowest slow"])
    >>> len(tokenizer)
    264
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
        "_bytes_of_token",
        "_ignore_merges",
        "_merges",
        "_new_ids",
        "_ranks",
        "_two_readings",
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
        # Not `vocabulary.token_to_id`, which has an answer for tokens that do not exist, too.
        ids = {token: index for index, token in enumerate(vocabulary)}
        if unk_token is not None and unk_token not in ids:
            raise ValueError(f"unk_token: {unk_token!r} is not in the vocabulary")
        # Special tokens, and others that are found in a text before it is cut.
        added = {token.content for token in self.pipeline.added}

        # For encoding: the id of each byte, and the two tables of `apply_merges`.
        unknown = None if unk_token is None else ids[unk_token]
        self._byte_ids = [ids.get(BYTE_TO_CHARACTER[byte], unknown) for byte in range(256)]
        self._new_ids = new_ids_of(self._merges, ids)
        self._ranks = {
            (ids[first], ids[second]): rank
            for rank, (first, second) in enumerate(self._merges)
            # Text must not become a special token because its letters are merged.
            if first + second not in added
        }
        self._whole_pieces = frozenset(ids.keys() - added) if ignore_merges else frozenset()

        # For decoding. Added tokens are stored as plain text, all others in the byte alphabet; of
        # an added one that is a letter of that alphabet, nobody can tell.
        self._two_readings = {
            token for token in added if token in CHARACTER_TO_BYTE and not token.isascii()
        }
        self._bytes_of_token = {
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
    ) -> Self:
        """Learn merges from `texts`.

        Of pairs that are seen equally often, the one whose first token has the smallest id is
        merged, and of those the one whose second token has. So the same texts give the same merges
        on every machine.

        Parameters
        ----------
        texts : iterable of str
            The training texts; read once.
        min_freq : int
            Stop when the commonest pair is seen fewer times than this.
        max_size : int, optional
            The largest number of tokens: four specials, 256 bytes and the merges. None: as many as
            `min_freq` leaves. Never more than 1,114,112, see ``_learn_merges.py``.
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
            If `texts` are empty, `min_freq` is below 1, or `max_size` below 260 or too large.
        """
        cls._check_texts(texts, "train")
        caller = f"{cls.__name__}.train"
        specials = SpecialTokens()
        tokens = [*specials.tokens, *ALPHABET]
        max_size = check_limits(
            caller, min_freq, max_size, smallest=len(tokens), why="the specials and the bytes"
        )
        pipeline = _GPT2 if lossless else replace(_GPT2, normalizers=(CleanText(),))
        pieces = count_pieces(pipeline, texts, caller)
        pairs = learn_merges(
            _words_of_ids(pieces, tokens),
            first_new_id=len(tokens),
            max_size=max_size,
            min_freq=min_freq,
        )
        merges: list[tuple[str, str]] = []
        for first, second in pairs:
            merges.append((tokens[first], tokens[second]))
            # This is never a token that exists, because no two merges make the same bytes; nor a
            # special token, because no piece of GPT-2's cut holds both < and a letter.
            tokens.append(tokens[first] + tokens[second])
        return cls(Vocabulary.without_counts(tokens, specials), merges, pipeline)

    @property
    def merges(self) -> tuple[tuple[str, str], ...]:
        """Which tokens become one, in the order in which they were learnt."""
        return self._merges

    def _ids_of_piece(self, piece: str) -> Sequence[int]:
        """Return the ids of a piece; `SubwordTokenizer` calls this when it encodes a text."""
        data = text_to_bytes(piece)
        if self._ignore_merges:
            token = bytes_to_token(data)
            if token in self._whole_pieces:
                return [self._vocabulary.token_to_id(token)]
        symbols = [self._id_of_byte(byte, piece) for byte in data]
        return apply_merges(symbols, self._ranks, self._new_ids)

    def _id_of_byte(self, byte: int, piece: str) -> int:
        index = self._byte_ids[byte]
        if index is None:
            raise ValueError(
                f"{type(self).__name__}: the byte 0x{byte:02x} of {piece!r:.80} is not in the "
                "vocabulary, which names no unk_token either; leave it out of the text"
            )
        return index

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == text``.

        `Tokenizer.decode` calls this, when it has looked up the tokens of the ids.
        """
        return bytes_to_text(self._join(list(tokens)))

    def _join(self, tokens: Sequence[str]) -> bytes:
        """The bytes of tokens.

        An added token such as "é" may have the name, and the id, of a byte. It is the byte where
        one is needed: within a character, or before a byte that goes on with one.
        """
        if self._two_readings.isdisjoint(tokens):
            return b"".join(map(self._to_bytes, tokens))
        joined = bytearray()
        for index, token in enumerate(tokens):
            if token in self._two_readings:
                byte = CHARACTER_TO_BYTE[token]
                behind = token_to_bytes("".join(tokens[index + 1 : index + 2]))
                goes_on = bool(behind) and is_continuation(behind[0])
                is_byte = missing_bytes(joined) if is_continuation(byte) else goes_on
                joined += bytes([byte]) if is_byte else text_to_bytes(token)
            else:
                joined += self._to_bytes(token)
        return bytes(joined)

    def _to_bytes(self, token: str) -> bytes:
        if token in self._bytes_of_token:
            return self._bytes_of_token[token]
        return token_to_bytes(token)  # a token of the caller's that is not in the vocabulary

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of `ids`, for text that arrives in parts.

        A character can be spread over several tokens. An incremental UTF-8 decoder, fed with the
        bytes of one token at a time, gives it out once it is complete.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        return self._join(self._visible_tokens(ids))

    def _model_to_json(self) -> dict[str, Any]:
        """Return what the file holds beside the tokens; the parent's `to_dict` calls this."""
        return model_to_json(BPEModel(self._merges, self._ignore_merges, self._unk_token))

    @classmethod
    def _from_model(
        cls, vocabulary: Vocabulary, model: Mapping[str, Any], pipeline: Pipeline
    ) -> Self:
        """Return the tokenizer of a file; the parent's `from_dict` and `load` call this."""
        if not any(isinstance(step, ByteLevel) for step in pipeline.steps):
            raise ValueError("pre_tokenizer: expected a ByteLevel step, as the pieces are bytes")
        read = model_from_json(model)
        for option in ("byte_fallback", "fuse_unk"):
            if getattr(read, option):
                raise ValueError(f"model.{option}: not supported where all pieces are bytes")
        return cls(vocabulary, read.merges, pipeline, read.ignore_merges, read.unk_token)


def _words_of_ids(pieces: Mapping[str, int], tokens: Sequence[str]) -> Counter[str]:
    """Return the pieces as `learn_merges` takes them: with a character ``chr(id)`` for each byte.

    Where the tokens are ``!``, ``"``, ``#`` and so on, the byte of ``!`` has the id 0, and that of
    ``#`` has the id 2:

    >>> _words_of_ids({"!#": 5}, ALPHABET)
    Counter({'\\x00\\x02': 5})
    """
    ids = {token: index for index, token in enumerate(tokens)}
    id_of_byte = {byte: ids[character] for byte, character in BYTE_TO_CHARACTER.items()}
    words: Counter[str] = Counter()
    for piece, count in pieces.items():
        # The byte 33 is an exclamation mark. Latin-1 reads it as the character number 33,
        # and `translate` replaces that by the character number `id_of_byte[33]`.
        word = text_to_bytes(piece).decode("latin-1").translate(id_of_byte)
        for start in range(0, len(word), _LONGEST_TRAINED):
            words[word[start : start + _LONGEST_TRAINED]] += count
    return words

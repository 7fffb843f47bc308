"""The tokenizer for a model of SentencePiece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foundation_data.tokenizers._added_tokens import AddedToken
from foundation_data.tokenizers.pipeline._charsmap import Precompiled
from foundation_data.tokenizers.pipeline._normalizer import Normalizer, Prepend, Replace
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import BLANK
from foundation_data.tokenizers.sentencepiece._model_file import Piece, SentencePieceModel
from foundation_data.tokenizers.subwords._sentencepiece_bpe import SentencePieceBPETokenizer
from foundation_data.tokenizers.subwords._sentencepiece_tokenizer import SentencePieceTokenizer
from foundation_data.tokenizers.subwords._subword_tokenizer import vocabulary_of
from foundation_data.tokenizers.subwords._unigram_tokenizer import UnigramTokenizer
from foundation_data.tokenizers.subwords._viterbi import LONGEST_PIECE

#: Spaces at the beginning of a text, and blanks at its end.
_BLANKS_BEFORE = r"(?<![\s\S]) +"
_BLANKS_BEHIND = rf"{BLANK}+(?![\s\S])"
#: More blanks than any text begins with.
_ALL = 1 << 30


def tokenizer_of_model(
    model: SentencePieceModel, roles: Mapping[str, str] | None = None
) -> SentencePieceTokenizer:
    """The tokenizer that cuts a text as SentencePiece does with this model.

    Of cuts that are equally probable, such as those of "333" into "3" and "33", it may choose
    another one.

    Parameters
    ----------
    model : SentencePieceModel
        The model.
    roles : mapping of str to str, optional
        The tokens of bos, eos, pad and unk, where another file says so; else the model does.

    Raises
    ------
    ValueError
        If the model asks for something that is not supported, or contradicts itself.
    """
    ids: dict[str, int] = {}
    for index, piece in enumerate(model.pieces):
        if piece.text in ids:
            raise ValueError(
                f"the piece {piece.text!r:.60} stands there twice, with the ids {ids[piece.text]} "
                f"and {index}"
            )
        # Merges make no piece that is unused; but a score or a single character would.
        if piece.kind == "unused" and (model.algorithm != "bpe" or len(piece.text) == 1):
            raise ValueError(f"piece {index}, {piece.text!r:.60}, is unused: not supported")
        if len(piece.text) > LONGEST_PIECE:
            raise ValueError(
                f"piece {index}: expected at most {LONGEST_PIECE:,} characters, got "
                f"{len(piece.text):,}: {piece.text!r:.60}"
            )
        ids[piece.text] = index
    unknown = [piece.text for piece in model.pieces if piece.kind == "unknown"]
    if len(unknown) != 1:
        raise ValueError(f"expected one piece for what is unknown, got {len(unknown)}")
    special = [piece.text for piece in model.pieces if piece.kind in ("unknown", "control")]
    vocabulary = vocabulary_of(ids, special, {**model.roles, "unk": unknown[0], **(roles or {})})
    pipeline = pipeline_of_model(model)
    scores = [piece.score for piece in model.pieces]
    if model.algorithm == "unigram":
        return UnigramTokenizer(vocabulary, scores, pipeline, model.byte_fallback, unknown[0])
    if model.algorithm == "bpe":
        return SentencePieceBPETokenizer(
            vocabulary,
            merges_of(model.pieces),
            pipeline,
            model.byte_fallback,
            unknown[0],
            fuse_unk=True,
        )
    raise ValueError(
        f"a model of kind {model.algorithm!r} is not supported; expected unigram or bpe"
    )


def merges_of(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Which pieces become one, in the order of their scores.

    A file has no merges: SentencePiece merges any two neighbours that together are a piece, that of
    the highest score first. So each way to part a piece into two others is a merge.

    Examples
    --------
    >>> merges_of([Piece("a"), Piece("b"), Piece("ab", -1), Piece("ba", -2), Piece("aba", -3)])
    [('a', 'b'), ('b', 'a'), ('a', 'ba'), ('ab', 'a')]
    """
    ranked = [piece for piece in pieces if piece.kind in ("normal", "user-defined")]
    ids = {piece.text: index for index, piece in enumerate(ranked)}
    ranked.sort(key=lambda piece: -piece.score)
    merges: list[tuple[str, str]] = []
    for piece in ranked:
        text = piece.text
        ways = [(text[:end], text[end:]) for end in range(1, len(text))]
        found = [(first, second) for first, second in ways if first in ids and second in ids]
        merges += sorted(found, key=lambda way: (ids[way[0]], ids[way[1]]))
    return merges


def pipeline_of_model(model: SentencePieceModel) -> Pipeline:
    """How the texts of a model are normalised, cut, and put together again.

    Raises
    ------
    ValueError
        If the model asks for something that is not supported.
    """
    if model.blank_is_suffix or not model.escape_whitespaces:
        raise ValueError(
            "a model whose spaces stand behind the words, or are not written as ▁, is not supported"
        )
    normalizers: list[Normalizer] = []
    if model.charsmap:
        normalizers.append(Precompiled(model.charsmap, longest=True))
    if model.remove_extra_whitespaces:
        normalizers += (Replace(_BLANKS_BEFORE, "", regex=True), Replace(" {2,}", " ", regex=True))
    if model.add_dummy_prefix:
        normalizers.append(Prepend(BLANK))
    normalizers.append(Replace(" ", BLANK))
    if model.remove_extra_whitespaces:
        normalizers.append(Replace(_BLANKS_BEHIND, "", regex=True))
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": BLANK}, "content": " "}
    ]
    if model.byte_fallback:
        decoders.append({"type": "ByteFallback"})
    decoders.append({"type": "Fuse"})
    if model.add_dummy_prefix or model.remove_extra_whitespaces:
        most = _ALL if model.remove_extra_whitespaces else 1
        decoders.append({"type": "Strip", "content": " ", "start": most, "stop": 0})
    added = tuple(
        AddedToken(
            piece.text,
            special=piece.kind != "user-defined",
            normalized=piece.kind == "user-defined",
        )
        for piece in model.pieces
        if piece.kind in ("unknown", "control", "user-defined")
    )
    decoder = {"type": "Sequence", "decoders": decoders}
    return Pipeline(added, tuple(normalizers), (), {"decoder": decoder})

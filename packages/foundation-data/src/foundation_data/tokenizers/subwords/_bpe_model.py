"""The ``model`` of a byte-pair tokenizer's `tokenizer.json`: its merges and its options.

The format is that of Hugging Face's ``tokenizers`` library. The rest of the file is read in
``_pipeline.py``, and the tokens with their ids in ``_subword_tokenizer.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from foundation_nn.files import field

# Options of the format that would change the tokens in ways that are not implemented here, each
# with the values that switch it off. Any other value is refused.
_SWITCHED_OFF: dict[str, tuple[Any, ...]] = {
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
}


class BPEModel(NamedTuple):
    """What a file says about byte-pair encoding.

    The fields are arguments of `BPETokenizer` and, all of them, of `SentencePieceBPETokenizer`.
    """

    merges: tuple[tuple[str, str], ...]
    ignore_merges: bool = False
    unk_token: str | None = None
    byte_fallback: bool = False
    fuse_unk: bool = False


def model_to_json(model: BPEModel) -> dict[str, Any]:
    """Return the ``model`` of a `tokenizer.json`, without its tokens."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": model.unk_token,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": model.fuse_unk,
        "byte_fallback": model.byte_fallback,
        "ignore_merges": model.ignore_merges,
        "merges": _merges_to_json(model.merges),
    }


def _merges_to_json(merges: Sequence[tuple[str, str]]) -> list[Any]:
    """As "a b" and not as ["a", "b"], because old versions of the library read only that.

    In the byte alphabet and in pieces a space has another character, so that this is not ambiguous.
    """
    if any(" " in first or " " in second for first, second in merges):
        return [list(merge) for merge in merges]
    return [f"{first} {second}" for first, second in merges]


def model_from_json(content: Mapping[str, Any]) -> BPEModel:
    """Read what `model_to_json` or the library wrote.

    Raises
    ------
    ValueError
        If a field is missing, of the wrong type, or asks for something that is not supported.
    """
    for option, harmless in _SWITCHED_OFF.items():
        if content.get(option) not in harmless:
            expected = " or ".join(map(json.dumps, harmless))
            raise ValueError(
                f"model.{option}: expected {expected}, got {content[option]!r:.60}, which is not "
                "supported"
            )
    merges = field(content, "merges", list)
    # For the last two, old files have null instead of false.
    return BPEModel(
        merges=tuple(read_merge(merge, rank) for rank, merge in enumerate(merges)),
        ignore_merges=field(content, "ignore_merges", bool, default=False),
        unk_token=field(content, "unk_token", str | None, default=None),
        byte_fallback=bool(field(content, "byte_fallback", bool | None, default=False)),
        fuse_unk=bool(field(content, "fuse_unk", bool | None, default=False)),
    )


def read_merge(merge: Sequence[str] | str, rank: int) -> tuple[str, str]:
    """Return the two tokens of an entry of ``merges``: a list of two, or ``"a b"``.

    Parameters
    ----------
    merge : list or str
        The entry.
    rank : int
        Which entry it is, for the message.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if (
        not isinstance(parts, list)
        or len(parts) != 2
        or not all(isinstance(part, str) and part for part in parts)
    ):
        raise ValueError(f"merges[{rank}]: expected two tokens, got {merge!r:.60}")
    return parts[0], parts[1]


def new_ids_of(merges: Sequence[tuple[str, str]], ids: Mapping[str, int]) -> list[int]:
    """Return the id that each merge makes; a `ValueError` if a token of it does not exist."""
    new_ids: list[int] = []
    for rank, (first, second) in enumerate(merges):
        merged = first + second
        for token in (first, second, merged):
            if token not in ids:
                raise ValueError(
                    f"merges[{rank}]: {first!r:.60} and {second!r:.60} make {merged!r:.60}, but "
                    f"{token!r:.60} is not in the vocabulary; do the two belong together?"
                )
        new_ids.append(ids[merged])
    return new_ids

"""Tokenizer files: our own for words and characters, and `tokenizer.json` for subwords.

`tokenizer.json` is the format of the ``tokenizers`` library. Subword tokenizers are saved in it,
so that other programs can read them. The format has no place for a checksum or for the roles of
special tokens. But the library ignores what it does not know inside ``model``, so they stand there,
under the name `OURS`. A file without them comes from another program and is taken as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES

from foundation_data._files import check_document, digest, parse_json, write_text
from foundation_data.tokenizers._specials import SpecialTokens

OURS = "foundation-data"
_KINDS = {"BPE": "bpe", "WordPiece": "wordpiece", "Unigram": "unigram"}


def write_tokenizer_json(
    path: str | os.PathLike[str], document: Mapping[str, Any], specials: SpecialTokens
) -> None:
    """Write a `tokenizer.json` with the roles of its special tokens and a checksum."""
    ours: dict[str, Any] = {"specials": specials.to_dict()}
    ours["sha256"] = digest("tokenizer", {**document, **ours})
    whole = {**document, "model": {**document["model"], OURS: ours}}
    write_text(path, "tokenizer", json.dumps(whole, ensure_ascii=False, indent=1) + "\n")


def read_tokenizer(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read the file of any tokenizer, as the dictionary that `Tokenizer.from_dict` takes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of neither format, is damaged, was altered after we wrote it, or holds a
        model that is not supported.
    """
    document = parse_json(path, "tokenizer", max_bytes)
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        return check_document(path, "tokenizer", document)
    model = document["model"]
    # Old files do not name their model: other fields tell them apart.
    if "merges" in model:
        guess = "BPE"
    else:
        guess = "Unigram" if "unk_id" in model else "WordPiece"
    name = model.get("type") or guess
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(
            f"{Path(path)}: expected a model of type {' or '.join(_KINDS)}, got "
            f"{name!r:.60}, which is not supported"
        )
    if kind == "bpe" and not _mentions(document.get("pre_tokenizer"), "ByteLevel"):
        kind = "sentencepiece-bpe"
    ours = model.pop(OURS, None)
    if ours is None:
        return {"kind": kind, "specials": None, "tokenizer": document}
    specials = ours.get("specials") if isinstance(ours, dict) else None
    found = ours.get("sha256") if isinstance(ours, dict) else None
    if found != digest("tokenizer", {**document, "specials": specials}):
        raise ValueError(
            f"{Path(path)}: the content does not match its checksum, so it was altered after it "
            "was saved; restore the file, or save it again (if the change is meant, remove "
            f"model[{OURS!r}])"
        )
    return {"kind": kind, "specials": specials, "tokenizer": document}


def _mentions(step: Any, kind: str) -> bool:
    """Whether a step of a file is of this kind, or a sequence with such a step."""
    if isinstance(step, list):
        return any(_mentions(each, kind) for each in step)
    if not isinstance(step, dict):
        return False
    return step.get("type") == kind or _mentions(step.get("pretokenizers"), kind)

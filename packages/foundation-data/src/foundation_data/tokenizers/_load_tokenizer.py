"""A tokenizer from the folder of a model, whoever wrote it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES, field, read_text

from foundation_data._files import parse_json
from foundation_data.tokenizers._tokenizer import Tokenizer
from foundation_data.tokenizers._tokenizer_files import read_tokenizer
from foundation_data.tokenizers.sentencepiece import (
    Piece,
    SentencePieceModel,
    read_sentencepiece,
    tokenizer_of_model,
)
from foundation_data.tokenizers.subwords._bpe_model import read_merge
from foundation_data.tokenizers.subwords._bpe_tokenizer import BPETokenizer
from foundation_data.tokenizers.subwords._subword_tokenizer import SubwordTokenizer, vocabulary_of

#: What a folder may hold, the first of which counts. `vocab.json` needs `merges.txt` beside it.
_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
#: Whether texts begin with bos and end with eos, for tokenizers of transformers by their names.
_FRAMES = {
    **dict.fromkeys(("LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"), (True, False)),
    "T5Tokenizer": (False, True),
}
_NONE: Mapping[str, str] = {}
_ROLES = ("pad", "bos", "eos", "unk")
# BERT's names for the roles of beginning and end.
_SYNONYMS = {"bos": "cls", "eos": "sep"}


def load_tokenizer(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Tokenizer:
    """Load the tokenizer of a model folder, or of a file.

    Parameters
    ----------
    path : path
        A folder with a `tokenizer.json`, with GPT-2's `vocab.json` and `merges.txt`, or with
        SentencePiece's `tokenizer.model` or `spiece.model`; or a file written by ``save``, here or
        in the ``tokenizers`` library; or one of SentencePiece, whose name ends with ``.model`` or
        ``.spm``. Beside a file of another program,
        `special_tokens_map.json` and `tokenizer_config.json` say which special tokens end a text,
        begin one or pad it; without them the usual names do. If `tokenizer_config.json` says
        ``add_bos_token`` or ``add_eos_token``, the two make the frame of a text, whatever
        `tokenizer.json` says; one that is missing is false.
    max_bytes : int
        How large each of the files may be.

    Returns
    -------
    Tokenizer
        The tokenizer, of whichever kind it is.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or none of these in the folder.
    ValueError
        If a file is damaged, altered or too large, or asks for something that is not supported.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        if (folder / "source.spm").exists():
            raise ValueError(
                f"{folder}: a translator has two tokenizers, one for each side; read them with "
                "MarianTokenizer.of_folder"
            )
        found = [name for name in _FILES if (folder / name).exists()]
        if not found:
            raise FileNotFoundError(f"{folder}: expected one of {', '.join(_FILES)}, found none")
        path = folder / found[0]
        if found[0] == "vocab.json":
            return _load_gpt2(folder, max_bytes)
    if path.suffix in (".model", ".spm"):
        return _load_sentencepiece(path, max_bytes)
    content = read_tokenizer(path, max_bytes)
    if "tokenizer" in content and content["specials"] is None:
        content["specials"] = _roles(folder, max_bytes)
    try:
        return _with_ends(Tokenizer.from_dict(content), folder, max_bytes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _with_ends(
    tokenizer: Tokenizer, folder: Path, max_bytes: int, known_roles: Mapping[str, str] = _NONE
) -> Tokenizer:
    """The tokenizer with the frame that the folder wants, if it says what its texts begin with."""
    source = folder / "tokenizer_config.json"
    if not source.exists() or not isinstance(tokenizer, SubwordTokenizer):
        return tokenizer
    content = parse_json(source, "table of special tokens", max_bytes)
    names = ("add_bos_token", "add_eos_token")
    add_bos, add_eos = (field(content, name, bool | None, default=None) for name in names)
    if add_bos is None and add_eos is None:
        return tokenizer
    # A model without such a token cannot begin or end a text with it, whatever the flag says.
    roles = {**known_roles, **_roles(folder, max_bytes)}
    return tokenizer.with_ends(
        bos=bool(add_bos) and "bos" in roles, eos=bool(add_eos) and "eos" in roles
    )


def _roles(folder: Path, max_bytes: int) -> dict[str, str]:
    """Read which tokens have which role, as far as files in the folder tell."""
    roles: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            continue
        content = parse_json(folder / name, "table of special tokens", max_bytes)
        try:
            for role in _ROLES:
                token = _token(content, role) or _token(content, _SYNONYMS.get(role, role))
                if token:
                    roles.setdefault(role, token)  # the first file counts
        except ValueError as error:
            raise ValueError(f"{folder / name}: {error}") from error
    return roles


def _token(content: Any, role: str) -> str | None:
    token = field(content, f"{role}_token", str | dict | None, default=None)
    if isinstance(token, dict):
        token = field(token, "content", str | None, default=None)
    return token  # type: ignore[no-any-return]


def _load_gpt2(folder: Path, max_bytes: int) -> Tokenizer:
    """Read `vocab.json`, from tokens to ids, and `merges.txt`, a pair in each line."""
    ids = parse_json(folder / "vocab.json", "vocabulary", max_bytes)
    if not isinstance(ids, dict):
        raise ValueError(f"{folder / 'vocab.json'}: expected tokens with ids, got {ids!r:.40}")
    source = folder / "merges.txt"
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file; vocab.json alone is not a tokenizer")
    lines = read_text(source, max_bytes).split("\n")
    merges: list[tuple[str, str]] = []
    roles = _roles(folder, max_bytes)
    special = [token for token in (*roles.values(), "<|endoftext|>") if token in ids]
    try:
        for line in lines:
            # The first line names the version; a merge of two signs may begin with # as well.
            if line.strip() and not line.startswith("#version"):
                merges.append(read_merge(line.rstrip("\r"), len(merges)))
        tokenizer = BPETokenizer(vocabulary_of(ids, list(dict.fromkeys(special)), roles), merges)
        return _with_ends(tokenizer, folder, max_bytes)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def _load_sentencepiece(path: Path, max_bytes: int) -> Tokenizer:
    """Read a model of SentencePiece, and what stands beside it."""
    model = read_sentencepiece(path, max_bytes)
    folder = path.parent
    roles = _roles(folder, max_bytes)
    config: Any = {}
    if (folder / "tokenizer_config.json").exists():
        config = parse_json(folder / "tokenizer_config.json", "table of special tokens", max_bytes)
    try:
        added = field(config, "added_tokens_decoder", dict, default={})
        name = field(config, "tokenizer_class", str | None, default=None)
        tokenizer = tokenizer_of_model(_with_added(model, added), roles)
        if name in _FRAMES:
            tokenizer = tokenizer.with_ends(*_FRAMES[name])
        return _with_ends(tokenizer, folder, max_bytes, model.roles)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _with_added(model: SentencePieceModel, added: dict[str, Any]) -> SentencePieceModel:
    """The model with the tokens that stand behind its pieces, such as T5's ``<extra_id_0>``."""
    pieces = list(model.pieces)
    behind = sorted((int(key), key) for key in added if key.isdecimal() and len(key) < 10)
    for index, key in behind:
        token = field(added, key, dict)
        if index < len(model.pieces):
            continue  # it names one of the pieces
        if index != len(pieces):
            raise ValueError(f"added_tokens_decoder: expected the id {len(pieces)}, got {index}")
        kind = "control" if field(token, "special", bool) else "user-defined"
        pieces.append(Piece(field(token, "content", str), 0.0, kind))
    return replace(model, pieces=tuple(pieces))

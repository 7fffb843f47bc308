"""The tokenizer of a published model, which foundation-data reads.

The models do not know that package. It is imported here when a tokenizer is asked for, and nowhere
else but in the command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation_nn.files import MAX_BYTES, write_file

from foundation_transformer.chat import ChatTemplate

if TYPE_CHECKING:
    from foundation_data import BPETokenizer, MarianTokenizer, Tokenizer

#: What alone is a tokenizer.
_ONE_FILE = ("tokenizer.json", "tokenizer.model", "spiece.model")
_ROLES = ("bos", "eos", "pad", "unk")
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}


def _words_and_digits(most_digits: str) -> dict[str, Any]:
    """The cut of Llama 3 and those after it; numbers are cut into so many digits at most."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        + most_digits
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    steps = [{**split, "invert": False}, {**_BYTES, "use_regex": False}]
    return {"type": "Sequence", "pretokenizers": steps}


#: How a text is cut before bytes are joined, by the names that GGUF files have for it.
_CUTS: dict[str, Any] = {
    "gpt-2": _BYTES,
    "olmo": _BYTES,
    "smollm": {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTES]},
    "llama-bpe": _words_and_digits("{1,3}"),
    "smaug-bpe": _words_and_digits("{1,3}"),
    "dbrx": _words_and_digits("{1,3}"),
    "qwen2": _words_and_digits(""),
}
#: Cuts of models for which a word that is a token needs no merges, and that read a BOS by default.
WHOLE_WORDS = ("llama-bpe",)
_INSTEAD = "load_pretrained(path, tokenizer=False) loads the model alone"


def require_foundation_data(where: Path) -> None:
    """Say what to do where tokenizers cannot be read.

    Raises
    ------
    ImportError
        Without foundation-data.
    """
    try:
        import foundation_data  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{where}: its tokenizer needs foundation-data: pip install "
            f"foundation-transformer[tokenizer]; or {_INSTEAD}"
        ) from None


def folder_tokenizer(folder: Path, max_bytes: int = MAX_BYTES) -> Tokenizer | None:
    """The tokenizer of a folder; None without one.

    Raises
    ------
    ImportError
        Without foundation-data.
    ValueError
        If a file is damaged, larger than ``max_bytes``, or of a kind that is not supported.
    """
    of_gpt2 = ("vocab.json", "merges.txt")
    is_there = any((folder / name).exists() for name in _ONE_FILE)
    if not is_there and not all((folder / name).exists() for name in of_gpt2):
        return None
    require_foundation_data(folder)
    from foundation_data import load_tokenizer

    try:
        return load_tokenizer(folder, max_bytes)
    except ValueError as error:
        raise ValueError(f"{error}; {_INSTEAD}") from None


def folder_tokenizers(
    folder: Path, max_bytes: int = MAX_BYTES
) -> tuple[Tokenizer | None, Tokenizer | None]:
    """The tokenizers of the source and of the target; None and None without any.

    Raises
    ------
    ImportError, ValueError
        As :func:`folder_tokenizer`.
    """
    if not (folder / "source.spm").exists():
        tokenizer = folder_tokenizer(folder, max_bytes)
        return tokenizer, tokenizer
    require_foundation_data(folder)
    from foundation_data import MarianTokenizer

    try:
        return MarianTokenizer.of_folder(folder, max_bytes)
    except ValueError as error:
        raise ValueError(f"{error}; {_INSTEAD}") from None


def byte_level_bpe(
    ids: Mapping[str, int],
    merges: Sequence[str],
    cut: str,
    special: Sequence[str],
    added: Sequence[str],
    roles: Mapping[str, str],
) -> BPETokenizer:
    """A tokenizer of byte-level BPE.

    Parameters
    ----------
    ids : mapping from str to int
        All tokens.
    merges : sequence of str
        "first second".
    cut : str
        "gpt-2", "smollm", "llama-bpe", "qwen2" or another of the names in `_CUTS`.
    special, added : sequence of str
        Tokens that steer the model, and others that are never joined or parted.
    roles : mapping
        The tokens of bos, eos, pad and unk, as far as known.

    Raises
    ------
    ValueError
        If texts are cut in a way not known here, or tokens and merges do not belong together.
    """
    from foundation_data import BPETokenizer

    if cut not in _CUTS:
        raise ValueError(
            f"a tokenizer that cuts texts as {cut!r:.60} is not supported; expected one of "
            f"{', '.join(_CUTS)}; {_INSTEAD}"
        )
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    found = [(token, token in special) for token in (*special, *added)]
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[token], "content": token, **plain, "special": steers}
            for token, steers in sorted(found, key=lambda entry: ids[entry[0]])
        ],
        "normalizer": None,
        "pre_tokenizer": _CUTS[cut],
        "post_processor": None,
        "decoder": _BYTES,
        "model": {
            "type": "BPE",
            "vocab": dict(ids),
            "merges": list(merges),
            "ignore_merges": cut in WHOLE_WORDS,
        },
    }
    return BPETokenizer.from_dict({"kind": "bpe", "specials": dict(roles), "tokenizer": document})


def name_of_cut(pre_tokenizer: Any, ignores_merges: bool = False) -> str:
    """What GGUF files call the way in which a tokenizer cuts texts.

    The name also says whether a word that is a token needs no merges.

    Raises
    ------
    ValueError
        If they have no name for it.
    """
    for name, document in _CUTS.items():
        if pre_tokenizer == document and ignores_merges == (name in WHOLE_WORDS):
            return name
    raise ValueError(
        "save_gguf: the tokenizer cuts texts in a way that these files have no name for; known "
        f"are those of {', '.join(_CUTS)}"
    )


def write_tokenizer(
    folder: Path,
    tokenizer: Tokenizer,
    chat_template: ChatTemplate | None,
    target_tokenizer: Tokenizer | None = None,
) -> None:
    """Write ``tokenizer.json`` and what stands beside it, or the files of two Marian tokenizers.

    Raises
    ------
    TypeError
        If the tokenizer is of a kind that others do not read, or source and target have two that no
        family keeps in one folder.
    """
    from foundation_data import MarianTokenizer

    target = tokenizer if target_tokenizer is None else target_tokenizer
    if isinstance(tokenizer, MarianTokenizer) and isinstance(target, MarianTokenizer):
        _write_marian(folder, tokenizer, target)
        return
    if target != tokenizer:
        raise TypeError(
            "save_pretrained: two tokenizers are kept in one folder if both are a MarianTokenizer, "
            f"got a {type(tokenizer).__name__} and a {type(target).__name__}"
        )
    if "tokenizer" not in tokenizer.to_dict():
        raise TypeError(
            f"save_pretrained: {type(tokenizer).__name__} has no tokenizer.json; expected a "
            "tokenizer of subwords, such as a BPETokenizer"
        )
    specials = tokenizer.vocabulary.specials
    settings: dict[str, Any] = {f"{role}_token": getattr(specials, role) for role in _ROLES}
    if chat_template is not None and chat_template.special_tokens:
        # What is not named in the folder it came from is not named in this one.
        settings = dict(chat_template.special_tokens)
    _write(folder / "special_tokens_map.json", settings)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if chat_template is not None:
        texts = chat_template.texts
        settings["chat_template"] = (
            texts["default"]
            if list(texts) == ["default"]
            else [{"name": name, "template": text} for name, text in texts.items()]
        )
    _write(folder / "tokenizer_config.json", settings)
    tokenizer.save(folder / "tokenizer.json")


def _write_marian(folder: Path, source: MarianTokenizer, target: MarianTokenizer) -> None:
    """Write the two models of SentencePiece, and the table of ids, or one for each side."""
    tables = {"vocab.json": source}
    if list(source.vocabulary) != list(target.vocabulary):
        tables["target_vocab.json"] = target
    for name, tokenizer in tables.items():
        _write(folder / name, {token: index for index, token in enumerate(tokenizer.vocabulary)})
    write_file(folder / "source.spm", source.model.to_bytes())
    write_file(folder / "target.spm", target.model.to_bytes())
    specials = source.vocabulary.specials
    settings = {f"{role}_token": getattr(specials, role) for role in ("eos", "unk", "pad")}
    settings |= {"tokenizer_class": "MarianTokenizer", "separate_vocabs": len(tables) > 1}
    _write(folder / "tokenizer_config.json", settings)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_file(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

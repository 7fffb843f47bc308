"""Files of the ``tokenizers`` library as well-known families have them, with small vocabularies."""

import base64
from collections.abc import Mapping
from typing import Any

from foundation_data import SentencePieceModel, SentencePieceTokenizer, tokenizer_of_model


def step(kind: str, **options: Any) -> dict[str, Any]:
    return {"type": kind, **options}


def sequence(plural: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", plural: list(steps)}


def replaced(pattern: str, content: str, kind: str = "String") -> dict[str, Any]:
    return step("Replace", pattern={kind: pattern}, content=content)


def metaspace(scheme: str, split: bool = True) -> dict[str, Any]:
    return step("Metaspace", replacement="▁", prepend_scheme=scheme, split=split)


def added(number: int, content: str, **options: Any) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": content, **plain, "special": True, **options}


STRIP = step("Strip", content=" ", start=1, stop=0)
PIECES = (replaced("▁", " "), step("ByteFallback"), step("Fuse"))


def documents(models: Mapping[str, SentencePieceModel]) -> dict[str, dict[str, Any]]:
    """A `tokenizer.json` for each family."""
    table = step(
        "Precompiled", precompiled_charsmap=base64.b64encode(models["unigram"].charsmap).decode()
    )
    collapsed = replaced(" {2,}", " ", "Regex")
    blank = replaced(" ", "▁")
    cut = sequence("pretokenizers", step("WhitespaceSplit"), metaspace("always"))
    accents = (step("NFKD"), step("StripAccents"), step("Lowercase"))
    quotes = (replaced("``", '"'), replaced("''", '"'))
    normalizers: dict[str, Any] = {
        "t5": sequence(
            "normalizers", table, step("Strip", strip_left=False, strip_right=True), collapsed
        ),
        "xlm-r": table,
        "albert": sequence("normalizers", *quotes, *accents, table),
        "nmt": sequence("normalizers", step("Nmt"), step("NFKC"), collapsed),
        "llama-2": sequence("normalizers", step("Prepend", prepend="▁"), blank),
        "mistral": None,
        "gemma": blank,
    }
    cuts = {
        "t5": metaspace("always"),
        "xlm-r": cut,
        "albert": metaspace("always"),
        "nmt": metaspace("never"),
        "llama-2": None,
        "mistral": metaspace("first", split=False),
        "gemma": step(
            "Split", pattern={"String": " "}, behavior="MergedWithPrevious", invert=False
        ),
    }
    decoders = {
        "llama-2": sequence("decoders", *PIECES, STRIP),
        "mistral": sequence("decoders", *PIECES, STRIP),
        "gemma": sequence("decoders", *PIECES),
        "nmt": metaspace("never"),
    }
    vocabularies = {
        **dict.fromkeys(("t5", "xlm-r", "albert"), "unigram"),
        "nmt": "unigram_bytes",
        "llama-2": "bpe",
        "mistral": "bpe",
        "gemma": "bpe_plain",
    }
    return {
        name: {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added_tokens(name, models[vocabularies[name]]),
            "normalizer": normalizers[name],
            "pre_tokenizer": cuts[name],
            "post_processor": None,
            "decoder": decoders.get(name, metaspace("always")),
            "model": model_of(models[vocabularies[name]]),
        }
        for name in normalizers
    }


def added_tokens(name: str, model: SentencePieceModel) -> list[dict[str, Any]]:
    kinds = {"unknown": True, "control": True, "user-defined": False}
    tokens = [
        added(number, piece.text, special=kinds[piece.kind])
        for number, piece in enumerate(model.pieces)
        if piece.kind in kinds
    ]
    behind = len(model.pieces)
    tokens.append(added(behind, "<mask>", lstrip=True) if name == "xlm-r" else added(behind, "<x>"))
    if name in ("gemma", "t5"):  # found in the normalised text
        tokens.append(added(behind + 1, "the town", special=False, normalized=True))
    return tokens


def model_of(model: SentencePieceModel) -> dict[str, Any]:
    """The model itself, whose merges are those that our reader finds."""
    if model.algorithm == "unigram":
        unknown = next(i for i, piece in enumerate(model.pieces) if piece.kind == "unknown")
        return {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": [[piece.text, piece.score] for piece in model.pieces],
            "byte_fallback": model.byte_fallback,
        }
    tokenizer = tokenizer_of_model(model)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    found: dict[str, Any] = tokenizer.to_dict()["tokenizer"]["model"]
    return {name: value for name, value in found.items() if name != "foundation-data"}

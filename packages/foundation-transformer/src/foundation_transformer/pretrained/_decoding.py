"""How the folder of an encoder-decoder says that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES, field, read_json

from foundation_transformer._decoding import Decoding
from foundation_transformer.pretrained._generation import not_obeyed

#: What ends a search, by their ``early_stopping``.
_PATIENCE = {False: "now", True: "first", "never": "exact"}
_OBEYED = ("num_beams", "bad_words_ids", "forced_eos_token_id")


def decoding_of(content: Mapping[str, Any]) -> Decoding:
    """What ``generation_config.json`` says of an encoder-decoder.

    Raises
    ------
    ValueError
        If a field is missing, or of the wrong type.
    """
    stop_ids = _ids(content, "eos_token_id")
    forced = _ids(content, "forced_eos_token_id")
    max_length = field(content, "max_length", int | None, default=None)
    max_new_tokens = field(content, "max_new_tokens", int | None, default=None)
    if max_new_tokens is None and max_length is not None:
        max_new_tokens = max(0, max_length - 1)  # which counts the start
    early_stopping = field(content, "early_stopping", bool | str | None, default=None) or False
    if early_stopping not in _PATIENCE:
        raise ValueError(f"early_stopping: expected one of {[*_PATIENCE]}, got {early_stopping!r}")
    bad_words = field(content, "bad_words_ids", list | None, default=None) or []
    forbidden = [ids[0] for ids in bad_words if isinstance(ids, list) and len(ids) == 1]
    ignored = not_obeyed(content, obeyed=_OBEYED)
    if len(forbidden) < len(bad_words):
        ignored += ("bad_words_ids of several tokens",)
    if field(content, "do_sample", bool | None, default=None):
        ignored += ("do_sample=True",)
    return Decoding(
        start_id=field(content, "decoder_start_token_id", int | None, default=None),
        stop_ids=stop_ids or None,
        max_new_tokens=max_new_tokens,
        beam_size=field(content, "num_beams", int | None, default=None) or 1,
        length_penalty=_number(content, "length_penalty", 1.0),
        penalty="power",
        patience=_PATIENCE[early_stopping],
        forbidden_ids=tuple(field({"bad_words_ids": forbidden}, "bad_words_ids", list[int])),
        renormalize=bool(field(content, "renormalize_logits", bool | None, default=None)),
        forced_stop_id=forced[0] if forced else None,
        ignored=ignored,
    )


def folder_decoding(
    folder: Path, config: Mapping[str, Any], max_bytes: int = MAX_BYTES
) -> Decoding:
    """What ``generation_config.json`` says; in a folder without it, ``config.json`` says it.

    Raises
    ------
    ValueError
        If one of them is damaged, too large, or has a field of the wrong type.
    """
    source = folder / "generation_config.json"
    found = source.exists()
    content = read_json(source, max_bytes) if found else config
    start = {"decoder_start_token_id": config.get("decoder_start_token_id")}
    try:
        return decoding_of({**start, **content})
    except ValueError as error:
        raise ValueError(f"{source if found else folder / 'config.json'}: {error}") from None


def _ids(content: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """One id, or several."""
    value = field(content, name, int | list | None, default=None)
    if isinstance(value, list):
        return tuple(field(content, name, list[int]))
    return () if value is None else (value,)


def _number(content: Mapping[str, Any], name: str, default: float) -> float:
    value = field(content, name, float | None, default=None)
    return default if value is None else float(value)

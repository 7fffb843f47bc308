"""Reading the ``normalizer`` of a `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from foundation_nn.files import field

from foundation_data.tokenizers.pipeline._charsmap import Precompiled
from foundation_data.tokenizers.pipeline._cleaning import BertNormalizer, CleanText, Nmt
from foundation_data.tokenizers.pipeline._normalizer import (
    UNICODE_FORMS,
    Lowercase,
    Normalizer,
    Prepend,
    Replace,
    Strip,
    StripAccents,
    UnicodeForm,
)


def normalizers_from_json(content: Any) -> tuple[Normalizer, ...]:
    """Read the ``normalizer`` of a `tokenizer.json`.

    Raises
    ------
    ValueError
        If one is not supported or malformed.
    """
    if content is None:
        return ()
    try:
        return _read_normalizers(content)
    except ValueError as error:
        raise ValueError(f"normalizer: {error}") from error


def _read_normalizers(content: Any) -> tuple[Normalizer, ...]:
    if content == CleanText().to_json():
        return (CleanText(),)
    kind = field(content, "type", str)
    if kind == "Sequence":
        return tuple(
            chain.from_iterable(map(_read_normalizers, field(content, "normalizers", list)))
        )
    if kind not in _READERS:
        raise ValueError(
            f"expected Sequence, {', '.join(_READERS)}, got {kind!r:.60}, which is not supported"
        )
    return (_READERS[kind](content),)


def _read_bert(content: Any) -> Normalizer:
    return BertNormalizer(
        clean_text=field(content, "clean_text", bool, default=True),
        handle_chinese_chars=field(content, "handle_chinese_chars", bool, default=True),
        strip_accents=field(content, "strip_accents", bool | None, default=None),
        lowercase=field(content, "lowercase", bool, default=True),
    )


def _read_strip(content: Any) -> Normalizer:
    return Strip(field(content, "strip_left", bool), field(content, "strip_right", bool))


def _read_replace(content: Any) -> Normalizer:
    pattern = field(content, "pattern", dict)
    is_regex = "Regex" in pattern
    source = field(pattern, "Regex" if is_regex else "String", str)
    return Replace(source, field(content, "content", str), is_regex)


def _read_precompiled(content: Any) -> Normalizer:
    charsmap = field(content, "precompiled_charsmap", str)
    return Precompiled.from_base64(charsmap, field(content, "longest", bool, default=False))


_READERS: dict[str, Callable[[Any], Normalizer]] = {
    **{form: lambda content: UnicodeForm(content["type"]) for form in UNICODE_FORMS},
    "Lowercase": lambda _: Lowercase(),
    "StripAccents": lambda _: StripAccents(),
    "Nmt": lambda _: Nmt(),
    "Strip": _read_strip,
    "Prepend": lambda content: Prepend(field(content, "prepend", str)),
    "Replace": _read_replace,
    "Precompiled": _read_precompiled,
    "BertNormalizer": _read_bert,
}

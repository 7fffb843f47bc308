"""What surrounds the model of a `tokenizer.json`: everything but the tokens and their rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation_data.tokenizers._added_tokens import AddedToken
from foundation_data.tokenizers.subwords._normalizer import (
    Normalizer,
    UnicodeForm,
    normalizers_from_json,
)
from foundation_data.tokenizers.subwords._pre_tokenizer import Step, steps_from_json

# Parts that say how a program presents ids (templates, padding, truncation): kept as they are for
# the file that is written again, and not acted upon.
_KEPT = ("truncation", "padding", "post_processor", "decoder")
_TOKEN_FIELDS = ("content", "special", "lstrip", "rstrip", "normalized")


@dataclass(frozen=True)
class Pipeline:
    """The way of a text to its pieces.

    Attributes
    ----------
    added : tuple of AddedToken
        What is found in the text as it is, first of all.
    normalizers : tuple of Normalizer
        What changes the text between them.
    steps : tuple of Step
        How it is cut into pieces.
    kept : mapping
        The parts of a file that do not concern us.
    """

    added: tuple[AddedToken, ...] = ()
    normalizers: tuple[Normalizer, ...] = ()
    steps: tuple[Step, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Pipeline:
        """Read the parts of a `tokenizer.json`.

        Raises
        ------
        ValueError
            If a part is malformed or not supported.
        """
        normalizers = normalizers_from_json(document.get("normalizer"))
        return cls(
            tuple(_read_added(token, normalizers) for token in document.get("added_tokens", ())),
            normalizers,
            steps_from_json(document.get("pre_tokenizer")),
            {name: document.get(name) for name in _KEPT},
        )

    def to_json(self, ids: Mapping[str, int], model: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole `tokenizer.json` around `model`."""
        normalizers = [normalizer.to_json() for normalizer in self.normalizers]
        steps = [step.to_json() for step in self.steps]
        by_id = sorted(self.added, key=lambda token: ids[token.content])
        return {
            "version": "1.0",
            "truncation": self.kept.get("truncation"),
            "padding": self.kept.get("padding"),
            "added_tokens": [token.to_json(ids[token.content]) for token in by_id],
            "normalizer": _one(normalizers, "normalizers"),
            "pre_tokenizer": _one(steps, "pretokenizers"),
            "post_processor": self.kept.get("post_processor"),
            "decoder": self.kept.get("decoder"),
            "model": dict(model),
        }


def _one(parts: list[dict[str, Any]], plural: str) -> dict[str, Any] | None:
    if len(parts) <= 1:
        return parts[0] if parts else None
    return {"type": "Sequence", plural: parts}


def _read_added(content: Any, normalizers: tuple[Normalizer, ...]) -> AddedToken:
    try:
        token = AddedToken(*(content[name] for name in _TOKEN_FIELDS))
        single_word = content["single_word"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"added_tokens: malformed content: {error!r}") from error
    if not isinstance(content["content"], str) or not token.content:
        raise ValueError(f"added_tokens: expected a non-empty content, got {token.content!r}")
    if single_word:
        raise ValueError(
            f"added_tokens: {token.content!r} asks for single_word, which is not supported"
        )
    # Unicode forms leave ASCII alone, so there searching before or after them is the same.
    harmless = all(isinstance(step, UnicodeForm) for step in normalizers)
    if token.normalized and normalizers and not (harmless and token.content.isascii()):
        raise ValueError(
            f"added_tokens: {token.content!r} is to be found in normalized text, which is not "
            "supported"
        )
    return token

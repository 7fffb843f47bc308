"""The way of a text to its pieces, as a `tokenizer.json` describes it.

That is everything in such a file but its ``model``, which holds the tokens and says how a piece
becomes tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from foundation_nn.files import field

from foundation_data.tokenizers._added_tokens import AddedToken
from foundation_data.tokenizers.pipeline._normalizer import Normalizer, Prepend, normalize_with
from foundation_data.tokenizers.pipeline._pre_tokenizer import Step, steps_from_json
from foundation_data.tokenizers.pipeline._read_normalizers import normalizers_from_json

# Parts about ids rather than about text. They are written as they were when the tokenizer is saved
# again. The tokenizer reads two of them: the post-processor is its frame, and the decoder says how
# word pieces are put together.
_AROUND = ("truncation", "padding", "post_processor", "decoder")


@dataclass(frozen=True)
class Pipeline:
    """The way of a text to its pieces.

    Attributes
    ----------
    added : tuple of AddedToken
        Tokens that are found in the text before anything else happens to it.
    normalizers : tuple of Normalizer
        What changes the text between them.
    steps : tuple of Step
        How the changed text is cut into pieces.
    around : mapping
        Parts of a file that say nothing about the way to the pieces, as they stand in it.
    """

    added: tuple[AddedToken, ...] = ()
    normalizers: tuple[Normalizer, ...] = ()
    steps: tuple[Step, ...] = ()
    around: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Pipeline:
        """Read the parts of a `tokenizer.json`.

        Raises
        ------
        ValueError
            If a part is malformed or not supported.
        """
        normalizers = normalizers_from_json(document.get("normalizer"))
        added = field(document, "added_tokens", list | None, default=None) or []
        return cls(
            added=tuple(map(_read_added, added)),
            normalizers=normalizers,
            steps=steps_from_json(document.get("pre_tokenizer")),
            around={name: field(document, name, dict | None, default=None) for name in _AROUND},
        )

    def normalize_token(self, token: str) -> str:
        """How an added token looks in a normalised text.

        What is put before each text is no part of a token.
        """
        changing = [step for step in self.normalizers if not isinstance(step, Prepend)]
        return normalize_with(changing, token)

    def to_json(self, ids: Mapping[str, int], model: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole `tokenizer.json` around `model`."""
        normalizers = [normalizer.to_json() for normalizer in self.normalizers]
        steps = [step.to_json() for step in self.steps]
        by_id = sorted(self.added, key=lambda token: ids[token.content])
        return {
            "version": "1.0",
            "truncation": self.around.get("truncation"),
            "padding": self.around.get("padding"),
            "added_tokens": [token.to_json(ids[token.content]) for token in by_id],
            "normalizer": _as_one(normalizers, "normalizers"),
            "pre_tokenizer": _as_one(steps, "pretokenizers"),
            "post_processor": self.around.get("post_processor"),
            "decoder": self.around.get("decoder"),
            "model": dict(model),
        }


def _as_one(parts: list[dict[str, Any]], plural: str) -> dict[str, Any] | None:
    """No part, the only part, or a sequence of them under its plural name."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"type": "Sequence", plural: parts}


def _read_added(content: Any) -> AddedToken:
    try:
        token = AddedToken(
            content=field(content, "content", str),
            special=field(content, "special", bool),
            lstrip=field(content, "lstrip", bool),
            rstrip=field(content, "rstrip", bool),
            normalized=field(content, "normalized", bool),
        )
        single_word = field(content, "single_word", bool)
    except ValueError as error:
        raise ValueError(f"added_tokens: {error}") from error
    if not token.content:
        raise ValueError("added_tokens: expected a non-empty content, got ''")
    if single_word:
        raise ValueError(
            f"added_tokens: {token.content!r} asks for single_word, which is not supported"
        )
    return token

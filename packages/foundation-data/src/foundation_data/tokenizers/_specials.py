"""The four roles that special tokens have: padding, beginning, end and unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import Any


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The reserved tokens of a vocabulary, as text and as ids.

    Attributes
    ----------
    pad, bos, eos, unk : str
        Padding, beginning of sequence, end of sequence, and what stands for an unknown token.
    pad_id, bos_id, eos_id, unk_id : int
        Their ids. One token may have several roles: in GPT-2 the only special token ends a text,
        begins one and pads.

    Raises
    ------
    TypeError
        If a token is not a string or an id not an integer.
    ValueError
        If a token is empty, an id negative, or two roles share a token but not its id, or an id
        but not its token.

    Examples
    --------
    >>> SpecialTokens().eos, SpecialTokens().eos_id
    ('<eos>', 2)
    """

    pad: str = "<pad>"
    bos: str = "<bos>"
    eos: str = "<eos>"
    unk: str = "<unk>"
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    unk_id: int = 3

    def __post_init__(self) -> None:
        for field in fields_of(self):
            value = getattr(self, field.name)
            wanted = int if field.name.endswith("_id") else str
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise TypeError(
                    f"SpecialTokens: expected {field.name} to be {wanted.__name__}, got {value!r}"
                )
            if value == "" or (isinstance(value, int) and value < 0):
                raise ValueError(f"SpecialTokens: {field.name} may not be {value!r}")
        pairs = set(zip(self.tokens, self.ids, strict=True))
        if not len(pairs) == len(set(self.tokens)) == len(set(self.ids)):
            raise ValueError(
                "SpecialTokens: expected one id for each different token, got the tokens "
                f"{self.tokens} with the ids {self.ids}"
            )

    @property
    def tokens(self) -> tuple[str, str, str, str]:
        """The four tokens: pad, bos, eos, unk."""
        return self.pad, self.bos, self.eos, self.unk

    @property
    def ids(self) -> tuple[int, int, int, int]:
        """The four ids: pad, bos, eos, unk."""
        return self.pad_id, self.bos_id, self.eos_id, self.unk_id

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON-able dictionary."""
        return {field.name: getattr(self, field.name) for field in fields_of(self)}


# How well-known tokenizers name the tokens of each role. The end of a text comes first, because its
# token serves where another role has none.
_USUAL_NAMES = {
    "eos": ("<eos>", "</s>", "[SEP]", "[EOS]", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>"),
    "bos": ("<bos>", "<s>", "[CLS]", "[BOS]", "<|begin_of_text|>", "<|startoftext|>"),
    "pad": ("<pad>", "[PAD]", "<|pad|>", "<|padding|>"),
    "unk": ("<unk>", "[UNK]"),
}


def guess_specials(
    ids: Mapping[str, int], special: Collection[str], known: Mapping[str, str | None]
) -> SpecialTokens:
    """Give the special tokens of another program's tokenizer their roles.

    A role is filled by the token that is `known` to have it, or else by a special token with one of
    the usual names, or else by the token that ends a text.

    Parameters
    ----------
    ids : mapping of str to int
        The whole vocabulary.
    special : collection of str
        Its special tokens, at least one.
    known : mapping of str to str
        Tokens for some of the roles ``pad``, ``bos``, ``eos``, ``unk``.

    Raises
    ------
    ValueError
        If a known token is not in the vocabulary.

    Examples
    --------
    >>> guess_specials({"a": 0, "<|endoftext|>": 1}, ["<|endoftext|>"], {}).ids
    (1, 1, 1, 1)
    """
    fields: dict[str, Any] = {}
    last_resort = next(iter(special))
    for role, usual_names in _USUAL_NAMES.items():
        present = [name for name in usual_names if name in special]
        candidates = [known.get(role), *present, last_resort]
        token = next(name for name in candidates if name)
        if token not in ids:
            raise ValueError(f"the {role} token {token!r} is not in the vocabulary")
        fields[role] = token
        fields[f"{role}_id"] = ids[token]
        if role == "eos":
            last_resort = token
    return SpecialTokens(**fields)

"""The four tokens that are no words: padding, beginning, end and unknown."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The reserved tokens of a vocabulary, as text and as ids.

    Attributes
    ----------
    pad, bos, eos, unk : str
        Padding, beginning of sequence, end of sequence, unknown token.
    pad_id, bos_id, eos_id, unk_id : int
        Their ids; all four distinct.

    Raises
    ------
    TypeError
        If a token is not a string or an id not an integer.
    ValueError
        If a token is empty, an id negative, or two of either are equal.

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
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = int if field.name.endswith("_id") else str
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise TypeError(
                    f"SpecialTokens: expected {field.name} to be {wanted.__name__}, got {value!r}"
                )
            if value == "" or (isinstance(value, int) and value < 0):
                raise ValueError(f"SpecialTokens: {field.name} may not be {value!r}")
        for name, values in (("tokens", self.tokens), ("ids", self.ids)):
            if len(set(values)) != 4:
                raise ValueError(f"SpecialTokens: expected four different {name}, got {values}")

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
        return {field.name: getattr(self, field.name) for field in fields(self)}

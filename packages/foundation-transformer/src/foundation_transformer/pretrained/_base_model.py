"""What is remembered of a model that another one was made from, without its weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation_nn.files import field, open_file

_BLOCK_BYTES = 1 << 20
#: The files of a folder that decide what its model computes.
_FILES = ("config.json", "checkpoint.json", "*.safetensors")


@dataclass(frozen=True)
class BaseModel:
    """Where the base of an adapter is, and what it was when the adapter was made for it.

    An adapter is a change of weights that it does not hold. Beside others it would compute
    something, and nothing sensible; so the checksum of the weights is kept with it.

    Attributes
    ----------
    path : str
        Of its folder or file.
    sha256 : str
        Of its configuration and weights.
    """

    path: str
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> BaseModel:
        """Remember a model; its files are read once."""
        return cls(os.fspath(Path(path).resolve()), checksum(Path(path)))

    def find(self, moved_to: str | os.PathLike[str] | None = None) -> Path:
        """Where the model is, if it is the same one.

        Parameters
        ----------
        moved_to : path, optional
            Where it is now.

        Raises
        ------
        FileNotFoundError
            If it is not there any more.
        ValueError
            If it is another one.
        """
        place = Path(self.path if moved_to is None else moved_to)
        if not place.exists():
            raise FileNotFoundError(
                f"{place}: the base of this adapter was there, and is not any more; put it back, "
                "or say where it is with --base"
            )
        if checksum(place) != self.sha256:
            raise ValueError(
                f"{place}: is not the base that the adapter was made for: its checksum is another "
                "one; put that base back, or say where it is with --base"
            )
        return place

    def to_dict(self) -> dict[str, Any]:
        """Both, for checkpoints."""
        return {"path": self.path, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> BaseModel:
        """The opposite of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is missing or of the wrong kind.
        """
        return cls(field(content, "path", str), field(content, "sha256", str))


def checksum(place: Path) -> str:
    """The SHA-256 of the files that decide what a model computes, in the order of their names."""
    files = [place]
    if place.is_dir():
        files = sorted({file for pattern in _FILES for file in place.glob(pattern)})
    digest = hashlib.sha256()
    for file in files:
        with open_file(file) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()

"""Which tensors of a file become which of our parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from foundation_nn import Module
from numpy.typing import NDArray

from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Change, Family


class Weight(NamedTuple):
    """One of our parameters, and the tensors it is made of.

    Attributes
    ----------
    name : str
        Ours.
    parts : list of (str, shape)
        Their names and shapes, in the order in which they are stacked.
    transposed : bool
        Whether they are.
    change : Change or None
        Of each of the numbers.
    with_axis : bool
        Whether theirs has an axis of length 1 before ours.
    """

    name: str
    parts: list[tuple[str, tuple[int, ...]]]
    transposed: bool = False
    change: Change | None = None
    with_axis: bool = False

    def join(self, read: Callable[[str], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Our array from theirs."""
        arrays = [read(name) for name, _ in self.parts]
        if self.with_axis:
            arrays = [array[0] for array in arrays]
        if self.transposed:
            arrays = [array.T for array in arrays]
        joined = np.ascontiguousarray(arrays[0]) if len(arrays) == 1 else np.concatenate(arrays)
        return joined if self.change is None else self.change.read(joined)

    def split(self, array: NDArray[np.float32]) -> Iterable[tuple[str, NDArray[np.float32]]]:
        """Their arrays from ours, as views where no number changes."""
        if self.change is not None:
            array = self.change.write(array)
        start = 0
        for name, shape in self.parts:
            rows = shape[1] if self.transposed else shape[0]
            part = array[None] if self.with_axis else array[start : start + rows]
            yield name, part.T if self.transposed else part
            start += rows


def weights_of(model: Module, config: TransformerConfig, family: Family) -> list[Weight]:
    """All parameters of a model, with their names in a file, but for the prefix."""
    weights = []
    modules = family.modules_of(config)
    for name, p in model.named_parameters():
        module, kind = re.fullmatch(r"(.*)[._](weight|bias)", name).groups()  # type: ignore[union-attr]
        layer = re.search(r"layers\.(\d+)", module)
        i = layer[1] if layer else ""
        ours = re.sub(r"layers\.\d+", "layers.{i}", module)
        if name in modules:
            theirs = [modules[name]]
        else:
            theirs = [f"{part.format(i=i)}.{kind}" for part in modules[ours].split()]
        transposed = family.transposed and layer is not None and p.ndim == 2
        rows = _rows(p.shape[0], len(theirs), config)
        shapes = [(n, *p.shape[1:]) for n in rows]
        if transposed:
            shapes = [shape[::-1] for shape in shapes]
        with_axis = re.fullmatch(family.with_axis, name) is not None
        if with_axis:
            shapes = [(1, *shape) for shape in shapes]
        parts = list(zip(theirs, shapes, strict=True))
        weights.append(Weight(name, parts, transposed, _change(name, family), with_axis))
    return weights


def _change(name: str, family: Family) -> Change | None:
    """How the numbers of one of our parameters differ from those in a file."""
    for pattern, change in family.changed.items():
        if re.fullmatch(pattern, name):
            return change
    return None


def _rows(total: int, parts: int, c: TransformerConfig) -> list[int]:
    """How many rows of ours each part has: queries, keys and values differ, others do not."""
    if parts == 3:
        queries = c.num_heads * c.width_of_heads
        shared = (total - queries) // 2
        return [queries, shared, shared]
    return [total // parts] * parts

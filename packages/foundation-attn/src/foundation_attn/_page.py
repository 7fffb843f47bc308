"""All heads of a model in one HTML file that needs nothing else."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from foundation_nn.files import write_file
from numpy.typing import NDArray

from foundation_attn._measures import HeadScores, head_scores, information


class LayerMap(NamedTuple):
    """The weights of one layer on one text, with its tokens.

    Attributes
    ----------
    name : str
        What the picture calls it, such as the ``title`` of an :class:`AttentionMap`.
    weights : (H, T, S) array
    queries : T strings
        What is looking.
    keys : S strings
        What is looked at.
    kind : {"self", "cross"}, optional
        By default "self" if queries and keys are the same tokens.
    """

    name: str
    weights: NDArray[Any]
    queries: Sequence[str]
    keys: Sequence[str]
    kind: str | None = None

    @property
    def is_self(self) -> bool:
        """Whether the text looks at itself, so that a token has one before it among the keys."""
        if self.kind is not None:
            return self.kind == "self"
        return list(self.queries) == list(self.keys)

    def scores(self) -> HeadScores:
        """What each head does; see :func:`head_scores`."""
        is_whole_text = self.is_self and len(self.queries) == len(self.keys)
        return head_scores(np.asarray(self.weights), self.keys if is_whole_text else None)


def save_page(
    layers: Sequence[LayerMap], path: str | os.PathLike[str], title: str = "Attention"
) -> None:
    """Write a page on which one picks a layer and a head, and sees where each token looks.

    It opens with the attention to the source of the last layer that has such, or else with the
    layer that tells most; and there with the head that tells most: the one whose weights depend
    most on which token is looking. The address ``page.html#2.3`` opens layer 2, head 3, and
    ``#2.3.5`` points at the fifth token.

    The file holds its data, style and script; it asks no network for anything, and is written whole
    or not at all. Weights are rounded to a thousandth.

    Parameters
    ----------
    layers : sequence of LayerMap
    path : path
        The file to write.
    title : str

    Raises
    ------
    ValueError
        If there is no layer, or tokens and weights do not fit together.
    """
    if not layers:
        raise ValueError("save_page: nothing to show")
    data = [_as_json(layer) for layer in layers]
    # A token may contain "</script>": in JSON < can be written otherwise.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = files("foundation_attn").joinpath("page.html").read_text("utf-8")
    start_layer, start_head = most_telling(layers)
    # Filled in one pass: a title that holds "{{data}}" is a title like any other.
    content = {
        "{{title}}": html.escape(title),
        "{{start}}": f"{start_layer + 1}.{start_head + 1}",
        "{{data}}": text,
    }
    page = re.sub(r"{{(title|start|data)}}", lambda match: content[match[0]], page)
    # Half a surrogate pair, which a token may be, is no text in UTF-8.
    write_file(path, page.encode(errors="backslashreplace"))


def most_telling(layers: Sequence[LayerMap]) -> tuple[int, int]:
    """Where one should look first: the index of a layer, and of its head."""
    to_source = [i for i, layer in enumerate(layers) if not layer.is_self]
    candidates = to_source[-1:] or range(len(layers))
    told = {i: information(np.asarray(layers[i].weights, np.float64)) for i in candidates}
    best = max(told, key=lambda i: told[i].max(initial=0))
    return best, int(told[best].argmax())


def _as_json(layer: LayerMap) -> dict[str, Any]:
    w = np.asarray(layer.weights, np.float64)
    if w.ndim != 3 or w.shape[1:] != (len(layer.queries), len(layer.keys)):
        raise ValueError(
            f"save_page: expected weights of shape (H, {len(layer.queries)}, {len(layer.keys)}) "
            f"for the tokens of {layer.name!r}, got {w.shape}"
        )
    return {
        "name": layer.name,
        "queries": list(layer.queries),
        "keys": list(layer.keys),
        "itself": layer.is_self,
        "weights": np.rint(w * 1000).astype(int).tolist(),
        "scores": {
            name: [None if np.isnan(x) else round(float(x), 3) for x in values]
            for name, values in layer.scores()._asdict().items()
        },
    }

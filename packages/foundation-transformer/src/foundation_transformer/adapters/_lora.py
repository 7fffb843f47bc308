"""The adapters of all layers of a model, as one module that is trained and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from foundation_nn import Linear, Module, init, number, whole_number

from foundation_transformer._heads import TextClassifier
from foundation_transformer.adapters._layers import (
    adapted,
    merge_into,
    plain,
    require_plain,
    shape_of,
)
from foundation_transformer.adapters._layout import Layout, Model, body_of, layout_of
from foundation_transformer.adapters._low_rank import Adapter


class Lora(Module):
    """A low-rank change of the matrices of a model [1]_, which is learnt while the model is not.

    Its parameters are those of the change alone. So an optimiser, a trainer or a checkpoint that is
    given it holds a hundredth of what the model has. What it changes are the layers of the model
    that it is put around: the model itself is called, as ever. One that was loaded from a
    checkpoint is around no model yet; :meth:`attach` puts it around the model that it was learnt
    for.

    Parameters
    ----------
    layout : mapping
        For the path of each layer, how wide its matrix is, and the rows of each part that has a
        change of its own. Made for a model by :meth:`around`.
    rank : int
        r, how many directions each change has. 8 is usual; a larger one learns more from more data.
    alpha : float, optional
        A change is multiplied by α / r; 2 r by default.
    dropout : float
        Of what the changes read, in training.
    head : mapping, optional
        The labels of a classifier, how they are scored, from which vector, and its width: "labels",
        "score", "pooling", "width". Made for a model by :meth:`around`.
    rng : numpy.random.Generator, optional
        Draws the matrices A; the matrices B are zero.

    Attributes
    ----------
    layers : dict of str to Adapter
        By the paths of the layers that they change.
    head : Linear or None
        The head of the classifier that it is around.

    Raises
    ------
    ValueError
        If the rank is larger than a side of a matrix.

    References
    ----------
    .. [1] E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022,
       arXiv:2106.09685.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F, optim
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> from foundation_transformer.adapters import Lora
    >>> config = TransformerConfig.llama(vocab_size=11, d_model=16, num_heads=2, num_layers=2)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> lora = Lora.around(model, rank=2, rng=np.random.default_rng(0))
    >>> lora.num_parameters(), model.num_parameters(trainable=True), model.num_parameters()
    (3776, 3776, 30832)
    >>> optimizer = optim.AdamW(lora, lr=0.1)  # of the change alone
    >>> ids = np.array([[3, 1, 4, 1, 5, 9, 2, 6]])
    >>> losses = []
    >>> for _ in range(10):
    ...     optimizer.zero_grad()
    ...     loss = F.cross_entropy(model(ids[:, :-1]), ids[:, 1:])
    ...     loss.backward()
    ...     optimizer.step()
    ...     losses.append(loss.item())
    >>> losses[-1] < losses[0]
    True
    >>> logits = model(ids).data
    >>> lora.merge()  # the model is an ordinary one again, with other weights
    >>> bool(np.allclose(model(ids).data, logits, atol=1e-5))
    True
    """

    def __init__(
        self,
        layout: Layout,
        rank: int,
        alpha: float | None = None,
        dropout: float = 0.0,
        head: Mapping[str, Any] | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.rank = whole_number("Lora", "rank", rank, at_least=1)
        self.alpha = number("Lora", "alpha", 2 * rank if alpha is None else alpha, more_than=0)
        self.dropout = number("Lora", "dropout", dropout, at_least=0, less_than=1)
        rng = init.generator(rng)
        self._layout = {
            path: (width, {name: (rows[0], rows[1]) for name, rows in parts.items()})
            for path, (width, parts) in layout.items()
        }
        self.layers: dict[str, Adapter] = {}
        for path, (width, parts) in self._layout.items():
            try:
                self.layers[path] = Adapter(
                    width, parts, self.rank, self.alpha, self.dropout, rng=rng
                )
            except ValueError as error:
                raise ValueError(f"Lora: {path}: {error}") from None
        self._head = None if head is None else {**head, "labels": list(head["labels"])}
        self.head: Linear | None = None
        if self._head is not None:
            self.head = Linear(self._head["width"], len(self._head["labels"]), rng=rng)
        # What it was put around is no part of it: it is neither learnt nor saved.
        self._model = _Held()

    @classmethod
    def around(
        cls,
        model: Model | TextClassifier,
        rank: int = 8,
        alpha: float | None = None,
        dropout: float = 0.0,
        targets: Sequence[str] | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> Self:
        """Make one for a model, freeze the model, and have its layers compute with the change.

        Parameters
        ----------
        model : CausalLM, TextEncoder, Transformer or TextClassifier
            Also a compact one: its weights of one byte stay as they are. Of a TextClassifier, what
            reads the texts is changed and frozen, and the head goes on learning.
        rank, alpha, dropout, rng
            As for the class.
        targets : sequence of str, optional
            Which matrices of each layer: "q", "k" and "v", or all three as one with "qkv"; "o";
            "gate", "up" and "down", of which a network with one inner matrix has no "gate". All of
            them by default. In the decoder of a Transformer, those of attention are changed in both
            attentions: to the target and to the source.

        Raises
        ------
        ValueError
            If a target is unknown, or the model has none of this name.
        TypeError
            If it is no such model, or is adapted already.
        """
        layout = layout_of(model, targets)
        lora = cls(layout, rank, alpha, dropout, _described_head(model), rng=rng)
        if isinstance(model, TextClassifier):
            lora.head = model.classifier  # it goes on from the weights that it has
        dtypes = {p.dtype for p in model.parameters()}
        if len(dtypes) == 1:
            lora.astype(dtypes.pop())
        lora.attach(model)
        return lora

    @classmethod
    def mean_of(cls, changes: Sequence[Lora]) -> Self:
        """The mean of the changes, as :func:`foundation_nn.checkpoint.average` asks for it.

        The mean of ΔW = s B A over n changes is not the product of the means of B and of A. It is
        a change whose rank is the sum of theirs: all A one above the other, and all B side by
        side, divided by n.

        Raises
        ------
        ValueError
            If one of them is no such change, or they change other matrices, or the sum of the ranks
            is larger than a side of one.
        """
        first = changes[-1]
        for each in changes:
            if not isinstance(each, Lora):
                raise ValueError(
                    f"average: expected changes beside a model, got a {type(each).__name__} among "
                    "them; merge the changes first"
                )
            if (each._layout, each._head) != (first._layout, first._head):
                raise ValueError(
                    "average: the changes are not of one model: their layers or labels differ"
                )
        rank = sum(each.rank for each in changes)
        alpha = sum(each.alpha for each in changes)
        try:
            mean = cls(
                first._layout, rank, alpha, first.dropout, first._head, rng=np.random.default_rng(0)
            )
        except ValueError as error:
            raise ValueError(
                f"average: the mean of {len(changes)} changes has the sum of their ranks, and "
                f"{str(error).removeprefix('Lora: ')}; merge each into its base, and average these"
            ) from None
        mean.astype(next(first.parameters()).dtype)
        for path, adapter in mean.layers.items():
            for name, pair in adapter.pairs.items():
                adapters = [each.layers[path] for each in changes]
                pairs = [each.pairs[name] for each in adapters]
                shares = [each.scale / adapter.scale / len(changes) for each in adapters]
                pair.A.data = np.concatenate([each.A.data for each in pairs])
                pair.B.data = np.concatenate(
                    [share * each.B.data for share, each in zip(shares, pairs, strict=True)], axis=1
                )
        if mean.head is not None:
            states = [each.head.state_dict() for each in changes if each.head is not None]
            mean.head.load_state_dict(
                {name: np.mean([state[name] for state in states], axis=0) for name in states[0]}
            )
        return mean

    @property
    def model(self) -> Model | TextClassifier:
        """What it was put around.

        Raises
        ------
        ValueError
            If that did not happen.
        """
        if self._model.value is None:
            raise ValueError("Lora: it is around no model yet; call attach(model)")
        return self._model.value

    def attach(self, model: Model | TextClassifier) -> None:
        """Freeze a model, and have its layers compute with the change.

        Parameters
        ----------
        model : CausalLM, TextEncoder, Transformer or TextClassifier
            What the change was learnt for. If it was learnt with a head, either a TextClassifier
            with the same labels, whose head is replaced by the one that was learnt, or what reads
            the texts in it: then :attr:`model` is the TextClassifier around that.

        Raises
        ------
        ValueError
            If the shapes of its matrices or its labels are others: it is an adapter for another
            model.
        TypeError
            If the model is adapted already, or has a head and the change was learnt without one.
        """
        body = body_of(model)
        layers = dict(body.named_modules())
        problems = list(self._differences(layers))
        if problems:
            shown = problems[:8] + [f"  and {len(problems) - 8} more"] * (len(problems) > 8)
            raise ValueError("Lora: the adapter is one for another model:\n" + "\n".join(shown))
        for path in self.layers:
            require_plain(layers[path])
        whole = self._with_head(model)
        body.freeze()
        _replace(body, self.layers, lambda path, layer: adapted(layer, self.layers[path]))
        self._model = _Held(whole)

    def _with_head(self, model: Any) -> Any:
        """The model with the head that was learnt, if there is one.

        Raises
        ------
        ValueError, TypeError
            If the head of the model is another one.
        """
        if self._head is None or self.head is None:
            if isinstance(model, TextClassifier):
                raise TypeError(
                    "Lora: this change was learnt without a head; attach it to the classifier's "
                    "attribute body"
                )
            return model
        if not isinstance(model, TextClassifier):
            head = self._head
            model = TextClassifier(model, head["labels"], head["score"], head["pooling"])
        theirs = _described_head(model)
        if theirs != self._head:
            raise ValueError(
                f"Lora: the adapter is one for another model: its head is {self._head}, that of "
                f"the model {theirs}"
            )
        model.classifier = self.head
        return model

    def detach(self) -> None:
        """Have the model be as it was before; it stays frozen. A head keeps what it has learnt."""
        self._restore(plain)

    def merge(self) -> None:
        """Add the change to the weights of the model, which is an ordinary one from then on.

        That is not undone by subtracting: in floating point, W + ΔW - ΔW is not W. To have both,
        keep the adapter, and switch it off by :func:`adapters_off`.

        Raises
        ------
        TypeError
            If the model is compact.
        """
        self._restore(merge_into)

    def _restore(self, make: Callable[[Module], Module]) -> None:
        _replace(body_of(self.model), self.layers, lambda _, layer: make(layer))
        self._model = _Held()

    def _differences(self, layers: Mapping[str, Module]) -> Iterator[str]:
        """Where a model is not the one that the adapter is for, in lines."""
        for path, (width, parts) in self._layout.items():
            if path not in layers:
                yield f"  missing      {path}"
                continue
            rows, found = shape_of(layers[path])
            last = max(stop for _, stop in parts.values())
            if found != width or rows < last:
                yield (
                    f"  wrong shape  {path}: the adapter is for a matrix of shape "
                    f"{(last, width)}, the model's has {(rows, found)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such an adapter, for checkpoints."""
        return {
            "layout": self._layout,
            "rank": self.rank,
            "alpha": self.alpha,
            "dropout": self.dropout,
            "head": self._head,
        }

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model makes of it, with the change."""
        return self.model(*args, **kwargs)


@dataclass
class _Held:
    """Holds a model out of the sight of ``named_modules``."""

    value: Model | TextClassifier | None = None


def _described_head(model: Model | TextClassifier) -> dict[str, Any] | None:
    """What makes the head of a classifier; None of another model."""
    if not isinstance(model, TextClassifier):
        return None
    return {
        "labels": list(model.labels),
        "score": model.score,
        "pooling": model.pooling,
        "width": model.config.d_model,
    }


def _replace(model: Model, paths: Iterable[str], make: Callable[[str, Module], Module]) -> None:
    """Put ``make(path, layer)`` in the place of each layer.

    An attention layer is copied with what is within it, so that the inner one comes first.
    """
    modules = dict(model.named_modules())
    for path in sorted(paths, key=len, reverse=True):
        parent, _, name = path.rpartition(".")
        setattr(modules[parent], name, make(path, modules[path]))

"""Batches of similar lengths, in an order that a seed decides and a checkpoint can continue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Generic

import numpy as np

from foundation_data._arrays import IntArray
from foundation_data.batches._dataset import BatchSource, BatchT_co
from foundation_data.batches._prefetch import map_ahead

#: What a dataset must have, see ``BatchSource``.
_OF_A_SOURCE = ("__len__", "lengths", "fingerprint", "batch")


class BatchLoader(Generic[BatchT_co]):
    """Batches of a dataset, epoch after epoch; each ``for batch in loader`` is one epoch.

    Every example comes exactly once in an epoch. The order is a function of (seed, epoch) alone. To
    need little padding, examples are shuffled, sorted by length within large buckets and cut into
    batches, and the batches are shuffled. Pairs are sorted by their longer side, which decides how
    many fit, and then by how much longer the source is. The direction of this second order, and
    that of every second bucket, is turned round, so that what meets in one batch is alike.

    A loop that is left early does not end its epoch: the next loop starts the same epoch again,
    unless `load_state_dict` says where to continue. A state that is taken in the body of the loop
    continues after the batch that the body has.

    Parameters
    ----------
    dataset : TranslationDataset or TextDataset
        Or any other `BatchSource`.
    batch_size : int, optional
        Sentences in a batch. Give this or `max_tokens`.
    max_tokens : int, optional
        The most positions, padding included, of any one padded array of a batch: B * max(S, T).
    shuffle : bool
        Whether to shuffle.
    seed : int
        Decides the order of each epoch.
    bucket : bool, optional
        Whether to put similar lengths together; by default when shuffling, so that
        ``shuffle=False`` alone keeps the order of the dataset.
    bucket_size : int
        How many examples are sorted together. More of them need less padding, but mix less.
    prefetch : int
        How many batches a background thread prepares ahead; 0 for no thread. The batches and the
        state are the same: what was prepared but not given out does not count. An error while a
        batch is prepared is raised where this batch would have come.

    Raises
    ------
    TypeError
        If an option is of the wrong type.
    ValueError
        If neither or both of `batch_size` and `max_tokens` are given, an option is out of range,
        the dataset is empty, or an example alone exceeds `max_tokens`.

    Examples
    --------
    >>> from foundation_data import TranslationDataset
    >>> dataset = TranslationDataset.from_ids([([5], [6]), ([5, 6, 7], [7, 6, 5]), ([8], [9])])
    >>> loader = BatchLoader(dataset, batch_size=2, seed=1)
    >>> len(loader), sorted(batch.source.shape for batch in loader), loader.epoch
    (2, [(1, 4), (2, 2)], 1)
    """

    def __init__(
        self,
        dataset: BatchSource[BatchT_co],
        batch_size: int | None = None,
        max_tokens: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        *,
        bucket: bool | None = None,
        bucket_size: int = 50_000,
        prefetch: int = 0,
    ) -> None:
        if (batch_size is None) == (max_tokens is None):
            raise ValueError(
                "BatchLoader: expected either batch_size (sentences) or max_tokens (padded "
                f"positions), got batch_size={batch_size} and max_tokens={max_tokens}"
            )
        if batch_size is not None:
            _require_integer("batch_size", batch_size, at_least=1)
        if max_tokens is not None:
            _require_integer("max_tokens", max_tokens, at_least=1)
        _require_integer("seed", seed, at_least=0)
        _require_integer("bucket_size", bucket_size, at_least=1)
        _require_integer("prefetch", prefetch, at_least=0)
        missing = [name for name in _OF_A_SOURCE if not hasattr(dataset, name)]
        if missing:
            raise TypeError(
                "BatchLoader: expected a TranslationDataset, a TextDataset, or a dataset of your "
                f"own that has {', '.join(_OF_A_SOURCE)}, see BatchSource; "
                f"{type(dataset).__name__} has no {', '.join(missing)}. For arrays write "
                "foundation_nn.training.batches"
            )
        if not len(dataset):
            raise ValueError("BatchLoader: expected a dataset with at least one example, got none")

        self._dataset = dataset
        self._lengths = dataset.lengths
        self._options: dict[str, Any] = {
            "batch_size": None if batch_size is None else int(batch_size),
            "max_tokens": None if max_tokens is None else int(max_tokens),
            "shuffle": bool(shuffle),
            "seed": int(seed),
            "bucket": bool(shuffle if bucket is None else bucket),
            "bucket_size": int(bucket_size),
        }
        if max_tokens is not None:
            widest = int(self._lengths.max(axis=1).argmax())
            width = int(self._lengths[widest].max())
            if width > max_tokens:
                raise ValueError(
                    f"BatchLoader: expected max_tokens of at least {width}, the length of example "
                    f"{widest}, got {max_tokens}; raise it, or give the dataset a max_len"
                )
        self._prefetch = int(prefetch)
        self._epoch = 0
        self._position = 0
        self._continue_at = 0
        self._plan: tuple[int, list[IntArray]] | None = None

    @property
    def epoch(self) -> int:
        """The number of epochs that are complete, which is also the number of the current one."""
        return self._epoch

    @property
    def position(self) -> int:
        """How many batches of the current epoch were given; 0 at its beginning."""
        return self._continue_at or self._position

    @property
    def dataset(self) -> BatchSource[BatchT_co]:
        """The dataset."""
        return self._dataset

    def __len__(self) -> int:
        """Return the number of batches in this epoch; with `max_tokens`, epochs differ a little."""
        return len(self._batches())

    def __iter__(self) -> Iterator[BatchT_co]:
        start = self._continue_at
        self._continue_at = 0
        self._position = start
        epoch = self._epoch
        batches = map_ahead(self._dataset.batch, self._batches()[start:], self._prefetch)
        with closing(batches):
            for position, batch in enumerate(batches, start + 1):
                # Counted before it is handed out, so that a state taken in the body of the loop
                # continues after this batch.
                self._position = position
                yield batch
        self._epoch = epoch + 1
        self._position = 0

    def _batches(self) -> list[IntArray]:
        """Return the indices (B,) of each batch of the current epoch."""
        if self._plan is None or self._plan[0] != self._epoch:
            self._plan = (self._epoch, self._plan_epoch(self._epoch))
        return self._plan[1]

    def _plan_epoch(self, epoch: int) -> list[IntArray]:
        rng = np.random.default_rng([self._options["seed"], epoch])
        shuffle = self._options["shuffle"]
        count = len(self._dataset)
        order = rng.permutation(count) if shuffle else np.arange(count)
        if self._options["bucket"]:
            order = self._sort_buckets(order)
        cuts = self._cuts(order)
        batches = np.split(order, cuts)
        if shuffle:
            batches = [batches[index] for index in rng.permutation(len(batches))]
        return batches

    def _sort_buckets(self, order: IntArray) -> IntArray:
        buckets: list[IntArray] = []
        for start in range(0, len(order), self._options["bucket_size"]):
            bucket = order[start : start + self._options["bucket_size"]]
            lengths = self._lengths[bucket]
            # The longer side decides how many examples fit into a batch, so they are sorted by it
            # first, and then by how much longer the source is. The second order turns round from
            # one width to the next: where a batch holds two widths, their shapes are alike, too.
            # Equal ones keep their shuffled order.
            width = lengths.max(axis=1)
            difference = lengths[:, 0] - lengths[:, -1]
            difference = np.where(width % 2, difference, -difference)
            bucket = bucket[np.lexsort((difference, width))]
            # Every second bucket is reversed, so that a batch across a boundary has one width.
            buckets.append(bucket[::-1] if len(buckets) % 2 else bucket)
        return np.concatenate(buckets)

    def _cuts(self, order: IntArray) -> list[int]:
        """Return where to cut `order` into batches."""
        batch_size = self._options["batch_size"]
        max_tokens = self._options["max_tokens"]
        if batch_size is not None:
            return list(range(batch_size, len(order), batch_size))
        cuts: list[int] = []
        start = 0  # of the batch that is being filled
        widest = 0
        widths: list[int] = self._lengths.max(axis=1)[order].tolist()
        for position, width in enumerate(widths):
            widest = max(widest, width)
            if widest * (position - start + 1) > max_tokens:
                cuts.append(position)
                start = position
                widest = width
        return cuts

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader is, JSON-able: epoch, batches already given, options, dataset."""
        return {
            "epoch": self._epoch,
            "position": self.position,
            "options": dict(self._options),
            "fingerprint": self._dataset.fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken: the next loop gives just the batches left then.

        Raises
        ------
        ValueError
            If the state is malformed, or belongs to another dataset or to other options.
        """
        if not isinstance(state, Mapping):
            raise ValueError(f"BatchLoader: malformed state: expected a mapping, got {state!r:.60}")
        missing = {"epoch", "position", "options", "fingerprint"} - set(state)
        if missing:
            raise ValueError(f"BatchLoader: malformed state: {', '.join(sorted(missing))} missing")
        if state["fingerprint"] != self._dataset.fingerprint:
            raise ValueError(
                "BatchLoader: the state belongs to another dataset: expected the fingerprint "
                f"{self._dataset.fingerprint[:12]}…, got {str(state['fingerprint'])[:12]}…; "
                "rebuild the dataset from the same pairs and tokenizers"
            )
        options = state["options"]
        if not isinstance(options, Mapping):
            raise ValueError(f"BatchLoader: malformed state: options={options!r:.60}")
        for name, value in self._options.items():
            if options.get(name) != value:
                raise ValueError(
                    f"BatchLoader: the state was taken with {name}={options.get(name)!r}, "
                    f"but this loader has {name}={value!r}; make it with the same options"
                )
        epoch, position = state["epoch"], state["position"]
        if not (type(epoch) is int and type(position) is int and epoch >= 0):
            raise ValueError(
                f"BatchLoader: malformed state: epoch={epoch!r}, position={position!r}"
            )
        batches = self._plan_epoch(epoch)
        if not 0 <= position <= len(batches):
            raise ValueError(
                f"BatchLoader: malformed state: expected a position from 0 to {len(batches)}, "
                f"got {position}"
            )
        self._plan = (epoch, batches)
        self._epoch = epoch
        self._position = position
        self._continue_at = position


def _require_integer(name: str, value: object, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"BatchLoader: expected an integer as {name}, got {value!r}")
    if value < at_least:
        raise ValueError(f"BatchLoader: expected {name} of at least {at_least}, got {value}")

"""Training in one call, with settings that work: AdamW, a cosine schedule, clipped gradients."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Module, Tensor, optim, schedules
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer
from numpy.typing import ArrayLike, NDArray

from foundation_seq.generation._stepwise import Ids
from foundation_seq.models._classifier import SequenceClassifier
from foundation_seq.models._recurrent_lm import RecurrentLM
from foundation_seq.models._seq2seq import Seq2Seq
from foundation_seq.recurrent._layers import LSTMState

__all__ = [
    "ConsecutiveWindows",
    "Memory",
    "Window",
    "classification_loss",
    "language_model_loss",
    "seq2seq_loss",
    "train_classifier",
    "train_lm",
    "train_seq2seq",
]

#: ids (B, T), lengths (B,) and the class of each row.
LabelledBatch: TypeAlias = tuple[Ids, Ids, Ids]
#: source (B, S), its lengths (B,), the target with ``bos_id`` before it, (B, T), and the target
#: with ``eos_id`` behind it, (B, T), with -1 as its padding.
PairBatch: TypeAlias = tuple[Ids, Ids, Ids, Ids]


@dataclass
class Memory:
    """The state of the network, which the windows of one pass over a text hand on.

    Attributes
    ----------
    state : pair of (layers, B, H) tensors or None
        (h, c) at the end of the last window that was read, without its graph; None before the
        first window of a pass, which starts from zeros.
    """

    state: LSTMState | None = None


@dataclass(frozen=True)
class Window:
    """The next tokens of each of B texts, and the tokens after them.

    Attributes
    ----------
    ids, targets : (B, T) integer array
    memory : Memory
        The same object in all windows of one pass. A loss begins with ``memory.state`` and leaves
        there, detached, the state that it has reached, as :func:`language_model_loss` does.
    """

    ids: Ids
    targets: Ids
    memory: Memory


class ConsecutiveWindows:
    """A text as B long rows, read side by side in windows: truncated backpropagation [1]_.

    Nothing is drawn: every pass has the same windows in the same order. The state of the network is
    carried from window to window, but the gradient ends at the edge of a window. So the network
    remembers further back than the gradient reaches.

    Each pass, and so each evaluation, begins with an empty :class:`Memory`, from zeros. The state
    of the network belongs to the ``state_dict``, so that a run that is resumed in the midst of a
    pass goes on with the same bits. Only if several processes share the rows, of which each knows
    the state of its own, the pass goes on from zeros.

    Parameters
    ----------
    ids : (N,) integer array
        What does not fill B rows of one length is left out.
    length : int
        T, how far the gradient reaches.
    batch_size : int
        B.

    Raises
    ------
    ValueError
        If the text is too short.

    References
    ----------
    .. [1] R. J. Williams and J. Peng, "An Efficient Gradient-Based Algorithm for On-Line Training
       of Recurrent Network Trajectories", Neural Computation 2, 1990.

    Examples
    --------
    >>> windows = list(ConsecutiveWindows(np.arange(9), length=2, batch_size=2))
    >>> [w.ids.tolist() for w in windows], windows[1].targets.tolist()
    ([[[0, 1], [4, 5]], [[2, 3], [6, 7]]], [[3, 4], [7, 8]])
    """

    def __init__(self, ids: ArrayLike, length: int, batch_size: int) -> None:
        text = np.asarray(ids)
        if text.ndim != 1 or text.dtype.kind not in "iu":
            raise ValueError(
                f"ConsecutiveWindows: expected the text as (N,) integers, got {text.dtype} of "
                f"shape {text.shape}"
            )
        if length < 1 or batch_size < 1 or len(text) <= length * batch_size:
            raise ValueError(
                f"ConsecutiveWindows: expected at least {length * batch_size + 1} tokens for "
                f"{batch_size} rows of windows of {length}, got {len(text)}"
            )
        self.length = length
        width = (len(text) - 1) // batch_size
        self.rows = np.stack([text[i * width : (i + 1) * width + 1] for i in range(batch_size)])
        self._given = 0  # windows of the present pass
        self._memory = Memory()
        self._continues = False  # the next loop goes on with a pass that was begun

    def __len__(self) -> int:
        return int(self.rows.shape[1] - 1) // self.length

    def __iter__(self) -> Iterator[Window]:
        if not self._continues:
            self._given = 0
            self._memory = Memory()
        self._continues = False
        for number in range(self._given, len(self)):
            start = number * self.length
            part = self.rows[:, start : start + self.length + 1]  # (B, T + 1)
            # Counted before it is handed out, so that a state taken in the body of the loop
            # continues after this window.
            self._given = number + 1
            yield Window(part[:, :-1], part[:, 1:], self._memory)
        self._given = 0
        self._memory = Memory()

    def state_dict(self) -> dict[str, Any]:
        """Where the pass is, and the state of the network there, as JSON values."""
        state = self._memory.state
        # A process that shares the rows with others has the state of its own rows alone.
        is_whole = state is not None and state[0].shape[1] == len(self.rows)
        return {
            "length": self.length,
            "rows": list(self.rows.shape),
            "given": self._given,
            "memory": [_written(part.data) for part in state] if state and is_whole else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken: the next loop gives the windows left then.

        Raises
        ------
        ValueError
            If the state is malformed, or was taken of another text or with another length.
        """
        for name, own in (("length", self.length), ("rows", list(self.rows.shape))):
            if state.get(name) != own:
                raise ValueError(
                    f"ConsecutiveWindows: the state was taken with {name}={state.get(name)!r}, and "
                    f"these have {own!r}; make them of the same text with the same options"
                )
        given = state.get("given")
        if type(given) is not int or not 0 <= given <= len(self):
            raise ValueError(
                f"ConsecutiveWindows: expected from 0 to {len(self)} windows that were given, got "
                f"{given!r}"
            )
        memory = state.get("memory")
        self._memory = Memory()
        if memory is not None:
            try:
                h, c = memory
                self._memory.state = Tensor(_read(h)), Tensor(_read(c))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"ConsecutiveWindows: malformed memory ({error!r})") from None
        self._given = given
        self._continues = True


def _written(values: ArrayLike) -> dict[str, Any]:
    """An array as JSON values, to the last bit."""
    array = np.ascontiguousarray(values)
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": str(array.dtype), "shape": list(array.shape), "base64": data}


def _read(written: Mapping[str, Any]) -> NDArray[Any]:
    """The array that :func:`_written` was given.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is malformed.
    """
    if written["dtype"] not in ("float32", "float64"):
        raise ValueError(f"expected float32 or float64, got {written['dtype']!r:.40}")
    data = base64.b64decode(written["base64"], validate=True)
    return np.frombuffer(data, written["dtype"]).reshape(written["shape"]).copy()


def language_model_loss(model: RecurrentLM, batch: Window) -> tuple[Tensor, int]:
    """Cross-entropy of the next token, from the state on in which the window before ended."""
    logits, (h, c) = model.read(batch.ids, state=batch.memory.state)
    batch.memory.state = h.detach(), c.detach()
    return F.cross_entropy(logits, batch.targets), batch.targets.size


def classification_loss(model: SequenceClassifier, batch: LabelledBatch) -> tuple[Tensor, int]:
    """Cross-entropy of the class."""
    ids, lengths, labels = batch
    return F.cross_entropy(model(ids, lengths), labels), len(labels)


def seq2seq_loss(model: Seq2Seq, batch: PairBatch) -> tuple[Tensor, int]:
    """Cross-entropy of the target tokens, padding left out."""
    source, lengths, target_in, target_out = batch
    loss = F.cross_entropy(model(source, target_in, lengths), target_out, ignore_index=-1)
    return loss, int((target_out != -1).sum())


def _train(
    model: Module,
    loss: Any,
    batches: Iterable[Any],
    steps: int,
    validation: Iterable[Any] | None,
    lr: float,
    rng: np.random.Generator | None,
    callbacks: Sequence[Callback],
    comm: Any,
) -> Trainer:
    trainer = Trainer(
        model,
        loss,
        optim.AdamW(model, lr, weight_decay=0.01),
        schedule=schedules.cosine(lr, max(2, steps), min(100, steps // 2), lr / 20),
        clip_norm=1.0,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )
    trainer.fit(batches, validation=validation, max_steps=steps)
    return trainer


def train_lm(
    model: RecurrentLM,
    batches: Iterable[Window],
    *,
    steps: int,
    validation: Iterable[Window] | None = None,
    lr: float = 4e-3,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train a language model by truncated backpropagation through time.

    Parameters
    ----------
    model : RecurrentLM
    batches : iterable of Window
        Such as :class:`ConsecutiveWindows`.
    steps : int
        Updates.
    validation : iterable of Window, optional
        Evaluated after each pass over the batches and at the end.
    lr : float
        The peak.
    rng : numpy.random.Generator, optional
        Dropout is drawn from it, and nothing else: the first weights come with the model, and the
        order of the batches is theirs. A model without dropout needs none.
    callbacks : sequence of Callback
    comm : mpi4py.MPI.Comm, optional
        Processes that train together, such as ``foundation_nn.distributed.world()``.

    Returns
    -------
    Trainer
        With the history.
    """
    return _train(model, language_model_loss, batches, steps, validation, lr, rng, callbacks, comm)


def train_classifier(
    model: SequenceClassifier,
    batches: Iterable[LabelledBatch],
    *,
    steps: int,
    validation: Iterable[LabelledBatch] | None = None,
    lr: float = 4e-3,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train a classifier on batches of (ids, lengths, labels); otherwise as :func:`train_lm`."""
    return _train(model, classification_loss, batches, steps, validation, lr, rng, callbacks, comm)


def train_seq2seq(
    model: Seq2Seq,
    batches: Iterable[PairBatch],
    *,
    steps: int,
    validation: Iterable[PairBatch] | None = None,
    lr: float = 4e-3,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train on batches of (source, lengths, target_in, target_out); otherwise as `train_lm`."""
    return _train(model, seq2seq_loss, batches, steps, validation, lr, rng, callbacks, comm)

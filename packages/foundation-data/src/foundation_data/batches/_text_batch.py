"""Batches for language models, with the masks that keep documents apart."""

from __future__ import annotations

from dataclasses import dataclass

from foundation_nn import causal_mask

from foundation_data._arrays import BoolArray, IntArray
from foundation_data.batches._rows import longest, split_rows


@dataclass(frozen=True, slots=True, eq=False)
class TextBatch:
    """B rows of text: from each token, the next one is to be told.

    Attributes
    ----------
    ids : (B, T) int64
        What the model reads; padding on the right.
    targets : (B, T) int64
        The token after each, ``pad_id`` at the padding: what a loss must ignore.
    segments : (B, T) int64
        The number of the document in its row, from 1; 0 is padding.
    positions : (B, T) int64
        The place within the document, from 0.
    num_tokens : int
        Real targets: what a loss averages over.
    trained : (B, T) bool, optional
        Which targets a loss counts; None: all real ones. A model that is taught to answer is not to
        learn the questions.
    """

    ids: IntArray
    targets: IntArray
    segments: IntArray
    positions: IntArray
    num_tokens: int
    trained: BoolArray | None = None

    def __len__(self) -> int:
        """Return B."""
        return len(self.ids)

    def split(self, n: int) -> list[TextBatch]:
        """Share the rows out among up to `n` batches, each padded to its own longest only.

        Rows stay in their order. This is what several processes train on; see
        :func:`foundation_nn.distributed.share`.
        """
        parts = []
        for rows in split_rows(len(self), n):
            real = self.key_mask[rows]
            width = longest(real)
            trained = None if self.trained is None else self.trained[rows, :width]
            parts.append(
                TextBatch(
                    ids=self.ids[rows, :width],
                    targets=self.targets[rows, :width],
                    segments=self.segments[rows, :width],
                    positions=self.positions[rows, :width],
                    num_tokens=int((real if trained is None else trained).sum()),
                    trained=trained,
                )
            )
        return parts

    @property
    def key_mask(self) -> BoolArray:
        """Which positions are real, (B, T) bool."""
        return self.segments > 0

    @property
    def mask(self) -> BoolArray:
        """Who may attend to whom, (B, T, T) bool: to the earlier ones of its document, and itself.

        Worked out anew each time. Padding neither attends nor is attended to, so that the pattern
        alone tells what is real. Where each row is one text, a model that looks to the left alone
        needs no mask: what is padding comes after all that is real.
        """
        mask: BoolArray = self.segments[:, :, None] == self.segments[:, None, :]  # (B, T, T)
        mask &= self.key_mask[:, None, :]
        mask &= causal_mask(self.ids.shape[1])
        return mask

    @property
    def padding(self) -> float:
        """The share of the positions that are padding."""
        return 1.0 - int(self.key_mask.sum()) / self.ids.size

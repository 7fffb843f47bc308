"""Batches and tokenizers of the simplest kind, so that these tests need no data package."""

from dataclasses import dataclass

import numpy as np

PAD, BOS, EOS, FIRST = 0, 1, 2, 3


@dataclass(frozen=True)
class Batch:
    source: np.ndarray
    source_mask: np.ndarray
    target_in: np.ndarray
    target_out: np.ndarray
    target_mask: np.ndarray
    num_tokens: int


def padded(rows, pad_id=PAD):
    ids = np.full((len(rows), max(map(len, rows))), pad_id)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    return ids, np.arange(ids.shape[1]) < np.array([len(row) for row in rows])[:, None]


def make_batch(pairs, pad_id=PAD):
    source, source_mask = padded([[*s, EOS] for s, _ in pairs], pad_id)
    target_in, target_mask = padded([[BOS, *t] for _, t in pairs], pad_id)
    target_out, _ = padded([[*t, EOS] for _, t in pairs], pad_id)
    return Batch(source, source_mask, target_in, target_out, target_mask, int(target_mask.sum()))


class Specials:
    bos_id, eos_id = BOS, EOS


class Vocabulary:
    specials = Specials()


class Numbers:
    """A tokenizer whose words are the ids themselves: "5 3" is [5, 3]."""

    vocabulary = Vocabulary()

    def __init__(self, size=100):
        self.size = size

    def encode(self, text, add_bos=False, add_eos=False):
        return [BOS] * add_bos + [int(word) for word in text.split()] + [EOS] * add_eos

    def decode(self, ids):
        return " ".join(map(str, ids))

    def to_dict(self):
        return {"size": self.size}

    @classmethod
    def from_dict(cls, config):
        return cls(**config)

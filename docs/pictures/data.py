"""The pictures of the chapter on data."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import BatchLoader, TranslationDataset, WordTokenizer, tasks
from foundation_data.plotting import MaskMap, plot_coverage, plot_masks, plot_padding


def words() -> Any:
    """How much of the text of this course its most frequent words make up."""
    pages = sorted(Path(__file__).parents[1].glob("*.md"))
    prose = [re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL) for page in pages]
    vocabulary = WordTokenizer.train(prose).vocabulary
    return plot_coverage({"words": vocabulary}, title="The words of this course")


def rectangles() -> Any:
    """Three batches of sentences in random order, and three of similar lengths."""
    pairs = tasks.copy_task(np.random.default_rng(0), 2000, min_len=2, max_len=30)
    dataset = TranslationDataset.from_ids(pairs)
    mixed = list(BatchLoader(dataset, max_tokens=400, bucket=False))
    similar = list(BatchLoader(dataset, max_tokens=400))
    return plot_padding({"in random order": mixed[:3], "similar lengths together": similar[:3]})


def patterns() -> Any:
    """The two rules of a decoder, and both together."""
    tokens = ["<bos>", "le", "chat", "dort", "<pad>"]
    real = np.array([True, True, True, True, False])
    rules = {
        "real: every row looks at real columns": np.tile(real, (5, 1)),
        "causal: none looks at a later one": np.tri(5, dtype=bool),
        "both": np.tri(5, dtype=bool) & real[None, :] & real[:, None],
    }
    return plot_masks([MaskMap(mask, tokens, tokens, title) for title, mask in rules.items()])

"""How often a classifier finds the label of a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundation_transformer._heads import TextClassifier
from foundation_transformer.evaluation._rate import Rate
from foundation_transformer.pretrained import Pretrained, classify


@dataclass(frozen=True)
class LabelScores:
    """How often a classifier finds the right label.

    Attributes
    ----------
    num_texts : int
    accuracy : Rate
        The share of texts whose likeliest label is the right one.
    commonest : Rate
        What would be right if every text were given the commonest label: less than that is worse
        than not to look.
    loss : float
        The mean of -log p(right label), in nats.
    recall : dict of str to Rate
        For each label that stands there, the share of its texts that are found.
    """

    num_texts: int
    accuracy: Rate
    commonest: Rate
    loss: float
    recall: dict[str, Rate]


def score_labels(loaded: Pretrained, texts: Sequence[str], labels: Sequence[str]) -> LabelScores:
    """Compare what a classifier says of texts with their labels.

    Parameters
    ----------
    loaded : Pretrained
        A :class:`TextClassifier` of which each text has one label, and its tokenizer.
    texts : sequence of N str
    labels : sequence of N str

    Raises
    ------
    TypeError
        If it is another kind of model.
    ValueError
        If there is no text, or their number is not that of the labels; if the model does not know
        a label, or scores each by itself.
    """
    model = loaded.model
    if isinstance(model, TextClassifier):
        if model.score != "softmax" or len(model.labels) < 2:
            raise ValueError(
                "score_labels: expected a model that says which one of several labels a text has, "
                f"got score={model.score!r} for {len(model.labels)}"
            )
        for number, label in enumerate(labels):
            if label not in model.labels:
                known = ", ".join(map(repr, model.labels[:20]))
                raise ValueError(
                    f"score_labels: the label {label!r:.60} of text {number} is none that the "
                    f"model has learnt, which are {known}"
                )
    if not texts or len(texts) != len(labels):
        raise ValueError(
            f"score_labels: expected as many labels as texts, at least one; got {len(labels)} "
            f"labels and {len(texts)} texts"
        )
    shares = classify(loaded, texts)
    right = [max(each, key=each.__getitem__) == y for each, y in zip(shares, labels, strict=True)]
    (commonest, _), *_ = Counter(labels).most_common(1)
    tiny = np.finfo(np.float64).tiny
    losses = [-np.log(max(each[y], tiny)) for each, y in zip(shares, labels, strict=True)]
    return LabelScores(
        num_texts=len(texts),
        accuracy=Rate.of(right),
        commonest=Rate.of([label == commonest for label in labels]),
        loss=float(np.mean(losses)),
        recall={
            name: Rate.of([hit for hit, label in zip(right, labels, strict=True) if label == name])
            for name in sorted(set(labels))
        },
    )

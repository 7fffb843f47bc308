"""What a head that classifies tells apart, and how its logits become scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from foundation_nn.files import field

Json: TypeAlias = Mapping[str, Any]


def labels_of(c: Json) -> list[str]:
    """What a head that classifies tells apart; nothing if the folder has no such head.

    Raises
    ------
    ValueError
        If labels are missing, or not numbered from 0.
    """
    architectures = field(c, "architectures", list | None, default=None) or []
    if not any(str(name).endswith("ForSequenceClassification") for name in architectures):
        return []
    names = field(c, "id2label", dict | None, default=None)
    if names is None:
        return [f"LABEL_{i}" for i in range(field(c, "num_labels", int, default=2))]
    labels = {int(index): field(names, index, str) for index in names}
    if sorted(labels) != list(range(len(labels))):
        raise ValueError(f"id2label: expected numbers from 0 on, got {sorted(labels)!r:.60}")
    return [labels[i] for i in range(len(labels))]


def score_of(c: Json, num_labels: int) -> str:
    """How the logits of a head become scores: "softmax", "sigmoid" or "identity"."""
    ours = field(c, "sentence_transformers", dict | None, default=None) or {}
    said = [
        field(ours, "activation_fn", str | None, default=None),
        field(c, "sbert_ce_default_activation_function", str | None, default=None),
    ]
    for name in filter(None, said):
        kind = str(name).rpartition(".")[2].lower()
        if kind not in ("identity", "sigmoid"):
            raise ValueError(f"the activation {name!r:.60} of scores is not supported")
        return kind
    problem = field(c, "problem_type", str | None, default=None)
    if problem == "regression":
        return "identity"
    return "sigmoid" if num_labels == 1 or problem == "multi_label_classification" else "softmax"


def described_head(labels: Sequence[str], score: str) -> dict[str, Any]:
    """What :func:`labels_of` and :func:`score_of` read, for the configuration of a head."""
    described: dict[str, Any] = {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    if score == "identity":
        identity = "torch.nn.modules.linear.Identity"
        return described | {"sentence_transformers": {"activation_fn": identity}}
    if score == "sigmoid" and len(labels) == 1:
        sigmoid = "torch.nn.modules.activation.Sigmoid"
        return described | {"sentence_transformers": {"activation_fn": sigmoid}}
    problem = "multi_label" if score == "sigmoid" else "single_label"
    return described | {"problem_type": f"{problem}_classification"}

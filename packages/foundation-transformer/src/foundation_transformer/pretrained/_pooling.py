"""How the vectors of a text's tokens become one vector, as a folder says it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.files import MAX_BYTES, field, read_json, write_file
from numpy.typing import NDArray

from foundation_transformer.pretrained._dense import Dense, read_dense, write_dense

Vectors = NDArray[np.float32]
Real = NDArray[np.bool_]


def _first(hidden: Vectors, real: Real) -> Vectors:
    first: Vectors = hidden[np.arange(len(hidden)), real.argmax(axis=1)]
    return first


def _last(hidden: Vectors, real: Real) -> Vectors:
    last: Vectors = hidden[np.arange(len(hidden)), real.shape[1] - 1 - real[:, ::-1].argmax(axis=1)]
    return last


def _largest(hidden: Vectors, real: Real) -> Vectors:
    largest: Vectors = np.where(real[..., None], hidden, -np.inf).max(axis=1)
    return largest


def _weighted(hidden: Vectors, weights: NDArray[Any], total: NDArray[Any]) -> Vectors:
    shares = (weights / total[:, None]).astype(hidden.dtype)
    mean: Vectors = np.einsum("bt,btd->bd", shares, np.where(weights[..., None] > 0, hidden, 0))
    return mean


def _mean(hidden: Vectors, real: Real) -> Vectors:
    return _weighted(hidden, real, real.sum(axis=1))


def _mean_by_root(hidden: Vectors, real: Real) -> Vectors:
    return _weighted(hidden, real, np.sqrt(real.sum(axis=1)))


def _later_weighs_more(hidden: Vectors, real: Real) -> Vectors:
    weights = real * np.arange(1, real.shape[1] + 1)
    return _weighted(hidden, weights, weights.sum(axis=1))


#: From hidden (B, T, D) and which tokens are real (B, T) to (B, D), in the order in which several
#: are joined.
_MODES: dict[str, Callable[[Vectors, Real], Vectors]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _later_weighs_more,
    "lasttoken": _last,
}
#: The flags that files of older versions have for them.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


#: The modules of a folder, in the order in which they are applied.
_KINDS = ("Transformer", "Pooling", "Dense", "Normalize")


@dataclass(frozen=True)
class Pooling:
    """From a text to its vector, as sentence-transformers does it [1]_.

    Attributes
    ----------
    modes : tuple of str
        "mean" of the tokens' vectors, "cls" (the first one), "lasttoken", "max" (number by number),
        "weightedmean" (where later tokens weigh more) or "mean_sqrt_len_tokens" (the sum divided by
        the root of their number). The vectors of several are joined.
    dense : tuple of Dense
        Linear layers that the vector goes through, one after the other.
    normalize : bool
        Scale it to length one.
    max_tokens : int or None
        Longer texts are cut to this many tokens. Those that stand around every text count, too.
    prompts : mapping of str to str
        What is written before a text, by what the text is for, such as "query" and "document".
    default_prompt : str or None
        The prompt where none is chosen.
    with_prompt : bool
        Whether the vectors of the prompt's tokens count.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese
       BERT-Networks", EMNLP 2019, arXiv:1908.10084.
    """

    modes: tuple[str, ...] = ("mean",)
    normalize: bool = True
    max_tokens: int | None = None
    prompts: Mapping[str, str] = dataclass_field(default_factory=dict)
    default_prompt: str | None = None
    with_prompt: bool = True
    dense: tuple[Dense, ...] = ()

    def __post_init__(self) -> None:
        for mode in self.modes:
            if mode not in _MODES:
                raise ValueError(
                    f"pooling: {mode!r:.60} is not supported; expected one of {', '.join(_MODES)}"
                )

    def __call__(self, hidden: Vectors, real: Real) -> Vectors:
        """The vectors of B texts: (B, T, D) and which tokens are real (B, T) to (B, D · modes).

        With ``dense`` layers they are as wide as the last of these makes them.
        """
        chosen = [pool(hidden, real) for mode, pool in _MODES.items() if mode in self.modes]
        vectors = np.concatenate(chosen, axis=1)
        for layer in self.dense:
            vectors = layer(vectors)
        if self.normalize:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.where(lengths > 0, lengths, 1)
        return vectors

    def width(self, d_model: int) -> int:
        """How many numbers the vector of a text has.

        Raises
        ------
        ValueError
            If the dense layers do not fit.
        """
        width = d_model * len(self.modes)
        for layer in self.dense:
            if layer.weight.shape[1] != width:
                raise ValueError(
                    f"pooling: expected a dense layer for {width} numbers, got one for "
                    f"{layer.weight.shape[1]}"
                )
            width = layer.weight.shape[0]
        return width

    def prompt(self, name: str | None) -> str:
        """The text of a prompt; of the default one if no name is given.

        Raises
        ------
        ValueError
            If there is none with this name.
        """
        name = self.default_prompt if name is None else name
        if name is None:
            return ""
        if name not in self.prompts:
            known = ", ".join(map(repr, self.prompts)) or "none"
            raise ValueError(f"prompt {name!r:.60}: the model has no such prompt; it has {known}")
        return self.prompts[name]


def folder_pooling(folder: Path, max_bytes: int = MAX_BYTES) -> Pooling:
    """What a folder says of it; without ``modules.json`` the mean, scaled to length one.

    Raises
    ------
    ValueError
        If a file is damaged, or asks for something that is not supported.
    """
    settings: dict[str, Any] = {}
    layers: list[Dense] = []
    if (folder / "modules.json").exists():
        settings["normalize"] = False
        for kind, path in _modules(folder / "modules.json", max_bytes):
            if kind == "Dense":
                layers.append(read_dense(folder / path, max_bytes))
            elif kind == "Pooling":
                settings |= _read(folder / path / "config.json", _pooling_of, max_bytes)
            elif kind == "Normalize":
                settings["normalize"] = True
    # What is said of the model counts more than what is said of its tokenizer.
    for name, reader in (
        ("tokenizer_config.json", _tokenizer_limit_of),
        ("sentence_bert_config.json", _limits_of),
    ):
        if (folder / name).exists():
            settings |= _read(folder / name, reader, max_bytes)
    around = folder / "config_sentence_transformers.json"
    if around.exists():
        settings |= _read(around, _prompts_of, max_bytes)
    try:
        return Pooling(**settings, dense=tuple(layers))
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None


def _read(source: Path, reader: Callable[[Any], dict[str, Any]], max_bytes: int) -> dict[str, Any]:
    content = read_json(source, max_bytes)
    try:
        return reader(content)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _modules(source: Path, max_bytes: int) -> list[tuple[str, str]]:
    """The kind and the folder of each module."""
    modules = read_json(source, max_bytes)
    try:
        if not isinstance(modules, list):
            raise ValueError(f"expected a list of modules, got {type(modules).__name__}")
        found = [
            (field(each, "type", str).rpartition(".")[2], field(each, "path", str))
            for each in modules
        ]
        for kind, path in found:
            if kind not in _KINDS:
                raise ValueError(
                    f"the module {kind!r:.60} is not supported; expected one of {', '.join(_KINDS)}"
                )
            if "/" in path or "\\" in path or path.startswith("."):
                raise ValueError(f"expected folders of this folder, got {path!r:.60}")
        kinds = [kind for kind, _ in found]
        if kinds != sorted(kinds, key=_KINDS.index):
            raise ValueError(f"expected modules in the order {', '.join(_KINDS)}, got {kinds}")
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return found


def _pooling_of(content: Any) -> dict[str, Any]:
    mode = field(content, "pooling_mode", str | list | None, default=None)
    if mode is None:
        modes = [ours for flag, ours in _FLAGS.items() if field(content, flag, bool, default=False)]
    else:
        modes = [mode] if isinstance(mode, str) else field(content, "pooling_mode", list[str])
    with_prompt = field(content, "include_prompt", bool, default=True)
    return {"modes": tuple(modes or ["mean"]), "with_prompt": with_prompt}


def _limits_of(content: Any) -> dict[str, Any]:
    if field(content, "do_lower_case", bool, default=False):
        raise ValueError("do_lower_case is not supported; the tokenizer's normaliser says so")
    longest = field(content, "max_seq_length", int | None, default=None)
    return {} if longest is None else {"max_tokens": longest}


def _tokenizer_limit_of(content: Any) -> dict[str, Any]:
    longest = field(content, "model_max_length", float | None, default=None)
    # A number of thirty digits says that there is no limit.
    return {} if longest is None or longest > 1e9 else {"max_tokens": int(longest)}


def _prompts_of(content: Any) -> dict[str, Any]:
    prompts = field(content, "prompts", dict[str, str], default={})
    default = field(content, "default_prompt_name", str | None, default=None)
    return {"prompts": prompts, "default_prompt": default}


def write_pooling(folder: Path, pooling: Pooling, d_model: int) -> None:
    """Write what :func:`folder_pooling` reads, as sentence-transformers has it.

    Raises
    ------
    ValueError
        If the dense layers do not fit a model of width ``d_model``.
    """
    pooling.width(d_model)
    steps = ["Pooling", *["Dense"] * len(pooling.dense), *["Normalize"] * pooling.normalize]
    names = ["", *(f"{i}_{kind}" for i, kind in enumerate(steps, 1))]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(zip(names, ["Transformer", *steps], strict=True))
    ]
    _write_json(folder / "modules.json", modules)
    modes = {flag: mode in pooling.modes for flag, mode in _FLAGS.items()}
    settings = {"word_embedding_dimension": d_model, **modes, "include_prompt": pooling.with_prompt}
    for name in names[1:]:
        (folder / name).mkdir(exist_ok=True)
    _write_json(folder / names[1] / "config.json", settings)
    for name, layer in zip(names[2:], pooling.dense, strict=False):
        write_dense(folder / name, layer)
    limits = {"max_seq_length": pooling.max_tokens, "do_lower_case": False}
    _write_json(folder / "sentence_bert_config.json", limits)
    prompts = {"prompts": dict(pooling.prompts), "default_prompt_name": pooling.default_prompt}
    _write_json(folder / "config_sentence_transformers.json", prompts)


def _write_json(file: Path, content: Any) -> None:
    write_file(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

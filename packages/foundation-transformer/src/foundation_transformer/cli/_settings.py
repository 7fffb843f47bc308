"""Everything one may choose about a run: from a TOML file, from flags, or from both."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, get_args, get_type_hints

from foundation_nn import did_you_mean
from foundation_nn.files import parse_json, read_text

TASKS = ("translation", "language-model")
_TOKENIZERS = ("word", "char", "bpe")
_METRICS = ("loss", "bleu", "chrf")


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made of; ``help`` of each field is that of its flag."""

    task: str
    data: str = field(
        metadata={
            "help": "pairs in two tab-separated columns (.tsv, .csv; .gz), or a text to continue"
        }
    )
    tokenizer: str | None = _option(
        None, "word, char or bpe (default: word for translation, char for a language model)"
    )
    columns: str | None = _option(
        None,
        "where source and target stand: numbers from 1, such as 1,3, or the names of the fields "
        "in .jsonl, such as en,fr (default: the first two, or source,target)",
    )
    skip_header: bool = _option(False, "the first line names the columns")
    delimiter: str | None = _option(
        None, "what separates the columns, such as ';' or tab (default: as the name of the file)"
    )
    vocab_size: int = _option(16_000, "the most tokens of each vocabulary")
    validation: float = _option(0.1, "the share of the data that is held out; 0: none")
    max_len: int = _option(64, "the longest sentence or window, in tokens")
    batch_size: int = _option(64, "sentences or windows in a batch")
    accumulate: int = _option(1, "batches for each update")
    epochs: int | None = _option(None, "passes over the pairs (default: 10)")
    steps: int | None = _option(
        None, "updates, instead of epochs (default for a language model: 2000)"
    )
    max_seconds: int | None = _option(None, "stop after so many seconds")
    lr: float = _option(3e-3, "the learning rate at its peak")
    warmup: int | None = _option(None, "steps in which it rises (default: a tenth, at most 400)")
    weight_decay: float = _option(0.01, "of matrices")
    label_smoothing: float | None = _option(None, "of translation, in training (default: 0.1)")
    clip_norm: float = _option(1.0, "the largest norm of the gradients")
    ema: float = _option(0.0, "decay of an average of the parameters, such as 0.999; 0: none")
    evaluate_every: int | None = _option(
        None, "steps between evaluations (default: an epoch, or a tenth of the steps)"
    )
    save_every: int | None = _option(
        None, "steps between checkpoints to resume from (default: at each evaluation)"
    )
    keep: int = _option(3, "how many of them stay")
    metric: str = _option("loss", "what is best: loss, bleu or chrf")
    target_language: str | None = _option(
        None, "code such as zh or ja: how BLEU finds the words (default: by the letters)"
    )
    patience: int | None = _option(
        None, "stop after so many evaluations without improvement (default: never)"
    )
    samples: int = _option(3, "translations shown at each evaluation")
    skip_failed: bool = _option(False, "leave out steps with a loss that is not finite")
    seed: int = _option(0, "of first weights, order of the batches, dropout and samples")
    model: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "a field of the model, such as --model d_model=64"}
    )

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for each in fields(self):
            value = getattr(self, each.name)
            kinds = get_args(types[each.name]) or (types[each.name],)
            if each.name == "model":
                kinds = (dict,)
            elif float in kinds:
                kinds = (*kinds, int)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                names = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
                raise ValueError(f"{each.name}: expected {names}, got {value!r}")
        _among("task", self.task, TASKS)
        _among("metric", self.metric, _METRICS)
        if self.tokenizer is not None:
            _among("tokenizer", self.tokenizer, _TOKENIZERS)
        for name in ("vocab_size", "max_len", "batch_size", "accumulate", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("epochs", "steps", "max_seconds", "evaluate_every", "save_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if self.samples < 0:
            raise ValueError(f"samples: expected at least 0, got {self.samples}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation: expected a share from 0 to 1, got {self.validation}")
        if self.lr <= 0:
            raise ValueError(f"lr: expected more than 0, got {self.lr}; nothing would be learnt")
        self._refuse_what_would_be_ignored()

    @property
    def tokenizer_kind(self) -> str:
        """The tokenizer that is trained, also if none was named."""
        return self.tokenizer or ("word" if self.task == "translation" else "char")

    @property
    def smoothing(self) -> float:
        """The label smoothing of a translation, also if none was given."""
        return 0.1 if self.label_smoothing is None else self.label_smoothing

    def _refuse_what_would_be_ignored(self) -> None:
        """A setting that changes nothing is a mistake of the user, who should hear of it.

        Raises
        ------
        ValueError
        """
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps: a run ends by one of them; leave the other out")
        if self.task == "language-model":
            if self.metric != "loss":
                raise ValueError(
                    f"metric: a language model has the loss alone, got {self.metric!r}"
                )
            for name in (
                "epochs",
                "label_smoothing",
                "columns",
                "skip_header",
                "delimiter",
                "target_language",
            ):
                value = getattr(self, name)
                if value is not None and value is not False:
                    remedy = "; give steps instead" if name == "epochs" else ""
                    raise ValueError(f"{name}: does nothing for a language model{remedy}")
        if not self.validation:
            given = {"patience": self.patience, "evaluate_every": self.evaluate_every}
            idle = [name for name, value in given.items() if value is not None]
            if self.metric != "loss":
                idle.append("metric")
            if idle:
                raise ValueError(f"{idle[0]}: does nothing where nothing is held out; validation=0")

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`.

        Raises
        ------
        ValueError
            For an unknown or missing field, or a value of the wrong kind.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"unknown setting {name!r}{did_you_mean(name, known)}")
        for each in fields(cls):
            if _required(each) and each.name not in values:
                raise ValueError(f"the setting {each.name!r} is missing")
        return cls(**values)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each setting; what is not given is left to the file, or the default."""
    types = get_type_hints(Settings)
    for each in fields(Settings):
        text = each.metadata.get("help", "")
        flag = f"--{each.name.replace('_', '-')}"
        kinds = set(get_args(types[each.name]) or (types[each.name],)) - {type(None)}
        if each.default is not MISSING and each.default is not None and each.default is not False:
            text += f" (default: {each.default})"
        if each.name == "task":
            continue
        if each.name == "model":
            parser.add_argument(flag, action="append", metavar="NAME=VALUE", help=text)
        elif kinds == {bool}:
            parser.add_argument(flag, action="store_true", default=None, help=text)
        else:
            kind = kinds.pop()
            name = "FILE" if each.name == "data" else {int: "N", float: "X", str: "TEXT"}[kind]
            parser.add_argument(flag, type=kind, metavar=name, help=text)


def settings_of(options: argparse.Namespace) -> Settings:
    """From ``foundation train WHAT …``: a task, or a TOML file; flags win.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or a setting is unknown or wrong.
    """
    values: dict[str, Any] = {}
    if options.what in TASKS:
        values["task"] = options.what
    elif options.what.endswith(".toml"):
        values = _read_toml(Path(options.what))
    else:
        raise ValueError(
            f"expected one of {TASKS} or a .toml file, got {options.what!r}"
            f"{did_you_mean(options.what, TASKS)}"
        )
    source = f"{options.what}: " if options.what.endswith(".toml") else ""
    for each in fields(Settings):
        given = getattr(options, each.name, None)
        if each.name == "model" and given:
            values["model"] = values.get("model", {}) | dict(map(_assignment, given))
        elif given is not None and each.name != "task":
            values[each.name] = given
    if "data" not in values:
        raise ValueError(f"{source}there is nothing to train on; give it with --data FILE")
    try:
        return Settings.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{source}{error}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path}: not valid TOML ({reason})") from None


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--model: expected NAME=VALUE, got {text!r}")
    try:
        return name, parse_json(value)
    except ValueError:
        return name, value


def _among(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: unknown {value!r}{did_you_mean(value, known)}")


def _required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING

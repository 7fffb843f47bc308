"""Everything one may choose about a run: from a TOML file, from flags, or from both."""

from __future__ import annotations

import argparse
import datetime as dt
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, get_args, get_type_hints

from foundation_nn import did_you_mean
from foundation_nn.files import parse_json, read_text

TASKS = ("translation", "language-model", "finetune")
#: What the tasks are called in sentences.
_CALLED = {
    "translation": "translation",
    "language-model": "a language model",
    "finetune": "fine-tuning",
}
#: The tasks of ``foundation train``, which begin with a model that knows nothing.
FROM_SCRATCH = TASKS[:2]
TOKENIZERS = ("word", "char", "bpe", "wordpiece", "unigram")
OPTIMIZERS = ("adamw", "adam", "sgd", "lion", "muon", "adafactor", "rmsprop", "adagrad")
SCHEDULES = ("cosine", "linear", "wsd", "noam", "constant")
_METRICS = ("loss", "bleu", "chrf")
_TRANSLATION = ("translation",)
_LANGUAGE_MODEL = ("language-model",)
_FINETUNE = ("finetune",)


def _option(default: Any, text: str, **rules: Any) -> Any:
    """A setting.

    ``rules`` are ``at_least``, ``more_than``, ``less_than`` and ``among``; ``metavar`` stands for
    the value in the help of the flag. ``of`` are the tasks in which it does something, where these
    are not all.
    """
    return field(default=default, metadata={"help": text, **rules})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made of; ``help`` of each field is that of its flag."""

    task: str = field(metadata={"among": TASKS})
    data: str = field(
        metadata={
            "help": "translation: pairs in two tab-separated columns (.tsv, .csv; .gz); language "
            "model: a text, a pattern in quotes such as 'texts/*.txt' (each file, and each line "
            "of a .jsonl, is a text of its own), or the folder that foundation tokenizer encode "
            "wrote; fine-tuning: JSON lines with messages, prompt and completion, text, or text "
            "and label",
            "metavar": "FILE",
        }
    )
    base: str | None = _option(
        None,
        "the model that is tuned: its folder, a file .gguf, or a run of your own",
        of=_FINETUNE,
    )
    lora: int | None = _option(
        None,
        "learn a change of this rank beside the weights, which stay as they are (default: 8)",
        at_least=1,
        metavar="RANK",
        of=_FINETUNE,
    )
    full: bool = _option(False, "learn all weights, instead of a change beside them", of=_FINETUNE)
    alpha: float | None = _option(
        None,
        "the change is multiplied by this and divided by its rank (default: twice the rank)",
        more_than=0,
        of=_FINETUNE,
    )
    lora_dropout: float = _option(
        0.0, "of what the change reads, in training", at_least=0, less_than=1, of=_FINETUNE
    )
    targets: str | None = _option(
        None,
        "the matrices that are changed, of q,k,v,o,gate,up,down (default: all)",
        metavar="A,B",
        of=_FINETUNE,
    )
    compact: bool = _option(
        False, "keep the weights in one byte each: a quarter of the memory", of=_FINETUNE
    )
    date: str | None = _option(
        None,
        "what a chat template takes for the present day (default: the day on which the run begins)",
        metavar="YYYY-MM-DD",
        of=_FINETUNE,
    )
    tokenizer: str | None = _option(
        None,
        "word, char, bpe, wordpiece, unigram, or a file that foundation tokenizer train wrote "
        "(default: word for translation, char for a language model)",
        metavar="KIND",
        of=FROM_SCRATCH,
    )
    columns: str | None = _option(
        None,
        "where source and target stand: numbers from 1, such as 1,3, or the names of the fields "
        "in .jsonl, such as en,fr (default: the first two, or source,target)",
        metavar="A,B",
        of=_TRANSLATION,
    )
    skip_header: bool = _option(False, "the first line names the columns", of=_TRANSLATION)
    delimiter: str | None = _option(
        None,
        "what separates the columns, such as ';' or tab (default: as the name of the file)",
        of=_TRANSLATION,
    )
    vocab_size: int | None = _option(
        None,
        "how many tokens each vocabulary may have at most (default: 16000)",
        at_least=1,
        of=FROM_SCRATCH,
    )
    validation: float | None = _option(
        None,
        "the share of the data that is held out to measure the model; for a language model it is "
        "the end of the text, at most 400,000 characters; 0: none (default: 0.1)",
        at_least=0,
        less_than=1,
    )
    held_out: str | None = _option(
        None,
        "hold out what is in this file instead; for a language model, a pattern will do, too",
        metavar="FILE",
    )
    pack: bool = _option(
        False,
        "language model: put several whole texts into a row, where they do not see one another, "
        "instead of windows from anywhere in the texts",
        of=_LANGUAGE_MODEL,
    )
    max_len: int = _option(64, "the longest sentence or window, in tokens", at_least=1)
    depth: int | None = _option(
        None,
        "the size of the model in one number: how many layers it has; width, heads, batch and "
        "learning rate follow from it, and 12 is the smallest GPT-2 (default: a small model with 2 "
        "or 4 layers)",
        at_least=1,
        of=FROM_SCRATCH,
    )
    batch_size: int | None = _option(
        None, "sentences or windows in a batch (default: 64, or 16 times the depth)", at_least=1
    )
    accumulate: int = _option(1, "add up the gradients of N batches for each update", at_least=1)
    epochs: int | None = _option(
        None, "passes over the pairs, or over packed texts (default: 10)", at_least=1
    )
    steps: int | None = _option(
        None, "updates, instead of epochs (default for a language model: 2000)", at_least=1
    )
    max_seconds: int | None = _option(None, "stop training after N seconds", at_least=1)
    optimizer: str = _option(
        "adamw", f"one of {', '.join(OPTIMIZERS)}", among=OPTIMIZERS, metavar="NAME"
    )
    schedule: str = _option(
        "cosine",
        f"how the learning rate goes on after its rise: one of {', '.join(SCHEDULES)}",
        among=SCHEDULES,
        metavar="NAME",
    )
    lr: float | None = _option(
        None,
        "the learning rate at its peak (default: 0.003 with adamw, less with depth; --find-lr "
        "proposes one)",
        more_than=0,
    )
    warmup: int | None = _option(
        None,
        "steps in which the rate rises to its peak (default: a tenth of all, at most 400)",
        at_least=0,
    )
    weight_decay: float | None = _option(
        None, "how strongly matrices are pulled towards zero (default: 0.01)", at_least=0
    )
    label_smoothing: float | None = _option(
        None,
        "translation: smoothing of the labels in training (default: 0.1)",
        at_least=0,
        less_than=1,
        of=_TRANSLATION,
    )
    clip_norm: float = _option(
        1.0, "gradients that are longer than this are shortened to it", more_than=0
    )
    ema: float = _option(
        0.0,
        "decay of an average of the parameters, such as 0.999; 0: none",
        at_least=0,
        less_than=1,
    )
    evaluate_every: int | None = _option(
        None, "steps between evaluations (default: an epoch, or a tenth of the steps)", at_least=1
    )
    save_every: int | None = _option(
        None,
        "steps between checkpoints to resume from (default: at each evaluation)",
        at_least=1,
    )
    keep: int = _option(3, "keep the last N of these checkpoints", at_least=1)
    metric: str = _option(
        "loss",
        "which score decides what the best model is: loss, bleu or chrf; the last two are measured "
        "on 200 held-out pairs, which the seed chooses",
        among=_METRICS,
        metavar="NAME",
        of=_TRANSLATION,
    )
    target_language: str | None = _option(
        None,
        "a code such as zh or ja, which tells BLEU how to find the words (default: by the letters)",
        metavar="CODE",
        of=_TRANSLATION,
    )
    patience: int | None = _option(
        None, "stop after N evaluations in a row without improvement (default: never)", at_least=1
    )
    samples: int = _option(
        3, "show N translations at each evaluation; a language model shows one text", at_least=0
    )
    skip_failed: bool = _option(False, "leave out steps with a loss that is not finite")
    seed: int = _option(
        0,
        "the seed of the first weights, the order of the batches, dropout, samples, and what bleu "
        "is measured on",
        at_least=0,
    )
    model: dict[str, Any] = field(
        default_factory=dict,
        metadata={
            "help": "a field of the model, such as --model d_model=64",
            "of": FROM_SCRATCH,  # the shape of a model that is tuned is that of the base
        },
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each, getattr(self, each.name))
        self._refuse_what_would_be_ignored()

    @property
    def tokenizer_kind(self) -> str:
        """The tokenizer that is trained, also if none was named."""
        return self.tokenizer or ("word" if self.task == "translation" else "char")

    @property
    def smoothing(self) -> float:
        """The label smoothing of a translation, also if none was given."""
        return 0.1 if self.label_smoothing is None else self.label_smoothing

    @property
    def held_out_share(self) -> float:
        """The part of the data that is held out; none of it where other files are."""
        if self.held_out is not None:
            return 0.0
        return 0.1 if self.validation is None else self.validation

    def _refuse_what_would_be_ignored(self) -> None:
        """A setting that changes nothing is a mistake of the user, who should hear of it.

        Raises
        ------
        ValueError
        """
        self._check_tokenizer()
        for each in fields(self):
            tasks = each.metadata.get("of", TASKS)
            if self.task not in tasks and getattr(self, each.name) != _default(each):
                raise ValueError(f"{each.name}: does nothing for {_CALLED[self.task]}")
        if self.optimizer == "adam" and self.weight_decay is not None:
            raise ValueError("weight_decay: adam has none; take adamw")
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps: a run ends by one of them; leave the other out")
        if self.task == "language-model" and self.epochs is not None and not self.pack:
            raise ValueError(
                "epochs: does nothing for a language model; give steps instead, or pack"
            )
        if self.task == "finetune":
            self._check_tuning()
        if self.held_out is not None and self.validation is not None:
            raise ValueError("validation: does nothing where held_out names what is held out")
        if self.held_out is None and not self.held_out_share:
            given = {"patience": self.patience, "evaluate_every": self.evaluate_every}
            idle = [name for name, value in given.items() if value is not None]
            if self.metric != "loss":
                idle.append("metric")
            if idle:
                raise ValueError(f"{idle[0]}: does nothing where nothing is held out; validation=0")

    def _check_tuning(self) -> None:
        """What holds for fine-tuning alone.

        Raises
        ------
        ValueError
        """
        if self.base is None:
            raise ValueError("base: there is no model to tune; see foundation finetune --help")
        if self.date is not None:
            try:
                dt.date.fromisoformat(self.date)
            except ValueError:
                raise ValueError(f"date: expected YYYY-MM-DD, got {self.date!r}") from None
        if self.full:
            for name in ("lora", "alpha", "lora_dropout", "targets", "compact"):
                if getattr(self, name):
                    raise ValueError(f"{name}: does nothing with full, which changes all weights")

    @property
    def rank(self) -> int | None:
        """Of the change beside the weights; None if the weights themselves are learnt."""
        return None if self.full else self.lora or 8

    def _check_tokenizer(self) -> None:
        """A word that is no kind may be a file, which need not be there to resume a run.

        Raises
        ------
        ValueError
        """
        if self.tokenizer is None or self.tokenizer in TOKENIZERS:
            return
        file = Path(self.tokenizer)
        if not (file.suffix or file.name != self.tokenizer or file.exists()):
            raise ValueError(
                f"tokenizer: expected {', '.join(TOKENIZERS)} or a file, got {self.tokenizer!r}"
                f"{did_you_mean(self.tokenizer, TOKENIZERS, or_all=False)}"
            )
        if self.vocab_size is not None:
            raise ValueError("vocab_size: does nothing with a tokenizer that is trained already")

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


#: The tasks in which a setting does something, where these are not all.
TASKS_OF: Mapping[str, Sequence[str]] = {
    each.name: each.metadata["of"] for each in fields(Settings) if "of" in each.metadata
}


def add_flags(
    parser: argparse.ArgumentParser,
    tasks: Sequence[str],
    others: Mapping[str, str] | None = None,
) -> None:
    """A flag for each setting; what is not given is left to the file, or the default.

    Parameters
    ----------
    parser : ArgumentParser
    tasks : sequence of str
        What does nothing for any of them has no flag.
    others : mapping of str to str, optional
        Help that differs for them, by the name of the setting.
    """
    for each in fields(Settings):
        if not set(tasks) & set(each.metadata.get("of", TASKS)):
            continue
        text = each.metadata.get("help", "")
        flag = f"--{each.name.replace('_', '-')}"
        kinds = _kinds(each)
        if each.default is not MISSING and each.default is not None and each.default is not False:
            text += f" (default: {each.default})"
        text = (others or {}).get(each.name, text)
        if each.name in ("task", "base"):
            continue
        if each.name == "model":
            parser.add_argument(flag, action="append", metavar="NAME=VALUE", help=text)
        elif kinds == (bool,):
            parser.add_argument(flag, action="store_true", default=None, help=text)
        else:
            name = each.metadata.get("metavar", _METAVARS[kinds[0]])
            parser.add_argument(flag, type=_reader(kinds[0]), metavar=name, help=text)


_METAVARS = {int: "N", float: "X", str: "TEXT"}


def _reader(kind: type) -> Callable[[str], Any]:
    """What reads the value of a flag."""

    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}") from None

    return read


#: What is usual where a model is tuned, and not where it begins with nothing.
_USUAL_TUNING = {"max_len": 512, "batch_size": 4}


def settings_of(options: argparse.Namespace) -> Settings:
    """From ``foundation train WHAT …`` and its like: a task, or a TOML file; flags win.

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
            f"expected one of {FROM_SCRATCH} or a .toml file, got {options.what!r}"
            f"{did_you_mean(options.what, FROM_SCRATCH)}"
        )
    source = f"{options.what}: " if options.what.endswith(".toml") else ""
    for each in fields(Settings):
        given = getattr(options, each.name, None)
        if each.name == "model" and given:
            values["model"] = values.get("model", {}) | dict(map(_assignment, given))
        elif given is not None and each.name != "task":
            values[each.name] = given
    if values.get("task") == "finetune":
        values = _USUAL_TUNING | values
        if not values.get("steps"):
            values.setdefault("epochs", 3)
    if "data" not in values:
        raise ValueError(f"{source}there is nothing to train on; give it with --data FILE")
    try:
        return Settings.from_dict(values)
    except ValueError as error:
        name, colon, message = str(error).partition(":")
        if colon and getattr(options, name, None) is not None:
            raise ValueError(f"--{name.replace('_', '-')}:{message}") from None
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


def _kinds(each: Field[Any]) -> tuple[type, ...]:
    """What the value of a setting may be, None aside."""
    declared: Any = get_type_hints(Settings)[each.name]
    if each.name == "model":
        return (dict,)
    kinds = get_args(declared) or (declared,)
    return tuple(kind for kind in kinds if kind is not type(None))


def _check(each: Field[Any], value: Any) -> None:
    """Refuse a value of the wrong kind, or one that breaks the rules of its setting.

    Raises
    ------
    ValueError
    """
    name = each.name
    rules = each.metadata
    if value is None and each.default is None:
        return
    kinds = _kinds(each)
    allowed = (*kinds, int) if float in kinds else kinds
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name}: expected {_NAMES[kinds[0]]}, got {value!r}")
    if "among" in rules and value not in rules["among"]:
        raise ValueError(f"{name}: unknown {value!r}{did_you_mean(str(value), rules['among'])}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    if "at_least" in rules and "less_than" in rules:
        if not rules["at_least"] <= value < rules["less_than"]:
            bounds = f"from {rules['at_least']} to less than {rules['less_than']}"
            raise ValueError(f"{name}: expected a number {bounds}, got {value}")
    elif "at_least" in rules and value < rules["at_least"]:
        raise ValueError(f"{name}: expected at least {rules['at_least']}, got {value}")
    elif "more_than" in rules and value <= rules["more_than"]:
        raise ValueError(f"{name}: expected more than {rules['more_than']}, got {value}")


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "a table",
}


def _default(each: Field[Any]) -> Any:
    """What a setting is where nothing was said; of one that has to be given, MISSING."""
    return each.default if each.default_factory is MISSING else each.default_factory()


def _required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING

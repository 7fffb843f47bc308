"""Data, model and loss of a run that tunes a model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import (
    BatchLoader,
    TextDataset,
    Tokenizer,
    TuningExample,
    read_examples,
)
from foundation_nn import Tensor
from foundation_nn.training import Sample
from foundation_seq import generate

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._known_tokens import KnownTokens
from foundation_transformer.cli._labelling import labelling_task
from foundation_transformer.cli._learner import learner_of, require_change, tuned
from foundation_transformer.cli._lessons import Lessons, Teacher, describe, show, split
from foundation_transformer.cli._pretrained import load_base, record_of
from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._size import batch_size_of
from foundation_transformer.cli._streams import printable
from foundation_transformer.cli._task_kind import Task
from foundation_transformer.pretrained import Pretrained
from foundation_transformer.recipes import answer_loss, classification_loss

#: The longest answer of a sample, in tokens.
_MAX_ANSWER = 64


def tuning_task(settings: Settings) -> Task:
    """Read the base and the examples.

    Parameters
    ----------
    settings : Settings
        Resolved.

    Raises
    ------
    OSError, ValueError
        If the base is no language model with a tokenizer, or the examples cannot be used.
    """
    examples = read_examples(settings.data)
    if examples[0].kind == "label":
        return labelling_task(settings, examples)
    base, train, held_out, teacher = _prepared(settings, examples)
    tokenizer = teacher.tokenizer
    print(describe([train, held_out] if held_out.texts else [train], teacher.length))
    print(
        f"{train.num_learnt:,} tokens to learn in {len(train.texts):,} texts, "
        f"{held_out.num_learnt:,} held out"
    )
    batch_size = batch_size_of(settings)
    rows = _rows(train, teacher.length)
    batches = BatchLoader(rows, batch_size, seed=settings.seed, prefetch=2)
    validation = None
    fingerprints = {"train": rows.fingerprint}
    if held_out.texts:
        held_out_rows = _rows(held_out, teacher.length)
        validation = BatchLoader(held_out_rows, batch_size, shuffle=False)
        fingerprints["held_out"] = held_out_rows.fingerprint
    record = record_of(Path(str(settings.base)))
    fingerprints["base"] = record.sha256
    kept: dict[str, Any] = {"tokenizer": tokenizer, "generation": base.generation}
    if base.chat_template is not None:
        kept["chat_template"] = base.chat_template
    model: CausalLM = base.model  # type: ignore[assignment]
    if settings.rank is not None:
        kept["base"] = record
    require_change(settings, model)
    return Task(
        model.config,
        lambda rng: learner_of(settings, model, rng),
        tuning_loss,
        batches,
        validation,
        len(batches),
        kept,
        _samples(settings, held_out, teacher, base) if held_out.texts else None,
        {},
        fingerprints,
        f"that of {settings.base}",
    )


def tuning_loss(learner: Any, batch: Any) -> tuple[Tensor, int]:
    """The loss of labels, or of answers: of a model or of the change beside one."""
    if isinstance(tuned(learner), TextClassifier):
        return classification_loss(learner, batch)
    return answer_loss(tuned(learner), batch)


def show_an_example(settings: Settings) -> None:
    """Print one text, with what is learnt of it in colour, and how that was found."""
    examples = read_examples(settings.data)
    if examples[0].kind == "label":
        print(f"{printable(examples[0].text)}\n→ {printable(examples[0].label)}")
        return
    _, train, held_out, teacher = _prepared(settings, examples)
    print(describe([train, held_out] if held_out.texts else [train], teacher.length))
    coloured = sys.stdout.isatty()
    print("what is learnt is " + ("green" if coloured else "in ⟦ ⟧") + ":\n")
    print(show(train.texts[0], teacher.tokenizer, coloured))


def _prepared(
    settings: Settings, examples: list[TuningExample]
) -> tuple[Pretrained, Lessons, Lessons, Teacher]:
    """The base, what is trained on, what is held out, and who made texts of it."""
    base = load_base(Path(str(settings.base)), settings.compact)
    if not isinstance(base.model, CausalLM) or base.tokenizer is None:
        raise ValueError(f"{settings.base}: expected a language model with its tokenizer")
    now = datetime.fromisoformat(str(settings.date))
    length = min(settings.max_len, base.model.config.max_len)
    teacher = Teacher(base.tokenizer, base.chat_template, length, now)
    if settings.held_out is None:
        parts = split(examples, settings.held_out_share)
    else:
        parts = examples, read_examples(settings.held_out)
    for name, part in zip((settings.data, settings.held_out or settings.data), parts, strict=True):
        if base.chat_template is None and any(each.kind == "messages" for each in part):
            raise ValueError(
                f"{name}: holds messages, and {settings.base} has no chat template to write them "
                "with; give prompt and completion, or tune a model that was taught to answer"
            )
    train = teacher.lessons(settings.data, parts[0])
    held_out = teacher.lessons(f"{settings.held_out or 'held out'}", parts[1])
    if not train.texts:
        raise ValueError(f"{settings.data}: no example is left to learn from:\n{train.report}")
    if not held_out.texts and (settings.held_out is not None or settings.held_out_share):
        raise ValueError(
            f"{settings.data}: {len(examples)} examples are too few to hold some out; "
            "--validation 0 holds out none"
        )
    return base, train, held_out, teacher


def _rows(lessons: Lessons, length: int) -> TextDataset:
    """Several texts in a row, which do not see one another."""
    return TextDataset.from_ids(
        [text.ids for text in lessons.texts],
        length,
        pack=True,
        trained=[text.trained for text in lessons.texts],
    )


def _samples(
    settings: Settings, held_out: Lessons, teacher: Teacher, base: Pretrained
) -> Callable[[Any], list[str | Sample]]:
    """What the model answers to some of the examples that are held out."""
    asked = [example for example in held_out.examples if example.kind != "text"]
    places = np.linspace(0, len(asked) - 1, min(settings.samples, len(asked))).round().astype(int)
    chosen = [asked[i] for i in places.tolist()]
    tokenizer: Tokenizer = teacher.tokenizer

    def samples(learner: Any) -> list[str | Sample]:
        model = KnownTokens(tuned(learner), len(tokenizer))
        found: list[str | Sample] = []
        for example in chosen:
            prompt = teacher.prompt(example)
            room = min(_MAX_ANSWER, tuned(learner).config.max_len - len(prompt))
            if room < 1:
                continue
            (new,) = generate(model, [prompt], room, stop_ids=base.stop_ids)
            texts = example.key, tokenizer.decode(new), _expected(example)
            found.append(Sample(*(printable(text.replace("\n", "⏎")) for text in texts)))
        return found

    return samples


def _expected(example: TuningExample) -> str:
    """The answer that stands in the file."""
    if example.kind == "completion":
        return example.text
    answers = [m.get("content") for m in example.messages if m["role"] == "assistant"]
    return str(answers[-1] or "")

"""The lm-eval harness and our own evaluation of the same questions, with a published model.

    python integration_tests/harness MODEL      nox -s harness runs it

The harness asks through `HarnessModel`. Its accuracy, also per byte, must be ours, and so must be
the answers that it has written.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

from foundation_transformer import load_pretrained
from foundation_transformer.evaluation import (
    HarnessModel,
    read_questions,
    score_answers,
    score_choices,
)
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

CHOICES = [
    ("The capital of France is", ["Paris", "Berlin", "Rome", "Madrid"], 0),
    ("The capital of Italy is", ["Paris", "Berlin", "Rome", "Madrid"], 2),
    ("Grass is usually", ["green", "made of steel and very loud"], 0),
    ("The opposite of hot is", ["warm", "cold", "a table"], 1),
    ("Question: How many legs has a spider?\nAnswer:", ["two", "four", "eight", "a hundred"], 2),
    ("Fish live in", ["water", "trees", "clouds of dust"], 0),
    ("Water freezes to", ["ice", "steam", "sand"], 0),
    ("The day after Monday is", ["Sunday", "Tuesday", "Christmas Day"], 1),
]
ANSWERS = [
    ("Question: What is the capital of France?\nAnswer:", "Paris"),
    ("Question: What colour has snow?\nAnswer:", "White"),
    ("one, two, three, four,", "five"),
]


class Harness(HarnessModel, LM):
    """Our model, as the harness wants it."""


def local_task(name, path, **options):
    """A task of the harness whose data set is a file."""
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "num_fewshot": 0,
        **options,
    }


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def main(place):
    loaded = load_pretrained(place)
    model, tokenizer = loaded.model, loaded.tokenizer
    harness = Harness(model, tokenizer, prefix_id=loaded.stop_ids[0], stop_ids=loaded.stop_ids)
    with tempfile.TemporaryDirectory() as folder:
        choices = write(
            Path(folder, "choices.jsonl"),
            [{"question": q, "choices": c, "answer": a} for q, c, a in CHOICES],
        )
        answers = write(
            Path(folder, "answers.jsonl"), [{"question": q, "answer": a} for q, a in ANSWERS]
        )
        tasks = [
            local_task(
                "our_choices",
                choices,
                output_type="multiple_choice",
                doc_to_choice="{{choices}}",
                doc_to_target="{{answer}}",
                metric_list=[{"metric": "acc"}, {"metric": "acc_bytes"}],
            ),
            local_task(
                "our_answers",
                answers,
                output_type="generate_until",
                doc_to_target="{{answer}}",
                generation_kwargs={"until": ["\n"], "max_gen_toks": 12},
                metric_list=[
                    {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}
                ],
            ),
        ]
        found = simple_evaluate(
            harness, tasks=tasks, task_manager=TaskManager(), bootstrap_iters=0, log_samples=True
        )
        ours = score_choices(model, tokenizer, read_questions(choices))
        written = score_answers(
            model,
            tokenizer,
            read_questions(answers),
            stop_ids=loaded.stop_ids,
            max_new_tokens=12,
        )
    theirs = found["results"]["our_choices"]
    rows = [
        ("accuracy", theirs["acc,none"], ours.accuracy.value),
        ("accuracy per byte", theirs["acc_bytes,none"], ours.accuracy_per_byte.value),
    ]
    by_id = sorted(found["samples"]["our_choices"], key=lambda sample: sample["doc_id"])
    for sample, choices_of_one in zip(by_id, ours.choices, strict=True):
        logs = [response[0][0] for response in sample["resps"]]
        rows += [
            (f"log-likelihood of {text!r}", float(log), choice.total)
            for text, log, choice in zip(
                sample["doc"]["choices"], logs, choices_of_one, strict=True
            )
        ]
    differ = [row for row in rows if not math.isclose(row[1], row[2], abs_tol=1e-4)]
    for name, one, other in rows[:2] + differ:
        print(f"{name:30} harness {one:.4f}   ours {other:.4f}")
    by_id = sorted(found["samples"]["our_answers"], key=lambda sample: sample["doc_id"])
    for sample, text in zip(by_id, written.written, strict=True):
        said = sample["resps"][0][0].strip()
        print(f"harness {said!r}   ours {text!r}")
        if said != text:
            differ.append(("answer", said, text))
    print(f"{len(rows)} numbers and {len(ANSWERS)} answers compared, {len(differ)} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""What one may type after the commands that measure a model and look inside."""

from __future__ import annotations

from pathlib import Path

from foundation_transformer.cli._parser import (
    Commands,
    Parser,
    add_base,
    add_columns,
    natural,
    positive,
)

EVALUATE = """\
Translation: BLEU, chrF and exact matches on pairs. Language model: loss, perplexity and bits per
byte on a text (--data), or how many questions it answers (--task). Classifier: accuracy on lines of
text and label, as finetune takes them. TASK holds a question in each
line of JSON, all with choices or all without:
  {"question": "Grass is", "choices": ["green", "loud"], "answer": 0}
  {"question": "The capital of France is", "answer": "Paris"}
"""
REPORT = """\
Write a page with the best score, curves of loss, learning rate and gradient norms, samples below
what was expected, and all settings with what they came to. It can be written while the run goes on.
"""
INSPECT = "Verify a checkpoint, or read a published model, and tell what is in it."
ATTENTION = """\
Write a page for the browser that shows where each head of each layer looks. It opens with the
attention to the source, if the model has a source, or else with the layer that shows most.
"""
SURPRISAL = """\
Show a text in which each token is the darker, the less a language model expected it. This is
measured in bits: 1 bit if the model gave the token a probability of one half, 10 bits for one in a
thousand. Into a file or a pipe, the command writes lines of bits, probability and token instead.
"""
REPLAY = """\
Run a step again whose loss or gradient was not finite, and watch every operation to find where it
began. BUNDLE is the folder failed_step_N within the folder of the run.
"""


def add_measures(commands: Commands) -> None:
    """Add the commands that tell of a model or a run."""
    evaluate = commands.add(
        "evaluate",
        "measure a model on your data",
        EVALUATE,
        ("_evaluate", "evaluate"),
        example="foundation evaluate runs/mine --data others.tsv",
    )
    _add_model(evaluate)
    measured = evaluate.add_mutually_exclusive_group(required=True)
    measured.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="pairs in two tab-separated columns, as for train; for a language model a text, or a "
        "pattern in quotes such as 'texts/*.txt'; for a classifier JSON lines of text and label",
    )
    measured.add_argument(
        "--task",
        type=Path,
        metavar="TASK",
        help="questions in JSON lines; with choices the answer is the text of one or its place, "
        "from 0, and without it is a text or a list of them",
    )
    evaluate.add_argument(
        "--chat",
        action="store_true",
        default=None,
        help="questions: ask them in a conversation, by the chat template of the model",
    )
    evaluate.add_argument(
        "--system", metavar="TEXT", help="with --chat: what the model is told before all else"
    )
    evaluate.add_argument(
        "--max-new-tokens",
        type=positive,
        metavar="N",
        help="questions without choices: write at most N tokens (default: 32)",
    )
    evaluate.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        help="questions with choices: decides which other question stands before them in the "
        "control (default: 0)",
    )
    evaluate.add_argument(
        "--details",
        type=Path,
        metavar="FILE",
        help="questions: write the result of each to this file, in JSON lines",
    )
    evaluate.add_argument(
        "--max-bytes",
        type=positive,
        metavar="N",
        help="refuse a text of more than N bytes (default: 67108864)",
    )
    evaluate.add_argument(
        "--beam-size",
        type=positive,
        metavar="N",
        help="translation: follow the N best translations at the same time (default: what a "
        "published model says, or 1)",
    )
    evaluate.add_argument(
        "--prefix",
        metavar="TEXT",
        help="translation: text that is put before each source, as for translate",
    )
    evaluate.add_argument(
        "--context",
        type=positive,
        metavar="N",
        help="language model: read N tokens at once (default: as many as the model can read, but "
        "at most 2048)",
    )
    evaluate.add_argument(
        "--stride",
        type=positive,
        metavar="N",
        help="language model: move the window by N tokens each time. With a smaller number more "
        "text stands before each token, and the evaluation takes longer (default: windows do not "
        "overlap)",
    )
    evaluate.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="language model: read N windows at once (default: as many as make 4096 tokens)",
    )
    add_columns(evaluate)
    evaluate.add_argument(
        "--target-language",
        metavar="TEXT",
        help="a code such as zh or ja, which tells BLEU how to find the words (default: that of "
        "the run)",
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON, for other programs")

    report = commands.add(
        "report",
        "a run as a page for the browser",
        REPORT,
        ("_report", "report"),
        quiet=True,
        example="foundation report runs/mine",
    )
    report.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of a run")
    report.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html in the folder)",
    )

    inspect = commands.add(
        "inspect",
        "what is in a model",
        INSPECT,
        ("_inspect", "inspect"),
        example="foundation inspect runs/mine",
    )
    _add_model(inspect)

    attention = commands.add(
        "attention",
        "where a model looks",
        ATTENTION,
        ("_attention", "attention"),
        quiet=True,
        example='foundation attention runs/mine "a sentence" -o attention.html',
    )
    _add_model(attention)
    attention.add_argument("sentence", metavar="SENTENCE", help="the sentence that the model reads")
    attention.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: attention.html, in the folder of the run if it is one)",
    )

    surprisal = commands.add(
        "surprisal",
        "what a model did not expect",
        SURPRISAL,
        ("_surprisal", "show_surprisal"),
        example='foundation surprisal smollm2.gguf "The capital of France is banana."',
    )
    surprisal.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="the folder of a published model or of a run; or a file .gguf",
    )
    surprisal.add_argument(
        "text",
        nargs="?",
        default="-",
        metavar="TEXT",
        help="the text; - is standard input (default: standard input)",
    )
    surprisal.add_argument("-o", "--out", type=Path, metavar="FILE", help="draw a picture instead")
    add_base(surprisal)

    replay = commands.add(
        "replay",
        "why a step failed",
        REPLAY,
        ("_replay", "replay"),
        example="foundation replay runs/mine/failed_step_812",
    )
    replay.add_argument("folder", type=Path, metavar="BUNDLE", help="the folder failed_step_N")


def _add_model(parser: Parser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="the folder of a run or of a published model; or a file .gguf",
    )
    add_base(parser)

"""Tokens a second with prompt lookup beside plain greedy decoding, with SmolLM2-135M.

Needs the published model (``integration_tests/models/fetch.py``) and the extras ``gguf`` and
``chat``. Both ways write the same tokens, which is checked; they run in turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from _compare import say_where
from foundation_seq import PromptLookup, stream_tokens
from foundation_transformer import load_pretrained
from foundation_transformer.chat import Conversation
from foundation_transformer.pretrained import Pretrained

FOLDER = Path(os.environ.get("FOUNDATION_MODELS") or Path(__file__).parents[1] / "runs" / "models")
FILE = FOLDER / "smollm2.gguf"
MOST_TOKENS = 100

CODE = '''
def mean(values):
    """The sum of the values divided by how many there are."""
    if not values:
        raise ValueError("expected at least one value")
    return sum(values) / len(values)

def variance(values):
    """The mean of the squared distances from the mean."""
    if not values:
        raise ValueError("expected at least one value")
    centre = mean(values)
    return mean([(value - centre) ** 2 for value in values])
'''
ARTICLE = """
The harbour of the old town was built in the twelfth century by merchants who traded in salt and
wool. Its two stone piers are each about three hundred metres long. A fire destroyed most of the
warehouses in 1627, and only the customs house on the northern pier was left standing. Today the
harbour is used by fishing boats, and the customs house is a museum of navigation.
"""
QUESTIONS = {
    "a code edit": f"Add a function called deviation to this code and show the whole code:\n{CODE}",
    "a correction": "Correct the mistakes in this text and write the whole text again:\n"
    + ARTICLE.replace("three", "tree").replace("merchants", "merchents"),
    "quotations": "Which sentences of this text are about the customs house? Quote them.\n"
    f"{ARTICLE}",
    "a summary": f"Summarise this text in its own words, with quotations:\n{ARTICLE}",
    "a story": "Write a short story about a harbour.",
}


def measure(loaded: Pretrained, name: str, rounds: int = 5) -> None:
    """Answer one of the questions both ways, and print tokens a second."""
    talk = Conversation(loaded.chat_template, loaded.tokenizer)
    talk.turns.append(("user", QUESTIONS[name]))
    ids = talk.ids(1000)
    stop_ids = [*loaded.stop_ids, *talk.end_ids()]

    def write(draft: PromptLookup | None) -> tuple[list[int], float]:
        """The tokens, and tokens a second after the first, for which the prompt is read."""
        options = {"stop_ids": stop_ids, "draft": draft}
        stream = stream_tokens(loaded.model, [ids], MOST_TOKENS, **options)
        written = [next(stream).id]
        started = time.perf_counter()
        written += [token.id for token in stream]
        return written, (len(written) - 1) / (time.perf_counter() - started)

    plain, lookup = [], []
    for _ in range(rounds):
        expected, speed = write(None)
        plain.append(speed)
        written, speed = write(PromptLookup())
        lookup.append(speed)
        if written != expected:
            sys.exit(f"{name}: with lookup other tokens were written")
    ratios = [quick / slow for quick, slow in zip(lookup, plain, strict=True)]
    print(
        f"{name:24} {len(expected):4} tokens: plain {statistics.median(plain):5.1f} tokens/s, "
        f"lookup {statistics.median(lookup):5.1f} tokens/s, {statistics.median(ratios):.2f}x"
    )


def main() -> None:
    if not FILE.exists():
        sys.exit(f"{FILE} is missing: run integration_tests/models/fetch.py, or nox -s models")
    say_where()
    loaded = load_pretrained(FILE)
    for name in QUESTIONS:
        measure(loaded, name)


if __name__ == "__main__":
    main()

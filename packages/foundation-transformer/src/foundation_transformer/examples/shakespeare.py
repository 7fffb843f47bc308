# ruff: noqa: T201 - an example prints
"""A small GPT learns to write like a text file, character by character.

``python -m foundation_transformer.examples.shakespeare [FILE]`` trains a model of 0.8 million
parameters with the configuration nanoGPT [1]_ gives for a CPU, tells its loss on the last tenth
of the text, lets it write, and leaves ``plots/shakespeare_loss.png`` and a map of the characters,
``plots/shakespeare_characters.png``. Without a file it reads what
:mod:`foundation_seq.examples.char_lm` reads: Shakespeare's works where the package ``shakespeare``
is installed, else the code of the packages.

References
----------
.. [1] A. Karpathy, "nanoGPT", 2022, https://github.com/karpathy/nanoGPT.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foundation_nn.lessons import options, pictures
from foundation_nn.plotting import plot_history
from foundation_nn.training import Progress, Trainer
from foundation_seq import SamplingConfig, stream_text, stream_tokens
from foundation_seq.examples.char_lm import default_text

from foundation_transformer._build import Ids
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.evaluation import score_language_model
from foundation_transformer.plotting import plot_embeddings
from foundation_transformer.recipes import RandomWindows, consecutive_windows, train_lm

LENGTH, ROWS, STEPS = 64, 12, 2000


class Characters(NamedTuple):
    """A text as ids: what to train on, what is held out, and the character of each id."""

    train: Ids
    held_out: Ids
    alphabet: str

    @classmethod
    def of(cls, text: str) -> Characters:
        """Nine tenths of the text, and the rest.

        Raises
        ------
        ValueError
            If the text is too short.
        """
        if len(text) < 20 * LENGTH:
            raise ValueError(
                f"expected a text of at least {20 * LENGTH} characters, got {len(text)}"
            )
        alphabet = "".join(sorted(set(text)))
        number = {character: i for i, character in enumerate(alphabet)}
        ids = np.array([number[character] for character in text])
        split = len(ids) * 9 // 10
        return cls(ids[:split], ids[split:], alphabet)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return "".join(self.alphabet[i] for i in ids)


def train(
    characters: Characters,
    rng: np.random.Generator,
    steps: int = STEPS,
    lr: float = 1e-3,
    comm: Any = None,
) -> Trainer:
    """A model of nanoGPT's shape, trained as nanoGPT does.

    With ``comm``, such as ``distributed.world()``, its processes share each batch.
    """
    config = TransformerConfig.gpt2(
        vocab_size=len(characters.alphabet),
        max_len=LENGTH,
        d_model=128,
        num_heads=4,
        num_layers=4,
        dropout=0.0,
        bias=False,
    )
    return train_lm(
        CausalLM(config, rng=rng),
        RandomWindows(characters.train, LENGTH, ROWS, rng),
        steps=steps,
        lr=lr,
        callbacks=[Progress()],
        comm=comm,
    )


def read_characters(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, Characters]:
    """The options, and the text that they name; a text that cannot be read ends the program."""
    parser.add_argument(
        "file", nargs="?", type=Path, help="a text in UTF-8, such as tinyshakespeare.txt"
    )
    args = parser.parse_args(argv)
    try:
        text = default_text() if args.file is None else args.file.read_text(encoding="utf-8")
        return args, Characters.of(text)
    except (OSError, ValueError) as error:  # bytes that are no UTF-8 are a ValueError, too
        parser.error(f"{args.file}: cannot be read as a text in UTF-8 ({error})")


def main(argv: Sequence[str] | None = None) -> int:
    """Read, train, write."""
    parser = options(
        "foundation_transformer.examples.shakespeare",
        "Train a small GPT on a text file.",
        STEPS,
        quick=30,
    )
    args, characters = read_characters(parser, argv)
    rng = np.random.default_rng(args.seed)
    trainer = train(characters, rng, args.steps)
    model: CausalLM = trainer.model  # type: ignore[assignment]
    scores = score_language_model(model, consecutive_windows(characters.held_out, LENGTH, 128))
    print(
        f"\nOn the last tenth of the text: {scores.loss:.3f} nats a character "
        f"(perplexity {scores.perplexity:.2f}), {scores.accuracy:.0%} guessed right.\n"
    )
    tokens = stream_tokens(model, [[0]], LENGTH - 1, SamplingConfig(temperature=0.8), rng)
    for piece in stream_text(tokens, characters.decode):
        print(piece, end="", flush=True)
    print("\n")
    names = ["␣" if c == " " else repr(c)[1:-1] for c in characters.alphabet]
    return pictures(
        args.out,
        {
            "shakespeare_loss.png": lambda path: plot_history(
                trainer.history,
                path,
                title="A small GPT learns to write",
                unit="nats per character",
            ),
            "shakespeare_characters.png": lambda path: plot_embeddings(
                model.embedding.weight.data, names, path, title="Characters, by their embeddings"
            ),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())

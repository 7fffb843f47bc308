# ruff: noqa: T201 - an example prints
"""Handwritten digits: from pixels to the right answer for 97 of 100 digits never seen before.

``python -m foundation_nn.examples.digits`` takes the 1797 digits of scikit-learn; with ``--data
FILE`` it reads MNIST or Fashion-MNIST (IDX images with their labels beside them) or a CSV file. It
leaves ``plots/digits.png`` with the images it got wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foundation_nn import GELU, MLP, Dropout, Sequential, Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.image_files import Digits, from_file, from_scikit_learn
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import AdamW
from foundation_nn.plotting import plot_images
from foundation_nn.schedules import cosine
from foundation_nn.training import Progress, Trainer

Batch = tuple[NDArray[np.float32], NDArray[np.intp]]


def split(digits: Digits, rng: np.random.Generator, test: float = 0.2) -> tuple[Digits, Digits]:
    """Digits to learn from, and others to be tested on: learning by heart does not count."""
    order = rng.permutation(len(digits.images))
    cut = max(1, round(test * len(order)))
    images, targets, names = digits
    return (
        Digits(images[order[cut:]], targets[order[cut:]], names),
        Digits(images[order[:cut]], targets[order[:cut]], names),
    )


class Batches:
    """Every image once an epoch, half of the batches moved by a pixel: a shifted 3 is still a 3."""

    def __init__(self, digits: Digits, size: int, rng: np.random.Generator) -> None:
        self.digits = digits
        self.size = size
        self.rng = rng

    def __len__(self) -> int:
        return math.ceil(len(self.digits.images) / self.size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.rng.permutation(len(self.digits.images))
        for start in range(0, len(order), self.size):
            chosen = order[start : start + self.size]
            images = self.digits.images[chosen]
            if self.rng.random() < 0.5:
                images = shifted(images, *self.rng.integers(-1, 2, size=2))
            yield images, self.digits.targets[chosen]


def shifted(images: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """Images (N, height, width) moved by up to one pixel; what comes in from outside is 0."""
    _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 - down : 1 - down + height, 1 - right : 1 - right + width]


def network(pixels: int, classes: int, rng: np.random.Generator) -> Sequential:
    """Pixels to one logit for each class, with dropout against learning by heart."""
    return Sequential(
        MLP([pixels, 128], rng=rng), GELU(), Dropout(0.1), MLP([128, 128, classes], GELU, rng=rng)
    )


def logits(model: Sequential, images: NDArray[np.float32]) -> Tensor:
    """(N, classes), larger for what is more likely."""
    flat = images.reshape(len(images), -1)  # (N, height · width)
    return model(flat - flat.mean(axis=1, keepdims=True))


def loss(model: Sequential, batch: Batch) -> tuple[Tensor, int]:
    """Cross-entropy: -log of the probability of the right digit."""
    images, targets = batch
    return F.cross_entropy(logits(model, images), targets, label_smoothing=0.05), len(targets)


def answers(model: Sequential, images: NDArray[np.float32]) -> NDArray[np.intp]:
    """The most likely class of every image."""
    with no_grad():
        parts = [logits(model, images[i : i + 1000]) for i in range(0, len(images), 1000)]
        return np.concatenate([part.data.argmax(axis=1) for part in parts])


def train(digits: Digits, seed: int, steps: int) -> Sequential:
    """A trained network."""
    rng = np.random.default_rng(seed)
    model = network(digits.images[0].size, len(digits.names), rng)
    trainer = Trainer(
        model,
        loss,
        AdamW(model, lr=0.004, weight_decay=0.05),
        schedule=cosine(0.004, steps + 1, warmup=min(50, steps)),
        clip_norm=1.0,
        rng=rng,  # of dropout
        callbacks=[Progress()],
    )
    trainer.fit(Batches(digits, 64, rng), max_steps=steps)
    return model


def show_mistakes(model: Sequential, test: Digits, path: Path) -> None:
    """Up to 32 images with what the network took them for."""
    given = answers(model, test.images)
    wrong = np.flatnonzero(given != test.targets)
    count = f"{len(wrong) or 'No'} mistake{'s' * (len(wrong) != 1)}"
    title = f"{count} in {len(test.images)} images: answer ≠ truth"
    chosen = wrong[:32] if len(wrong) else np.arange(min(32, len(given)))
    captions = [
        f"{test.names[given[i]]} {'≠' if i in wrong else '='} {test.names[test.targets[i]]}"
        for i in chosen
    ]
    plot_images(test.images[chosen], captions, path, title=title)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, train, test, draw."""
    parser = options(
        "foundation_nn.examples.digits", "Learn to read handwritten digits.", 1500, quick=200
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="IDX images or CSV (default: scikit-learn's)"
    )
    parser.add_argument("--label", choices=["first", "last"], help="the label's column in a CSV")
    args = parser.parse_args(argv)
    try:
        digits = from_file(args.data, args.label) if args.data else from_scikit_learn()
        if len(digits.images) < 10 or len(digits.names) < 2:
            raise ValueError(
                f"expected at least 10 images of 2 kinds, got {len(digits.images)} images of "
                f"{len(digits.names)}"
            )
    except ValueError as error:
        print(f"digits: {error}")
        return 1

    learn, test = split(digits, np.random.default_rng(args.seed))
    _, height, width = digits.images.shape
    print(
        f"{len(learn.images):,} images of {height} × {width} pixels to learn from, "
        f"{len(test.images):,} to be tested on, {len(digits.names)} classes"
    )
    model = train(learn, args.seed, args.steps)
    for name, part in (("learned from", learn), ("never seen", test)):
        right = np.mean(answers(model, part.images) == part.targets)
        print(f"Accuracy on images {name}: {right:.2%}")
    return pictures(args.out, {"digits.png": lambda path: show_mistakes(model, test, path)})


if __name__ == "__main__":
    raise SystemExit(main())

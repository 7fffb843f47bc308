"""One thing of one's own of each kind, fully annotated: what a library must let its users write.

``python extending.py`` runs all of them; mypy strict checks the file as it would a user's.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import BatchLoader, CountedTokenizer, Tokenizer
from foundation_nn import (
    Array,
    Linear,
    Module,
    Parameter,
    Result,
    Tensor,
    checkpoint,
    gradcheck,
    operation,
    optim,
)
from foundation_nn.training import Callback, Step, Trainer
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
folder = Path(tempfile.mkdtemp())


# An operation: a value, and how a gradient goes back through it.
@operation
def cube(x: Array, factor: float = 1.0) -> Result:
    def backward(g: Array) -> Array:
        return 3 * factor * x**2 * g

    return factor * x**3, backward


gradcheck(cube, np.linspace(-1, 1, 5))


# A module, which says how one is made so that checkpoints can hold it.
class Cubic(Module):
    def __init__(self, width: int, rng: np.random.Generator | None = None) -> None:
        self.width = width
        self.layer = Linear(width, width, rng=rng)
        self.scale = Parameter(np.ones(width, np.float32))

    def forward(self, x: Tensor | Floats) -> Tensor:
        return self.layer(cube(x)) * self.scale

    def to_dict(self) -> dict[str, Any]:
        return {"width": self.width}


# An optimiser: the formula for a block of parameters.
class Averaged(optim.Optimizer):
    def __init__(self, model_or_params: optim.Trainable, lr: float, keep: float = 0.9) -> None:
        super().__init__(model_or_params, lr, state=("average",))
        self.keep = keep

    def update_block(self, w: Floats, g: Floats, settings: optim.Settings, average: Floats) -> None:
        average += (1 - self.keep) * (g - average)
        w -= settings.lr * average


# Another one, which looks at all parameters at once.
class Normalised(optim.Optimizer):
    def update_all(self, grad: Floats) -> None:
        for part, settings in self.stretches():
            self.buffer.data[part] -= settings.lr * grad[part] / np.linalg.norm(grad[part])


# A callback, whose state is resumed with the run.
class Counter(Callback):
    def __init__(self) -> None:
        self.steps = 0

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = state["steps"]


# A data set, for the batches of foundation-data: shuffled, resumable, of similar lengths.
class Ramps:
    def __init__(self, count: int) -> None:
        self.rows = [np.arange(1 + i % 5, dtype=np.float32) for i in range(count)]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([[len(row)] for row in self.rows])

    @property
    def fingerprint(self) -> str:
        return f"ramps {len(self.rows)}"

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        batch = np.zeros((len(indices), 5), np.float32)
        for row, i in zip(batch, indices, strict=True):
            row[: len(self.rows[i])] = self.rows[i]
        return batch


# A tokenizer: how a text is cut, and put together again.
class Syllables(CountedTokenizer):
    kind = "syllables"

    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"[^aeiou]*[aeiou]?", self.normalize(text))[:-1]

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)


def loss(model: Cubic, batch: NDArray[np.float32]) -> tuple[Tensor, int]:
    return ((model(batch / 4) - batch) ** 2).mean(), len(batch)


def make(count: int) -> tuple[Trainer, Counter]:
    model = Cubic(5, rng=np.random.default_rng(0))
    counter = Counter()
    optimizer = Averaged([{"params": model.layer}, {"params": model.scale, "lr_scale": 0.5}], 0.1)
    trainer = Trainer(model, loss, optimizer, callbacks=[counter])
    trainer.fit(BatchLoader(Ramps(40), batch_size=8, seed=1), max_steps=count)
    return trainer, counter


tokenizer = Syllables.train(["banana", "nabana"])
whole, _ = make(14)
half, _ = make(7)
half.save(folder / "half", tokenizer=tokenizer)
resumed, counted = make(0)
extras = resumed.resume(folder / "half", classes=[Syllables])
resumed.fit(BatchLoader(Ramps(40), batch_size=8, seed=1), max_steps=14)
print("counted:", counted.steps, "resumed to the same bits:", end=" ")
print(all((a.data == b.data).all() for a, b in zip(
    whole.model.parameters(), resumed.model.parameters(), strict=True)))  # fmt: skip
print("pieces:", extras["tokenizer"].tokenize("banana"))
tokenizer.save(folder / "tokenizer.json")
same: Tokenizer = Tokenizer.load(folder / "tokenizer.json")
print("the same tokenizer:", same == tokenizer == extras["tokenizer"])
loaded: Cubic = checkpoint.load(folder / "half", classes=[Cubic, Syllables]).model
print("the model alone:", loaded(np.ones((1, 5), np.float32)).shape)
weight = Parameter([[3.0, 4.0]])
normalised = Normalised(weight, lr=0.5)
(weight * weight).sum().backward()
normalised.step()
print("moved by 0.5:", weight.data.round(3).tolist())

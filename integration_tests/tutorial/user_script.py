"""The commonest things of a tutorial on neural networks, as a user would type them.

``python user_script.py`` runs all of them; mypy strict checks the file as it would a user's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from foundation_attn import MultiHeadAttention
from foundation_nn import (
    Dropout,
    Embedding,
    Linear,
    Module,
    ModuleList,
    ReLU,
    Sequential,
    Tensor,
    checkpoint,
    no_grad,
    optim,
    schedules,
    summary,
    train_mode,
)
from foundation_nn import functional as F
from foundation_nn.plotting import plot_decision_boundary, plot_history
from foundation_nn.training import Checkpoints, EarlyStopping, Trainer, batches, evaluate
from foundation_seq import LSTM, generate
from foundation_transformer import CausalLM, TransformerConfig
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Batch = tuple[Floats, Ids]

rng = np.random.default_rng(0)
folder = Path(tempfile.mkdtemp())

# Tensors are made of lists and arrays, and compute as NumPy's do.
x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
y = (x @ x.transpose(1, 0)).sum() + F.exp(-x).mean()
print(f"a number: {y:.4f}, a shape: {x.shape}, an array: {x.numpy().tolist()}")

# Gradients.
y.backward()
print("dy/dx:", x.grad)


# A module of one's own: attributes, and a forward with types.
class Classifier(Module):
    def __init__(self, inputs: int, width: int, depth: int, classes: int) -> None:
        self.width = width
        self.hidden = ModuleList(
            Linear(inputs if i == 0 else width, width, rng=rng) for i in range(depth)
        )
        self.drop = Dropout(0.1)
        self.output = Linear(width, classes, rng=rng)

    def forward(self, x: Tensor | Floats) -> Tensor:
        for layer in self.hidden:
            x = self.drop(F.relu(layer(x)))
        return self.output(x)

    def to_dict(self) -> dict[str, Any]:  # how one is made: for checkpoints
        return {
            "inputs": self.hidden[0].in_features,
            "width": self.width,
            "depth": len(self.hidden),
            "classes": self.output.out_features,
        }


# A Sequential of ready-made layers.
body = Sequential(Linear(2, 8, rng=rng), ReLU(), Linear(8, 3, rng=rng))
print("logits:", body(x).shape, "without the last layer:", body[:-1](x).shape)

# Something to learn: which of three centres a point belongs to.
centres = np.array([[0, 2], [2, -1], [-2, -1]], np.float32)
labels: Ids = rng.integers(0, 3, 600)
points = (centres[labels] + rng.standard_normal((600, 2))).astype(np.float32)
train, held_out = (points[:500], labels[:500]), (points[500:], labels[500:])


# A loss: the mean, and how many targets it is the mean of.
def loss(model: Classifier, batch: Batch) -> tuple[Tensor, int]:
    inputs, targets = batch
    return F.cross_entropy(model(inputs), targets), len(targets)


# An optimiser, and a loop of one's own with a schedule and clipping.
model = Classifier(2, 16, 2, 3)
optimizer = optim.AdamW(model, lr=0.01, weight_decay=0.01)
rate = schedules.cosine(0.01, steps=96, warmup=10)
loader = batches(*train, batch_size=64, rng=rng)  # shuffled anew each epoch
for _ in range(12):
    for inputs, targets in loader:
        optimizer.lr = rate(optimizer.steps + 1)
        optimizer.zero_grad()
        with train_mode(rng):  # dropout is on
            value = F.cross_entropy(model(inputs), targets)
        value.backward()
        optim.clip_grad_norm(optimizer, 1.0)
        optimizer.step()


# Evaluation: nothing is recorded, and dropout is off outside of train_mode.
def accuracy(model: Classifier) -> float:
    with no_grad():
        answers = model(held_out[0]).data.argmax(axis=1)
    return float((answers == held_out[1]).mean())


print(f"accuracy: {accuracy(model):.2f}, loss: {evaluate(model, loss, [held_out]):.3f}")


# A data set of one's own is what can be looped over again and again.
class Rings:
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Batch]:
        draw = np.random.default_rng(1)  # each loop gives the same batches: it can be resumed
        for _ in range(self.count):
            targets: Ids = draw.integers(0, 3, 32)
            angle = draw.uniform(0, 2 * np.pi, 32)
            ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + targets[:, None])
            yield ring.astype(np.float32), targets


# The same by the Trainer, which keeps the best model in a folder, though the class is one's own.
model = Classifier(2, 32, 2, 3)
trainer = Trainer(
    model,
    loss,
    optim.AdamW(model, lr=0.01),
    schedule=schedules.cosine(0.01, steps=400, warmup=20),
    clip_norm=1.0,
    rng=rng,
    callbacks=[Checkpoints(folder / "run"), EarlyStopping(patience=5)],
)
history = trainer.fit(Rings(40), validation=Rings(4), max_epochs=10)
print(f"rings: {history.evaluations[-1].loss:.3f} after {trainer.steps} steps")
best: Classifier = checkpoint.load(folder / "run" / "checkpoint", classes=[Classifier]).model
print(f"the best one: {evaluate(best, loss, Rings(4)):.3f}")

# Fine-tuning: the first layers stay as they are, the last one learns from other points.
best.hidden.freeze()
tuned = optim.SGD(best.output, lr=0.1, momentum=0.9)
Trainer(best, loss, tuned, rng=rng).fit(batches(*train, batch_size=50, rng=rng), max_epochs=3)
print("learns:", best.num_parameters(trainable=True), "of", best.num_parameters())

# A picture: returned, for a notebook, and written.
plot_decision_boundary(model, *next(iter(Rings(1))), folder / "rings.png", title="Rings")
plot_history(history, folder / "history.png")
print("pictures:", sorted(path.name for path in folder.glob("*.png")))

# The weights alone.
model.save_weights(folder / "weights.safetensors")
twin = Classifier(2, 32, 2, 3)
twin.load_weights(folder / "weights.safetensors")
print("the same:", bool((twin(points) == model(points)).all()))

# Embedding, recurrent layer and attention: shapes (B, T, D).
tokens: Ids = rng.integers(0, 20, (4, 7))
embedded = Embedding(20, 16, rng=rng)(tokens)
output, (h, c) = LSTM(16, 16, num_layers=2, rng=rng)(embedded, lengths=[7, 5, 3, 2])
mixed = MultiHeadAttention(16, num_heads=4, rng=rng)(output, causal=True)
print("embedded", embedded.shape, "read", output.shape, h.shape, "mixed", mixed.shape)

# A decoder-only transformer learns to count, and writes.
sizes = TransformerConfig.gpt2(
    vocab_size=10, max_len=16, d_model=32, num_heads=4, num_layers=2, dropout=0.0
)
language_model = CausalLM(sizes, rng=rng)


def next_token(model: CausalLM, batch: Ids) -> tuple[Tensor, int]:
    ids, targets = batch[:, :-1], batch[:, 1:]
    return F.cross_entropy(model(ids), targets), targets.size


counting: Ids = (np.arange(17) + np.arange(10)[:, None]) % 10
writer = Trainer(language_model, next_token, optim.AdamW(language_model, lr=0.01), clip_norm=1.0)
writer.fit([counting], max_steps=60)
(written,) = generate(language_model, [[3, 4, 5]], max_new_tokens=5)
print("3 4 5, and on:", written)
print(summary(language_model, counting[:1, :4]))

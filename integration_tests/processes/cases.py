"""Small runs that are trained by one process and by several, and must end alike.

    mpiexec -n 2 python cases.py OUT [CASE ...]

Each process trains every case with the others; the first one writes the parameters to OUT/CASE.npz
after it has made sure that all processes have the same bits. `run` without ``comm`` is the run of a
single process with the whole batches.
"""

import sys
from pathlib import Path

import numpy as np
from foundation_data import Batch, collate
from foundation_nn import Linear, Sequential, Tanh, Tensor, distributed, optim
from foundation_nn import functional as F
from foundation_nn.schedules import cosine
from foundation_nn.training import Trainer
from foundation_seq import RecurrentLM
from foundation_transformer import (
    CausalLM,
    MaskedLM,
    TextClassifier,
    TextEncoder,
    Transformer,
    TransformerConfig,
    recipes,
    recompute_layers,
)
from foundation_transformer.recipes import (
    RandomWindows,
    language_model_loss,
    train_lm,
    translation_loss,
)

STEPS = 20
OPTIMIZERS = {
    "sgd": lambda model: optim.SGD(model, 0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda model: optim.Adam(model, 3e-3),
    # Softmax does not see the bias of keys, whose gradient is noise around zero. With the usual ε
    # of 1e-8, Adam would make visible steps of that noise.
    "adamw": lambda model: optim.AdamW(model, 3e-3, eps=1e-5, weight_decay=0.1),
    "rmsprop": lambda model: optim.RMSprop(model, 3e-3),
    "adagrad": lambda model: optim.Adagrad(model, 3e-2),
    "lion": lambda model: optim.Lion(model, 1e-3, weight_decay=0.1),
    "muon": lambda model: optim.Muon(model, 3e-3),
    "adafactor": lambda model: optim.Adafactor(model, 1e-2, weight_decay=0.01),
}


def gpt(dropout=0.0):
    config = TransformerConfig.gpt2(
        vocab_size=29, max_len=11, d_model=12, num_heads=3, num_layers=2, d_ff=19, dropout=dropout
    )
    model = CausalLM(config, rng=np.random.default_rng(1)).astype(np.float64)
    text = np.random.default_rng(2).integers(29, size=400)
    return model, language_model_loss, RandomWindows(text, 7, 5, np.random.default_rng(3))


def translator():
    config = TransformerConfig(
        vocab_size=23, max_len=16, d_model=12, num_heads=2, num_layers=1, d_ff=17, dropout=0.0
    )
    model = Transformer(config, rng=np.random.default_rng(1)).astype(np.float64)
    rng = np.random.default_rng(2)

    def pair():
        source, target = (rng.integers(4, 23, size=rng.integers(2, 9)) for _ in range(2))
        return source, np.append(1, target), np.append(target, 2)

    # Seven pairs, and a last batch of a single one, of which some process has none.
    batches = [collate([pair() for _ in range(size)]) for size in (7, 5, 3, 1)]
    assert all(isinstance(batch, Batch) for batch in batches)
    return model, translation_loss(label_smoothing=0.1), batches


def lstm():
    model = RecurrentLM(19, 8, 11, rng=np.random.default_rng(1)).astype(np.float64)
    rng = np.random.default_rng(2)
    rows = rng.integers(19, size=(6, 10))

    def loss(model, batch):
        ids, lengths = batch
        targets = np.where(np.arange(9) < lengths[:, None] - 1, ids[:, 1:], -1)
        logits, _ = model.read(ids[:, :-1])
        return F.cross_entropy(logits, targets, ignore_index=-1), int((targets >= 0).sum())

    return model, loss, [(rows, rng.integers(3, 11, size=6)) for _ in range(3)]


def regression():
    rng = np.random.default_rng(1)
    model = Sequential(Linear(5, 7, rng=rng), Tanh(), Linear(7, 3, rng=rng)).astype(np.float64)

    def loss(model, batch):
        return F.mse_loss(model(Tensor(batch["x"])), batch["y"]), len(batch["x"])

    sizes = (11, 4, 2)
    batches = [{"x": rng.standard_normal((n, 5)), "y": rng.standard_normal((n, 3))} for n in sizes]
    return model, loss, batches


def frozen():
    model, loss, batches = regression()
    model[0].freeze()
    return model, loss, batches


def recomputed():
    model, _, batches = gpt()

    def loss(model, batch):
        with recompute_layers():
            return language_model_loss(model, batch)

    return model, loss, batches


def preferences():
    model, _, _ = gpt()
    rng = np.random.default_rng(3)
    pairs = [
        recipes.Preference(*(rng.integers(29, size=n).tolist() for n in rng.integers(1, 5, size=3)))
        for _ in range(5)
    ]
    batch = recipes.with_reference(model, recipes.preference_arrays(pairs))
    return model, recipes.preference_loss(), [batch]


def student():
    model, _, batches = gpt()
    teacher, _, _ = gpt()
    return model, recipes.DistillationLoss(teacher, k=5), batches


def masked():
    config = TransformerConfig.bert(
        vocab_size=29, max_len=11, d_model=12, num_heads=3, num_layers=1, dropout=0.0
    )
    rng = np.random.default_rng(1)
    model = MaskedLM(TextEncoder(config, rng=rng), rng=rng).astype(np.float64)
    rows = [rng.integers(4, 29, size=n).tolist() for n in (7, 3, 9, 5, 8)]
    batches = recipes.MaskedBatches(rows, 3, mask_id=3, vocab_size=29, share=0.4, rng=rng)
    return model, recipes.masked_lm_loss, batches


def classifier():
    model, _, _ = gpt()
    rng = np.random.default_rng(3)
    head = TextClassifier(model, ["a", "b", "c"], rng=rng).astype(np.float64)
    rows = recipes.padded([rng.integers(29, size=n).tolist() for n in (7, 3, 9, 5, 8)])
    return head, recipes.classification_loss, [(*rows, rng.integers(3, size=5))]


MODELS = {
    "gpt": gpt,
    "translator": translator,
    "lstm": lstm,
    "ema": translator,
    "frozen": frozen,
    "recomputed": recomputed,
    "preferences": preferences,
    "student": student,
    "masked": masked,
    "classifier": classifier,
}
ENDLESS = ("gpt", "recomputed", "student")
CASES = [*MODELS, *OPTIMIZERS, "accumulate", "clip", "schedule", "groups", "recipe"]


def make(name, comm=None, **options):
    """The trainer of a case, and its batches."""
    model, loss, batches = MODELS.get(name, regression)()
    trained = model
    if name == "groups":
        trained = [{"params": model[0], "lr_scale": 0.1}, {"params": model[2], "weight_decay": 0}]
    optimizer = OPTIMIZERS.get(name, OPTIMIZERS["adamw"])(trained)
    options = {"clip_norm": 0.05 if name == "clip" else 1.0} | options
    if name == "accumulate":
        options["accumulate"] = 3
    if name == "ema":
        options["ema"] = optim.EMA(optimizer, decay=0.9)
    if name == "schedule":
        options["schedule"] = cosine(3e-3, STEPS, 5)
    return Trainer(model, loss, optimizer, comm=comm, **options), batches


def run(name, comm=None):
    """The parameters and all state after some steps."""
    if name == "recipe":
        model, _, batches = gpt()
        trainer = train_lm(model, batches, steps=STEPS, warmup=5, comm=comm)
    else:
        trainer, batches = make(name, comm)
        trainer.fit(batches, validation=None if name in ENDLESS else batches, max_steps=STEPS)
    arrays = {f"model/{key}": value for key, value in trainer.model.state_dict().items()}
    arrays |= {f"state/{key}": value for key, value in trainer.optimizer.state_dict().items()}
    if trainer.ema is not None:
        arrays |= {f"ema/{key}": value for key, value in trainer.ema.state_dict().items()}
    arrays["losses"] = np.array([step.loss for step in trainer.history.steps])
    arrays["norms"] = np.array([step.grad_norm for step in trainer.history.steps])
    arrays["tokens"] = np.array([step.tokens for step in trainer.history.steps])
    arrays["held out"] = np.array([each.loss for each in trainer.history.evaluations])
    return arrays


def main():
    """Train the cases, and write what came of them."""
    out = Path(sys.argv[1])
    world = distributed.world()
    for name in sys.argv[2:] or CASES:
        arrays = run(name, world)
        bits = b"".join(array.tobytes() for array in arrays.values())
        assert len(set(world.allgather(bits))) == 1, f"{name}: processes differ"
        if world.rank == 0:
            np.savez(out / name, **arrays)


if __name__ == "__main__":
    main()

"""Training a translator in one call."""

import math
from itertools import pairwise

import numpy as np
import pytest
from foundation_nn import train_mode
from foundation_nn.training import Callback
from foundation_transformer import Transformer, TransformerConfig, recipes, translate
from foundation_transformer.recipes import train_like_vaswani, train_translator, translation_loss
from stubs import FIRST, PAD, Numbers, make_batch

V = 11


def make(seed=0, **options):
    config = {"vocab_size": V, "max_len": 12, "d_model": 32, "num_heads": 4, "num_layers": 2}
    config |= {"d_ff": 64, "dropout": 0.0, "norm_first": True}
    return Transformer(
        TransformerConfig.from_dict(config | options), rng=np.random.default_rng(seed)
    )


def draw(rng, task, count, longest=4):
    sources = [rng.integers(FIRST, V, n) for n in rng.integers(1, longest + 1, count)]
    return [(s, s[:: -1 if task == "reverse" else 1]) for s in sources]


def batches_of(pairs, size=50):
    pairs = sorted(pairs, key=lambda pair: len(pair[0]))
    return [make_batch(pairs[i : i + size]) for i in range(0, len(pairs), size)]


class Shuffled:
    """The batches in another order every time."""

    def __init__(self, batches, rng):
        self.batches, self.rng = batches, rng

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter([self.batches[i] for i in self.rng.permutation(len(self.batches))])


@pytest.mark.parametrize(("task", "seed"), [("copy", 0), ("reverse", 1), ("reverse", 2)])
def test_learns_a_task_it_is_then_right_about(task, seed):
    rng = np.random.default_rng(seed)
    seen = draw(rng, task, 4000)
    model = make(seed)
    trainer = train_translator(
        model, Shuffled(batches_of(seen), rng), epochs=7, lr=5e-3, label_smoothing=0.0, rng=rng
    )
    assert trainer.stopped_by == "epochs"
    assert trainer.steps == 560
    known = {tuple(s) for s, _ in seen}
    new = [pair for pair in draw(rng, task, 1000) if tuple(pair[0]) not in known][:100]
    assert len(new) == 100
    texts = [[" ".join(map(str, ids)) for ids in side] for side in zip(*new, strict=True)]
    translations = translate(model, texts[0], Numbers(), Numbers())
    right = sum(t == r for t, r in zip(translations, texts[1], strict=True))
    assert right >= 90


def test_the_loss_by_hand():
    batch = make_batch([([5, 6], [7]), ([5], [8, 9, 10])])
    model = make()
    with train_mode(np.random.default_rng(0)):
        value, count = translation_loss(0.2)(model, batch)
    assert count == 6  # one token and eos, three and eos
    logits = model(batch.source, batch.target_in, batch.source_mask, batch.target_mask).data
    log_p = logits - np.log(np.exp(logits.astype(float)).sum(-1, keepdims=True))
    real = batch.target_out != PAD
    chosen = np.take_along_axis(log_p, batch.target_out[..., None], -1)[..., 0]
    expected = -(0.8 * chosen + 0.2 * log_p.mean(-1))[real].mean()
    assert value.item() == pytest.approx(expected, rel=1e-6)
    plain, _ = translation_loss(0.2)(model, batch)  # as an evaluation measures it
    assert plain.item() == pytest.approx(-chosen[real].mean(), rel=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.3])
def test_the_first_loss_is_that_of_the_fresh_model(label_smoothing):
    batch = make_batch([([5, 6], [7]), ([5], [8, 9, 10])])
    with train_mode(np.random.default_rng(0)):
        expected = translation_loss(label_smoothing)(make(), batch)[0].item()
    trainer = train_translator(make(), [batch], epochs=1, label_smoothing=label_smoothing)
    first = trainer.history.steps[0]
    assert first.loss == pytest.approx(expected, rel=1e-6)
    assert first.tokens == 6


def test_training_finds_the_padding_by_the_mask():
    # Vocabularies may number their special tokens as they like; the masks say what is real.
    pairs = [([5, 6], [7]), ([5], [8, 9, 10])]
    losses = []
    for pad_id in (0, 4):
        trainer = train_translator(make(), [make_batch(pairs, pad_id)], epochs=3)
        losses.append([step.loss for step in trainer.history.steps])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_the_learning_rate_rises_and_falls_to_zero():
    batches = batches_of(draw(np.random.default_rng(0), "copy", 200), 10)
    trainer = train_translator(make(), batches, epochs=2, lr=1e-2)
    rates = [step.lr for step in trainer.history.steps]
    assert len(rates) == 40
    assert rates.index(max(rates)) == 3  # a tenth of the steps
    assert max(rates) == pytest.approx(1e-2)
    assert rates[0] == pytest.approx(1e-2 / 4)
    assert all(a > b for a, b in pairwise(rates[3:]))
    assert rates[-1] < 1e-4


def test_the_first_step_is_adamws_on_a_clipped_gradient():
    model, batch = make(), make_batch([([5], [6])])
    before = model.state_dict()
    trainer = train_translator(model, [batch], epochs=1, lr=1e-2)
    norm = trainer.history.steps[0].grad_norm
    assert norm > 1  # so that there was something to clip
    gradients = {}
    fresh = make()
    with train_mode(np.random.default_rng(0)):
        translation_loss(0.1)(fresh, batch)[0].backward()
    total = math.sqrt(sum((p.grad.astype(float) ** 2).sum() for p in fresh.parameters()))
    assert norm == pytest.approx(total, rel=1e-5)
    assert trainer.optimizer.betas == (0.9, 0.98)
    for name, p in fresh.named_parameters():
        gradients[name] = p.grad / total
    lr = trainer.history.steps[0].lr
    for name, value in model.state_dict().items():  # m̂ / √v̂ = g / |g| in the first step
        g = gradients[name]
        big = np.abs(g) > 1e-4
        moved = value - before[name] * (1 - lr * 0.01)
        decayed = value - before[name]  # biases and norms may be spared the decay
        step = -lr * np.sign(g)
        close = np.isclose(moved, step, atol=lr * 1e-3) | np.isclose(decayed, step, atol=lr * 1e-3)
        assert close[big].all()


def test_the_same_generator_gives_the_same_weights(same_bits):
    batches = batches_of(draw(np.random.default_rng(0), "copy", 60), 20)
    states = []
    for seed in (5, 5, 6):
        model = make(dropout=0.2)
        train_translator(model, batches, epochs=2, rng=np.random.default_rng(seed))
        states.append(model.state_dict())
    for name, value in states[0].items():
        same_bits(states[1][name], value)
    assert any((states[2][name] != value).any() for name, value in states[0].items())


def test_validation_is_that_of_the_model_without_dropout():
    pairs = draw(np.random.default_rng(0), "copy", 60)
    model = make(dropout=0.5)
    held_out = batches_of(pairs[40:], 7)
    trainer = train_translator(model, batches_of(pairs[:40], 20), epochs=2, validation=held_out)
    assert [e.step for e in trainer.history.evaluations] == [2, 4]
    total = count = 0
    for batch in held_out:
        value, n = translation_loss(0.0)(model, batch)
        total, count = total + value.item() * n, count + n
    assert trainer.history.evaluations[-1].loss == pytest.approx(total / count, rel=1e-6)


def test_time_is_a_limit():
    trainer = train_translator(make(), [make_batch([([5], [6])])], epochs=10**6, max_seconds=0.2)
    assert trainer.stopped_by == "seconds"
    assert trainer.steps > 1


def test_callbacks_are_told():
    class Watch(Callback):
        def __init__(self):
            self.steps = []

        def on_step(self, trainer, step):
            self.steps.append(step.step)

    watch = Watch()
    train_translator(make(), [make_batch([([5], [6])])] * 3, epochs=2, callbacks=[watch])
    assert watch.steps == [1, 2, 3, 4, 5, 6]


def test_no_batches():
    with pytest.raises(ValueError, match="without a single batch"):
        train_translator(make(), [], epochs=1)


def test_recipes_are_public():
    assert recipes.train_translator is train_translator


def test_the_original_recipe():
    rng = np.random.default_rng(0)
    model = make()
    batches = batches_of(draw(rng, "copy", 300))
    trainer = train_like_vaswani(model, batches, epochs=5, warmup=10, rng=rng)
    rates = [s.lr for s in trainer.history.steps]
    assert len(rates) == 30
    expected = [32**-0.5 * min(n**-0.5, n * 10**-1.5) for n in range(1, 31)]  # equation 3
    np.testing.assert_allclose(rates, expected)
    adam = trainer.optimizer
    assert (type(adam).__name__, adam.betas, adam.eps) == ("Adam", (0.9, 0.98), 1e-9)
    assert adam.weight_decay == 0
    assert trainer.history.steps[-1].loss < trainer.history.steps[0].loss - 0.5

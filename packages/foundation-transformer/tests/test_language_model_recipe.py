"""Training and judging a language model."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from foundation_nn.training import evaluate
from foundation_seq import generate
from foundation_transformer import CausalLM, TransformerConfig, recipes
from foundation_transformer.evaluation import score_language_model

V = 11


def make(seed=0, **options):
    config = {"vocab_size": V, "max_len": 12, "d_model": 24, "num_heads": 4, "num_layers": 2}
    config |= {"d_ff": 32, "dropout": 0.0} | options
    return CausalLM(TransformerConfig.gpt2(**config), rng=np.random.default_rng(seed))


@dataclass(frozen=True)
class Packed:
    """Rows of several texts, as foundation-data packs them."""

    ids: np.ndarray
    targets: np.ndarray
    segments: np.ndarray
    positions: np.ndarray

    @property
    def mask(self):
        real = (self.segments > 0)[:, None]
        return (self.segments[:, :, None] == self.segments[:, None]) & real

    @property
    def num_tokens(self):
        return int((self.segments > 0).sum())


# --- windows


def test_random_windows_are_pieces_of_the_text(rng):
    text = rng.permutation(40)
    places = {int(token): i for i, token in enumerate(text)}
    batches = iter(recipes.RandomWindows(text, 5, 3, np.random.default_rng(1)))
    starts = set()
    for _ in range(200):
        batch = next(batches)
        assert batch.ids.shape == batch.targets.shape == (3, 5)
        assert batch.num_tokens == 15
        for row, targets in zip(batch.ids, batch.targets, strict=True):
            start = places[int(row[0])]
            starts.add(start)
            np.testing.assert_array_equal(row, text[start : start + 5])
            np.testing.assert_array_equal(targets, text[start + 1 : start + 6])
    assert starts == set(range(35))  # the first and the last possible ones, too


def test_windows_are_seeded():
    def first(seed):
        batches = recipes.RandomWindows(np.arange(99), 5, 3, np.random.default_rng(seed))
        return next(iter(batches)).ids.tolist()

    assert first(1) == first(1) != first(2)


@pytest.mark.parametrize(("count", "used"), [(11, 10), (14, 10), (15, 10), (16, 15), (6, 5)])
def test_every_token_is_a_target_once(count, used):
    batches = recipes.consecutive_windows(np.arange(count), 5, 2)
    assert [len(b.ids) for b in batches] == [2] * (used // 10) + [1] * (used // 5 % 2)
    targets = np.concatenate([b.targets.ravel() for b in batches])
    np.testing.assert_array_equal(targets, np.arange(1, used + 1))
    assert all((b.ids + 1 == b.targets).all() for b in batches)


@pytest.mark.parametrize(
    ("ids", "length", "message"),
    [
        (np.arange(5), 5, "windows of 1 to 4 tokens in a text of 5, got length=5"),
        (np.arange(5), 0, "got length=0"),
        (np.zeros((2, 3), int), 1, r"\(N,\) integers, got int64 of shape \(2, 3\)"),
        (np.arange(5.0), 2, "integers, got float64"),
    ],
)
def test_refused_texts(ids, length, message):
    for make_windows in (recipes.RandomWindows, recipes.consecutive_windows):
        with pytest.raises(ValueError, match=message):
            make_windows(ids, length, 2)


# --- the loss


def packed(rng):
    segments = np.array([[1, 1, 1, 2, 2, 2, 2], [1, 1, 1, 1, 2, 0, 0]])
    positions = np.array([[0, 1, 2, 0, 1, 2, 3], [0, 1, 2, 3, 0, 0, 0]])
    ids, targets = rng.integers(V, size=(2, 2, 7))
    return Packed(ids, targets, segments, positions)


def by_hand(model, batch):
    """The loss of every text of a batch by itself, token after token."""
    nats, right = [], []
    for row, segments in enumerate(batch.segments):
        for segment in set(segments.tolist()) - {0}:
            mine = segments == segment
            logits = model(batch.ids[row, mine][None]).data[0]
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            targets = batch.targets[row, mine]
            nats += (-log_p[np.arange(len(targets)), targets]).tolist()
            right += (log_p.argmax(-1) == targets).tolist()
    return np.mean(nats), np.mean(right), len(nats)


@pytest.mark.parametrize("positions", ["learned", "rotary", "alibi"])
def test_texts_in_a_row_are_apart(rng, positions):
    model, batch = make(positions=positions).astype(np.float64), packed(rng)
    loss, count = recipes.language_model_loss(model, batch)
    expected, accuracy, tokens = by_hand(model, batch)
    assert count == tokens == 12
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    scores = score_language_model(model, [batch], num_bytes=31)
    assert scores.loss == pytest.approx(expected, rel=1e-12)
    assert scores.perplexity == pytest.approx(math.exp(expected))
    assert scores.bits_per_byte == pytest.approx(12 * expected / math.log(2) / 31)
    assert (scores.accuracy, scores.num_tokens) == (accuracy, 12)


def test_padding_alone_needs_no_mask(rng):
    model, batch = make().astype(np.float64), packed(rng)
    single = Packed(
        batch.ids, batch.targets, (batch.segments == 1).astype(int), batch.positions * 0
    )
    loss, count = recipes.language_model_loss(model, single)
    expected, _, tokens = by_hand(model, single)
    assert count == tokens == 7
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_scores_agree_with_the_trainers(rng):
    model, text = make(), rng.integers(V, size=90)
    batches = recipes.consecutive_windows(text, 12, 3)
    scores = score_language_model(model, batches)
    expected = evaluate(model, recipes.language_model_loss, batches)
    assert scores.loss == pytest.approx(expected, rel=1e-6)
    assert scores.bits_per_byte is None


def test_nothing_to_score():
    with pytest.raises(ValueError, match="no batch with a target"):
        score_language_model(make(), [])
    with pytest.raises(ValueError, match="num_bytes >= 1, got 0"):
        score_language_model(make(), [], num_bytes=0)


# --- training


@pytest.mark.parametrize("preset", ["gpt2", "llama"])
def test_learns_what_two_tokens_say_of_the_next(preset):
    """x[t] = x[t-1] + x[t-2]: no single token tells the next one."""
    rng = np.random.default_rng(3)
    text = [1, 1]
    while len(text) < 3000:
        text.append((text[-1] + text[-2]) % V if len(text) % 50 else int(rng.integers(V)))
    options = {"vocab_size": V, "max_len": 12, "d_model": 32, "num_heads": 4, "num_layers": 2}
    config = getattr(TransformerConfig, preset)(**options, d_ff=64, dropout=0.0)
    model = CausalLM(config, rng=np.random.default_rng(0))
    windows = recipes.RandomWindows(text, 12, 16, rng)
    trainer = recipes.train_lm(model, windows, steps=400, lr=1e-2, warmup=40, rng=rng)
    assert trainer.steps == 400
    losses = [s.loss for s in trainer.history.steps]
    assert losses[0] > 2
    assert np.mean(losses[-20:]) < 0.6
    (row,) = generate(model, [[3, 5]], 8)
    assert row == [8, 2, 10, 1, 0, 1, 1, 2]


def test_windows_of_another_text_are_not_gone_on_with(rng):
    state = recipes.RandomWindows(np.arange(9), 3, 2, rng).state_dict()
    recipes.RandomWindows(np.arange(9, dtype=np.int32), 3, 2, rng).load_state_dict(state)
    with pytest.raises(ValueError, match="belongs to another text"):
        recipes.RandomWindows(np.arange(1, 10), 3, 2, rng).load_state_dict(state)


def test_the_schedule_and_the_limits(rng):
    text = rng.integers(V, size=90)
    windows = recipes.RandomWindows(text, 12, 2, rng)
    validation = recipes.consecutive_windows(text, 12, 3)
    trainer = recipes.train_lm(
        make(), windows, steps=40, lr=8e-3, warmup=10, validation=validation, rng=rng
    )
    rates = [s.lr for s in trainer.history.steps]
    assert rates[0] == pytest.approx(8e-4)
    assert max(rates) == rates[9] == pytest.approx(8e-3)
    assert rates[-1] == pytest.approx(8e-4)
    assert [e.step for e in trainer.history.evaluations] == [40]
    assert trainer.optimizer.weight_decay == 0.1
    trainer = recipes.train_lm(make(), windows, steps=10**6, max_seconds=0.05)
    assert trainer.stopped_by == "seconds"


# --- accumulation


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 1), (1, 2, 1)])
def test_micro_batches_update_as_the_full_batch_does(rng, sizes):
    """Rows of 2 to 12 targets, so that a mean of means would be another number."""
    ids, targets = rng.integers(V, size=(2, 4, 12))
    segments = (np.arange(12) < np.array([[12], [2], [5], [9]])).astype(int)
    places = np.broadcast_to(np.arange(12), (4, 12))

    def rows(start, stop):
        part = slice(start, stop)
        return Packed(ids[part], targets[part], segments[part], places[part])

    ends = np.cumsum(sizes).tolist()
    micro = [rows(a, b) for a, b in zip([0, *ends], ends, strict=False)]

    def train(batches, accumulate):
        model = make().astype(np.float64)
        # One epoch after the other, of one update each.
        trainer = recipes.train_lm(
            model, batches, steps=3, lr=1e-2, warmup=1, accumulate=accumulate
        )
        return model.state_dict(), trainer.history.steps

    full, full_steps = train([rows(0, 4)], 1)
    parts, part_steps = train(micro, len(sizes))
    for name, values in full.items():
        np.testing.assert_allclose(parts[name], values, rtol=0, atol=1e-12)
    for step, expected in zip(part_steps, full_steps, strict=True):
        assert step.loss == pytest.approx(expected.loss, abs=1e-12)
        assert step.grad_norm == pytest.approx(expected.grad_norm, abs=1e-12)
        assert step.tokens == expected.tokens == 28


def test_an_epoch_may_end_within_a_group(rng):
    text = recipes.consecutive_windows(rng.integers(V, size=61), 12, 1)  # five batches
    trainer = recipes.train_lm(make(), text, steps=6, accumulate=2, validation=text)
    assert [s.tokens for s in trainer.history.steps] == [24, 24, 12] * 2
    assert [e.step for e in trainer.history.evaluations] == [3, 6]
    expected = evaluate(trainer.model, recipes.language_model_loss, text)
    assert trainer.history.evaluations[-1].loss == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="accumulate: expected at least 1 batch .* got 0"):
        recipes.train_lm(make(), text, steps=6, accumulate=0)

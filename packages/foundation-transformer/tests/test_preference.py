"""Preferences: the loss by hand, the reference computed once, and a model that changes its mind."""

import numpy as np
import pytest
from foundation_nn import functional as F
from foundation_nn import gradcheck, no_grad, optim
from foundation_transformer import CausalLM, TransformerConfig, recipes
from foundation_transformer.recipes import Preference, _preference

V = 11


def make(seed=0, **options):
    sizes = {"vocab_size": V, "d_model": 16, "num_heads": 2, "num_layers": 1, "max_len": 9}
    return CausalLM(TransformerConfig.gpt2(**sizes | options), rng=np.random.default_rng(seed))


def test_the_loss_by_hand():
    zero = np.zeros(1)
    untrained = recipes.dpo_loss(zero - 3, zero - 5, zero - 3, zero - 5)
    assert untrained.item() == pytest.approx(np.log(2))
    # Twice as likely and half as likely: a margin of log 4, and σ(log 4) = 4/5 with β = 1.
    loss = recipes.dpo_loss(zero + np.log(2), zero - np.log(2), zero, zero, beta=1.0)
    assert loss.item() == pytest.approx(np.log(5 / 4))


def test_its_gradient():
    rng = np.random.default_rng(0)
    chosen, rejected, known_chosen, known_rejected = rng.standard_normal((4, 5))
    gradcheck(
        lambda c, r: recipes.dpo_loss(c, r, known_chosen, known_rejected, beta=0.7),
        chosen,
        rejected,
    )


@pytest.mark.parametrize("margin", [-1e4, 1e4])
def test_it_does_not_overflow(margin):
    from foundation_nn import Tensor

    chosen = Tensor(np.array([margin], np.float32), requires_grad=True)
    zero = np.zeros(1, np.float32)
    loss = recipes.dpo_loss(chosen, zero, zero, zero, beta=1.0)
    loss.backward()
    assert loss.item() == max(0.0, -margin)
    assert chosen.grad.item() == (-1.0 if margin < 0 else 0.0)


def test_shapes_and_numbers_are_checked():
    two, three = np.zeros(2), np.zeros(3)
    with pytest.raises(ValueError, match=r"four arrays of one shape \(B,\)"):
        recipes.dpo_loss(two, three, two, two)
    with pytest.raises(ValueError, match="at least one pair"):
        recipes.dpo_loss(two[:0], two[:0], two[:0], two[:0])
    with pytest.raises(ValueError, match="beta > 0"):
        recipes.dpo_loss(two, two, two, two, beta=0)


PAIRS = [Preference([1, 2], [3, 4, 5], [6]), Preference([7, 8, 9], [1], [2, 3])]


def by_the_definition(model, prompt, answer):
    with no_grad():
        logits = model(np.array([[*prompt, *answer]])).data[0].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return sum(log_p[len(prompt) - 1 + i, token] for i, token in enumerate(answer))


def test_the_reference_is_that_of_the_definition():
    model = make().astype(np.float64)
    for batch_size in (1, 2, 5):
        known = recipes.with_reference(model, recipes.preference_arrays(PAIRS), batch_size)
        expected = [
            [by_the_definition(model, p, answer) for answer in answers] for p, *answers in PAIRS
        ]
        np.testing.assert_allclose(known.reference, expected, rtol=1e-10)


def test_what_counts_are_the_answers_alone():
    arrays = recipes.preference_arrays(PAIRS)
    assert arrays.ids[0].tolist() == [[1, 2, 3, 4], [1, 2, 0, 0]]
    assert arrays.targets[0].tolist() == [[-1, 3, 4, 5], [-1, 6, -1, -1]]
    assert arrays.ids[1].tolist() == [[7, 8, 9, 0], [7, 8, 9, 2]]
    assert arrays.targets[1].tolist() == [[-1, -1, 1, -1], [-1, -1, 2, 3]]


def test_a_long_prompt_is_cut_at_its_beginning_alike_for_both_answers():
    arrays = recipes.preference_arrays([Preference([5, 6, 7, 8], [1, 2], [3])], max_len=3)
    assert arrays.ids.tolist() == [[[7, 8, 1], [7, 8, 0]]]
    with pytest.raises(ValueError, match="pair 0 has an answer of 4 tokens, which leaves no room"):
        recipes.preference_arrays([Preference([5], [1, 2, 3, 4], [3])], max_len=3)
    with pytest.raises(ValueError, match="pair 0 has an empty prompt or answer"):
        recipes.preference_arrays([Preference([5], [], [3])])
    with pytest.raises(ValueError, match="at least one pair"):
        recipes.preference_arrays([])


def test_the_loss_of_a_batch_is_that_of_its_pairs():
    model, reference = make(1).astype(np.float64), make(2).astype(np.float64)
    known = recipes.with_reference(reference, recipes.preference_arrays(PAIRS))
    loss, count = recipes.preference_loss(0.5)(model, known)
    losses = []
    for prompt, *answers in PAIRS:
        better, worse = (
            by_the_definition(model, prompt, answer) - by_the_definition(reference, prompt, answer)
            for answer in answers
        )
        margin = better - worse
        losses.append(np.log1p(np.exp(-0.5 * margin)))
    assert (loss.item(), count) == (pytest.approx(np.mean(losses), rel=1e-9), 2)


def test_gradients_of_answers():
    model = make(d_model=4, num_heads=1).astype(np.float64)
    arrays = recipes.preference_arrays(PAIRS)
    ids, targets = arrays.ids.reshape(4, -1), arrays.targets.reshape(4, -1)
    weights = np.random.default_rng(0).standard_normal(4)
    gradcheck(
        lambda *_: (recipes.answer_log_probs(model, ids, targets) * weights).sum(),
        model.embedding.weight,
    )


def test_a_model_changes_its_mind_and_keeps_the_rest(monkeypatch):
    """It learns to answer 1 with 3 rather than with 4, and keeps what it says after 2."""
    rng = np.random.default_rng(0)
    model = make()
    texts = np.array([[1, 4], [1, 4], [1, 4], [1, 3], [1, 3], [2, 5]])
    optimizer = optim.AdamW(model, lr=1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        F.cross_entropy(model(texts[:, :-1]), texts[:, 1:]).backward()
        optimizer.step()
    assert model(np.array([[1], [2]])).data[:, 0].argmax(axis=-1).tolist() == [4, 5]
    read = []
    monkeypatch.setattr(
        _preference, "with_reference", lambda *a: read.append(a) or recipes.with_reference(*a)
    )
    pairs = [Preference([1], [3], [4])]
    known = recipes.with_reference(model, recipes.preference_arrays(pairs))
    assert recipes.preference_loss()(model, known)[0].item() == pytest.approx(np.log(2))
    recipes.train_dpo(model, pairs, steps=40, lr=1e-3, beta=0.5, rng=rng)
    assert len(read) == 1  # the reference has read the pairs once
    assert model(np.array([[1], [2]])).data[:, 0].argmax(axis=-1).tolist() == [3, 5]
    assert recipes.preference_accuracy(model, known) == 1.0


def test_files(tmp_path):
    path = tmp_path / "pairs.jsonl"
    good = '{"prompt": "p", "chosen": " a", "rejected": " b", "source": "left alone"}'
    path.write_text(good + "\n\n" + good)
    assert recipes.read_preferences(path) == [Preference("p", " a", " b")] * 2
    encoded = recipes.encode_preferences(
        recipes.read_preferences(path), lambda text: list(text.encode()), before=[0], after=[1]
    )
    assert encoded[0] == Preference([0, 112], [32, 97, 1], [32, 98, 1])
    for line, message in [
        ('{"prompt": "p", "chosen": "a"}', "'rejected' is missing"),
        ('{"prompt": "p", "chosen": 3, "rejected": "b"}', "chosen: expected a string, got 3"),
        ('{"prompt": "p", "chosen": " ", "rejected": "b"}', "chosen: expected an answer"),
        ('{"prompt": "p", "chosen": "b", "rejected": "b"}', "the same text"),
    ]:
        path.write_text(good + "\n" + line)
        with pytest.raises(ValueError, match=r"pairs\.jsonl, line 2: ") as caught:
            recipes.read_preferences(path)
        assert message in str(caught.value)

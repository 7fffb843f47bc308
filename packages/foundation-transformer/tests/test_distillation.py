"""Distillation: the loss, its gradient, the honest rest, and a student that reaches its teacher."""

import numpy as np
import pytest
from foundation_nn import functional as F
from foundation_nn import gradcheck, no_grad
from foundation_transformer import CausalLM, TransformerConfig, recipes
from foundation_transformer.recipes import distillation_loss, top_tokens
from hypothesis import given
from hypothesis import strategies as st

V = 7
RNG = np.random.default_rng(0)
TEACHER, STUDENT = RNG.standard_normal((2, 5, V)) * 2


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_the_likeliest_and_the_rest():
    top = top_tokens(np.log([[0.1, 0.4, 0.2, 0.3]]), 2)
    assert top.ids.tolist() == [[1, 3]]
    np.testing.assert_allclose(np.exp(top.log_probs), [[0.4, 0.3]])
    np.testing.assert_allclose(np.exp(top.log_rest), [0.3])
    # The rest is summed up, not one minus the others: 1e-30 is lost beside one.
    top = top_tokens(np.array([[0.0, np.log(1e-30), np.log(2e-30)]]), 1)
    np.testing.assert_allclose(top.log_rest, np.log(3e-30))
    assert top_tokens(TEACHER, V).log_rest.tolist() == [-np.inf] * 5
    for k in (0, V + 1):
        with pytest.raises(ValueError, match="expected k of 1 to 7"):
            top_tokens(TEACHER, k)
    with pytest.raises(ValueError, match="temperature > 0"):
        top_tokens(TEACHER, 2, 0)


@given(st.integers(1, V), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_loss_is_the_divergence_of_k_tokens_and_the_rest(k, T):
    top = top_tokens(TEACHER, k, T)
    p, q = softmax(TEACHER / T), softmax(STUDENT / T)
    total = 0.0
    for row in range(5):
        ids = top.ids[row]
        rest = [i for i in range(V) if i not in ids]
        grouped_p = [*p[row, ids], p[row, rest].sum()] if rest else p[row, ids]
        grouped_q = [*q[row, ids], q[row, rest].sum()] if rest else q[row, ids]
        total += sum(a * np.log(a / b) for a, b in zip(grouped_p, grouped_q, strict=True))
    loss = distillation_loss(STUDENT, *top, T).item()
    assert loss == pytest.approx(T**2 * total / 5, rel=1e-10)
    full = T**2 * (p * np.log(p / q)).sum(axis=-1).mean()
    assert loss <= full * (1 + 1e-12)
    assert k < V or loss == pytest.approx(full, rel=1e-10)


@pytest.mark.parametrize("k", [1, 3, V])
@pytest.mark.parametrize("T", [0.5, 1.0, 2.0])
def test_its_gradient(k, T):
    top = top_tokens(TEACHER, k, T)
    gradcheck(lambda z: distillation_loss(z, *top, T), STUDENT)


def test_who_agrees_has_no_loss_and_no_gradient():
    from foundation_nn import Tensor

    for k in (2, V):
        z = Tensor(TEACHER + 3, requires_grad=True)
        loss = distillation_loss(z, *top_tokens(TEACHER, k, 2.0), 2.0)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(z.grad, 0, atol=1e-12)


def test_how_the_rest_is_shared_out_is_the_students_own():
    top = top_tokens(TEACHER, 3)
    moved = TEACHER.copy()
    for row, ids in zip(moved, top.ids, strict=True):
        rest = [i for i in range(V) if i not in ids]
        row[rest] = row[rest[::-1]]  # the same probabilities for others of them
    assert distillation_loss(moved, *top).item() == pytest.approx(0, abs=1e-12)


def test_numbers_far_apart_stay_finite():
    from foundation_nn import Tensor

    teacher = np.array([[0, -500.0, -500.0]], np.float32)
    for student in ([[0, -500, -500]], [[-500, 0, 0]], [[900, 0, -900]]):
        z = Tensor(np.array(student, np.float32), requires_grad=True)
        loss = distillation_loss(z, *top_tokens(teacher, 1))
        loss.backward()
        assert np.isfinite(loss.data)
        assert np.isfinite(z.grad).all()


def test_shapes_are_checked():
    top = top_tokens(TEACHER, 3)
    with pytest.raises(ValueError, match="log_rest"):
        distillation_loss(STUDENT, top.ids, top.log_probs, top.log_rest[:2])
    with pytest.raises(ValueError, match="for 0 rows"):
        distillation_loss(STUDENT[:0], top.ids[:0], top.log_probs[:0], top.log_rest[:0])


def make(d_model, seed, **options):
    config = TransformerConfig.gpt2(
        vocab_size=V, d_model=d_model, num_heads=2, num_layers=1, max_len=6, **options
    )
    return CausalLM(config, rng=np.random.default_rng(seed))


def divergence(teacher, student, ids):
    with no_grad():
        p, q = softmax(teacher(ids).data.astype(float)), softmax(student(ids).data.astype(float))
    return (p * np.log(p / q)).sum(axis=-1).mean()


def test_a_small_student_reaches_the_distribution_of_its_teacher():
    rng = np.random.default_rng(1)
    teacher, student = make(24, 0, dropout=0.3), make(16, 1)
    for p in teacher.parameters():
        p.data = p.data * 4  # so that it has something to say
    text = rng.integers(V, size=400)
    windows = recipes.RandomWindows(text, length=6, batch_size=32, rng=rng)
    before = divergence(teacher, student, text[:60].reshape(10, 6))
    state = {name: p.data.copy() for name, p in teacher.named_parameters()}
    recipes.train_student(
        student, teacher, windows, steps=400, k=V, temperature=1.0, alpha=1.0, lr=1e-2, rng=rng
    )
    after = divergence(teacher, student, text[:60].reshape(10, 6))
    assert before > 0.3
    assert after < 0.1 * before
    assert all(np.array_equal(p.data, state[name]) for name, p in teacher.named_parameters())


def test_teacher_and_text_are_weighed():
    teacher, student = make(8, 0), make(8, 1)
    batch = next(iter(recipes.RandomWindows(np.arange(V), length=3, batch_size=2)))
    losses = {
        alpha: recipes.DistillationLoss(teacher, 3, 2.0, alpha)(student, batch)[0].item()
        for alpha in (0.0, 0.25, 1.0)
    }
    plain = F.cross_entropy(student(batch.ids), batch.targets).item()
    assert losses[0.0] == pytest.approx(plain, rel=1e-5)
    assert losses[0.25] == pytest.approx(0.25 * losses[1.0] + 0.75 * plain, rel=1e-5)
    with pytest.raises(ValueError, match="alpha from 0 to 1"):
        recipes.DistillationLoss(teacher, alpha=1.5)
    other = CausalLM(TransformerConfig.gpt2(vocab_size=V + 1, d_model=8, num_heads=2, num_layers=1))
    with pytest.raises(ValueError, match="one vocabulary, got 7 and 8 tokens"):
        recipes.train_student(student, other, [batch], steps=1)

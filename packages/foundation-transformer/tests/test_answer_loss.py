"""Answers in packed rows are learnt as they are by themselves."""

import numpy as np
import pytest
from foundation_data import TextDataset
from foundation_nn import distributed, gradcheck
from foundation_nn import functional as F
from foundation_transformer import CausalLM, TransformerConfig
from foundation_transformer.adapters import Lora
from foundation_transformer.recipes import IGNORE_INDEX, answer_loss, answer_targets
from foundation_transformer.recipes._answers import rows_of

DOCUMENTS = [[1, 5, 6, 7, 2], [1, 8, 2], [1, 9, 9, 3, 4, 2, 2], [1, 4, 2]]
LEARNT = [[0, 0, 1, 1, 1], [0, 0, 1], [0, 1, 0, 0, 1, 1, 0], [1, 1, 1]]
SMALL = {"vocab_size": 11, "d_model": 12, "num_heads": 2, "num_layers": 2, "max_len": 13}


def dataset(length=9, **options):
    learnt = [list(map(bool, flags)) for flags in LEARNT]
    return TextDataset.from_ids(DOCUMENTS, length, pack=True, trained=learnt, **options)


@pytest.fixture(params=["llama", "gpt2"])
def model(request):
    config = getattr(TransformerConfig, request.param)(**SMALL)
    return CausalLM(config, rng=np.random.default_rng(0)).astype(np.float64)


def test_targets_that_do_not_count_are_ignored():
    targets = answer_targets(dataset(20).batch([0]))
    X = IGNORE_INDEX
    first, second, third, fourth = [X, 6, 7, 2], [X, 2], [9, X, X, 4, 2, X], [4, 2]
    assert targets.tolist() == [[*first, *second, *third, *fourth]]


def test_packed_is_the_same_as_apart(model):
    """Loss and gradient, of the model and of a change beside it."""
    packed = dataset()
    assert len(packed) == 2
    lora = Lora.around(model, rank=2, rng=np.random.default_rng(0))
    for p in lora.parameters():
        p.data = np.random.default_rng(0).standard_normal(p.shape)
    model.unfreeze()

    loss, count = answer_loss(model, packed.batch([0, 1]))
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for p in model.parameters():
        p.grad = None
    total = 0.0
    for ids, flags in zip(DOCUMENTS, LEARNT, strict=True):
        logits = model(np.array([ids[:-1]]))
        targets = np.where(np.array([flags[1:]], bool), [ids[1:]], IGNORE_INDEX)
        num = sum(flags[1:])
        apart = F.cross_entropy(logits, targets, ignore_index=IGNORE_INDEX) * (num / count)
        apart.backward()
        total += apart.item()
    assert count == 3 + 1 + 3 + 2
    np.testing.assert_allclose(loss.item(), total, rtol=1e-12)
    for name, p in model.named_parameters():
        if p.grad is not None:
            np.testing.assert_allclose(grads[name], p.grad, rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_text_does_not_see_its_neighbour(model):
    """Other ids in one document change no bit of the loss of those in another."""
    batch = dataset(20).batch([0])
    first = batch.segments[0] == 1
    ids = batch.ids.copy()
    ids[0, first] = 3
    hidden = [
        model.hidden(x, mask=batch.mask, positions=batch.positions).data[0]
        for x in (batch.ids, ids)
    ]
    assert hidden[0][~first].tobytes() == hidden[1][~first].tobytes()
    assert hidden[0][first].tobytes() != hidden[1][first].tobytes()


def test_processes_share_what_counts(model):
    batch = dataset().batch([0, 1])
    parts = batch.split(2)
    assert sum(part.num_tokens for part in parts) == batch.num_tokens
    whole, _ = answer_loss(model, batch)
    losses = [answer_loss(model, part) for part in parts]
    mean = sum(loss.item() * count for loss, count in losses) / batch.num_tokens
    np.testing.assert_allclose(whole.item(), mean, rtol=1e-12)
    assert distributed.share(batch, 0, 2).num_tokens == parts[0].num_tokens


def test_without_marks_all_that_is_real_counts(model):
    rows = TextDataset.from_ids(DOCUMENTS, 9, pack=True)
    _, count = answer_loss(model, rows.batch([0, 1]))
    assert count == sum(len(ids) - 1 for ids in DOCUMENTS)
    assert (answer_targets(rows.batch([0, 1])) != IGNORE_INDEX).sum() == count


def test_the_gradient_of_chosen_rows_is_right(rng):
    chosen = rng.random((3, 5)) < 0.4
    gradcheck(lambda x: rows_of(x, chosen), rng.standard_normal((3, 5, 2)))

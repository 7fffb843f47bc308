"""A text of any length is measured in windows, in bounded memory, with what stands before it."""

import tracemalloc

import numpy as np
import pytest
from foundation_nn import no_grad
from foundation_seq import generate
from foundation_transformer import CausalLM, KnownTokens, TransformerConfig
from foundation_transformer.evaluation import score_text
from hypothesis import given, settings
from hypothesis import strategies as st

V, MAX_LEN = 31, 11
MODEL = CausalLM(
    TransformerConfig.llama(
        vocab_size=V, max_len=MAX_LEN, d_model=24, num_heads=2, num_layers=2, d_ff=37
    ),
    rng=np.random.default_rng(0),
).astype(np.float64)
for parameter in MODEL.parameters():
    parameter.data = parameter.data * 4


def nats(row):
    """−log p of the last token of a row, by the definition."""
    with no_grad():
        logits = MODEL(np.array([row[:-1]])).data[0, -1]
    return np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[row[-1]]


def expected(ids, before, context, stride):
    """The same one token at a time."""
    width = context + 1 - len(before)
    begin = 0 if before else 1
    total, end = 0.0, 0
    for i in range(begin, len(ids)):
        if i >= end:
            end = width if end == 0 else end + stride
        start = max(0, min(end, len(ids)) - width)
        total += nats([*before, *ids[start : i + 1]])
    return total / (len(ids) - begin)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_token_is_told_by_its_window(data):
    before = data.draw(st.sampled_from([[], [3], [3, 5]]))
    ids = data.draw(st.lists(st.integers(0, V - 1), min_size=2, max_size=40))
    context = data.draw(st.integers(len(before) + 1, MAX_LEN))
    most = context + 1 - len(before) - (0 if before else 1)
    stride = data.draw(st.integers(1, most))
    batch_size = data.draw(st.integers(1, 3))
    scores = score_text(MODEL, ids, before, context=context, stride=stride, batch_size=batch_size)
    assert scores.num_tokens == len(ids) - (0 if before else 1)
    assert scores.loss == pytest.approx(expected(ids, before, context, stride), rel=1e-9)


def test_memory_does_not_grow_with_context_or_vocabulary():
    config = TransformerConfig.gpt2(
        vocab_size=50_000, max_len=4096, d_model=8, num_heads=1, num_layers=1
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    ids = np.random.default_rng(0).integers(0, 50_000, 9000)
    tracemalloc.start()
    try:
        scores = score_text(model, ids)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scores.num_tokens == 8999
    assert scores.perplexity == pytest.approx(50_000, rel=0.02)
    assert peak < 4 * (1 << 26)  # all logits of a batch would take 1.6 GB


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 12}, "expected a context of 1 to 11, got 12"),
        ({"context": 0}, "expected a context of 1 to 11, got 0"),
        ({"stride": 12}, "expected a stride of 1 to 11, got 12"),
        ({"before": range(11)}, "expected a context of 12 to 11"),
        ({"ids": [1]}, "no token to foretell"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        score_text(MODEL, **({"ids": [1, 2, 3]} | options))


def test_tokens_without_a_text_are_never_written():
    likes_the_last = CausalLM(MODEL.config, rng=np.random.default_rng(0))
    weight = likes_the_last.output.weight.data.copy()
    weight[27:] = 50 * weight[3]
    likes_the_last.output.weight.data = weight
    prompts = [[1, 2], [3]]
    assert max(max(row) for row in generate(likes_the_last, prompts, 8)) >= 27
    known = KnownTokens(likes_the_last, 27)
    rows = generate(known, prompts, 8)
    assert max(max(row) for row in rows) < 27
    assert generate(known, prompts, 8, draft=lambda ids: rows[len(ids) == 1]) == rows
    plain = generate(MODEL, prompts, 8)
    assert generate(KnownTokens(MODEL, V + 5), prompts, 8) == plain
    with pytest.raises(ValueError, match="num_tokens >= 1"):
        KnownTokens(MODEL, 0)

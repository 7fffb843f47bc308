"""Batches reach the models as they are: every mask, every length, every bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention, capture_attention
from foundation_data import (
    Batch,
    BatchLoader,
    CharTokenizer,
    TextBatch,
    TextDataset,
    TranslationDataset,
    open_shards,
    tasks,
    write_shards,
)
from foundation_nn import Embedding, Linear, Tensor, optim
from foundation_nn import functional as F
from foundation_seq import LSTM, RecurrentLM
from foundation_transformer import CausalLM, Transformer, TransformerConfig
from foundation_transformer.recipes import translation_loss
from numpy.typing import NDArray

RNG = np.random.default_rng(7)
PAIRS = tasks.sort_task(RNG, 53, vocab_size=23, min_len=1, max_len=9)
DOCUMENTS = [[1, *RNG.integers(4, 23, n).tolist(), 2] for n in RNG.integers(1, 9, 41)]


@pytest.fixture(params=[0, 2], ids=["in turn", "prefetched"])
def batches(request: pytest.FixtureRequest) -> BatchLoader[Batch]:
    dataset = TranslationDataset.from_ids(PAIRS)
    return BatchLoader(dataset, max_tokens=60, seed=3, prefetch=request.param)


def translator() -> Transformer:
    config = TransformerConfig.tiny(vocab_size=23, d_model=12, num_heads=3, dropout=0.0)
    return Transformer(config, rng=np.random.default_rng(0)).astype(np.float64)


def test_the_masks_of_every_batch_reach_the_attention_untouched(
    batches: BatchLoader[Batch],
) -> None:
    model = translator()
    padded = 0
    for batch in batches:
        padded += not batch.source_mask.all()
        with capture_attention(model) as maps:
            model(batch.source, batch.target_in, batch.source_mask, batch.target_mask)
        assert maps
        for m in maps:
            source = batch.source_mask
            if m.kind == "cross":
                mask = source[:, None, :]
            elif m.name.startswith("decoder"):
                mask = batch.target_pattern
            else:
                mask = source[:, None, :] & source[:, :, None]
            allowed = np.broadcast_to(mask[:, None], m.weights.shape)
            # Softmax is nowhere zero: the zeros are the mask, bit by bit.
            np.testing.assert_array_equal(m.weights != 0, allowed)
    assert padded > 3


def test_poisoned_padding_changes_no_bit(batches: BatchLoader[Batch]) -> None:
    model, loss = translator(), translation_loss(0.1)

    def run(batch: Batch) -> tuple[float, list[NDArray[np.float64]]]:
        for p in model.parameters():
            p.grad = None
        value, _ = loss(model, batch)
        value.backward()
        return value.item(), [p.grad.copy() for p in model.parameters() if p.grad is not None]

    poisoned = 0
    for batch in batches:
        real = batch.target_mask
        other = Batch(
            source=np.where(batch.source_mask, batch.source, 19),
            source_mask=batch.source_mask,
            target_in=np.where(real, batch.target_in, 17),
            target_out=np.where(real, batch.target_out, 11),
            target_mask=batch.target_mask,
            num_tokens=batch.num_tokens,
        )
        poisoned += bool((other.source != batch.source).any())
        (value, grads), (again, same) = run(batch), run(other)
        assert value == again
        for a, b in zip(grads, same, strict=True):
            np.testing.assert_array_equal(a, b)
    assert poisoned > 3


def test_an_lstm_reads_exactly_what_is_real(batches: BatchLoader[Batch]) -> None:
    rng = np.random.default_rng(0)
    embedding, lstm = Embedding(23, 5, rng=rng), LSTM(5, 7, bidirectional=True, rng=rng)
    for batch in batches:
        output, (h, _) = lstm(embedding(batch.source), lengths=batch.source_mask.sum(axis=1))
        assert not output.data[~batch.source_mask].any()
        for row, mask, last in zip(batch.source, batch.source_mask, h.data[0], strict=True):
            _, (alone, _) = lstm(embedding(row[mask][None]))
            np.testing.assert_allclose(last, alone.data[0, 0], rtol=1e-5, atol=1e-6)


def gpt(**options: object) -> CausalLM:
    config = TransformerConfig.gpt2(
        vocab_size=23, d_model=12, num_heads=3, num_layers=2, max_len=32, dropout=0.0, **options
    )
    return CausalLM(config, rng=np.random.default_rng(0)).astype(np.float64)


def documents_of(batch: TextBatch) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    for row, segments in enumerate(batch.segments):
        for segment in range(1, segments.max() + 1):
            yield row, segments == segment


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "alibi"])
def test_a_packed_document_is_read_as_if_it_were_alone(positions: str) -> None:
    model = gpt(positions=positions)
    dataset = TextDataset.from_ids(DOCUMENTS, length=20, pack=True)
    seen = crowded = 0
    for batch in BatchLoader(dataset, batch_size=3, seed=1):
        mask = batch.mask
        with capture_attention(model) as maps:
            logits = model(batch.ids, mask=mask, positions=batch.positions).data
        for m in maps:
            allowed = np.broadcast_to(mask[:, None], m.weights.shape)
            np.testing.assert_array_equal(m.weights != 0, allowed)
        for row, here in documents_of(batch):
            alone = model(batch.ids[row, here][None]).data[0]
            np.testing.assert_allclose(logits[row, here], alone, rtol=1e-11, atol=1e-13)
            seen += 1
        crowded += int((batch.segments.max(axis=1) > 1).sum())
    assert seen == len(DOCUMENTS)
    assert crowded > 5


def test_windows_need_no_mask() -> None:
    model = gpt()
    dataset = TextDataset.from_ids(DOCUMENTS, length=20)
    batch = dataset.batch(np.arange(len(dataset) - 3, len(dataset)))  # the last row is shorter
    real = batch.segments > 0
    assert not real.all()
    plain, masked = model(batch.ids).data, model(batch.ids, mask=batch.mask).data
    np.testing.assert_array_equal(plain[real], masked[real])


def lm_loss(model: RecurrentLM, batch: TextBatch) -> tuple[Tensor, int]:
    return F.cross_entropy(model(batch.ids), batch.targets, ignore_index=0), batch.num_tokens


def test_windows_train_a_recurrent_language_model_and_resume(tmp_path: object) -> None:
    text = "she sells sea shells by the sea shore " * 12
    tokenizer = CharTokenizer.train([text])
    stream = write_shards(
        [tokenizer.encode(text)] * 2, f"{tmp_path}/shards", len(tokenizer), shard_tokens=300
    )

    def make() -> tuple[RecurrentLM, optim.AdamW, BatchLoader[TextBatch]]:
        model = RecurrentLM(len(tokenizer), 8, 24, rng=np.random.default_rng(0))
        rows = TextDataset.from_ids(open_shards(f"{tmp_path}/shards"), length=19)
        return model, optim.AdamW(model, 2e-2), BatchLoader(rows, batch_size=5, seed=2, prefetch=2)

    def epochs(
        model: RecurrentLM, optimizer: optim.AdamW, loader: BatchLoader[TextBatch], count: int
    ) -> Iterator[float]:
        for _ in range(count):
            for batch in loader:
                optimizer.zero_grad()
                loss, _ = lm_loss(model, batch)
                loss.backward()
                optimizer.step()
                yield loss.item()

    assert len(stream) == 2 * len(text)
    model, optimizer, loader = make()
    whole = list(epochs(model, optimizer, loader, 6))
    assert np.mean(whole[:3]) > 2.3
    assert np.mean(whole[-3:]) < 0.6

    # Stopped within an epoch, and continued by other objects: every loss has the same bits.
    first, optimizer, loader = make()
    run = epochs(first, optimizer, loader, 6)
    losses = [next(run) for _ in range(len(loader) + 3)]
    second, _, other = make()
    second.load_state_dict(first.state_dict())
    other.load_state_dict(loader.state_dict())
    rest = optim.AdamW(second, 2e-2)
    rest.load_state_dict(optimizer.state_dict())
    losses += epochs(second, rest, other, 5)
    assert losses == whole


def test_an_lstm_learns_to_add_what_is_far_apart() -> None:
    rng = np.random.default_rng(0)
    lstm, output = LSTM(2, 24, rng=rng), Linear(24, 1, rng=rng)
    optimizer = optim.Adam([*lstm.parameters(), *output.parameters()], lr=1e-2)
    for _ in range(400):
        inputs, targets = tasks.adding_task(rng, 64, length=12)
        _, (h, _) = lstm(inputs)
        loss = F.mse_loss(output(h[-1]).reshape(-1), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1 / 6 / 5  # always answering 1 costs 1/6


def test_a_mask_of_a_batch_works_in_bare_attention() -> None:
    attention = MultiHeadAttention(12, num_heads=3, rng=np.random.default_rng(0))
    batch = TextDataset.from_ids(DOCUMENTS, length=20, pack=True).batch([0, 1, 2])
    x = np.random.default_rng(1).standard_normal((*batch.ids.shape, 12)).astype(np.float32)
    poisoned = x.copy()
    poisoned[batch.segments == 2] = 1e6
    a, b = attention(x, mask=batch.mask).data, attention(poisoned, mask=batch.mask).data
    elsewhere = batch.segments != 2
    assert not elsewhere.all()
    np.testing.assert_array_equal(a[elsewhere], b[elsewhere])

"""What one package makes reaches the next as it is: batches, masks, models, generation."""

from __future__ import annotations

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention, capture_attention
from foundation_data import (
    Batch,
    BatchLoader,
    SpecialTokens,
    TranslationDataset,
    WordTokenizer,
    collate,
    tasks,
)
from foundation_nn import Embedding, Linear, Module, Tensor, checkpoint, optim
from foundation_nn import functional as F
from foundation_seq import LSTM
from foundation_transformer import Transformer, TransformerConfig, translate
from foundation_transformer.recipes import train_translator, translation_loss

PAIRS = [
    ("a red apple", "une pomme rouge"),
    ("go", "va"),
    ("the cat sleeps on the mat .", "le chat dort sur le tapis ."),
    ("it rains", "il pleut des cordes"),
]


@pytest.fixture
def tokenizers() -> tuple[WordTokenizer, WordTokenizer]:
    english, french = zip(*PAIRS, strict=True)
    return WordTokenizer.train(english), WordTokenizer.train(french)


@pytest.fixture
def batch(tokenizers: tuple[WordTokenizer, WordTokenizer]) -> Batch:
    return TranslationDataset(PAIRS, *tokenizers).batch([0, 1, 2, 3])


def make(tokenizers: tuple[WordTokenizer, WordTokenizer], **options: object) -> Transformer:
    config = TransformerConfig.from_dict(
        {
            "vocab_size": len(tokenizers[0]),
            "target_vocab_size": len(tokenizers[1]),
            "max_len": 16,
            "d_model": 24,
            "num_heads": 3,
            "num_layers": 2,
            "d_ff": 29,
            "dropout": 0.0,
        }
        | options
    )
    return Transformer(config, rng=np.random.default_rng(0))


def test_masks_reach_the_attention_untouched(
    tokenizers: tuple[WordTokenizer, WordTokenizer], batch: Batch
) -> None:
    model = make(tokenizers)
    with capture_attention(model) as maps:
        model(batch.source, batch.target_in, batch.source_mask, batch.target_mask)
    assert len(maps) == 6
    for m in maps:
        mask = batch.source_mask[:, None, :]
        if m.kind == "self":  # padding neither looks nor is looked at
            mask = mask & batch.source_mask[:, :, None]
        if m.kind == "self" and m.name.startswith("decoder"):
            mask = batch.target_pattern
        allowed = np.broadcast_to(mask[:, None], m.weights.shape)
        assert not m.weights[~allowed].any()  # exactly zero
        assert m.weights[allowed].all()


def test_a_batch_is_its_pairs_one_by_one(
    tokenizers: tuple[WordTokenizer, WordTokenizer], batch: Batch
) -> None:
    model = make(tokenizers).astype(np.float64)
    loss = translation_loss(0.1)
    value, count = loss(model, batch)
    dataset = TranslationDataset(PAIRS, *tokenizers)
    total = 0.0
    for i in range(len(PAIRS)):
        alone, tokens = loss(model, collate([dataset[i]]))
        total += alone.item() * tokens
    assert count == sum(len(text.split()) + 1 for _, text in PAIRS)
    assert value.item() == pytest.approx(total / count, rel=1e-12)


def test_padding_of_any_width_changes_nothing(
    tokenizers: tuple[WordTokenizer, WordTokenizer],
) -> None:
    model = make(tokenizers).astype(np.float64)
    dataset = TranslationDataset(PAIRS, *tokenizers)
    narrow, wide = dataset.batch([1]), dataset.batch([1, 2])
    a = model(narrow.source, narrow.target_in, narrow.source_mask, narrow.target_mask).data[0]
    b = model(wide.source, wide.target_in, wide.source_mask, wide.target_mask).data[0]
    np.testing.assert_allclose(b[: len(a)], a, rtol=1e-11, atol=1e-13)


def test_loader_to_translator(tokenizers: tuple[WordTokenizer, WordTokenizer]) -> None:
    model = make(tokenizers, norm_first=True)
    loader = BatchLoader(TranslationDataset(PAIRS, *tokenizers), batch_size=2, seed=3)
    trainer = train_translator(model, loader, epochs=60, lr=1e-2, label_smoothing=0.0)
    assert trainer.steps == 120
    assert loader.epoch == 60
    sources, targets = (list(side) for side in zip(*PAIRS, strict=True))
    assert translate(model, sources, *tokenizers) == targets
    assert translate(model, ["zebra", ""], *tokenizers)  # words nobody has seen, and none


def test_a_checkpoint_with_its_tokenizers(
    tokenizers: tuple[WordTokenizer, WordTokenizer], tmp_path: object
) -> None:
    model = make(tokenizers)
    loader = BatchLoader(TranslationDataset(PAIRS, *tokenizers), batch_size=2, seed=3)
    trainer = train_translator(model, loader, epochs=10, lr=1e-2)
    path = checkpoint.save(
        f"{tmp_path}/c",
        model,
        trainer.optimizer,
        source_tokenizer=tokenizers[0],
        target_tokenizer=tokenizers[1],
        history=trainer.history,
    )
    loaded = checkpoint.load(path)
    sources = [source for source, _ in PAIRS]
    extras = loaded.extras
    again = translate(loaded.model, sources, extras["source_tokenizer"], extras["target_tokenizer"])
    assert again == translate(model, sources, *tokenizers)
    assert extras["history"] == trainer.history


def test_other_numbers_for_the_special_tokens() -> None:
    # The loss of a padded batch does not depend on which id is padding.
    losses = []
    for specials in (SpecialTokens(), SpecialTokens(pad_id=3, bos_id=2, eos_id=1, unk_id=0)):
        pairs = [([4, 5, 6], [6]), ([7], [8, 9, 10])]
        batch = TranslationDataset.from_ids(pairs, specials).batch([0, 1])
        config = TransformerConfig.tiny(vocab_size=11, d_model=12, num_heads=3, dropout=0.0)
        model = Transformer(config, rng=np.random.default_rng(0)).astype(np.float64)
        table = model.target_embedding.weight.numpy()  # the special tokens swap their rows, too
        rows = [*specials.ids, *range(4, 11)]
        order = np.empty(11, int)
        order[rows] = np.arange(11)
        model.target_embedding.weight.data = table[order]
        trainer = train_translator(model, [batch], epochs=1)
        losses.append(trainer.history.steps[0].loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)


class Reverser(Module):
    """Reads with an LSTM in both directions, and looks at all of it from every position."""

    def __init__(self, vocab_size: int, width: int, rng: np.random.Generator) -> None:
        self.embedding = Embedding(vocab_size, width, rng=rng)
        self.lstm = LSTM(width, width // 2, bidirectional=True, rng=rng)
        self.attention = MultiHeadAttention(width, num_heads=2, rng=rng)
        self.output = Linear(width, vocab_size, rng=rng)

    def forward(self, ids: np.ndarray, mask: np.ndarray) -> Tensor:
        h, _ = self.lstm(self.embedding(ids), lengths=mask.sum(axis=1))
        return self.output(h + self.attention(h, key_mask=mask))


def test_an_lstm_learns_from_batches_of_a_task() -> None:
    rng = np.random.default_rng(0)
    pairs = tasks.reverse_task(rng, 600, vocab_size=9, min_len=2, max_len=4)
    loader = BatchLoader(TranslationDataset.from_ids(pairs), batch_size=30, seed=1)
    model = Reverser(9, 32, rng)
    optimizer = optim.AdamW(model, 1e-2)

    def step(batch: Batch) -> tuple[Tensor, float]:
        # The source has the length of the target: the k-th output is read off the k-th position.
        logits = model(batch.source, batch.source_mask)
        right = logits.data.argmax(-1) == batch.target_out
        return F.cross_entropy(logits, batch.target_out, ignore_index=0), right[
            batch.source_mask
        ].mean()

    first = last = 0.0
    for epoch in range(15):
        seen = []
        for batch in loader:
            optimizer.zero_grad()
            loss, right = step(batch)
            loss.backward()
            optimizer.step()
            seen.append(right)
        first, last = (float(np.mean(seen)), last) if epoch == 0 else (first, float(np.mean(seen)))
    assert first < 0.75
    assert last > 0.95


def test_padding_is_invisible_to_lstm_and_attention() -> None:
    rng = np.random.default_rng(0)
    pairs = tasks.copy_task(rng, 7, vocab_size=9, max_len=5)
    batch = TranslationDataset.from_ids(pairs).batch(range(7))
    model = Reverser(9, 16, rng).astype(np.float64)
    results = []
    for filling in (0, 7):
        source = np.where(batch.source_mask, batch.source, filling)
        for p in model.parameters():
            p.grad = None
        logits = model(source, batch.source_mask)
        F.cross_entropy(logits, batch.target_out, ignore_index=0).backward()
        grads = [p.grad for p in list(model.parameters())[1:] if p.grad is not None]
        results.append([logits.data[batch.source_mask], *(g.copy() for g in grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)

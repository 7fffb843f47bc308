"""Decoder-only models: values, causality, caches, ragged batches."""

import numpy as np
import pytest
from foundation_nn import Tensor, checkpoint, gradcheck, no_grad, train_mode
from foundation_seq import PromptLookup, SamplingConfig, beam_search, generate, stream_tokens
from foundation_transformer import CausalLM, ContextLengthError, TransformerConfig
from hypothesis import given
from hypothesis import strategies as st

V = 13
SMALL = {"vocab_size": V, "max_len": 16, "d_model": 12, "num_layers": 2, "d_ff": 17, "dropout": 0.0}
KINDS = {
    "gpt2": TransformerConfig.gpt2(**SMALL, num_heads=3),
    "llama": TransformerConfig.llama(**SMALL, num_heads=6, num_kv_heads=2),
    "neighbours": TransformerConfig.llama(**SMALL, num_heads=2, rotary_pairs="neighbours"),
    "alibi": TransformerConfig.gpt2(**SMALL, num_heads=3, positions="alibi"),
    "buckets": TransformerConfig.gpt2(
        **SMALL, num_heads=3, positions="buckets", num_buckets=5, max_distance=7
    ),
    "sinusoidal": TransformerConfig(**SMALL, num_heads=3, num_kv_heads=1),
    "none": TransformerConfig.gpt2(**SMALL, num_heads=4, positions="none"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, seed=0):
    rng = np.random.default_rng(seed)
    model = CausalLM(KINDS[kind], rng=rng).astype(np.float64)
    for p in model.parameters():  # strong weights, so that what is written differs
        p.data = rng.normal(0.3 if p.ndim == 1 else 0, 0.7, p.shape)
    return model


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


# --- the model


@every_kind
def test_the_model_is_its_parts(kind, rng):
    model = make(kind)
    ids = rng.integers(V, size=(2, 7))
    x = Tensor(model.embedding.weight.data[ids])
    if kind == "gpt2":
        x = x + model.positions.weight.data[:7]
    elif kind == "sinusoidal":
        x = x + model.positions.table[:7]
    else:
        assert model.positions is None
    for layer in model.stack.layers:
        x = layer(x, causal=True)
    if model.config.norm_first:
        x = model.stack.norm(x)
    close(model(ids).data, x.data @ model.output.weight.data.T)


@every_kind
def test_no_token_sees_a_later_one(kind, rng, same_bits):
    model = make(kind)
    ids = rng.integers(V, size=(2, 9))
    before = model(ids).data
    for t in range(1, 9):
        changed = ids.copy()
        changed[:, t] = (changed[:, t] + 1) % V
        after = model(changed).data
        same_bits(after[:, :t], before[:, :t])
        assert (after[:, t] != before[:, t]).any()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"none"}))
def test_order_matters(kind):
    """Only through its positions does a model of one layer know what came first."""
    model = make(kind)
    del model.stack.layers[1:]
    logits = model(np.array([[3, 5, 7], [5, 3, 7]])).data[:, -1]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
    model = make("none")
    del model.stack.layers[1:]
    logits = model(np.array([[3, 5, 7], [5, 3, 7]])).data[:, -1]
    close(logits[0], logits[1])


@every_kind
def test_gradcheck(kind, rng):
    model = make(kind)
    mask = np.arange(5) < np.array([[5], [3]])
    assert gradcheck(Masked(model, mask), max_elements=3)


class Masked(CausalLM):
    """The model on fixed ids, the padding left out."""

    def __init__(self, model, mask):
        self.model, self.mask = model, mask
        self.ids = np.random.default_rng(1).integers(V, size=mask.shape)

    def forward(self):
        return self.model(self.ids, self.mask) * self.mask[:, :, None].astype(float)


@every_kind
def test_padding_is_invisible(kind, rng, same_bits):
    model = make(kind)
    for mask in (np.arange(6) < np.array([[6], [2]]), np.arange(6) >= np.array([[0], [3]])):
        ids = rng.integers(V, size=(2, 6))
        clean = model(ids, mask).data
        ids[~mask] = rng.integers(V, size=(~mask).sum())
        same_bits(model(ids, mask).data[mask], clean[mask])


@every_kind
def test_texts_packed_into_a_row_do_not_see_each_other(kind, rng):
    model = make(kind)
    first, second = rng.integers(V, size=(1, 4)), rng.integers(V, size=(1, 3))
    segments = np.array([[1, 1, 1, 1, 2, 2, 2]])
    mask = segments[:, :, None] == segments[:, None]
    positions = np.array([[0, 1, 2, 3, 0, 1, 2]])
    logits = model(np.concatenate([first, second], axis=1), mask=mask, positions=positions).data
    close(logits[:, :4], model(first).data)
    close(logits[:, 4:], model(second).data)


def test_dropout_is_on_in_training_only(rng):
    config = TransformerConfig.gpt2(**(SMALL | {"dropout": 0.3}), num_heads=3)
    model, ids = CausalLM(config, rng=rng), rng.integers(V, size=(2, 7))
    np.testing.assert_array_equal(model(ids).data, model(ids).data)
    with train_mode(rng):
        assert not np.array_equal(model(ids).data, model(ids).data)


def test_initial_weights_are_gpt2s():
    config = TransformerConfig.gpt2(vocab_size=997, d_model=128, num_heads=4, num_layers=8)
    model = CausalLM(config, rng=np.random.default_rng(0))
    for name, p in model.named_parameters():
        if p.ndim == 1:
            assert set(p.data.tolist()) == {float("norm" in name and "weight" in name)}
        else:
            branch = name.endswith(("out_proj.weight", "linear2.weight"))
            expected = 0.02 / 4 if branch else 0.02  # √(2 · 8) = 4
            assert p.data.std() == pytest.approx(expected, rel=0.03), name
    assert model.output.weight is model.embedding.weight
    loss = np.log(997)  # a fresh model knows nothing
    logits = model(np.arange(60).reshape(2, 30)).data.astype(float)
    nll = np.log(np.exp(logits).sum(-1)) - logits[..., 3]
    assert abs(nll.mean() - loss) < 0.1


def test_an_output_layer_of_its_own():
    model = make("llama")
    assert model.output.weight is not model.embedding.weight
    assert "output.weight" in dict(model.named_parameters())
    assert not any("bias" in name for name, _ in model.named_parameters())


@every_kind
def test_a_checkpoint_gives_the_same_model(kind, tmp_path, same_bits, rng):
    model, ids = make(kind), rng.integers(V, size=(2, 7))
    checkpoint.save(tmp_path / "model", model)
    loaded = checkpoint.load(tmp_path / "model").model
    assert type(loaded) is CausalLM
    assert loaded.config == model.config
    same_bits(loaded(ids).data, model(ids).data)


# --- generation


@every_kind
@given(data=st.data())
def test_cached_equals_uncached(kind, data):
    """Random prompts of random lengths, padded with anything, rows dropped and repeated."""
    model = make(kind)
    lengths = np.array(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    texts = [rng.integers(V, size=n).tolist() for n in lengths]
    prompt = rng.integers(V, size=(len(texts), lengths.max()))
    for row, text in zip(prompt, texts, strict=True):
        row[: len(text)] = text

    def expected():
        return np.array([model(np.array([text])).data[0, -1] for text in texts])

    with no_grad():
        logits, state = model.start(prompt, lengths, 16)
        close(logits, expected())
        for _ in range(4):
            rows = np.array(
                data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=4))
            )
            state = model.select(state, rows)
            tokens = rng.integers(V, size=len(rows))
            texts = [[*texts[r], t] for r, t in zip(rows, tokens.tolist(), strict=True)]
            logits, state = model.step(state, tokens)
            close(logits, expected())


@every_kind
def test_a_row_never_depends_on_its_batch_mates(kind):
    model = make(kind)
    prompts = [[1], [2, 3, 4, 5, 6], [7, 8], [1]]
    sampling = SamplingConfig(temperature=1.5, top_p=0.95, repetition_penalty=1.1)
    options = {"stop_ids": [0]}

    def write(rows, limits):
        rng = np.random.default_rng(5)
        return generate(model, rows, limits, sampling, rng, **options)

    together = write(prompts, [11, 9, 3, 11])
    assert len({tuple(row) for row in together}) == 4
    assert write(prompts[:1], 11) == together[:1]
    assert write([[9], prompts[1], [9, 9, 9, 9, 9, 9, 9]], [2, 9, 1])[1] == together[1]
    greedy = generate(model, prompts, 9, **options)
    assert greedy == [generate(model, [p], 9, **options)[0] for p in prompts]
    beams = beam_search(model, prompts, 7, beam_size=3, **options)
    for prompt, row in zip(prompts, beams, strict=True):
        ((alone),) = beam_search(model, [prompt], 7, beam_size=3, **options)
        assert [h.tokens for h in row] == [h.tokens for h in alone]
        close([h.score for h in row], [h.score for h in alone])


@every_kind
def test_greedy_is_the_naive_loop(kind):
    model = make(kind)
    prompts = [[1, 2, 3], [4], [5, 6]]
    for prompt, row in zip(prompts, generate(model, prompts, 9), strict=True):
        text = list(prompt)
        for token in row:
            assert token == model(np.array([text])).data[0, -1].argmax()
            text.append(token)


def test_a_long_prompt_beside_a_long_continuation():
    """Their columns together are more than any row needs positions."""
    model = make("gpt2")
    rows = generate(model, [[1] * 15, [2]], [2, 16])
    assert [len(row) for row in rows] == [2, 16]
    assert rows[1] == generate(model, [[2]], 16)[0]


def test_streamed_tokens_are_the_generated_ones():
    model = make("llama")
    prompts = [[1, 2, 3], [4]]
    rows = [[], []]
    for token in stream_tokens(model, prompts, 9):
        rows[token.row].append(token.id)
    assert rows == generate(model, prompts, 9)


@every_kind
def test_drafts_change_nothing_that_is_written(kind):
    model = make(kind)
    repeats = [[1, 2, 3, 1, 2, 3, 1, 2], [4], [7, 7, 7]]
    sampling = SamplingConfig(temperature=0.7, repetition_penalty=1.1)

    def random_ids(ids):
        return np.random.default_rng(ids.sum()).integers(0, V, 4)

    for chosen, stop_ids in ((None, []), (None, [0, 5]), (sampling, [])):
        plain, quick, clueless = (
            generate(
                model,
                repeats,
                [9, 16, 14],
                chosen,
                np.random.default_rng(3),
                stop_ids=stop_ids,
                draft=draft,
            )
            for draft in (None, PromptLookup(5, 1), random_ids)
        )
        assert plain == quick == clueless


@every_kind
def test_what_is_read_at_once_is_what_is_read_step_by_step(kind, rng):
    model = make(kind)
    ids = rng.integers(0, V, (2, 9))
    lengths = np.array([2, 4])
    _, state = model.start(ids[:, :4], lengths, 9)
    stepped = []
    for column in ids[:, 4:].T:
        logits, state = model.step(state, column)
        stepped.append(logits)
    _, state = model.start(ids[:, :4], lengths, 9)
    _, state = model.read_ahead(state, rng.integers(0, V, (2, 5)))  # a guess
    state = model.take_back(state, 5)
    logits, state = model.read_ahead(state, ids[:, 4:])
    close(logits, np.stack(stepped, axis=1))
    state = model.take_back(state, 1)
    assert state.length == 8
    logits, _ = model.step(state, ids[:, -1])
    close(logits, stepped[-1])


def test_two_generations_side_by_side():
    model = make("llama")
    first, second = (iter(stream_tokens(model, [p], 9)) for p in ([1, 2], [3]))
    mixed = [(next(first).id, next(second).id) for _ in range(9)]
    alone = [generate(model, [p], 9)[0] for p in ([1, 2], [3])]
    assert [list(row) for row in zip(*mixed, strict=True)] == alone


# --- what can go wrong


@every_kind
def test_texts_longer_than_the_positions(kind):
    model = make(kind)
    ids = np.zeros((1, 17), int)
    if kind in ("alibi", "buckets", "none"):
        assert model(ids).shape == (1, 17, V)
        assert len(generate(model, ids, 3)[0]) == 3
        return
    with pytest.raises(ContextLengthError, match="17 tokens is longer than the model's 16"):
        model(ids)
    with pytest.raises(ContextLengthError, match="17 tokens .* shorten it"):
        generate(model, ids, 1)
    with pytest.raises(ContextLengthError, match="17 tokens"):
        generate(model, ids[:, :10], 8)  # 10 and 7: the last one is never read
    assert len(generate(model, ids[:, :10], 7)[0]) == 7


def test_refusals(rng):
    model = make("gpt2")
    with pytest.raises(ValueError, match=r"ids of shape \(B, T\), got \(3,\); write ids\[None\]"):
        model(np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="embedding: .*id 13 lies outside the table of 13 rows"):
        model(np.array([[1, 13]]))
    with pytest.raises(TypeError, match="embedding: .*integer ids, got float64"):
        model(np.array([[1.0]]))
    with pytest.raises(TypeError, match="key_mask: expected a boolean mask"):
        model(np.array([[1, 2]]), np.array([[1, 0]]))
    with pytest.raises(ValueError, match=r"got \(2, 2\); two axes.*key_mask=.*mask\[None\]"):
        model(np.array([[1, 2], [3, 4]]), mask=np.tri(2, dtype=bool))
    with pytest.raises(ValueError, match="prompt of row 0 is empty"):
        generate(model, [[]], 3)
    with pytest.raises(ValueError, match="at least one token in each row, got an empty one"):
        model.start(np.array([[1, 2], [3, 4]]), np.array([2, 0]), capacity=4)
    with pytest.raises(ValueError, match="at least one token in each row, got an empty one"):
        model.start(np.zeros((1, 0), int), np.array([0]), capacity=4)
    with pytest.raises(ValueError, match="id 99 lies outside"):
        generate(model, [[99]], 3)
    with pytest.raises(ValueError, match="stop id 13 lies outside the vocabulary of 13"):
        generate(model, [[1]], 3, stop_ids=[13])


def test_weights_of_another_model_are_refused_with_a_table():
    state = make("gpt2").state_dict()
    with pytest.raises(ValueError, match="does not fit this CausalLM") as caught:
        make("llama").load_state_dict(state)
    message = str(caught.value)
    assert "missing      output.weight (13, 12)" in message or "wrong shape" in message
    assert "unexpected   positions.weight" in message
    assert "wrong shape  stack.layers.0.linear1.weight: expected (34, 12), got (17, 12)" in message


def test_a_vocabulary_of_another_size_is_refused():
    other = CausalLM(TransformerConfig.gpt2(**(SMALL | {"vocab_size": 7}), num_heads=3))
    with pytest.raises(
        ValueError, match=r"wrong shape  embedding.weight: expected \(7, 12\), got \(13, 12\)"
    ):
        other.load_state_dict(make("gpt2").state_dict())

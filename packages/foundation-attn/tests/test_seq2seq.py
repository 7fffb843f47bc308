"""The recurrent translator: step by step, searched, poisoned, trained."""

import itertools

import numpy as np
import pytest
from foundation_attn import AttentionDecoder, AttentionSeq2Seq, capture_attention
from foundation_nn import Module, Tensor, functional, gradcheck, no_grad, optim
from foundation_seq import GRU, beam_search, generate

SCORES = ["dot", "general", "additive"]
every_score = pytest.mark.parametrize("score", SCORES)
both_encoders = pytest.mark.parametrize("encoder", ["lstm", "gru"])


def make(rng, score="general", **options):
    model = AttentionSeq2Seq(11, 7, 3, 5, score, rng=rng, **options).astype(np.float64)
    for p in model.parameters():
        p.data = rng.normal(0, 0.6, p.shape)
    return model


@pytest.fixture
def source(rng):
    ids = rng.integers(0, 11, (3, 6))
    return ids, np.arange(6) < np.array([[4], [6], [1]])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@every_score
def test_the_decoder_is_the_formula(rng, score):
    D, M = 4, 4 if score == "dot" else 6
    decoder = AttentionDecoder(7, 3, D, M, score, rng=rng).astype(np.float64)
    w = decoder.state_dict()
    memory, h = rng.standard_normal((1, 5, M)), rng.standard_normal((1, D))
    ids = np.array([[1, 4, 2]])
    with capture_attention(decoder) as maps:
        state = decoder.start(Tensor(memory), np.ones((1, 5), bool), Tensor(h))
        logits = decoder(ids, state).data[0]
    h, c, feed = h[0], h[0], np.zeros(D)
    for t, token in enumerate(ids[0]):
        x = np.r_[w["embedding.weight"][token], feed]
        z = w["lstm.weight_ih_l0"] @ x + w["lstm.bias_ih_l0"] + w["lstm.bias_hh_l0"]
        i, f, g, o = np.split(z + w["lstm.weight_hh_l0"] @ h, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        if score == "dot":
            s = memory[0] @ h
        elif score == "general":
            s = memory[0] @ w["key.weight"].T @ h
        else:
            s = np.tanh(memory[0] @ w["key.weight"].T + w["query.weight"] @ h) @ w["v"]
        p = np.exp(s) / np.exp(s).sum()
        np.testing.assert_allclose(maps[0].weights[0, 0, t], p, rtol=1e-11)
        feed = np.tanh(w["combine.weight"] @ np.r_[h, p @ memory[0]])
        expected = w["output.weight"] @ feed + w["output.bias"]
        np.testing.assert_allclose(logits[t], expected, rtol=1e-11)


@every_score
def test_gradcheck(rng, source, score):
    model = make(rng, score)
    _, mask = source
    target = rng.integers(0, 7, (3, 4))
    memory = rng.standard_normal((3, 6, 5 if score == "dot" else 10))

    class Decode(Module):
        def __init__(self):
            self.decoder = model.decoder

        def forward(self, memory, hidden):
            return self.decoder(target, self.decoder.start(memory, mask, hidden))

    assert gradcheck(Decode(), memory, rng.standard_normal((3, 5)), max_elements=12)


@every_score
@both_encoders
def test_every_weight_gets_its_gradient(rng, source, score, encoder):
    model, target = make(rng, score, encoder=encoder), rng.integers(0, 7, (3, 4))
    weight = rng.standard_normal((3, 4, 7))

    def loss():
        return float((model(source[0], target, source[1]).data * weight).sum())

    model(source[0], target, source[1]).backward(weight)
    for name, p in model.named_parameters():
        at = tuple(rng.integers(0, n) for n in p.shape)
        if name == "embedding.weight":
            at = (source[0][0, 0], 1)
        if name == "decoder.embedding.weight":
            at = (target[0, 0], 1)
        measured, grad, kept = [], p.grad[at], p.data.copy()
        for step in (1e-6, -1e-6):
            moved = kept.copy()
            moved[at] += step
            p.data = moved
            measured.append(loss())
        p.data = kept
        np.testing.assert_allclose(grad, (measured[0] - measured[1]) / 2e-6, 1e-5, 1e-7)


def test_a_gru_reads_both_ways(rng, source):
    model = make(rng, encoder="gru")
    w = {n: p.data for n, p in model.named_parameters()}
    state = model.encode(*source)
    for b, n in enumerate(source[1].sum(axis=1)):
        ends = []
        for part, (name, order) in enumerate([("l0", 1), ("l0_reverse", -1)]):
            h = np.zeros(5)
            for s in range(n)[::order]:
                x = w["embedding.weight"][source[0][b, s]]
                p = w[f"encoder.weight_ih_{name}"] @ x + w[f"encoder.bias_ih_{name}"]
                q = w[f"encoder.weight_hh_{name}"] @ h + w[f"encoder.bias_hh_{name}"]
                r, z = sigmoid(p[:5] + q[:5]), sigmoid(p[5:10] + q[5:10])
                h = (1 - z) * np.tanh(p[10:] + r * q[10:]) + z * h
                found = state.memory.data[b, s, 5 * part : 5 * part + 5]
                np.testing.assert_allclose(found, h, rtol=1e-11)
            ends.append(h)
        expected = np.tanh(w["bridge.weight"] @ np.concatenate(ends) + w["bridge.bias"])
        np.testing.assert_allclose(state.hidden.data[b], expected, rtol=1e-11)


@every_score
def test_step_by_step_equals_teacher_forcing(rng, source, score):
    model, target = make(rng, score), rng.integers(0, 7, (3, 5))
    whole = model(source[0], target, source[1]).data
    writer = model.bind(*source)
    logits, state = writer.start(target[:, :2], np.full(3, 2), 5)
    np.testing.assert_allclose(logits, whole[:, 1], rtol=1e-12)
    for t in range(2, 5):
        logits, state = writer.step(state, target[:, t])
        np.testing.assert_allclose(logits, whole[:, t], rtol=1e-12)


def test_rows_repeated_moved_and_dropped(rng, source):
    model, target = make(rng), rng.integers(0, 7, (3, 4))
    rows = np.array([2, 0, 2])
    writer = model.bind(*source)
    _, state = writer.start(target[:, :3], np.full(3, 3), 4)
    logits, _ = writer.step(writer.select(state, rows), target[rows, 3])
    np.testing.assert_allclose(
        logits, model(source[0], target, source[1]).data[rows, 3], rtol=1e-12
    )


@every_score
@both_encoders
def test_batched_equals_one_by_one(rng, source, score, encoder):
    model, target = make(rng, score, encoder=encoder), rng.integers(0, 7, (3, 4))
    together = model(source[0], target, source[1]).data
    for b, n in enumerate(source[1].sum(axis=1)):
        alone = model(source[0][b : b + 1, :n], target[b : b + 1]).data
        np.testing.assert_allclose(alone[0], together[b], rtol=1e-11, atol=1e-12)


@every_score
@both_encoders
def test_padding_is_invisible(rng, source, score, encoder, same_bits):
    model, target = make(rng, score, encoder=encoder), rng.integers(0, 7, (3, 4))
    found = []
    for filler in (0, -(10**6)):  # no id at all
        for p in model.parameters():
            p.grad = None
        ids = np.where(source[1], source[0], filler)
        y = model(ids, target, source[1])
        y.backward(np.ones(y.shape))
        found.append([y.data, *(p.grad.copy() for p in model.parameters())])
    for a, e in zip(*found, strict=True):
        same_bits(a, e)


def test_weights_stay_within_the_source(rng, source):
    model = make(rng)
    with capture_attention(model) as maps:
        model(source[0], rng.integers(0, 7, (3, 4)), source[1])
    (m,) = maps
    assert (m.name, m.kind, m.weights.shape) == ("decoder", "cross", (3, 1, 4, 6))
    np.testing.assert_allclose(m.weights.sum(-1), 1)
    assert not m.weights[0, :, :, 4:].any()


def test_greedy_and_beam(rng, source):
    model = make(rng)
    greedy = model.translate(*source, bos_id=1, eos_id=2, max_new_tokens=5)
    writer = model.bind(*source)
    assert greedy == generate(writer, [[1]] * 3, 5, stop_ids={2})
    beam = model.translate(*source, bos_id=1, eos_id=2, max_new_tokens=3, beam_size=400)
    found = beam_search(writer, [[1]] * 3, 3, beam_size=400, stop_ids={2})
    for b in range(3):  # brute force over all translations of at most three tokens
        scores = {}
        for n in (1, 2, 3):
            for tokens in itertools.product(range(7), repeat=n):
                if 2 in tokens[:-1] or (n < 3 and tokens[-1] != 2):
                    continue
                with no_grad():
                    target = np.array([[1, *tokens[:-1]]])
                    length = source[1][b].sum()
                    logits = model(source[0][b : b + 1, :length], target).data[0]
                log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
                total = sum(log_p[i, token] for i, token in enumerate(tokens))
                scores[tokens] = total / ((5 + n) / 6) ** 0.6
        best = max(scores, key=scores.get)
        np.testing.assert_allclose(found[b][0].score, scores[best], rtol=1e-10)
        assert beam[b] == [t for t in best if t != 2]


def test_it_learns_to_reverse():
    rng = np.random.default_rng(1)
    model = AttentionSeq2Seq(8, 8, 12, 24, rng=rng)
    adam = optim.AdamW(model, lr=1e-2)

    def batch(size):
        source = rng.integers(3, 8, (size, 5))
        return source, np.concatenate([np.ones((size, 1), int), source[:, ::-1]], axis=1)

    for _ in range(150):
        source, target = batch(32)
        adam.zero_grad()
        functional.cross_entropy(model(source, target[:, :-1]), target[:, 1:]).backward()
        adam.step()
    source, target = batch(100)
    written = model.translate(source, bos_id=1, eos_id=2, max_new_tokens=5)
    assert np.mean([a == b.tolist() for a, b in zip(written, target[:, 1:], strict=True)]) > 0.9
    with capture_attention() as maps:
        model(source, target[:, :-1])
    where = maps[0].weights[:, 0].argmax(axis=-1)
    assert np.mean(where == np.arange(4, -1, -1)) > 0.7  # the anti-diagonal


def test_what_a_checkpoint_needs(rng):
    model = make(rng, "additive", dropout=0.1, encoder="gru")
    again = AttentionSeq2Seq.from_dict(model.to_dict())
    assert isinstance(again.encoder, GRU)
    assert again.to_dict() == model.to_dict()
    assert {n: a.shape for n, a in again.state_dict().items()} == {
        n: a.shape for n, a in model.state_dict().items()
    }


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": np.zeros(3, int)}, ValueError, r"source of shape \(B, S\), got \(3,\)"),
        ({"target": np.zeros((2, 4), int)}, ValueError, r"ids of shape \(B=3, T\).*got \(2, 4\)"),
        ({"target": np.zeros((3, 0), int)}, ValueError, "T >= 1"),
        ({"source_mask": np.ones((3, 6))}, TypeError, "source_mask: .*boolean"),
        (
            {"source_mask": np.ones((3, 5), bool)},
            ValueError,
            r"source_mask: expected shape \(3, 6\)",
        ),
        ({"source_mask": np.eye(3, 6, dtype=bool)}, ValueError, "the beginning of each row"),
    ],
)
def test_bad_input(rng, arguments, error, message):
    given = {"source": np.zeros((3, 6), int), "target": np.zeros((3, 4), int), **arguments}
    with pytest.raises(error, match=message):
        make(rng)(**given)


def test_options_that_do_not_fit():
    with pytest.raises(ValueError, match=r"score: expected one of .* got 'cosine'"):
        AttentionDecoder(7, 3, 5, 5, "cosine")
    with pytest.raises(ValueError, match="'dot' compares vectors of one width"):
        AttentionDecoder(7, 3, 5, 6, "dot")
    with pytest.raises(ValueError, match=r"encoder: expected one of .* got 'rnn'"):
        AttentionSeq2Seq(11, 7, 3, 5, encoder="rnn")


def test_prompts_of_several_lengths(rng, source):
    with pytest.raises(ValueError, match="prompts of one length"):
        generate(make(rng).bind(*source), [[1], [1, 2], [1]], 3)

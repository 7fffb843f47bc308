"""The step on plain arrays beside the operations that it stands for."""

import foundation_transformer._stacks as stacks
import foundation_transformer._step as step
import numpy as np
import pytest
from foundation_attn import KVCache, MultiHeadAttention, capture_attention
from foundation_nn import LayerNorm, Linear, Tensor, no_grad, profile, trace, train_mode
from foundation_seq import beam_search, generate
from foundation_transformer import (
    ALiBi,
    CausalLM,
    ContextLengthError,
    RelativeBuckets,
    Rotary,
    Transformer,
    TransformerConfig,
    TransformerDecoder,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from foundation_transformer._step import can_step
from foundation_transformer._translator import Translator
from foundation_transformer.pretrained._compact import load_compact
from hypothesis import given
from hypothesis import strategies as st

D, H, F, LAYERS, MAX_LEN = 24, 6, 17, 2, 19
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}

ACTIVATIONS = ["relu", "gelu", "gelu_tanh", "silu", "swiglu"]
POSITIONS = ["none", "halves", "neighbours", "alibi", "buckets"]


def perturb(model, rng, dtype):
    """Weights at which everything counts: no bias is zero, no norm's weight is one."""
    for p in model.parameters():
        p.data = p.data + rng.normal(size=p.shape) * 0.2
    return model.astype(dtype)


def make(kind, rng, dtype, *, position="none", window=None, cap=None, **options):
    """A stack whose self-attention has these options too, which no configuration has."""
    if position == "alibi":
        options["slopes"] = ALiBi(H).slopes
    elif position == "buckets":
        options["relative"] = RelativeBuckets(H, 6, 9, both_sides=False, rng=rng)
    elif position != "none":
        options["rotary"] = Rotary(D // H, MAX_LEN, pairs=position)
    stack = kind(LAYERS, D, H, F, final_norm=options["norm_first"], rng=rng, **options)
    for layer in stack.layers:
        layer.self_attn.window = window
        layer.self_attn.cap = cap
        if kind is TransformerDecoder:
            layer.multihead_attn.cap = cap
    return perturb(stack, rng, dtype)


class Reading:
    """A stack with caches, which has read a ragged beginning, and reads on token by token."""

    def __init__(self, stack, x, memory, *, ragged, rotary):
        self.stack = stack
        self.x = x
        B, S = memory.shape[:2]
        self.memory = Tensor(memory)
        self.ragged = ragged
        self.rotary = rotary
        self.padding = np.arange(B) if ragged else np.zeros(B, int)
        self.memory_mask = np.arange(S) < S - np.arange(B)[:, None] if ragged else None
        is_decoder = isinstance(stack, TransformerDecoder)
        self.caches = stack.new_caches(S) if is_decoder else stack.new_caches()

    def arguments(self, start, stop):
        key_mask = positions = None
        if self.ragged:
            key_mask = np.arange(stop) >= self.padding[:, None]
            if self.rotary:
                positions = np.maximum(np.arange(start, stop) - self.padding[:, None], 0)
        return key_mask, positions

    def steps(self, start, stop):
        """Whether the step is what computes these positions."""
        key_mask, positions = self.arguments(start, stop)
        x = Tensor(self.x[:, start:stop])
        memory = (self.memory, self.memory_mask) if self.is_decoder else ()
        return can_step(
            self.stack.layers, self.stack.norm, x, self.caches, key_mask, None, positions, *memory
        )

    @property
    def is_decoder(self):
        return isinstance(self.stack, TransformerDecoder)

    def read(self, start, stop):
        key_mask, positions = self.arguments(start, stop)
        x = Tensor(self.x[:, start:stop])
        if self.is_decoder:
            return self.stack(
                x, self.memory, key_mask, self.memory_mask, None, self.caches, positions
            ).data
        return self.stack(x, key_mask, None, True, self.caches, positions).data


def check_steps(kind, dtype, *, batch=3, ragged=False, position="none", start=4, **options):
    rng = np.random.default_rng(0)
    stack = make(kind, rng, dtype, position=position, **options)
    x = rng.normal(size=(batch, start + 4, D)).astype(dtype)
    memory = rng.normal(size=(batch, 5, D)).astype(dtype)
    rotary = position in ("halves", "neighbours")
    stepping, operating = (
        Reading(stack, x, memory, ragged=ragged, rotary=rotary) for _ in range(2)
    )
    with no_grad():
        stepping.read(0, start)
        operating.read(0, start)
        for t in range(start, x.shape[1]):
            before = x.copy()
            assert stepping.steps(t, t + 1)
            found = stepping.read(t, t + 1)
            with capture_attention():
                assert not operating.steps(t, t + 1)
                expected = operating.read(t, t + 1)
            assert found.dtype == expected.dtype == dtype
            assert found.shape == (batch, 1, D)
            np.testing.assert_allclose(
                found, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(expected).max())
            )
            np.testing.assert_array_equal(x, before)


KINDS = pytest.mark.parametrize("kind", [TransformerEncoder, TransformerDecoder])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@KINDS
@DTYPES
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("num_kv_heads", [6, 2, 1])
def test_it_equals_the_operations(kind, dtype, norm_first, norm, bias, num_kv_heads):
    check_steps(kind, dtype, norm_first=norm_first, norm=norm, bias=bias, num_kv_heads=num_kv_heads)


@KINDS
@DTYPES
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_with_every_activation(kind, dtype, activation):
    check_steps(kind, dtype, activation=activation, norm_first=True)


@KINDS
@DTYPES
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("ragged", [True, False])
@pytest.mark.parametrize("num_kv_heads", [6, 2])
def test_with_every_kind_of_positions(kind, dtype, position, ragged, num_kv_heads):
    check_steps(
        kind,
        dtype,
        position=position,
        ragged=ragged,
        norm_first=False,
        num_kv_heads=num_kv_heads,
    )


@KINDS
@given(data=st.data())
def test_with_any_options(kind, data):
    def draw(*choices):
        return data.draw(st.sampled_from(choices))

    check_steps(
        kind,
        draw(np.float32, np.float64),
        batch=draw(1, 2, 3),
        start=draw(3, 7),
        ragged=draw(True, False),
        position=draw(*POSITIONS),
        window=draw(None, 1, 2, 5, 50),
        cap=draw(None, 0.7, np.float64(20.0)),
        norm=draw("layer", "rms"),
        norm_first=draw(True, False),
        norm_eps=draw(1e-5, np.float64(1e-3)),
        activation=draw(*ACTIVATIONS),
        bias=draw(True, False),
        num_kv_heads=draw(None, 3, 1),
        dropout=draw(0.0, 0.5),  # off outside of train_mode
    )


# --- whole models write the same ids

CONFIGS = {
    "gpt2": TransformerConfig.gpt2(
        vocab_size=29, d_model=D, num_heads=H, num_layers=2, max_len=MAX_LEN
    ),
    "llama": TransformerConfig.llama(
        vocab_size=29, d_model=D, num_heads=H, num_kv_heads=2, num_layers=2, max_len=MAX_LEN
    ),
    "alibi": TransformerConfig.gpt2(
        vocab_size=29, d_model=D, num_heads=H, num_layers=2, positions="alibi"
    ),
    "buckets": TransformerConfig.gpt2(
        vocab_size=29, d_model=D, num_heads=H, num_layers=2, positions="buckets", num_buckets=5
    ),
}


@pytest.fixture
def count_steps(monkeypatch):
    """How often the stacks could take the step, and how often not, beside caches."""
    counts = {True: 0, False: 0}

    def counting(*arguments):
        answer = can_step(*arguments)
        counts[answer] += 1
        return answer

    monkeypatch.setattr(stacks, "can_step", counting)
    return counts


@pytest.mark.parametrize("name", CONFIGS)
def test_a_language_model_writes_the_same(name, count_steps):
    model = perturb(CausalLM(CONFIGS[name]), np.random.default_rng(1), np.float32)
    prompt = [[3, 1, 4, 1, 5], [9], [2, 6]]
    found = generate(model, prompt, [7, 11, 13])
    assert count_steps == {True: 12, False: 1}  # the prompt is no single token
    with capture_attention():
        assert generate(model, prompt, [7, 11, 13]) == found
    assert count_steps[True] == 12


def test_a_beam_search_finds_the_same(count_steps):
    model = perturb(CausalLM(CONFIGS["llama"]), np.random.default_rng(1), np.float64)
    found = beam_search(model, [[3, 1, 4], [9]], 9, beam_size=3)
    assert count_steps[True] == 8
    with capture_attention():
        expected = beam_search(model, [[3, 1, 4], [9]], 9, beam_size=3)
    assert [[h.tokens for h in row] for row in found] == [
        [h.tokens for h in row] for row in expected
    ]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_translator_writes_the_same(beam_size, count_steps):
    config = TransformerConfig(
        vocab_size=29, d_model=D, num_heads=H, num_layers=2, d_ff=F, max_len=MAX_LEN
    )
    model = perturb(Transformer(config), np.random.default_rng(2), np.float64)
    source = np.random.default_rng(3).integers(29, size=(3, 5))
    mask = np.arange(5) < np.array([[5], [2], [4]])

    def write():
        found = beam_search(Translator(model, source, mask), [[1]] * 3, 9, beam_size=beam_size)
        return [[h.tokens for h in row] for row in found]

    found = write()
    assert count_steps[True] >= 4
    with capture_attention():
        assert write() == found


# --- whoever looks on sees operations


@pytest.fixture
def model():
    return perturb(CausalLM(CONFIGS["gpt2"]), np.random.default_rng(1), np.float32)


def test_capturing_sees_the_weights_of_every_token(model):
    with capture_attention(model) as maps:
        generate(model, [[1, 2]], 4)
    assert [m.weights.shape[-2:] for m in maps[::2]] == [(2, 2), (1, 3), (1, 4), (1, 5)]


def test_trace_and_profile_see_every_layer(model):
    def write(model):
        with no_grad():
            _, state = model.start(np.array([[1, 2]]), np.array([2]), 4)
            logits, _ = model.step(state, np.array([3]))
        return Tensor(logits)

    norms = [r for r in trace(write, model, backward=False) if r.operation == "layer_norm"]
    assert len(norms) == 2 * 5  # for the prompt and for the token, two a layer and the last one
    assert profile(write, model, backward=False, repeat=1)["layer_norm"].calls == 2 * 5


def test_dropout_is_never_left_out(model, count_steps):
    with train_mode(np.random.default_rng(0)):
        generate(model, [[1, 2]], 3)
    assert count_steps == {True: 0, False: 3}


def test_where_gradients_are_recorded_the_cache_is_refused_as_ever(model):
    state = model.start(np.array([[1, 2]]), np.array([2]), 5)[1]
    with pytest.raises(ValueError, match=r"cache: keys and values in a cache have no gradients"):
        model.stack(Tensor(np.ones((1, 1, D), np.float32)), caches=state.caches)


def test_compact_weights_are_left_to_the_operations(model, count_steps):
    compact = CausalLM(CONFIGS["gpt2"])
    load_compact(compact, model.state_dict().items())
    generate(compact, [[1, 2]], 3)
    assert count_steps == {True: 0, False: 3}


# --- and so does whatever is no step


class OwnLinear(Linear):
    def forward(self, x):
        return super().forward(x) * 2


class OwnNorm(LayerNorm):
    def forward(self, x):
        return super().forward(x) * 2


class OwnAttention(MultiHeadAttention):
    def project(self, x, letters):
        return super().project(x * 2, letters)


def filled(kind=TransformerEncoder, length=3, batch=2, dtype=np.float32, ragged=False, **options):
    stack = make(kind, np.random.default_rng(0), dtype, norm_first=True, **options)
    memory = np.ones((batch, 5, D), dtype)
    reading = Reading(
        stack, np.ones((batch, 9, D), dtype), memory, ragged=ragged, rotary="rotary" in options
    )
    with no_grad():
        reading.read(0, length)
    return reading


def asked(reading, **changed):
    arguments = {
        "layers": reading.stack.layers,
        "norm": reading.stack.norm,
        "x": Tensor(reading.x[:, :1]),
        "caches": reading.caches,
        "key_mask": None,
        "mask": None,
        "positions": None,
    }
    if reading.is_decoder:
        arguments |= {"memory": reading.memory, "memory_key_mask": None}
    with no_grad():
        return can_step(**(arguments | changed))


@KINDS
def test_what_the_step_does_not_do(kind):
    r = filled(kind)
    assert asked(r)
    assert not can_step(
        r.stack.layers, None, Tensor(r.x[:, :1]), r.caches, None, None, None
    )  # records
    one = np.ones((2, 4), bool)
    assert asked(r, key_mask=one)
    hidden = one.copy()
    hidden[1, -1] = False
    for changed in (
        {"norm": OwnNorm(D)},
        {"norm": Linear(D, D)},
        {"layers": [r.stack] * 2},
        {"caches": r.caches[:1]},
        {"caches": r.stack.new_caches(*([5] if r.is_decoder else []))},  # they hold nothing
        {"x": Tensor(r.x[:, :2])},
        {"x": Tensor(r.x[:1, :1])},
        {"x": Tensor(r.x[:, :1].astype(np.float64))},
        {"x": r.x[:, :1]},
        {"mask": np.ones((2, 1, 4), bool)},
        {"key_mask": hidden},
        {"key_mask": one[:, :3]},
        {"key_mask": one.astype(int)},
        {"positions": np.array([3])},  # nothing is turned
    ):
        assert not asked(r, **changed), changed


def test_what_the_decoders_step_does_not_do():
    r = filled(TransformerDecoder)
    hidden = np.ones((2, 5), bool)
    assert asked(r, memory_key_mask=hidden)
    hidden[1] = False
    other = Tensor(r.memory.data + 1)
    for changed in ({"memory_key_mask": hidden}, {"memory": other}, {"memory": None}):
        assert not asked(r, **changed), changed
    r.stack.layers[1].multihead_attn.window = 2
    assert not asked(r)


OWN_PARTS = {
    "linear1": OwnLinear(D, F),
    "linear2": OwnLinear(F, D),
    "norm1": OwnNorm(D),
    "norm2": OwnNorm(D),
    "norm3": OwnNorm(D),
    "self_attn": OwnAttention(D, H),
    "multihead_attn": OwnAttention(D, H),
    "self_attn.out_proj": OwnLinear(D, D),
    "multihead_attn.out_proj": OwnLinear(D, D),
}


@pytest.mark.parametrize("path", OWN_PARTS)
def test_own_layers_are_called(path):
    for kind in (TransformerEncoder, TransformerDecoder):
        r = filled(kind)
        *parents, name = path.split(".")
        owner = r.stack.layers[1]
        for parent in parents:
            owner = getattr(owner, parent, None)
        if hasattr(owner, name):  # an encoder layer does not have all of them
            setattr(owner, name, OWN_PARTS[path])
            assert not asked(r)


def test_a_layer_of_ones_own_is_called():
    class OwnLayer(TransformerEncoderLayer):
        def forward(self, x, *arguments):
            return super().forward(x * 2, *arguments)

    r = filled()
    r.stack.layers[0] = OwnLayer(D, H, F)
    assert not asked(r)


def test_padding_stays_padding():
    """Its keys were not kept, and the operations refuse a mask in which it is real."""
    for kind in (TransformerEncoder, TransformerDecoder):
        r = filled(kind, ragged=True)
        key_mask, _ = r.arguments(3, 4)
        memory = {"memory_key_mask": r.memory_mask} if r.is_decoder else {}
        assert asked(r, key_mask=key_mask, **memory)
        assert not asked(r, key_mask=np.ones_like(key_mask), **memory)
        assert not asked(r, **memory)
        if r.is_decoder:
            assert not asked(r, key_mask=key_mask)


def test_own_positions_are_called():
    r = filled(position="halves")
    assert asked(r)
    r.stack.layers[0].self_attn.rotary = lambda x, positions: x
    assert not asked(r)


@pytest.mark.parametrize(
    ("limit", "work"), [("_MOST_SCORES", 2 * H * 3), ("_MOST_MULTIPLICATIONS", 2 * F * D)]
)
def test_much_work_is_left_to_threads(limit, work, monkeypatch):
    r = filled(batch=2, length=3)
    monkeypatch.setattr(step, limit, work)
    assert asked(r)
    monkeypatch.setattr(step, limit, work - 1)
    assert not asked(r)


def test_errors_are_those_of_the_operations():
    r = filled()
    for cache in r.caches:
        cache.max_len = cache.length
    with no_grad(), pytest.raises(ValueError, match=r"layers\[0\].self_attn: KVCache: 3 positions"):
        r.read(3, 4)
    r = filled(TransformerDecoder)
    r.memory = Tensor(r.memory.data + 1)
    with no_grad(), pytest.raises(ValueError, match=r"layers\[0\].multihead_attn: KVCache: exp"):
        r.read(3, 4)
    r = filled(position="halves")
    for cache in r.caches:
        cache.length = MAX_LEN
        cache._keys = cache._values = np.ones((2, H, MAX_LEN, D // H), np.float32)
    with no_grad(), pytest.raises(ContextLengthError):
        r.stack(Tensor(r.x[:, :1]), None, None, True, r.caches)


def test_a_row_of_equal_numbers_has_no_spread():
    """Its mean in float32 is not its value: without care the rounding error would be the spread."""
    stack = make(TransformerEncoder, np.random.default_rng(0), np.float32, norm_first=True)
    caches = stack.new_caches()
    x = np.full((1, 3, D), 12345.678, np.float32)
    with no_grad():
        stack(Tensor(x[:, :2]), causal=True, caches=caches)
        assert can_step(stack.layers, stack.norm, Tensor(x[:, 2:]), caches, None, None, None)
        found = stack(Tensor(x[:, 2:]), causal=True, caches=caches).data
        expected = stack(Tensor(x), causal=True).data[:, 2:]
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_a_cache_with_little_room_is_filled_to_the_end():
    stack = make(TransformerEncoder, np.random.default_rng(0), np.float64, norm_first=True)
    x = np.random.default_rng(1).normal(size=(2, 5, D))
    caches = [KVCache(5) for _ in stack.layers]
    with no_grad():
        parts = [stack(Tensor(x[:, t : t + 1]), None, None, True, caches).data for t in range(5)]
        whole = stack(Tensor(x), causal=True).data
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-12)

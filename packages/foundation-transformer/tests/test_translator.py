"""Writing translations: step by step with caches, and as text."""

from functools import cache

import numpy as np
import pytest
from foundation_nn import Parameter, Tensor, checkpoint
from foundation_seq import beam_search
from foundation_transformer import Transformer, TransformerConfig, Translator, recipes, translate
from stubs import BOS, EOS, FIRST, Numbers, make_batch, padded

V = 13
KINDS = [
    {},
    {"norm_first": True, "positions": "learned", "activation": "gelu"},
    {"norm": "rms", "bias": False, "positions": "none", "num_kv_heads": 1},
]
RELATIVE = [
    {"positions": "rotary", "num_heads": 6, "num_kv_heads": 2, "activation": "swiglu"},
    {"positions": "alibi", "norm_first": True},
    {
        "positions": "buckets",
        "num_buckets": 6,
        "max_distance": 9,
        "norm_first": True,
        "logit_scale": 12**-0.5,
        "output_bias": True,
    },
    {"sinusoid_pairs": "halves"},
]
every_kind = pytest.mark.parametrize(
    "options",
    [*KINDS, *RELATIVE],
    ids=["post", "pre", "rms", "rotary", "alibi", "buckets", "halves"],
)


def make(rng, **options):
    config = {"vocab_size": V, "max_len": 16, "d_model": 12, "num_heads": 3, "num_layers": 2}
    model = Transformer(TransformerConfig(**(config | {"d_ff": 17} | options)), rng=rng)
    model.astype(np.float64)
    for p in model.parameters():  # strong weights, so that translations differ
        p.data = rng.normal(0, 1, p.shape)
    return model


@pytest.fixture
def sources(rng):
    return padded([rng.integers(FIRST, V, n) for n in (2, 7, 4, 1, 5)])


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


def starts(count, *more):
    prompt = np.array([[BOS, *more]] * count)
    return prompt, np.full(count, 1 + len(more))


@every_kind
@pytest.mark.parametrize("prompt_len", [1, 3])
def test_cached_steps_equal_the_whole(rng, options, sources, prompt_len):
    model = make(rng, **options)
    target = np.concatenate([np.full((5, 1), BOS), rng.integers(FIRST, V, (5, 8))], axis=1)
    whole = model(sources[0], target, sources[1]).data
    translator = Translator(model, *sources)
    lengths = np.full(5, prompt_len)
    logits, state = translator.start(target[:, :prompt_len], lengths, capacity=9)
    close(logits, whole[:, prompt_len - 1])
    for t in range(prompt_len, 9):
        logits, state = translator.step(state, target[:, t])
        close(logits, whole[:, t])


@every_kind
def test_rows_repeated_moved_and_dropped(rng, options, sources):
    model = make(rng, **options)
    translator = Translator(model, *sources)
    logits, state = translator.start(*starts(5), capacity=9)
    origin, target = np.arange(5), np.full((5, 1), BOS)
    for rows in ([0, 1, 2, 3, 4], [4, 4, 1, 0], [2, 0, 1, 3, 3, 2], [5], [0], [0, 0, 0]):
        state = translator.select(state, np.array(rows))
        origin, target = origin[rows], target[rows]
        tokens = rng.integers(FIRST, V, len(rows))
        target = np.column_stack([target, tokens])
        logits, state = translator.step(state, tokens)
        whole = model(sources[0][origin], target, sources[1][origin]).data
        close(logits, whole[:, -1])


def test_without_a_mask(rng, sources):
    model = make(rng)
    source = sources[0][:, :1]
    translator = Translator(model, source)
    logits, state = translator.start(*starts(5), capacity=4)
    state = translator.select(state, np.array([3, 1]))
    logits, _ = translator.step(state, np.array([7, 8]))
    close(logits, model(source[[3, 1]], np.array([[BOS, 7], [BOS, 8]])).data[:, -1])


def test_two_translations_side_by_side(rng, sources):
    model = make(rng)
    translator = Translator(model, *sources)
    _, first = translator.start(*starts(5), capacity=4)
    _, second = translator.start(*starts(5), capacity=4)
    second = translator.select(second, np.array([4, 3]))
    translator.step(second, np.array([5, 5]))
    logits, _ = translator.step(first, np.full(5, 6))
    target = np.array([[BOS, 6]] * 5)
    close(logits, model(sources[0], target, sources[1]).data[:, -1])


def test_the_sources_are_encoded_and_projected_once(rng, sources, monkeypatch):
    model = make(rng)
    encoded = []
    monkeypatch.setattr(model.encoder, "forward", counted(model.encoder.forward, encoded))
    translator = Translator(model, *sources)
    logits, state = translator.start(*starts(5), capacity=4)
    assert len(encoded) == 1
    target = np.array([[BOS, 5, 6]] * 5)
    expected = model(sources[0], target, sources[1]).data[:, -1]
    for layer in model.decoder.layers:  # nobody projects the memory again
        weight = layer.multihead_attn.in_proj_weight.numpy()
        weight[len(weight) - 2 * layer.multihead_attn.num_kv_heads * 2 :] = np.nan
        layer.multihead_attn.in_proj_weight.data = weight
    for token in (5, 6):
        logits, state = translator.step(state, np.full(5, token))
    close(logits, expected)


def counted(function, calls):
    def call(*args, **kwargs):
        calls.append(None)
        return function(*args, **kwargs)

    return call


def test_steps_record_nothing(rng, sources):
    translator = Translator(make(rng), *sources)
    logits, state = translator.start(*starts(5), capacity=4)
    assert not isinstance(logits, Tensor)
    assert isinstance(state.memory, np.ndarray)


def test_sources_without_a_token(rng):
    """The decoder looks at nothing, cached or not."""
    model, source = make(rng), np.zeros((2, 0), int)
    prompt = np.array([[BOS], [FIRST]])
    logits, state = Translator(model, source).start(prompt, np.array([1, 1]), 2)
    again, _ = Translator(model, source).step(state, np.array([FIRST, BOS]))
    whole = model(source, np.array([[BOS, FIRST], [FIRST, BOS]])).data
    np.testing.assert_allclose(np.stack([logits, again], axis=1), whole, rtol=1e-11, atol=1e-11)


def test_prompts_that_do_not_fit_the_sources(rng, sources):
    translator = Translator(make(rng), *sources)
    with pytest.raises(ValueError, match="one prompt for each of the 5 sources, got 3"):
        translator.start(*starts(3), capacity=4)


def test_more_steps_than_positions(rng, sources):
    translator = Translator(make(rng, max_len=7), *sources)
    _, state = translator.start(*starts(5, 3, 3, 3, 3, 3, 3), capacity=9)
    with pytest.raises(ValueError, match="8 tokens is longer than the model's 7 positions"):
        translator.step(state, np.full(5, 3))


@every_kind
def test_prompts_of_unequal_length(rng, options, sources):
    model = make(rng, **options)
    target = np.concatenate([np.full((5, 1), BOS), rng.integers(FIRST, V, (5, 8))], axis=1)
    whole = model(sources[0], target, sources[1]).data
    lengths = np.array([3, 1, 5, 2, 4])
    prompt = target[:, :5].copy()
    prompt[np.arange(5) >= lengths[:, None]] = V - 1  # whatever stands there
    logits, state = Translator(model, *sources).start(prompt, lengths, capacity=9)
    rows = np.arange(5)
    close(logits, whole[rows, lengths - 1])
    for t in range(3):
        logits, state = Translator(model, *sources).step(state, target[rows, lengths + t])
        close(logits, whole[rows, lengths + t])


def test_beams_within_a_source_leave_its_memory_alone(rng, sources):
    translator = Translator(make(rng), *sources)
    _, state = translator.start(*starts(5), capacity=4)
    wide = translator.select(state, np.repeat(np.arange(5), 2))
    held = [layer.memory.view()[0] for layer in wide.caches]
    swapped = translator.select(wide, np.arange(10) ^ 1)  # every two beams change places
    for layer, before in zip(swapped.caches, held, strict=True):
        assert np.shares_memory(layer.memory.view()[0], before)
    assert swapped.memory is wide.memory


@every_kind
@pytest.mark.parametrize("beam_size", [1, 4])
def test_scores_of_beams_are_those_of_the_whole_model(rng, options, sources, beam_size):
    model = make(rng, **options)
    found = beam_search(
        Translator(model, *sources), [[BOS]] * 5, 7, beam_size=beam_size, stop_ids=[EOS]
    )
    for row, hypotheses in enumerate(found):
        assert len(hypotheses) == beam_size
        for h in hypotheses:
            tokens = [*h.tokens, *([EOS] if h.stopped else [])]
            target = np.array([[BOS, *tokens[:-1]]])
            logits = model(sources[0][row : row + 1], target, sources[1][row : row + 1]).data[0]
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            total = log_p[np.arange(len(tokens)), tokens].sum()
            assert h.log_prob == pytest.approx(total, rel=1e-9)


# --- text


def naive(model, sentence, limit):
    """Greedy decoding without caches, batches or masks: the oracle."""
    source = np.array([[*map(int, sentence.split()), EOS]])
    target = [BOS]
    while len(target) <= limit:
        token = int(model(source, np.array([target])).data[0, -1].argmax())
        if token == EOS:
            break
        target.append(token)
    return " ".join(map(str, target[1:]))


@cache
def half_trained(kind):
    """A model that has begun to learn to reverse: what it writes depends on what it reads."""
    rng = np.random.default_rng(1)
    config = {"vocab_size": V, "max_len": 16, "d_model": 24, "num_heads": 4, "num_layers": 1}
    config |= {"d_ff": 17, "dropout": 0.0, "num_kv_heads": 2}
    model = Transformer(TransformerConfig(**(config | KINDS[kind])), rng=rng)
    batches = []
    for n in rng.integers(0, 8, 150):
        batches.append(make_batch([(s, s[::-1]) for s in rng.integers(FIRST, V, (30, n))]))
    recipes.train_translator(model, batches, epochs=1, lr=1e-2)
    return model.astype(np.float64)  # so that no two logits are equal but for rounding


every_trained = pytest.mark.parametrize("kind", range(3), ids=["post", "pre", "rms"])


@pytest.fixture
def sentences(rng):
    lengths = [2, 7, 1, 5, 5, 3, 0, 4, 6]
    return [" ".join(map(str, rng.integers(FIRST, V, n))) for n in lengths]


@pytest.mark.parametrize("batch_size", [1, 2, 64])
@every_trained
def test_translations_are_those_of_the_naive_loop(kind, sentences, batch_size):
    model = half_trained(kind)
    tokenizers = Numbers(), Numbers()
    expected = [naive(model, s, min(2 * (len(s.split()) + 1) + 10, 16)) for s in sentences]
    lengths = {len(t.split()) for t in expected}
    assert len(lengths) >= 3  # the model ends by itself, sooner or later
    assert len(set(expected)) >= 6  # and what it writes depends on what it reads
    assert translate(model, sentences, *tokenizers, batch_size=batch_size) == expected
    assert translate(model, sentences[::-1], *tokenizers, batch_size=3) == expected[::-1]
    short = translate(model, sentences, *tokenizers, max_new_tokens=2)
    assert short == [naive(model, s, 2) for s in sentences]


@every_trained
def test_translations_by_beam_search(kind, sentences):
    """Likelier than the greedy ones, if not each of them."""

    def log_prob(text, translation):
        source = np.array([[*map(int, text.split()), EOS]])
        tokens = [*map(int, translation.split()), EOS][:16]  # as long as the model writes
        logits = model(source, np.array([[BOS, *tokens[:-1]]])).data[0]
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return log_p[np.arange(len(tokens)), tokens].sum()

    model = half_trained(kind)
    options = {"beam_size": 5, "length_penalty": 0.0}
    found = translate(model, sentences, Numbers(), Numbers(), batch_size=4, **options)
    greedy = translate(model, sentences, Numbers(), Numbers())
    likelihoods = [
        sum(log_prob(*pair) for pair in zip(sentences, translations, strict=True))
        for translations in (found, greedy)
    ]
    assert likelihoods[0] > likelihoods[1] + 0.1
    alone = [translate(model, [s], Numbers(), Numbers(), **options)[0] for s in sentences]
    assert found == alone


@every_trained
def test_mates_in_a_batch_do_not_matter(kind, sentences):
    model = half_trained(kind)
    alone = [translate(model, [s], Numbers(), Numbers())[0] for s in sentences]
    assert translate(model, sentences, Numbers(), Numbers()) == alone
    again = translate(model, [*sentences, *sentences[:4], "5 5 5 5 5"], Numbers(), Numbers())
    assert again[:-1] == [*alone, *alone[:4]]


def test_a_translation_that_never_ends_is_ended(rng):
    model = make(rng, max_len=40)
    model.output.weight = Parameter(np.zeros((V, 12)))  # every token is as likely, the first wins
    sentences = [" ".join(["5"] * n) for n in (0, 3, 20)]
    written = translate(model, sentences, Numbers(), Numbers())
    # Twice the source with its eos and ten more, within the positions.
    assert [len(text.split()) for text in written] == [12, 18, 40]


def test_nothing_to_translate(rng):
    assert translate(make(rng), [], Numbers(), Numbers()) == []
    assert translate(make(rng), ["5", ""], Numbers(), Numbers(), max_new_tokens=0) == ["", ""]


def test_a_sentence_as_long_as_the_model_reads_and_one_longer():
    model = half_trained(1)
    fits = " ".join(["5"] * 15)  # and eos
    assert translate(model, [fits], Numbers(), Numbers()) == [naive(model, fits, 16)]
    message = "translate: '5 5 5 .*' has 17 tokens, the model reads 16; split the sentence"
    with pytest.raises(ValueError, match=message):
        translate(model, ["5", fits + " 5"], Numbers(), Numbers())


def test_a_long_sentence_is_shortened_in_the_message(rng):
    with pytest.raises(ValueError, match="…") as caught:
        translate(make(rng), ["5 " * 500], Numbers(), Numbers())
    assert len(str(caught.value)) < 200


def test_a_single_string_is_refused(rng):
    with pytest.raises(TypeError, match=r"a list of sentences, got one str; wrap it"):
        translate(make(rng), "5 6", Numbers(), Numbers())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"max_new_tokens": -1}, "max_new_tokens"),
        ({"beam_size": 0}, "beam_size >= 1, got 0"),
        ({"beam_size": 2, "length_penalty": -1.0}, "length_penalty >= 0"),
    ],
)
def test_options_out_of_range(rng, options, message):
    with pytest.raises(ValueError, match=message):
        translate(make(rng), ["5"], Numbers(), Numbers(), **options)


def test_a_checkpoint_with_its_tokenizers_translates_the_same(tmp_path, sentences):
    model = half_trained(1)
    expected = translate(model, sentences, Numbers(), Numbers())
    checkpoint.save(tmp_path / "c", model, source_tokenizer=Numbers(7), target_tokenizer=Numbers(9))
    loaded = checkpoint.load(tmp_path / "c", classes=[Numbers])
    tokenizers = loaded.extras["source_tokenizer"], loaded.extras["target_tokenizer"]
    assert [t.size for t in tokenizers] == [7, 9]
    assert translate(loaded.model, sentences, *tokenizers) == expected

"""LoRA: values and gradients as peft has them, and what a change beside the weights promises."""

import json
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Linear, checkpoint, gradcheck, no_grad, optim, train_mode, training
from foundation_nn import functional as F
from foundation_transformer import (
    CausalLM,
    TextClassifier,
    TextEncoder,
    Transformer,
    TransformerConfig,
    Translator,
    load_pretrained,
    recipes,
)
from foundation_transformer.adapters import (
    AdaptedLinear,
    Adapter,
    Lora,
    adapters_off,
    load_adapter,
    low_rank,
    save_adapter,
)
from foundation_transformer.pretrained._compact import load_compact
from foundation_transformer.pretrained._safetensors import read_header, write_safetensors

HERE = Path(__file__).parent
MODELS = np.load(HERE / "golden" / "pretrained.npz")
TRANSLATORS = np.load(HERE / "golden" / "translators.npz")
GOLDEN = np.load(HERE / "golden" / "adapters.npz")
NAMES = ("llama", "tied", "gpt2", "bert", "marian", "flan")
IDS = MODELS["ids"][:1]
CONFIGS = {
    "llama": TransformerConfig.llama(
        vocab_size=11, d_model=12, num_heads=6, num_kv_heads=2, num_layers=2, d_ff=19, max_len=13
    ),
    "gpt2": TransformerConfig.gpt2(
        vocab_size=11, d_model=12, num_heads=3, num_layers=2, d_ff=19, max_len=13
    ),
}


#: An encoder-decoder with fewer heads of keys and values than of queries.
BOTH = TransformerConfig.tiny(
    vocab_size=11, d_model=12, num_heads=6, num_kv_heads=2, num_layers=2, d_ff=19, max_len=13
)


@pytest.fixture(params=CONFIGS)
def model(request):
    return CausalLM(CONFIGS[request.param], rng=np.random.default_rng(0)).astype(np.float64)


@pytest.fixture
def both():
    return Transformer(BOTH, rng=np.random.default_rng(0)).astype(np.float64)


def golden(prefix, arrays=GOLDEN):
    return {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}


def write_model(folder, name):
    folder.mkdir()
    arrays = MODELS if f"{name}/config" in MODELS else TRANSLATORS
    (folder / "config.json").write_text(str(arrays[f"{name}/config"]))
    weights = golden(f"{name}/weights/", arrays)
    write_safetensors(folder / "model.safetensors", weights.items())
    return folder


def write_adapter(folder, name, weights=None, **changes):
    folder.mkdir()
    config = json.loads(str(GOLDEN[f"{name}/config"])) | changes
    (folder / "adapter_config.json").write_text(json.dumps(config))
    weights = golden(f"{name}/weights/") if weights is None else weights
    write_safetensors(folder / "adapter_model.safetensors", weights.items())
    return folder


@pytest.fixture
def loaded(tmp_path):
    def load(name):
        model = load_pretrained(write_model(tmp_path / "base", name)).model
        return load_adapter(write_adapter(tmp_path / "adapter", name), model)

    return load


def read_by(model, name):
    """What the recorded model of this name has read: a text, or a source and a target."""
    if f"{name}/source" not in TRANSLATORS:
        return model(IDS)
    source, target = (TRANSLATORS[f"{name}/{side}"][:1] for side in ("source", "target"))
    return getattr(model, "model", model)(source, target)


def learn(lora, rng):
    """As if something had been learnt."""
    for p in lora.parameters():
        p.data = rng.standard_normal(p.shape)
    return lora


# --- as peft


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_of_peft_answers_as_there_and_has_its_gradients(loaded, tmp_path, name):
    lora = loaded(name)
    precise = GOLDEN[f"{name}/y"].dtype
    lora.model.astype(precise)
    lora.astype(precise)
    y = read_by(lora.model, name)
    # transformers computes Marian's positions and T5's weights of attention in float32, whatever
    # the model has, and through the large weights of these two such a difference grows.
    digits = {"rtol": 1e-4, "atol": 1e-4} if name in ("marian", "flan") else {"atol": 1e-5}
    np.testing.assert_allclose(y.data, GOLDEN[f"{name}/y"], **({"rtol": 1e-5} | digits))
    (y * GOLDEN[f"{name}/g"]).sum().backward()
    # The gradients are saved as an adapter, which brings them back to the names that peft has.
    for p in lora.parameters():
        p.data = p.grad
    saved = read_header(save_adapter(tmp_path / "grads", lora) / "adapter_model.safetensors")
    expected = golden(f"{name}/grads/")
    assert saved.keys() == expected.keys()
    for key, grad in expected.items():
        atol = 2e-5 if "rtol" not in digits else 2e-4 * np.abs(grad).max()
        np.testing.assert_allclose(saved[key].read(), grad, rtol=1e-4, atol=atol, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_what_peft_has_written(loaded, tmp_path, name):
    lora = loaded(name)
    folder = save_adapter(tmp_path / "again", lora, base="owner/name")
    saved = read_header(folder / "adapter_model.safetensors")
    expected = golden(f"{name}/weights/")
    assert saved.keys() == expected.keys()
    for key, value in expected.items():
        assert saved[key].read().tobytes() == value.tobytes(), key
    content = json.loads((folder / "adapter_config.json").read_text())
    theirs = json.loads(str(GOLDEN[f"{name}/config"]))
    assert content["base_model_name_or_path"] == "owner/name"
    for key in ("peft_type", "r", "lora_dropout", "fan_in_fan_out", "bias"):
        assert content[key] == theirs[key], key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "expected 'LORA', got 'IA3'"),
        ({"use_dora": True}, "use_dora=True is not supported"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern=.* is not supported"),
        ({"bias": "all"}, "bias='all' is not supported"),
        ({"r": 0}, "r: expected at least 1, got 0"),
        ({"r": "3"}, "r: expected"),
    ],
)
def test_another_kind_of_adapter_is_refused(tmp_path, changes, message):
    model = load_pretrained(write_model(tmp_path / "base", "llama")).model
    folder = write_adapter(tmp_path / "adapter", "llama", **changes)
    with pytest.raises(ValueError, match=rf"adapter_config.json: .*{message}"):
        load_adapter(folder, model)


def test_an_adapter_for_another_base_names_the_shapes(tmp_path):
    folder = write_adapter(tmp_path / "adapter", "llama")
    config = CONFIGS["llama"]
    with pytest.raises(
        ValueError,
        match=r"wrong shape  stack.layers.0.self_attn q: lora_A: expected \(3, 12\), "
        r"got \(3, 24\)",
    ):
        load_adapter(folder, CausalLM(config))
    with pytest.raises(ValueError, match=r"lora_A.weight has no place in this GPT-2 of 2"):
        load_adapter(folder, CausalLM(CONFIGS["gpt2"]))
    lora = Lora.around(CausalLM(config), rank=2)
    with pytest.raises(
        ValueError,
        match=r"(?s)adapter is one for another model:.*stack.layers.0.linear2: the adapter is for "
        r"a matrix of shape \(12, 19\), the model's has \(12, 17\)",
    ):
        lora.attach(CausalLM(TransformerConfig.from_dict(config.to_dict() | {"d_ff": 17})))


def test_half_an_adapter_is_refused(tmp_path):
    weights = golden("llama/weights/")
    weights.pop("base_model.model.model.layers.1.mlp.down_proj.lora_B.weight")
    model = load_pretrained(write_model(tmp_path / "base", "llama")).model
    with pytest.raises(ValueError, match=r"missing      stack.layers.1.linear2 down: lora_B"):
        load_adapter(write_adapter(tmp_path / "adapter", "llama", weights), model)


def test_one_matrix_for_three_cannot_be_saved_in_parts(tmp_path):
    model = CausalLM(CONFIGS["gpt2"])
    with pytest.raises(ValueError, match='make the adapter with targets "qkv"'):
        save_adapter(tmp_path, Lora.around(model, rank=2, targets=["q", "v"]))


# --- the change itself


def test_the_gradients_are_right(rng):
    shapes = (2, 3, 7), (2, 3, 5), (2, 5), (3, 2), (3, 5), (2, 3)
    rows = slice(4, 7), slice(0, 2)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    gradcheck(lambda *inputs: low_rank(*inputs, rows=rows, scale=1.7), *arrays)


@pytest.mark.parametrize("targets", [None, ["qkv", "down"], ["q"], ["v", "o"]])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "both"])
def test_the_change_is_that_of_a_dense_matrix_of_low_rank(kind, targets, rng):
    new = (lambda: Transformer(BOTH)) if kind == "both" else (lambda: CausalLM(CONFIGS[kind]))
    model, dense = (new().astype(np.float64) for _ in range(2))
    lora = learn(Lora.around(model, rank=2, alpha=3, targets=targets, rng=rng), rng)
    texts = [rng.integers(0, 11, (2, length)) for length in (7, 5)][: 1 + (kind == "both")]
    adapted = model(*texts).data
    state = model.state_dict()
    plain = {name: value for name, value in state.items() if "adapter" not in name}
    for path, adapter in lora.layers.items():
        name = f"{path}.in_proj_weight" if path.endswith("_attn") else f"{path}.weight"
        for part, pair in adapter.pairs.items():
            rows = adapter.rows[part]
            change = 3 / 2 * pair.B.data @ pair.A.data
            assert np.linalg.matrix_rank(change) == 2
            plain[name] = plain[name].copy()
            plain[name][rows] += change
    dense.load_state_dict(plain)
    np.testing.assert_allclose(adapted, dense(*texts).data, rtol=1e-9, atol=1e-9)
    lora.merge()
    np.testing.assert_allclose(model(*texts).data, adapted, rtol=1e-9, atol=1e-9)


def test_at_first_nothing_is_changed(model, rng):
    ids = rng.integers(0, 11, (2, 7))
    before = model(ids).data
    Lora.around(model, rank=2, rng=rng)
    assert model(ids).data.tobytes() == before.tobytes()


def test_switched_off_and_taken_off_the_model_is_what_it_was(model, rng):
    ids = rng.integers(0, 11, (2, 7))
    before = model(ids).data
    names = [name for name, _ in model.named_parameters()]
    lora = learn(Lora.around(model, rank=2, rng=rng), rng)
    changed = model(ids).data
    assert not np.allclose(changed, before)
    with adapters_off():
        assert model(ids).data.tobytes() == before.tobytes()
    assert model(ids).data.tobytes() == changed.tobytes()
    lora.detach()
    assert model(ids).data.tobytes() == before.tobytes()
    assert [name for name, _ in model.named_parameters()] == names
    lora.attach(model)
    assert model(ids).data.tobytes() == changed.tobytes()


@pytest.mark.parametrize("name", CONFIGS)
def test_merged_it_answers_as_beside_the_weights(name, rng, tmp_path):
    model = CausalLM(CONFIGS[name], rng=np.random.default_rng(0))
    names = [n for n, _ in model.named_parameters()]
    lora = Lora.around(model, rank=2, rng=rng)
    for p in lora.parameters():
        p.data = 0.1 * rng.standard_normal(p.shape)
    ids = rng.integers(0, 11, (2, 7))
    beside = model(ids).data
    lora.merge()
    np.testing.assert_allclose(model(ids).data, beside, rtol=0, atol=1e-6)
    assert [n for n, _ in model.named_parameters()] == names
    checkpoint.save(tmp_path / "merged", model)
    loaded = checkpoint.load(tmp_path / "merged").model
    assert loaded(ids).data.tobytes() == model(ids).data.tobytes()
    with pytest.raises(ValueError, match="around no model"):
        lora.merge()


def test_only_the_change_is_learnt(model, rng):
    ids = rng.integers(0, 11, (2, 7))
    lora = Lora.around(model, rank=2, rng=rng)
    before = model.state_dict()
    optimizer = optim.AdamW(lora, lr=0.1, weight_decay=0.5)
    assert optimizer.buffer.data.size < model.num_parameters() / 2
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(ids[:, :-1]), ids[:, 1:]).backward()
        optimizer.step()
    assert all((p.grad is None) == (".adapter." not in n) for n, p in model.named_parameters())
    for name, value in model.state_dict().items():
        assert (value.tobytes() != before[name].tobytes()) == (".adapter." in name), name


def test_dropout_is_of_what_the_change_reads_and_of_training_alone(rng):
    base = Linear(6, 5, rng=rng)
    adapter = Adapter(6, {"all": (0, 5)}, rank=2, alpha=2, dropout=0.5, rng=rng)
    layer = AdaptedLinear.around(base, adapter)
    x = rng.standard_normal((400, 6), np.float32)
    with train_mode(np.random.default_rng(0)):  # B is zero: what is dropped has no effect
        assert layer(x).data.tobytes() == base(x).data.tobytes()
    adapter.pairs["all"].B.data = rng.standard_normal((5, 2))
    with train_mode(np.random.default_rng(0)):
        trained = layer(x).data
    assert layer(x).data.tobytes() == layer(x).data.tobytes()
    assert not np.allclose(trained, layer(x).data)


def test_a_compact_base_learns_by_its_change(rng):
    config = CONFIGS["llama"]
    wide = CausalLM(config, rng=np.random.default_rng(0))
    for p in wide.parameters():
        if p.ndim == 2:  # as large as those of a model that has learnt something
            p.data = 10 * p.data
    model = CausalLM(config)
    load_compact(model, wide.state_dict().items())
    ids = rng.integers(0, 11, (2, 8))
    before = model(ids).data
    lora = Lora.around(model, rank=3, rng=rng)
    optimizer = optim.AdamW(lora, lr=0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]), ids[:, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    # The widened weights, with the same change, are what its gradients are those of.
    codes = {name: value for name, value in model.state_dict().items() if "adapter" not in name}
    for name in list(codes):
        if name.endswith(".scales"):
            base = name.removesuffix(".scales")
            codes[base] = codes.pop(f"{base}.codes") * codes.pop(name)[:, None]
    twin = CausalLM(config)
    twin.load_state_dict(codes, strict=False)
    other = Lora.around(twin, rank=3)
    other.load_state_dict(lora.state_dict())
    optimizer.zero_grad()
    for each in (model, twin):
        F.cross_entropy(each(ids[:, :-1]), ids[:, 1:]).backward()
    for ours, theirs in zip(lora.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)
    with pytest.raises(TypeError, match="load it without compact=True to merge"):
        lora.merge()
    lora.detach()
    assert model(ids).data.tobytes() == before.tobytes()


def test_a_checkpoint_holds_the_change_alone(model, rng, tmp_path):
    lora = learn(Lora.around(model, rank=2, dropout=0.1, targets=["q", "v"], rng=rng), rng)
    checkpoint.check(lora)
    checkpoint.save(tmp_path / "saved", lora)
    ids = rng.integers(0, 11, (1, 5))
    with no_grad():
        expected = model(ids).data
    lora.detach()
    again = checkpoint.load(tmp_path / "saved").model
    assert again.num_parameters() == lora.num_parameters()
    again.attach(model)
    assert model(ids).data.tobytes() == expected.tobytes()


def test_the_mean_of_changes_is_that_of_the_merged_models(model, rng, tmp_path):
    """And not the product of the means of A and of B."""
    state = model.state_dict()
    places, merged = [], []
    for number, (rank, alpha) in enumerate([(2, 3.0), (1, 5.0), (1, 3.0)]):
        lora = learn(Lora.around(model, rank=rank, alpha=alpha, rng=rng), rng)
        places.append(checkpoint.save(tmp_path / str(number), lora))
        lora.merge()
        merged.append(model.state_dict())
        model.load_state_dict(state)
    mean = checkpoint.average(places)
    assert mean.model.rank == 4
    mean.model.attach(model)
    mean.model.merge()
    for name, value in model.state_dict().items():
        expected = sum(each[name] for each in merged) / 3
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9, err_msg=name)
    lora = Lora.around(CausalLM(CONFIGS["llama"]), rank=2, targets=["q"])
    places.append(checkpoint.save(tmp_path / "other", lora))
    with pytest.raises(ValueError, match="average: the changes are not of one model"):
        checkpoint.average(places)
    whole = checkpoint.save(tmp_path / "whole", model)
    with pytest.raises(ValueError, match="changes beside a model, got a CausalLM among them"):
        checkpoint.average([whole, *places])
    with pytest.raises(ValueError, match=r"sum of their ranks, and .*merge each into its base"):
        checkpoint.average(places[:3] * 4)


BERT = TransformerConfig.bert(
    vocab_size=11, d_model=12, num_heads=3, num_layers=2, d_ff=19, max_len=13
)
BODIES = {
    "bert": lambda: TextEncoder(BERT, rng=np.random.default_rng(0)),
    "llama": lambda: CausalLM(CONFIGS["llama"], rng=np.random.default_rng(0)),
}


@pytest.mark.parametrize("name", BODIES)
def test_around_a_classifier_its_head_is_learnt_too(name, rng, tmp_path):
    model = TextClassifier(BODIES[name](), ["bad", "good", "fair"], rng=rng)
    head = model.classifier
    before = model.state_dict()
    lora = Lora.around(model, rank=2, rng=rng)
    assert lora.head is head
    assert {id(p) for p in model.parameters() if p.requires_grad} == set(map(id, lora.parameters()))
    rows = [rng.integers(1, 11, rng.integers(2, 9)).tolist() for _ in range(24)]
    targets = np.array([row[0] % 3 for row in rows])
    data = training.batches(*recipes.padded(rows), targets, batch_size=8, rng=rng)
    first = recipes.classification_loss(lora, next(iter(data)))[0].item()
    recipes.train_classifier(lora, data, steps=60, lr=0.03, rng=rng)
    assert recipes.classification_loss(lora, next(iter(data)))[0].item() < 0.9 * first
    assert recipes.classification_accuracy(lora, data) == recipes.classification_accuracy(
        model, data
    )
    for key, value in model.state_dict().items():
        is_learnt = key.startswith("classifier.") or ".adapter." in key
        assert key not in before or is_learnt == (value.tobytes() != before[key].tobytes()), key

    checkpoint.check(lora)
    saved = checkpoint.save(tmp_path / "saved", lora)
    ids, key_mask = recipes.padded(rows)
    with no_grad():
        expected = model(ids, key_mask).data
    bare = checkpoint.load(saved).model
    bare.attach(BODIES[name]())  # what reads the texts is enough
    assert bare.model.labels == ("bad", "good", "fair")
    headed = checkpoint.load(saved).model
    fresh = TextClassifier(BODIES[name](), ["bad", "good", "fair"], rng=rng)
    headed.attach(fresh)
    with no_grad():
        for each in (bare, headed, fresh):
            assert each(ids, key_mask).data.tobytes() == expected.tobytes()
    lora.merge()
    with no_grad():
        np.testing.assert_allclose(model(ids, key_mask).data, expected, atol=1e-5)
    assert type(model.body) is type(BODIES[name]())
    assert model.classifier is head
    whole = checkpoint.load(checkpoint.save(tmp_path / "whole", model)).model
    with no_grad():
        assert whole(ids, key_mask).data.tobytes() == model(ids, key_mask).data.tobytes()


def test_the_mean_of_heads_is_that_of_their_weights(rng, tmp_path):
    places, heads = [], []
    for number in range(2):
        model = TextClassifier(BODIES["llama"](), ["a", "b"], rng=rng)
        lora = learn(Lora.around(model, rank=1, rng=rng), rng)
        heads.append(lora.head.weight.data.copy())
        places.append(checkpoint.save(tmp_path / str(number), lora))
    mean = checkpoint.average(places).model
    np.testing.assert_allclose(mean.head.weight.data, (heads[0] + heads[1]) / 2, rtol=1e-6)
    other = Lora.around(TextClassifier(BODIES["llama"](), ["a", "c"], rng=rng), rank=1)
    places.append(checkpoint.save(tmp_path / "other", other))
    with pytest.raises(ValueError, match="their layers or labels differ"):
        checkpoint.average(places)


def test_a_head_of_another_kind_is_refused(rng, tmp_path):
    def classifier(labels):
        return TextClassifier(BODIES["bert"](), labels, rng=rng)

    lora = Lora.around(classifier(["a", "b"]), rank=2)
    with pytest.raises(ValueError, match=r"its head is .*'a', 'b'.*that of the model .*'a', 'c'"):
        lora.attach(classifier(["a", "c"]))
    with pytest.raises(ValueError, match="save_adapter: a head was learnt with this change"):
        save_adapter(tmp_path / "never", lora)
    assert not (tmp_path / "never").exists()
    without = Lora.around(BODIES["bert"](), rank=2)
    with pytest.raises(TypeError, match="learnt without a head; attach it to .* body"):
        without.attach(classifier(["a", "b"]))
    with pytest.raises(TypeError, match="expected a TextClassifier, or a Lora around one"):
        recipes.classification_loss(without, recipes.padded([[1, 2]]) + (np.array([0]),))


def test_a_text_encoder_is_adapted_too(rng):
    config = TransformerConfig.bert(vocab_size=11, d_model=12, num_heads=3, num_layers=2, d_ff=19)
    encoder = TextEncoder(config, rng=rng)
    lora = learn(Lora.around(encoder, rank=2, rng=rng), rng)
    ids = rng.integers(0, 11, (2, 7))
    with adapters_off():
        before = encoder(ids).data
    assert not np.allclose(encoder(ids).data, before)
    assert lora.model is encoder


def test_both_attentions_of_a_decoder_are_adapted(both, rng):
    lora = learn(Lora.around(both, rank=2, targets=["q"], rng=rng), rng)
    assert set(lora.layers) == {
        f"{stack}.layers.{i}.{attention}"
        for i in range(2)
        for stack, attention in (
            ("encoder", "self_attn"),
            ("decoder", "self_attn"),
            ("decoder", "multihead_attn"),
        )
    }
    source, target = rng.integers(0, 11, (2, 7)), rng.integers(0, 11, (2, 5))
    (both(source, target) ** 2).mean().backward()
    assert all(np.abs(p.grad).max() > 0 for p in lora.parameters())


def test_cached_steps_of_an_adapted_translator_equal_the_whole(both, rng):
    learn(Lora.around(both, rank=2, rng=rng), rng)
    source, target = rng.integers(3, 11, (2, 7)), rng.integers(3, 11, (2, 5))
    whole = both(source, target).data
    translator = Translator(both, source, np.ones((2, 7), bool))
    logits, state = translator.start(target[:, :1], np.array([1, 1]), capacity=5)
    for t in range(1, 5):
        np.testing.assert_allclose(logits, whole[:, t - 1], rtol=1e-11, atol=1e-11)
        logits, state = translator.step(state, target[:, t])


# --- bad input


def test_mistakes_are_answered(model):
    with pytest.raises(ValueError, match="unknown target 'query'"):
        Lora.around(model, targets=["query"])
    with pytest.raises(ValueError, match='"qkv" is all three'):
        Lora.around(model, targets=["qkv", "v"])
    with pytest.raises(
        ValueError,
        match=r"Lora: stack.layers.0.self_attn: rank 13 is larger than 'q', a matrix of shape "
        r"\(12, 12\); a change of it has at most rank 12",
    ):
        Lora.around(model, rank=13)
    with pytest.raises(ValueError, match="expected rank >= 1, got 0"):
        Lora.around(model, rank=0)
    with pytest.raises(ValueError, match="at least one matrix to change"):
        Lora.around(model, targets=[])
    Lora.around(model, rank=2)
    with pytest.raises(TypeError, match="adapted already; take that adapter off by detach"):
        Lora.around(model, rank=2)
    with pytest.raises(TypeError, match="a Transformer or a TextClassifier, got Linear"):
        Lora.around(Linear(2, 3))


def test_a_target_that_the_layers_do_not_have_is_refused():
    with pytest.raises(ValueError, match="the layers of this model have no gate"):
        Lora.around(CausalLM(CONFIGS["gpt2"]), targets=["gate", "up"])

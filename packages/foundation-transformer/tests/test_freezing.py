"""Fine-tuning: a trunk that is frozen, a head that learns."""

import numpy as np
import pytest
from foundation_nn import checkpoint, optim
from foundation_nn import functional as F
from foundation_transformer import CausalLM, Transformer, TransformerConfig

SMALL = {"d_model": 12, "num_heads": 3, "num_layers": 2, "max_len": 7}
CONFIGS = [
    TransformerConfig.gpt2(vocab_size=11, **SMALL),
    TransformerConfig.llama(vocab_size=11, **SMALL),
]


def train(model, ids, steps=2):
    optimizer = optim.AdamW(model, lr=0.1, weight_decay=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(ids[:, :-1]), ids[:, 1:]).backward()
        optimizer.step()


@pytest.mark.parametrize("config", CONFIGS, ids=["gpt2", "llama"])
def test_the_last_layer_learns_as_if_nothing_else_could(config, rng, tmp_path):
    ids = rng.integers(0, 11, (2, 7))
    model = CausalLM(config, rng=np.random.default_rng(0)).freeze()
    last = [name for name, _ in model.named_modules() if name.endswith("layers.1")]
    dict(model.named_modules())[last[0]].unfreeze()
    before = model.state_dict()
    whole = CausalLM(config, rng=np.random.default_rng(0))
    F.cross_entropy(whole(ids[:, :-1]), ids[:, 1:]).backward()
    F.cross_entropy(model(ids[:, :-1]), ids[:, 1:]).backward()
    expected = {name: p.grad for name, p in whole.named_parameters()}
    for name, p in model.named_parameters():
        if name.startswith(last[0]):
            assert p.grad.tobytes() == expected[name].tobytes()
        else:
            assert p.grad is None, name
    train(model, ids)
    for name, value in model.state_dict().items():
        learnt = name.startswith(last[0])
        assert (value.tobytes() != before[name].tobytes()) == learnt, name
    checkpoint.save(tmp_path / "tuned", model)
    loaded = checkpoint.load(tmp_path / "tuned").model
    trainable = model.num_parameters(trainable=True)
    assert loaded.num_parameters(trainable=True) == trainable < model.num_parameters()


def test_a_shared_embedding_is_frozen_on_both_sides(rng):
    config = TransformerConfig.tiny(vocab_size=11, tie_embeddings=True)
    model = Transformer(config, rng=np.random.default_rng(0))
    model.source_embedding.freeze()
    ids = rng.integers(0, 11, (2, 5))
    model(ids, ids).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == [
        "source_embedding.weight"
    ]

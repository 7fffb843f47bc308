"""Frozen weights of recurrent networks have no gradient; those of everything else stay the same."""

import numpy as np
import pytest
from foundation_nn import Tensor, optim
from foundation_seq import GRU, LSTM, RNN
from foundation_seq.recurrent import _recurrence

LENGTHS = np.array([7, 3, 5])


@pytest.fixture(params=[RNN, LSTM, GRU])
def network(request):
    kind = request.param
    return kind(2, 3, num_layers=2, bidirectional=True, rng=np.random.default_rng(0))


def gradients(network, x, weights):
    for tensor in (x, *network.parameters()):
        tensor.grad = None
    output, _ = network(x, lengths=LENGTHS)
    (output * weights).sum().backward()
    return x.grad, {name: p.grad for name, p in network.named_parameters()}


@pytest.fixture
def problem(rng):
    x = Tensor(rng.standard_normal((3, 7, 2)).astype(np.float32), requires_grad=True)
    return x, rng.standard_normal((3, 7, 6)).astype(np.float32)


def test_gradients_flow_through_a_frozen_network_and_no_other_is_computed(
    network, problem, monkeypatch
):
    expected, _ = gradients(network, *problem)
    monkeypatch.setattr(_recurrence, "product", None)  # dW
    monkeypatch.setattr(_recurrence, "column_sum", None)  # db
    network.freeze()
    found, of_weights = gradients(network, *problem)
    assert found.tobytes() == expected.tobytes()
    assert set(of_weights.values()) == {None}


def test_each_weight_is_frozen_by_itself(network, problem):
    dx, whole = gradients(network, *problem)
    for name, p in network.named_parameters():
        p.requires_grad = False
        found, part = gradients(network, *problem)
        p.requires_grad = True
        assert found.tobytes() == dx.tobytes()
        assert [other for other, g in part.items() if g is None] == [name]
        for other in part.keys() - {name}:
            assert part[other].tobytes() == whole[other].tobytes()


def test_a_frozen_layer_is_not_trained(network, problem):
    optimizer = optim.AdamW(network, lr=0.1, weight_decay=0.5)
    for name, p in network.named_parameters():
        p.requires_grad = "_l1" in name
    before = network.state_dict()
    gradients(network, *problem)
    optimizer.step()
    for name, value in network.state_dict().items():
        assert (value.tobytes() == before[name].tobytes()) == ("_l0" in name), name

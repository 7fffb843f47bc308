"""An optimiser of one's own gets state, groups, freezing, checkpoints and resuming for nothing."""

import numpy as np
import pytest
from foundation_nn import MLP, Parameter, Tensor, optim
from foundation_nn.training import Trainer

BATCHES = np.random.default_rng(1).standard_normal((6, 4, 2)).astype(np.float32)


class SignDescent(optim.Optimizer):
    """Entry by entry: ``update_block``."""

    def __init__(self, model_or_params, lr, beta=0.5, weight_decay=0.0):
        super().__init__(model_or_params, lr, weight_decay, state=("average",))
        self.beta = beta

    def update_block(self, w, g, settings, average):
        average += (1 - self.beta) * (g - average)
        w -= settings.lr * (np.sign(average) + settings.weight_decay * w)


class LARS(optim.Optimizer):
    """Parameter by parameter: ``update_all``. The step is a part of the length of the weights."""

    def __init__(self, model_or_params, lr, momentum=0.9, weight_decay=0.0):
        super().__init__(model_or_params, lr, weight_decay, state=("velocity",))
        self.momentum = momentum

    def update_all(self, grad):
        for index, part in enumerate(self.buffer.slices):
            settings = self.settings_of(index)
            if settings is not None:  # it is not frozen
                w = self.buffer.data[part]
                velocity = self.state["velocity"][part]
                u = grad[part] + settings.weight_decay * w
                ratio = np.linalg.norm(w) / max(np.linalg.norm(u), 1e-12)
                velocity *= self.momentum
                velocity += settings.lr * ratio * u
                w -= velocity


def square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), len(batch)


def test_the_formulas_by_hand():
    w, v = Parameter([[4.0, 3.0]]), Parameter([2.0])
    optimizer = SignDescent([w, v], lr=0.25, weight_decay=0.5)
    w.grad, v.grad = np.float32([[1, -1]]), np.float32([-3])
    optimizer.step()
    np.testing.assert_array_equal(w.data, [[4 - 0.25 - 0.5, 3 + 0.25 - 0.375]])
    np.testing.assert_array_equal(v.data, [2.25])

    w = Parameter([[4.0, 3.0]])  # of length 5
    optimizer = LARS(w, lr=0.1, momentum=0.5)
    for expected in ([[4 - 0.5, 3]], [[4 - 0.5 - 0.25 - 0.1 * np.hypot(3.5, 3), 3]]):
        w.grad = np.float32([[7, 0]])  # whatever its length
        optimizer.step()
        np.testing.assert_allclose(w.data, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [SignDescent, LARS])
def test_it_has_groups_freezing_clipping_and_resumes_to_the_same_bits(kind, tmp_path):
    def trainer():
        model = MLP([2, 3, 3, 1], rng=np.random.default_rng(0))
        model[2].freeze()
        groups = [{"params": model[0], "lr_scale": 0.1}, {"params": [*model[2].parameters()]}]
        groups.append({"params": model[4], "weight_decay": 0.5})
        optimizer = kind(groups, lr=0.01)
        return Trainer(model, square, optimizer, clip_norm=0.1, rng=np.random.default_rng(2))

    whole, cut, resumed = trainer(), trainer(), trainer()
    begin = whole.model.state_dict()
    whole.fit(BATCHES, max_steps=5)
    cut.fit(BATCHES, max_steps=3)
    cut.save(tmp_path / "cut")
    resumed.resume(tmp_path / "cut")
    resumed.fit(BATCHES, max_steps=5)
    end = whole.model.state_dict()
    for name, value in resumed.model.state_dict().items():
        assert value.tobytes() == end[name].tobytes()
        assert (value.tobytes() == begin[name].tobytes()) == name.startswith("2.")
    for name, value in whole.optimizer.state_dict().items():
        assert resumed.optimizer.state_dict()[name].tobytes() == value.tobytes()


def test_its_name_is_in_the_messages_and_habits_are_answered():
    p = Parameter([[1.0]])
    with pytest.raises(ValueError, match="SignDescent: expected lr >= 0"):
        SignDescent(p, lr=-1)
    with pytest.raises(TypeError, match="SignDescent, group 0: a group has no 'rate'"):
        SignDescent([{"params": p, "rate": 1}], lr=1)
    with pytest.raises(TypeError, match="SignDescent has no nesterov="):
        SignDescent(p, lr=1, nesterov=True)
    other = LARS(p, lr=1)
    with pytest.raises(ValueError, match="SignDescent: expected the entries .*'average'"):
        SignDescent(p, lr=1).load_state_dict(other.state_dict())

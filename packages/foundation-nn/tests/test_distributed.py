"""Several processes with a part of each batch make the steps of one with the whole batch."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from foundation_nn import BatchNorm1d, Linear, Parameter, Sequential, Tensor, distributed, optim

# Run by each process: a seed of its own, and three of four rows in process 0. Then alone.
SCRIPT = """
import sys
import numpy as np
from foundation_nn import MLP, BatchNorm1d, Sequential, Tensor, Tanh, distributed, optim
from foundation_nn import functional as F

world = distributed.world()

def train(seed, part, together):
    model = Sequential(MLP([5, 7, 2], Tanh, rng=np.random.default_rng(seed)), BatchNorm1d(2))
    model.astype(np.float64)
    model[1].running_mean.data = np.full(2, seed + 1.0)
    optimizer = optim.AdamW(model, lr=0.01)
    if together:
        distributed.broadcast(model)
    rng = np.random.default_rng(7)
    for _ in range(5):
        x, y = rng.standard_normal((12, 5)), rng.standard_normal((12, 2))
        optimizer.zero_grad()
        F.mse_loss(model(Tensor(x[part])), y[part]).backward()
        if together:
            assert distributed.average_gradients(optimizer, len(x[part])) == 12
        optim.clip_grad_norm(optimizer, 0.5)
        optimizer.step()
    return model.state_dict()

part = (slice(0, 9), slice(9, 12))[world.rank]
np.savez(f"{sys.argv[1]}/{world.rank}", **train(world.rank, part, together=True))
np.savez(f"{sys.argv[1]}/alone", **train(0, slice(None), together=False))
"""


def launcher():
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


@pytest.mark.skipif(
    launcher() is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpi4py and mpiexec",
)
def test_two_processes_make_the_steps_of_one(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    options = {"I_MPI_FABRICS": "shm", "OMPI_ALLOW_RUN_AS_ROOT": "1"}
    options |= {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    options |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [launcher(), "-n", "2", sys.executable, str(script), str(tmp_path)]
    result = subprocess.run(
        command, env=os.environ | options, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    alone, first, second = (dict(np.load(tmp_path / f"{n}.npz")) for n in ("alone", 0, 1))
    for name, value in alone.items():
        np.testing.assert_allclose(first[name], value, rtol=1e-12, atol=1e-12, err_msg=name)
        assert first[name].tobytes() == second[name].tobytes(), name
    np.testing.assert_array_equal(second["1.running_mean"], [1, 1])


class Process:
    """A process of two; the other one has these gradients, times its targets, and targets."""

    size = 1  # of COMM_WORLD, where nothing is to be prepared

    def __init__(self, others=0.0, targets=0, values=None):
        self.others, self.targets, self.values = others, targets, values

    def allreduce(self, number):
        return number + self.targets

    def Allreduce(self, mode, array):
        assert mode == "in place"
        array += self.others

    def Bcast(self, array):
        if self.values is not None:
            array[...] = self.values


@pytest.fixture
def mpi(monkeypatch):
    module = SimpleNamespace(IN_PLACE="in place", COMM_WORLD=Process())
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=module))
    return module


def test_a_process_alone_keeps_its_gradients(mpi):
    model = Linear(3, 2, rng=np.random.default_rng(0))
    optimizer = optim.SGD(model, lr=0.1)
    model(Tensor(np.ones((5, 3), np.float32))).sum().backward()
    expected = [p.grad.copy() for p in model.parameters()]
    for target in (model, optimizer):
        assert distributed.average_gradients(target, 5) == 5
        for p, grad in zip(model.parameters(), expected, strict=True):
            np.testing.assert_array_equal(p.grad, grad)


def test_gradients_are_weighted_by_their_targets(mpi):
    w = Parameter(np.zeros(3))
    optimizer = optim.SGD([w], lr=1.0)
    w.grad = np.array([1.0, 2.0, 3.0])
    # The other has three of four targets and the gradient 4: (1/4) g + (3/4) 4
    total = distributed.average_gradients(optimizer, 1, Process(others=0.75 * 4, targets=3))
    assert total == 4
    np.testing.assert_array_equal(w.grad, [3.25, 3.5, 3.75])


def test_a_part_without_targets_does_not_count_even_if_it_is_nan(mpi):
    w, unused = Parameter(np.zeros(1)), Parameter(np.zeros(1))
    optimizer = optim.SGD([w, unused], lr=1.0)
    w.grad = np.array([np.nan])
    assert distributed.average_gradients(optimizer, 0, Process(others=2.0, targets=3)) == 3
    optimizer.step()
    assert (w.item(), unused.item()) == (-2, -2)  # the other process has used both
    distributed.average_gradients(optimizer, 0, Process())
    np.testing.assert_array_equal(w.grad, [0])


def test_every_process_begins_with_the_values_of_the_first(mpi):
    model = Sequential(Linear(3, 2), BatchNorm1d(2))
    distributed.broadcast(model)
    assert model[1].num_batches_tracked.item() == 0
    distributed.broadcast(model, Process(values=5))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, np.full(value.shape, 5), err_msg=name)
    loss = model[0](Tensor([1.0, 2.0, 3.0])).sum()
    distributed.broadcast(model)
    with pytest.raises(RuntimeError, match="changed between the forward and the backward"):
        loss.backward()


def test_parameters_of_several_optimisers_are_reduced_one_by_one(mpi):
    model = Linear(3, 2)
    for p in model.parameters():
        optim.SGD([p], lr=0.1)
    with pytest.raises(ValueError, match="average_gradients: an optimiser has only some"):
        distributed.average_gradients(model)


@pytest.mark.parametrize("module", [None, SimpleNamespace()], ids=["no mpi4py", "no library"])
def test_without_mpi_the_extra_is_named(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "mpi4py", module)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(ImportError, match=r"MPI library.*pip install 'foundation-nn\[mpi\]'"):
        distributed.world()


def test_targets_are_a_whole_number_that_is_not_negative():
    for targets, error in ((-1, ValueError), (1.5, ValueError), ("3", TypeError)):
        with pytest.raises(error, match="average_gradients: expected targets"):
            distributed.average_gradients(Linear(2, 1), targets)

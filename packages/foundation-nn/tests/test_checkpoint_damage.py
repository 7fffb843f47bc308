"""Checkpoints that were damaged are refused, with the name of the file and what is wrong."""

import hashlib
import json
import sys

import numpy as np
import pytest
from foundation_nn import MLP, Linear, Module, checkpoint, optim
from foundation_nn.checkpoint import CheckpointError
from safetensors.numpy import save as format_safetensors


@pytest.fixture
def path(tmp_path):
    model = MLP([2, 3, 1], rng=np.random.default_rng(0))
    return checkpoint.save(tmp_path / "run", model, optim.AdamW(model), words=["one", "two"])


def edit(path, change):
    """Change the description and its own digest, as somebody with bad intentions would."""
    source = path / "checkpoint.json"
    content = json.loads(source.read_text("utf-8"))
    content.pop("sha256", None)
    change(content)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    content["sha256"] = digest
    source.write_text(json.dumps(content), "utf-8")


FILES = ["model.safetensors", "optimizer.safetensors", "checkpoint.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file(path, name):
    file = path / name
    content = file.read_bytes()
    for size in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=rf"{name}: .*(truncated|altered)"):
            checkpoint.load(path)


@pytest.mark.parametrize("name", FILES[:2])
def test_a_single_flipped_bit_among_the_arrays(path, name):
    file = path / name
    content = file.read_bytes()
    for position in (0, 9, len(content) // 2, len(content) - 1):
        altered = bytearray(content)
        altered[position] ^= 1
        file.write_bytes(altered)
        with pytest.raises(
            CheckpointError, match=rf"{name}: truncated or altered \(\d+ bytes, the"
        ):
            checkpoint.load(path)


def test_a_single_flipped_bit_in_the_description(path):
    file = path / "checkpoint.json"
    content = file.read_bytes()
    unnoticed = []
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1
        file.write_bytes(altered)
        try:
            checkpoint.load(path)
        except CheckpointError:
            continue
        unnoticed.append(altered[max(0, position - 5) : position + 5].decode())
    assert unnoticed == []


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(path, name):
    (path / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: missing; the folder is not a whole check"):
        checkpoint.load(path)


def test_a_missing_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("nothing", "file"):
        with pytest.raises(FileNotFoundError, match=f"{name}: no such checkpoint folder"):
            checkpoint.load(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"not valid JSON .*altered"),
        ("{", r"not valid JSON .*altered"),
        ('{"format": 1', r"not valid JSON"),
        ("[]", "not the description of a checkpoint"),
        ("{}", "not the description of a checkpoint"),
        ('{"format": 2}', "format 2, this version reads 1; use the version of foundation-nn that"),
        ('{"format": 1}', ".*altered"),
    ],
)
def test_another_description(path, text, message):
    (path / "checkpoint.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"checkpoint\.json: {message}"):
        checkpoint.load(path)


def test_a_description_that_is_not_text(path):
    (path / "checkpoint.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: not valid JSON"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["model"].update({"class": "os:system"}),
            "os:system is not one that",
        ),
        (
            lambda d: d["model"].update({"class": "foundation_of_mine:Net"}),
            "foundation_of_mine:Net is not one that a foundation package exports",
        ),
        (
            lambda d: d["model"].update({"class": "foundation_nn:Nothing"}),
            "there is no class",
        ),
        (lambda d: d["model"].update({"class": "foundation_nn:Tensor"}), "cannot be used"),
        (lambda d: d["model"].pop("config"), "cannot be used"),
        (lambda d: d["model"]["config"].pop("widths"), "cannot be used"),
        (lambda d: d["model"]["config"].update(activation="os"), "cannot be used.*'os'"),
        (
            lambda d: d["model"]["config"].update(widths=[2, 4, 1]),
            r"\(?0\.weight: expected \(4, 2\)",
        ),
        (lambda d: d["model"]["config"].update(widths=[2, 1]), "unexpected +2.weight"),
        (lambda d: d["files"].pop("model.safetensors"), "cannot be used"),
        (lambda d: d["files"].update({"../model.safetensors": ""}), "not the name of a file in it"),
        (lambda d: d.pop("extras"), "cannot be used"),
        (lambda d: d.update(files=[]), "cannot be used"),
        (lambda d: d.update(files=3), "cannot be used"),
        (lambda d: d.pop("files"), "cannot be used"),
        (lambda d: d["extras"].update(ema={"arrays": "ema"}), "cannot be used"),
        (lambda d: d.update(model={"value": 3}), "cannot be used"),
        (
            lambda d: d["model"].update(
                {
                    "class": "foundation_nn.training:History",
                    "config": {"steps": [], "evaluations": []},
                }
            ),
            "cannot be used",
        ),
    ],
)
def test_a_description_that_does_not_fit(path, change, message):
    edit(path, change)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "name",
    [
        "foundation_transformer.cli.__main__:X",
        "foundation_nn.examples.xor:main",
        "foundation_nn.training._trainer:Trainer",
        "antigravity:X",
        "foundation_nn:functional",
        "foundation_nn:linear.__globals__",
        "foundation_nn",
        "",
        ":",
        7,
        None,
    ],
)
def test_nothing_is_imported_because_a_file_says_so(path, name):
    for forge in (
        lambda d: d["model"].update({"class": name}),
        lambda d: d["extras"].update(other={"class": name, "config": {}}),
    ):
        edit(path, forge)
        before = set(sys.modules)
        with pytest.raises(CheckpointError, match=r"checkpoint\.json: "):
            checkpoint.load(path)
        assert set(sys.modules) == before


def test_a_package_that_is_not_installed_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "foundation_seq", None)
    edit(path, lambda d: d["model"].update({"class": "foundation_seq:RecurrentLM"}))
    with pytest.raises(CheckpointError, match="RecurrentLM is needed; install foundation-seq"):
        checkpoint.load(path)


def test_a_description_that_is_too_deep(path):
    (path / "checkpoint.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: not valid JSON"):
        checkpoint.load(path)


def test_arrays_that_are_no_safetensors_though_the_digest_fits(path):
    content = b"not what it says"
    (path / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(path, lambda d: d["files"].update({"model.safetensors": digest}))
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: not a safetensors file|altered"
    ):
        checkpoint.load(path)


def test_arrays_of_another_model_though_the_digest_fits(path):
    content = format_safetensors({"0.weight": np.zeros((5, 5), np.float32)})
    (path / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(path, lambda d: d["files"].update({"model.safetensors": digest}))
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: the state does not fit(.|\n)*wrong shape"
    ):
        checkpoint.load(path)


class Empty(Module):
    """Has nothing to learn."""

    def to_dict(self):
        return {}

    @classmethod
    def from_dict(cls, content):
        return cls(**content)


def test_a_model_without_parameters_comes_back_too(tmp_path):
    path = checkpoint.save(tmp_path / "run", Empty())
    assert type(checkpoint.load(path, classes=[Empty]).model) is Empty


def test_a_state_of_the_optimiser_may_be_unwanted(path):
    loaded = checkpoint.load(path)
    with pytest.raises(ValueError, match="SGD: expected the entries"):
        optim.SGD(loaded.model, lr=0.1).load_state_dict(loaded.optimizer)
    with pytest.raises(ValueError, match="saved with another model"):
        optim.AdamW(Linear(99, 2)).load_state_dict(loaded.optimizer)

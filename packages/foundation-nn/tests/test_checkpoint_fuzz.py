"""Ten thousand damaged checkpoints: each is read as it was, or refused in a sentence."""

import hashlib
import json
import resource

import numpy as np
import pytest
from foundation_nn import MLP, checkpoint, optim
from foundation_nn.checkpoint import CheckpointError, _folder
from foundation_nn.checkpoint._folder import _digest

ROUNDS = 10_000
FILES = ("model.safetensors", "optimizer.safetensors", "checkpoint.json")
#: What text and numbers are replaced by.
STRANGE = (
    *(None, True, -1, 0, 1e308, 2**62, 10**9, "", "os", [], {}, [[]], "\ud800", "x" * 99),
    *("foundation_nn:MLP", "foundation_nn.checkpoint:load", {"value": 1}, {"arrays": "model"}),
)


def damaged(content, rng):
    """A few bytes flipped, cut off, doubled, or replaced."""
    content = bytearray(content)
    at = int(rng.integers(len(content)))
    match int(rng.integers(5)):
        case 0:
            content[at] ^= 1 << int(rng.integers(8))
        case 1:
            del content[at:]
        case 2:
            content[at:at] = rng.bytes(int(rng.integers(1, 9)))
        case 3:
            content[at : at + 8] = int(rng.integers(2**63)).to_bytes(8, "little")
        case _:
            content[:8] = int(rng.integers(2 ** int(rng.integers(1, 63)))).to_bytes(8, "little")
    return bytes(content)


def changed(value, rng):
    """The same JSON with one value in it replaced, removed or renamed."""
    inner = (
        list(value)
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else []
    )
    if not inner or rng.random() < 0.1:
        return STRANGE[rng.integers(len(STRANGE))]
    copy = value.copy()
    name = inner[rng.integers(len(inner))]
    if rng.random() < 0.1:
        del copy[name]
    else:
        copy[name] = changed(copy[name], rng)
    return copy


def test_the_loader_survives_damage(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    model = MLP([2, 3, 1], rng=rng)
    path = checkpoint.save(tmp_path / "run", model, optim.AdamW(model), words=["one", {"a": 2}])
    whole = {name: (path / name).read_bytes() for name in FILES}
    description = json.loads(whole["checkpoint.json"])
    expected = {name: a.tobytes() for name, a in model.state_dict().items()}
    files = dict(whole)

    def read(file, kind, max_bytes=None):  # disks are slow
        if file.name not in files:
            raise CheckpointError(f"{file}: missing")
        return files[file.name]

    monkeypatch.setattr(_folder, "_read", read)
    checkpoint.load(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = []
    for count in range(ROUNDS):
        name = FILES[count % 3]
        forged = count % 2  # with digests that fit, so that what lies behind them is reached
        if name == "checkpoint.json" and forged:
            content = changed(description, rng)
            if isinstance(content, dict):
                content["sha256"] = _digest(content)
            file = json.dumps(content).encode()
        else:
            file = damaged(whole[name], rng)
        files[name] = file
        if forged and name != "checkpoint.json":
            digests = description["files"] | {name: hashlib.sha256(file).hexdigest()}
            content = description | {"files": digests}
            content["sha256"] = _digest(content)
            files["checkpoint.json"] = json.dumps(content).encode()
        try:
            loaded = checkpoint.load(path)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            assert (
                forged
                or {name: a.tobytes() for name, a in loaded.model.state_dict().items()} == expected
            )
        files.update(whole)
    assert len(refused) > 0.8 * ROUNDS
    assert [text for text in refused if str(path) not in text] == []
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 64 * 1024


@pytest.mark.parametrize("widths", [[2, 10**7, 10**7], [2, 10**12], [2, 10**18, 1], [2, 10**30, 3]])
def test_a_model_larger_than_its_file_is_not_built(tmp_path, widths):
    model = MLP([2, 3, 1])
    path = checkpoint.save(tmp_path / "run", model)
    content = json.loads((path / "checkpoint.json").read_text())
    content["model"]["config"]["widths"] = widths
    content["sha256"] = _digest(content)
    (path / "checkpoint.json").write_text(json.dumps(content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"(checkpoint.json: cannot be|expected \(10+)"):
        checkpoint.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024

"""The rules that the five distributions keep between them."""

from __future__ import annotations

import importlib
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The floor below each package: what it may stand on.
BELOW: dict[str, set[str]] = {
    "foundation-nn": set(),
    "foundation-seq": {"foundation-nn"},
    "foundation-attn": {"foundation-nn", "foundation-seq"},
    "foundation-data": {"foundation-nn"},
    "foundation-transformer": {"foundation-nn", "foundation-seq", "foundation-attn"},
}
every_package = pytest.mark.parametrize("name", BELOW)


def project(name: str) -> dict[str, Any]:
    text = (ROOT / "packages" / name / "pyproject.toml").read_text("utf-8")
    return {"optional-dependencies": {}, **tomllib.loads(text)["project"]}


def siblings(requirements: list[str]) -> dict[str, str]:
    """Each sibling among `requirements`, with what stands after its name and extras."""
    parts = [re.fullmatch(r"(foundation-\w+)(?:\[.*\])?(.*)", text) for text in requirements]
    return {part[1]: part[2] for part in parts if part}


def test_there_are_five_packages() -> None:
    assert {path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")} == set(BELOW)


@every_package
def test_licence_is_a_copy_of_the_repositorys(name: str) -> None:
    copy = ROOT / "packages" / name / "LICENSE"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_versions_move_in_lockstep() -> None:
    assert len({project(name)["version"] for name in BELOW}) == 1


@every_package
def test_a_package_says_its_version(name: str) -> None:
    package = importlib.import_module(name.replace("-", "_"))
    assert package.__version__ == distribution(name).version == project(name)["version"]
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'ver"):
        package.version  # noqa: B018


@every_package
def test_siblings_are_pinned_to_the_same_version(name: str) -> None:
    data = project(name)
    everything = [data["dependencies"], *data["optional-dependencies"].values()]
    for requirements in everything:
        for pin in siblings(requirements).values():
            assert pin == f"=={data['version']}"


@every_package
def test_dependencies_point_downwards(name: str) -> None:
    data = project(name)
    assert set(siblings(data["dependencies"])) <= BELOW[name]
    for extra, requirements in data["optional-dependencies"].items():
        # the command line and the readers of published models are the rooms that may know the data
        knows_data = extra in ("cli", "chat", "tokenizer")
        upstairs = {"foundation-data"} if knows_data else set()
        assert set(siblings(requirements)) <= BELOW[name] | upstairs


@every_package
def test_one_dependency_has_one_bound(name: str) -> None:
    ours, nn = project(name), project("foundation-nn")
    known = {re.split(r"[=<>]", text)[0]: text for text in nn["dependencies"]}
    known["matplotlib"] = nn["optional-dependencies"]["plot"][0]
    for requirements in [ours["dependencies"], *ours["optional-dependencies"].values()]:
        for text in requirements:
            plain = re.split(r"[=<>]", text)[0]
            assert text == known.get(plain, text)


@every_package
def test_the_wheel_carries_types_licence_and_nothing_else(name: str) -> None:
    installed = distribution(name)
    files = [path.as_posix() for path in installed.files or []]
    module = name.replace("-", "_")
    assert f"{module}/py.typed" in files
    assert any(path.endswith("licenses/LICENSE") for path in files)
    tops = {path.split("/")[0] for path in files if not path.startswith("../")}
    assert tops == {module, f"{module}-{installed.version}.dist-info"}
    assert installed.version == project(name)["version"]


@every_package
def test_readme_does_not_promise_an_index(name: str) -> None:
    readme = (ROOT / "packages" / name / "README.md").read_text("utf-8")
    commands = re.findall(r"pip install (.*)", readme.replace("\\\n", " "))
    assert commands
    for word in " ".join(commands).split():
        assert word.strip('"').startswith("./packages/")

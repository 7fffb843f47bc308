"""Everything one does with this repository, as nox sessions.

    python3 noxfile.py                  lint, types, wheels, tests, integration tests, docs
    python3 noxfile.py -s demo          train a translator and use it
    python3 noxfile.py -s exercises     check the exercises of the course
    python3 noxfile.py --list           all sessions

Where nox is installed, plain `nox` does the same, and so does `uvx nox`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (the reader's Python, not the one we ask for)
    sys.exit(f"noxfile.py needs Python 3.11 or newer; this is {sys.version.split()[0]}")

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BIN = "Scripts" if os.name == "nt" else "bin"
NOX = "nox>=2026.8.10"


def bootstrap() -> None:
    """Hand over to nox in a private environment, so that a bare Python is all one needs."""
    home = ROOT / ".nox" / "bootstrap"
    python = home / BIN / "python"
    # Written last: an interrupted installation has no stamp and is done again.
    stamp = home / "complete"
    wanted = f"{sys.version}\n{NOX}\n"
    if not (python.exists() and stamp.exists() and stamp.read_text() == wanted):
        if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
            sys.exit(
                "noxfile.py: this Python lacks its venv module"
                " (Debian and Ubuntu: apt install python3-venv)"
            )
        print("First run: putting nox and uv into .nox/bootstrap ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, NOX, "uv"], check=True)
        except subprocess.CalledProcessError:
            sys.exit("noxfile.py: could not install nox; the message above says why")
        except KeyboardInterrupt:
            sys.exit("noxfile.py: interrupted; the next run starts this step again")
        stamp.write_text(wanted)
    command = [str(python), "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *sys.argv[1:]]
    if os.name == "nt":  # exec would return to the prompt at once
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(python, command)


if __name__ == "__main__":
    bootstrap()

import nox

nox.needs_version = ">=2026.8.10"  # as in NOX; nox reads it without running this file
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typecheck", "wheels", "tests", "integration", "docs"]

DIST = ROOT / "dist"
RUNNER = ["pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100"]
# A test process for each core, four at most; the tests of one file stay in one of them.
ON_ALL_CORES = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
PACKAGES = [f"foundation-{part}" for part in ("nn", "seq", "attn", "data", "transformer")]
DEPENDENCIES: dict[str, list[str]] = {}
EXTRAS: dict[str, dict[str, list[str]]] = {}
for name in PACKAGES:
    table = tomllib.loads((ROOT / "packages" / name / "pyproject.toml").read_text("utf-8"))
    DEPENDENCIES[name] = table["project"]["dependencies"]
    EXTRAS[name] = table["project"].get("optional-dependencies", {})

# Larger example data, kept beside the checkout: tests that use it skip where it is not.
DATA = ROOT.parent / "shared" / "data"
if DATA.is_dir():
    os.environ.setdefault("FOUNDATION_DATA", str(DATA))


def fingerprint() -> str:
    """Digest everything that goes into the wheels."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "packages").rglob("*")):
        inside = path.relative_to(ROOT / "packages").parts[1:]
        if path.is_file() and inside[:1] != ("tests",) and "__pycache__" not in inside:
            digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCES = fingerprint()
STAMP = DIST / "sources.sha256"  # written once the wheels are complete


def holds(stamp: Path) -> bool:
    """Whether `stamp` was written for the sources as they are now."""
    return stamp.exists() and stamp.read_text() == SOURCES


def install_wheels(session: nox.Session, *requirements: str) -> None:
    """Install from the index, except our own packages: those come from dist/, whatever else exists.

    A constraint that names the file beats every index and cache; `--find-links` does not.
    """
    if session.venv_backend == "virtualenv":
        # In a reused environment pip would keep an older wheel of the same version; uv does not.
        session.run_install("python", "-m", "pip", "uninstall", "-qqy", *PACKAGES, log=False)
    session.install("-c", str(DIST / "constraints.txt"), *requirements)


def with_extras(package: str) -> str:
    return f"{package}[{','.join(EXTRAS[package])}]"


ALL_WITH_EXTRAS = [with_extras(name) for name in PACKAGES]


def third_party() -> set[str]:
    """What the five packages and their extras ask of others."""
    groups = [*DEPENDENCIES.values(), *(group for e in EXTRAS.values() for group in e.values())]
    return {item for group in groups for item in group if not item.startswith("foundation-")}


def run_pytest(session: nox.Session, package: str) -> None:
    """Run a package's tests and docstring examples away from its source, on what is installed."""
    module = package.replace("-", "_")
    session.chdir(session.create_tmp())
    session.run(
        *("pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", "."),
        *ON_ALL_CORES,
        *("--doctest-modules", "--pyargs", module, str(ROOT / "packages" / package / "tests")),
        *session.posargs,
        env={"PYTHONPATH": None},
    )


@nox.session(reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Style, spelling, the direction of imports, declared = imported."""
    session.install("ruff>=0.16", "import-linter>=2.17", "deptry>=0.24", "codespell>=2.4")
    session.install("validate-pyproject[all]>=0.24")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    sources = [str(ROOT / "packages" / name / "src") for name in PACKAGES]
    session.run(
        "lint-imports", "--no-cache", env={"PYTHONPATH": os.pathsep.join(sources)}, silent=True
    )
    session.run("validate-pyproject", *(f"packages/{name}/pyproject.toml" for name in PACKAGES))
    for name in PACKAGES:
        with session.chdir(ROOT / "packages" / name):
            session.run("deptry", "src", silent=True)


@nox.session(reuse_venv=True)
def typecheck(session: nox.Session) -> None:
    """mypy strict on the five packages, what builds the site, a user's scripts, and exercises."""
    session.install("mypy>=1.19", "types-tqdm", "sphinx>=8", *sorted(third_party()))
    session.run("mypy", *session.posargs)
    session.run("mypy", "integration_tests/tutorial")
    session.run(
        "mypy", "exercises/check.py", *map(str, sorted(Path("exercises/checks").glob("*.py")))
    )


@nox.session(reuse_venv=True)
def wheels(session: nox.Session) -> None:
    """Build sdist and wheel of every package into dist/; nothing to do when they are current."""
    if holds(STAMP):
        session.log("dist/ is current")
        return
    session.install("build>=1.2", "twine>=6", "flit_core>=3.12,<5")
    shutil.rmtree(DIST, ignore_errors=True)
    for name in PACKAGES:
        build = ("python", "-m", "build", "--no-isolation", "--outdir", str(DIST))
        session.run(*build, f"packages/{name}", silent=True)
    built = map(str, sorted(DIST.iterdir()))
    session.run("twine", "check", "--strict", *built, silent=True, log=False)
    lines = [
        f"{name} @ {next(DIST.glob(name.replace('-', '_') + '-*.whl')).as_uri()}\n"
        for name in PACKAGES
    ]
    (DIST / "constraints.txt").write_text("".join(lines))
    STAMP.write_text(SOURCES)
    session.log(f"{len(PACKAGES)} sdists and wheels in dist/")


# What an installed package must do without any of its extras: be imported, submodule by submodule.
# A submodule may stop at a missing extra; the package itself may not.
BARE_IMPORT = """
import importlib, pkgutil, sys
name, *extras = sys.argv[1:]
for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
    if not module.name.endswith(".__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in extras:
                raise
"""


@nox.session(requires=["wheels"])
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def tests(session: nox.Session, package: str) -> None:
    """One package's tests, with its wheel and what it declares."""
    install_wheels(session, package)
    optional = [item for group in EXTRAS[package].values() for item in group]
    names = [re.split(r"[^\w-]", item)[0].replace("-", "_") for item in (package, *optional)]
    session.log(f"importing {names[0]} without its extras")
    session.run("python", "-W", "error", "-c", BARE_IMPORT, *names, silent=True, log=False)
    install_wheels(session, with_extras(package), *RUNNER)
    run_pytest(session, package)


@nox.session(requires=["wheels"])
def integration(session: nox.Session) -> None:
    """The five packages together, and the repository's own rules."""
    install_wheels(session, *ALL_WITH_EXTRAS, *RUNNER)
    folder = str(ROOT / "integration_tests")
    session.chdir(session.create_tmp())
    config = str(ROOT / "pyproject.toml")
    session.run("pytest", "-c", config, *ON_ALL_CORES, folder, *session.posargs)


def all_tests(session: nox.Session, *pins: str) -> None:
    install_wheels(session, *ALL_WITH_EXTRAS, *RUNNER, *pins)
    for package in PACKAGES:
        with session.chdir(ROOT):
            run_pytest(session, package)


@nox.session(python=["3.12", "3.13"], requires=["wheels"])
def compat(session: nox.Session) -> None:
    """Every package's tests on the newer Pythons, where they are installed."""
    all_tests(session)


@nox.session(python="3.11", requires=["wheels"])
def minimum(session: nox.Session) -> None:
    """Every package's tests on the oldest Python and the oldest dependencies declared."""
    all_tests(session, *sorted(item.replace(">=", "==") for item in third_party()))


def is_current(environment: str) -> bool:
    """Whether `install_wheels_once` has filled this session's environment from the sources."""
    return holds(ROOT / ".nox" / environment / STAMP.name)


def install_wheels_once(session: nox.Session, *requirements: str) -> None:
    """Install into an environment that is kept until the sources change; then it starts at once."""
    stamp = Path(session.virtualenv.location) / STAMP.name
    if not holds(stamp):
        install_wheels(session, *requirements)
        copy = "import shutil, sys; shutil.copy(*sys.argv[1:])"  # as an installation, for nox -R
        session.run_install("python", "-c", copy, str(STAMP), str(stamp), log=False)


@nox.session(requires=["wheels"], reuse_venv=is_current("exercises"))
def exercises(session: nox.Session) -> None:
    """Check the exercises of the course: `-- 3` a chapter, `-- 3.2` one of them."""
    install_wheels_once(session, *PACKAGES)
    try:
        session.run("python", "exercises/check.py", *session.posargs, log=False)
    except nox.command.CommandFailed:
        session.error("not everything is solved yet; the lines above say how to go on")


@nox.session(requires=["wheels"], reuse_venv=is_current("demo"))
def demo(session: nox.Session) -> None:
    """Train a translator and use it: `-- --to de`, `-- --data FILE`, `-- --interactive`."""
    install_wheels_once(session, "foundation-transformer[cli]", "foundation-nn[mpi]")
    # Ctrl-C belongs to the demo, which saves what it has learnt before it leaves.
    again = {"FOUNDATION_DEMO": "python3 noxfile.py -s demo --"}
    session.run(
        *("foundation", "demo", *session.posargs),
        env=again,
        interrupt_timeout=None,
        success_codes=[0, 130],  # 130: stopped by Ctrl-C, with all that was learnt saved
    )


@nox.session(requires=["wheels"])
def docs(session: nox.Session) -> None:
    """The site in docs/_build/html, its examples run, and what is made of its pages tested."""
    tools = ["sphinx>=8", "furo", "myst-parser>=4", "sphinx-mathjax-offline", "sphinx-copybutton"]
    install_wheels(session, *ALL_WITH_EXTRAS, *tools, *RUNNER)
    strict = ("-q", "-W", "-n", "--keep-going")
    read = ("-d", "docs/_build/doctrees")  # the pages are read once, for both builders
    for builder in ("html", "doctest"):
        session.run("sphinx-build", *strict, *read, "-b", builder, "docs", f"docs/_build/{builder}")
    session.run("pytest", "-c", str(ROOT / "pyproject.toml"), "integration_tests/test_site.py")


@nox.session(venv_backend="none")
def dev(session: nox.Session) -> None:
    """An editable environment in .venv with every tool."""
    python = str(ROOT / ".venv" / BIN / "python")
    session.run(sys.executable, "-m", "virtualenv", "--quiet", ".venv")
    editable = [f"--editable=packages/{with_extras(name)}" for name in PACKAGES]
    tools = ["ruff>=0.16", "codespell", "mypy>=1.19", "types-tqdm", "sphinx>=8", "coverage[toml]"]
    tools += ["pre-commit"]
    session.run(python, "-m", "pip", "install", "-qq", *editable, *RUNNER, *tools, NOX)
    session.log(f"ready: source .venv/{BIN}/activate")


def install_torch(session: nox.Session) -> None:
    # pip, because uv passes over the CPU build that pip finds; never a dependency of ours.
    session.install("pip")
    session.run("python", "-m", "pip", "install", "-qq", "torch==2.13.0")


@nox.session(requires=["wheels"], reuse_venv=True)
def bench(session: nox.Session) -> None:
    """The claims about speed: `-- [SCRIPT ...] [--torch] [--others]`, beside whom one asks for."""
    install_wheels(session, *ALL_WITH_EXTRAS)
    if "--torch" in session.posargs:
        install_torch(session)
    if "--others" in session.posargs:
        session.install("autograd>=1.8", "mygrad>=2.3", "jax>=0.6", "scikit-learn>=1.5")
        session.install("pip", "setuptools", "wheel")  # with which sentiment.py fetches its data
    chosen = [name for name in session.posargs if not name.startswith("--")]
    scripts = [Path("benchmarks", name).with_suffix(".py") for name in chosen]
    for script in scripts or sorted(Path("benchmarks").glob("[!_]*.py")):
        session.run("python", str(script))


@nox.session(requires=["wheels"], reuse_venv=True)
def peers(session: nox.Session) -> None:
    """PyTorch's own samples through PyTorch and through us: `-- [ROW ...]`."""
    install_wheels(session, *PACKAGES, "expecttest")  # what PyTorch's samples import besides
    install_torch(session)
    session.run("python", str(ROOT / "integration_tests/peers"), *session.posargs)


@nox.session(requires=["wheels"], reuse_venv=True)
def exports(session: nox.Session) -> None:
    """What a tuned model is written as, opened by Hugging Face's transformers and peft."""
    install_wheels(session, *ALL_WITH_EXTRAS, *RUNNER)
    install_torch(session)
    session.run("python", "-m", "pip", "install", "-qq", "transformers>=5", "peft>=0.21")
    session.run("python", str(ROOT / "integration_tests/exports/check.py"))


@nox.session(requires=["wheels"], reuse_venv=True)
def fuzz(session: nox.Session) -> None:
    """Files that were damaged in thousands of ways: `-- [--count N] [--seed N] [PARSER ...]`."""
    install_wheels(session, *ALL_WITH_EXTRAS)
    session.run("python", str(ROOT / "integration_tests/fuzz"), *session.posargs)


def fetch_models(session: nox.Session) -> Path:
    """The folder of published models, pinned by their digests; fetched at the first call."""
    session.install("pip")
    folder = ROOT / "runs" / "models"
    try:
        session.run("python", str(ROOT / "integration_tests/models/fetch.py"), str(folder))
    except nox.command.CommandFailed:
        session.skip("the published models could not be fetched; the message above says why")
    return folder


@nox.session(requires=["wheels"])
def models(session: nox.Session) -> None:
    """Published models: their numbers against recorded references."""
    install_wheels(session, *ALL_WITH_EXTRAS, *RUNNER)
    env = {"FOUNDATION_MODELS": str(fetch_models(session))}
    tests = str(ROOT / "integration_tests/models")
    session.run("pytest", "-c", str(ROOT / "pyproject.toml"), tests, *session.posargs, env=env)


@nox.session(requires=["wheels"], reuse_venv=True)
def harness(session: nox.Session) -> None:
    """The lm-eval harness and our own evaluation of the same questions, with a published model."""
    install_wheels(session, "foundation-transformer[tokenizer,gguf]", "lm-eval>=0.4.10")
    model = fetch_models(session) / "smollm2.gguf"
    env = {"HF_HUB_OFFLINE": "1"}  # its tasks are files of ours; nothing is downloaded
    session.run("python", str(ROOT / "integration_tests/harness"), str(model), env=env)


@nox.session(requires=["wheels"], reuse_venv=True)
def chat(session: nox.Session) -> None:
    """Talk with SmolLM2, a published model of 135 million parameters."""
    install_wheels(session, "foundation-transformer[cli,gguf]")
    model = fetch_models(session) / "smollm2.gguf"
    session.run("foundation", "chat", str(model), *session.posargs)


@nox.session(requires=["wheels"])
def golden(session: nox.Session) -> None:
    """Record anew, from PyTorch, the arrays that the tests compare with."""
    install_wheels(session, *ALL_WITH_EXTRAS)
    install_torch(session)
    packages = ["transformers>=5", "peft>=0.21", "sentencepiece"]
    session.run("python", "-m", "pip", "install", "-qq", *packages)
    for script in sorted(Path("packages").glob("*/tests/golden/record*.py")):
        session.run("python", str(script), *session.posargs)

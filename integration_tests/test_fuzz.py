"""A short run of ``nox -s fuzz``, so that it stays alive and finds nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FUZZ), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.skipif(os.name != "posix", reason="memory cannot be limited here")
def test_damaged_files_are_taken_or_refused_in_a_sentence() -> None:
    ended = run("--count", "20")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *rows, _, last = ended.stdout.splitlines()
    assert last == "no faults"
    assert len(rows) > 30
    for row in rows[1:]:
        name, (read, taken, refused, _, faults) = row[:28], row[28:].split()
        assert int(read) == int(taken) + int(refused) == 20, name
        assert faults == "0", name


BROKEN = """
import sys
sys.path.insert(0, {fuzz!r})
import parsers
def read(folder):
    {fault}
parsers.PARSERS = (parsers.Parser("broken", parsers.packed("f", b"content"), ("f",), read),)
exec(open({worker!r}).read())
"""


@pytest.mark.skipif(os.name != "posix", reason="memory cannot be limited here")
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise KeyError('x')", "KeyError"),
        ("int('x')", "invalid literal"),
        ("bytearray(1 << 31)", "more memory than is allowed"),
        ("raise ValueError('it is wrong')", "it is wrong"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, fault: str, told: str) -> None:
    """A reader that lets a foreign error pass, takes too much, or names no file."""
    worker = tmp_path / "worker.py"
    sound_is_read = "if (folder / 'f').read_bytes() != b'content': " + fault
    source = {"fuzz": str(FUZZ), "worker": str(FUZZ / "worker.py"), "fault": sound_is_read}
    worker.write_text(BROKEN.format(**source))
    job = '["broken", 0, 0, 5]\n'
    ended = subprocess.run(
        [sys.executable, str(worker)], input=job, capture_output=True, text=True, check=True
    )
    faults = [line for line in ended.stdout.splitlines() if "fault" in line]
    assert len(faults) == 5, ended.stdout
    assert told in faults[0]

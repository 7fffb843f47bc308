"""Damage the files that the program reads, in thousands of ways, and see what it says.

    nox -s fuzz                                    1000 mutations for each parser; some minutes
    nox -s fuzz -- --count 20000 --seed 7 GGUF     more of them, others, for some parsers

A file that was damaged is read, or refused with an error that is documented, in five seconds and in
one GiB. Everything else is a fault: it is shown with its number, by which it comes again.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parsers import PARSERS

#: Of the processor, for one file.
SECONDS = 5.0
#: Of the clock, on a machine that is busy with other things. Who waits for a pipe takes no other.
_PATIENCE = 60.0


@dataclass
class Row:
    """What came of one parser."""

    name: str
    taken: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        count = self.taken + self.refused + len(self.faults)
        return (
            f"{self.name:28} {count:>7,} {self.taken:>7,} {self.refused:>8,} "
            f"{self.slowest:>8.2f} {len(self.faults):>7,}"
        )


class Worker:
    """A process that reads files; it is started again when it was killed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.Queue[str] = queue.Queue()

    def ask(self, job: list[Any]) -> None:
        if self.process is None:
            command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self.lines = queue.Queue()
            threading.Thread(
                target=_forward, args=(self.process.stdout, self.lines), daemon=True
            ).start()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """The next line; None if there is none in time, or the process has died."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            return None
        return dict(json.loads(line)) if line else None

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _forward(stream: Any, lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def fuzz(name: str, seed: int, count: int, worker: Worker, first: int = 0) -> Row:
    """Read so many damaged files of one kind."""
    row = Row(name)
    last = first + count
    while first < last:
        worker.ask([name, seed, first, last])
        waiting = None
        while True:
            answer = worker.answer(_PATIENCE)
            if answer is None:
                what = f"no answer in {_PATIENCE:g} seconds, or the process has died"
                row.faults.append(f"{name}, mutation {waiting}: {what}")
                worker.end()
                first = last if waiting is None else waiting + 1
                break
            if "done" in answer:
                return row
            if "broken" in answer:
                row.faults.append(f"{name}: {answer['broken']}")
                continue
            if "seconds" not in answer:
                waiting = answer["number"]
                continue
            seconds = answer["seconds"]
            row.slowest = max(row.slowest, seconds)
            if seconds > SECONDS:
                answer = {"fault": f"{seconds:.1f} seconds", **answer}
            if "fault" in answer:
                row.faults.append(f"{name}, mutation {waiting}: {answer['fault']}")
            elif "taken" in answer:
                row.taken += 1
            else:
                row.refused += 1
    return row


def main(arguments: list[str] | None = None) -> int:
    names = [parser.name for parser in PARSERS]
    options = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    options.add_argument("names", nargs="*", metavar="PARSER", help=f"some of: {', '.join(names)}")
    options.add_argument("--count", type=int, default=1000, help="mutations of each (1000)")
    options.add_argument("--first", type=int, default=0, help="the number of the first one (0)")
    options.add_argument("--seed", type=int, default=0, help="of the damage (0)")
    chosen = options.parse_args(arguments)
    for name in chosen.names:
        if name not in names:
            options.error(f"there is no parser {name!r}; there are {', '.join(names)}")
    worker = Worker()
    faults: list[str] = []
    print(f"{'parser':28} {'files':>7} {'taken':>7} {'refused':>8} {'slowest':>8} {'faults':>7}")
    try:
        for name in chosen.names or names:
            row = fuzz(name, chosen.seed, chosen.count, worker, chosen.first)
            print(row, flush=True)
            faults += row.faults
    finally:
        worker.end()
    for fault in faults[:40]:
        print(f"\n{fault}")
    print(f"\n{len(faults):,} faults" if faults else "\nno faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

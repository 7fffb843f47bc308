"""Pairs and texts, and the account of what was read, kept and dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many items were dropped for one reason, and the first of them.

    Attributes
    ----------
    count : int
        How many.
    example : str
        The first one, as a person would point at it: ``line 17: 'Go.' → 'Va !'``.
    """

    count: int
    example: str


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """What was read, what was kept, and why the rest was dropped.

    ``str(report)`` is a text of several lines for the screen.

    Attributes
    ----------
    name : str
        What was read: a file or a corpus.
    read : int
        How many items were read; always ``kept + num_dropped``.
    kept : int
        How many were kept.
    dropped : dict of str to Dropped
        Count and example for each reason, the most frequent first.

    Examples
    --------
    >>> print(CorpusReport("a.tsv", 3, 2, {"empty": Dropped(1, "line 2: 'Go.' → ''")}))
    a.tsv: 3 read, 2 kept, 1 dropped
      1 empty, such as line 2: 'Go.' → ''
    """

    name: str
    read: int
    kept: int
    dropped: dict[str, Dropped] = field(default_factory=dict)

    @property
    def num_dropped(self) -> int:
        """How many items were dropped, for all reasons together."""
        return sum(reason.count for reason in self.dropped.values())

    @property
    def summary(self) -> str:
        """The counts in one line: ``3 read, 2 kept, 1 dropped (1 empty)``."""
        reasons = ", ".join(f"{reason.count:,} {name}" for name, reason in self.dropped.items())
        counts = f"{self.read:,} read, {self.kept:,} kept, {self.num_dropped:,} dropped"
        return f"{counts} ({reasons})" if reasons else counts

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {self.read:,} read, {self.kept:,} kept, {self.num_dropped:,} dropped"
        ]
        width = max((len(f"{reason.count:,}") for reason in self.dropped.values()), default=0)
        for name, reason in self.dropped.items():
            lines.append(f"  {reason.count:>{width},} {name}, such as {reason.example}")
        return "\n".join(lines)


class DropCounter:
    """Collects what a `CorpusReport` tells, one dropped item at a time."""

    __slots__ = ("_counts", "_examples")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def drop(self, reason: str, example: str) -> None:
        """Count one item dropped for `reason`; the first example of each reason is kept."""
        self._counts[reason] += 1
        if reason not in self._examples:
            self._examples[reason] = example if len(example) <= 160 else f"{example[:159]}…"

    def report(self, name: str, kept: int) -> CorpusReport:
        """Return the report of everything that was dropped so far."""
        dropped = {
            reason: Dropped(count, self._examples[reason])
            for reason, count in self._counts.most_common()
        }
        return CorpusReport(name, kept + self._counts.total(), kept, dropped)


class Pairs(list[tuple[str, str]]):
    """A list of (source, target) sentences that knows where it comes from.

    Attributes
    ----------
    report : CorpusReport
        What was read to make the list, and what was dropped and why.
    """

    report: CorpusReport

    def __init__(self, pairs: Iterable[tuple[str, str]], report: CorpusReport) -> None:
        super().__init__(pairs)
        self.report = report


class Texts(list[str]):
    """A list of texts that knows where it comes from.

    Attributes
    ----------
    report : CorpusReport
        What was read to make the list, and what was dropped and why.
    """

    report: CorpusReport

    def __init__(self, texts: Iterable[str], report: CorpusReport) -> None:
        super().__init__(texts)
        self.report = report

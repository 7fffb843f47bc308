"""What was compared, counted by operation, and what of it is known."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from differences import DIFFERENCES, REFUSALS, Known

COLUMNS = ("compared", "agree", "differ", "refused")


class Finding(NamedTuple):
    """An outcome that is not PyTorch's."""

    operation: str
    call: str
    text: str

    @property
    def kind(self) -> tuple[str, str]:
        """Findings that differ in their numbers only are of one kind."""
        return self.operation, re.sub(r"[-\d.e+]+|nan|inf", "#", self.text)


class Report:
    """Counts for each operation, and everything that is not as PyTorch has it.

    Parameters
    ----------
    rows : sequence of str
        The operations to compare; none means all.
    """

    def __init__(self, rows: Sequence[str] = ()) -> None:
        self.rows = set(rows)
        self.counts: dict[str, defaultdict[str, Counter[str]]] = {}
        self.group: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.reasons: Counter[str] = Counter()
        self.unexplained: list[Finding] = []
        self.seen: set[Known] = set()

    def begin(self, group: str) -> None:
        """Count what follows as a part of this group."""
        self.group = self.counts.setdefault(group, defaultdict(Counter))

    def wants(self, operation: str) -> bool:
        """Whether an operation is to be compared."""
        return not self.rows or operation in self.rows

    def agree(self, operation: str) -> None:
        """The same values and gradients."""
        self.group[operation].update(("compared", "agree"))

    def differ(self, operation: str, call: str, text: str) -> None:
        """Other values, or an exception that is no refusal."""
        self.group[operation].update(("compared", "differ"))
        self._explain(Finding(operation, call, text), DIFFERENCES)

    def refuse(self, operation: str, call: str, text: str) -> None:
        """A TypeError or ValueError of ours."""
        self.group[operation]["refused"] += 1
        self._explain(Finding(operation, call, text), REFUSALS)

    def absent(self, operation: str, reason: str) -> None:
        """The sample asks for an option that we do not have."""
        self.group[operation]["refused"] += 1
        self.reasons[f"not offered: {reason}"] += 1

    def skip(self, operation: str, reason: str) -> None:
        """The sample cannot be compared with anything."""
        self.group[operation]["skipped"] += 1
        self.reasons[reason] += 1

    def _explain(self, finding: Finding, table: tuple[Known, ...]) -> None:
        for known in table:
            if known.explains(finding.operation, f"{finding.call}: {finding.text}"):
                self.seen.add(known)
                self.reasons[known.reason] += 1
                return
        self.unexplained.append(finding)

    def print_counts(self) -> None:
        """One line for each operation and group, then how often each reason was given."""
        total: Counter[str] = Counter()
        print_row("operation", COLUMNS)
        for group, operations in self.counts.items():
            subtotal: Counter[str] = Counter()
            for operation, counts in sorted(operations.items()):
                print_row(f"  {operation}", [counts[column] for column in COLUMNS])
                subtotal.update(counts)
            print_row(f"{len(operations)} {group}", [subtotal[column] for column in COLUMNS])
            total.update(subtotal)
        print_row("total", [total[column] for column in COLUMNS])
        print()
        for reason, count in self.reasons.most_common():
            print(f"{count:9}  {reason}")

    def print_faults(self) -> bool:
        """What nobody has explained, the smallest call of each kind; whether there is anything.

        If everything was compared, an entry of the tables that explained nothing is a fault, too,
        and so is a row that was asked for and does not exist.
        """
        kinds: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
        for finding in self.unexplained:
            kinds[finding.kind].append(finding)
        if kinds:
            print(f"\n{len(self.unexplained)} unexplained, of {len(kinds)} kinds:")
        for findings in kinds.values():
            least = min(findings, key=lambda finding: len(finding.call))
            print(f"{len(findings):9}  {least.operation}({least.call})\n{'':11}{least.text}")
        tables = () if self.rows else (*DIFFERENCES, *REFUSALS)
        stale = [known for known in tables if known not in self.seen]
        for known in stale:
            print(f"\nno longer happens, take it out of differences.py: {known}")
        missing = self.rows - {row for operations in self.counts.values() for row in operations}
        for row in sorted(missing):
            print(f"\nno such row: {row}")
        return bool(kinds or stale or missing)


def print_row(name: str, cells: Sequence[object]) -> None:
    print(f"{name:48}" + "".join(f"{cell!s:>9}" for cell in cells))

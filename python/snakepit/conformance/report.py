"""What a run found, and how it reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

DOCUMENT = "docs/protocol.md"
SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–"}


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    says: str
    """The rule."""
    outcome: Literal["passed", "failed", "skipped"]
    see: str
    """The place in the specification."""
    reason: str = ""
    """Why it was skipped."""
    expected: str = ""
    got: str = ""
    printed: str = ""
    """What the worker printed last, where that may explain a failure."""

    def __str__(self) -> str:
        lines = [f"{SIGNS[self.outcome]} {self.name}: {self.says}"]
        if self.outcome == "skipped":
            lines[0] += f" (skipped: {self.reason})"
        if self.outcome == "failed":
            lines += [f"    expected {self.expected}", f"    got {self.got}", f"    see {self.see}"]
        lines += [f"    printed: {line}" for line in self.printed.splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """What a run found, check by check."""

    findings: tuple[Finding, ...]
    stopped: str = ""
    """Why not all checks that were asked for had their turn; empty: they had."""

    @property
    def passed(self) -> bool:
        """All checks had their turn, none failed, and not all were skipped."""
        return not self.stopped and not self.failed and self.judged

    @property
    def judged(self) -> bool:
        """Some rule was found to be kept or broken."""
        return any(finding.outcome != "skipped" for finding in self.findings)

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.outcome == "failed")

    def summary(self) -> str:
        """One line: ``58 passed, 1 failed, 6 skipped``, and why it stopped where it did."""
        outcomes: list[str] = [finding.outcome for finding in self.findings]
        counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in SIGNS)
        return f"{counts}; stopped: {self.stopped}" if self.stopped else counts

    def to_json(self) -> str:
        """For programs: the findings, whether all is well, and why it stopped if it did."""
        found = [asdict(finding) for finding in self.findings]
        report = {"passed": self.passed, "stopped": self.stopped, "findings": found}
        return json.dumps(report, ensure_ascii=False, indent=1)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self.summary()])

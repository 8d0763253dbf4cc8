"""Every end of the line keeps every rule of docs/protocol.md."""

from __future__ import annotations

import pytest

from snakepit.conformance import run

from .ends import EVERY_END, OWN, params, worker


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", params(EVERY_END, elsewhere=True))
def test_an_end_keeps_the_protocol(end: tuple[str, str]) -> None:
    line, version = end
    report = run(worker(line, version), timeout=20)
    assert report.passed, report
    skipped = {finding.name for finding in report.findings if finding.outcome == "skipped"}
    assert skipped <= may_skip(line, version), report


def may_skip(line: str, version: str) -> set[str]:
    """Frames alone carry neither words nor segments; without numpy there are no arrays."""
    arenas = {"segment", "segment-inline", "segment-refused", "segment-outside"}
    arenas |= {"segment-own", "segment-own-refused", "unread", "unread-gone"}
    words = {"words", "revoked", "condemned", *arenas} if line == "grpcio" else set()
    return words | ({"value-array", "value-scalar"} if version != OWN else set())

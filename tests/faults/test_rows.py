"""Each row with a small count: what happens always must hold; times may be as a busy machine has
them. The same functions with the full counts make `benches/results/soak.md`."""

from __future__ import annotations

import pytest

from .catalogue import ROWS, Row
from .figures import number
from .processes import NotHereError

SLACK = 20.0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    try:
        figures = row.run(row.small)
    except NotHereError as reason:
        pytest.skip(str(reason))
    told = [
        f"{figure.what}: {number(figure.value)} {figure.unit}, target {figure.target()}"
        for figure in figures
        if not figure.holds(SLACK)
    ]
    assert not told, "\n".join(told)

"""What a row leaves behind is told by its last figures, whatever it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import control_groups
import pytest

import snakepit

from . import catalogue
from .catalogue import Row
from .figures import Figure, none
from .hosts import FAULTY
from .processes import Holdings


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is left: nobody waits for its end."""
    monkeypatch.setattr(catalogue, "BACK_WITHIN", 0.05)


def test_what_is_left_is_told(hasty: None) -> None:
    kept: list[int] = []
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)

    def leaves() -> Iterator[Figure]:
        kept.extend(os.pipe())
        thread.start()
        Path(os.environ["XDG_RUNTIME_DIR"], "snakepit-left").mkdir()
        Path(os.environ["XDG_RUNTIME_DIR"], "snakepit-left", "ledger").touch()
        yield none("nothing", 0)

    try:
        figures = Row(0, "leaves", leaves, {}, {}).run({})
    finally:
        stop.set()
        thread.join()
        [*map(os.close, kept)]
    assert [figure.holds() for figure in figures] == [True, True, False]
    assert figures[-1].what == "leaks: descriptors +2, threads +1, run_files +1"
    assert figures[-1].value == 4


def test_who_holds_less_than_before_hides_nothing() -> None:
    before = Holdings(9, 9, 0, 0, 0, 0)
    after = Holdings(5, 9, 0, 2, 0, 1)
    assert sum(after.more_than(before).values()) == 3


def test_groups_of_workers_are_counted_while_they_are_there() -> None:
    with control_groups.apart():
        if control_groups._apart is None:
            pytest.skip("no control group can be made here")
        with snakepit.Pool(FAULTY, size=2) as pool:
            pool.await_ready(60)
            assert len(control_groups.of_workers()) in (0, 2), "none where the kernel has none"
            left = control_groups._apart / "snakepit-left"
            left.mkdir()
            assert left.name in control_groups.of_workers()
            left.rmdir()
        assert control_groups.of_workers() == []

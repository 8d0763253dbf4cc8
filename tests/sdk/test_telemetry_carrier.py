"""What an adapter tells on its way to the host: which of it, and in which form."""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit_bridge import _context, telemetry
from snakepit_bridge._context import current
from snakepit_bridge.telemetry import _plain
from snakepit_bridge.telemetry._filter import Filter, draw_of

from .fake_core import Call

words = st.sampled_from(["a", "b", "a.b", "a.*", "*.b", "*", "a.?", "[ab]"])
patterns = st.lists(words, max_size=3).map(tuple)
draws = st.floats(0, 1, exclude_max=True)


@given(st.booleans(), st.floats(0, 1), patterns, patterns, words, draws)
def test_a_filter_lets_through_what_it_says(
    enabled: bool,
    sampling: float,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    name: str,
    draw: float,
) -> None:
    admitted = Filter(enabled, sampling, allow, deny).admits(name, draw)
    allowed = not allow or any(fnmatchcase(name, each) for each in allow)
    denied = any(fnmatchcase(name, each) for each in deny)
    assert admitted == (enabled and draw < sampling and allowed and not denied)


@given(st.floats(0, 1), draws)
def test_the_part_that_is_sent_grows_with_the_sampling(sampling: float, draw: float) -> None:
    if Filter(True, sampling).admits("a", draw):
        assert Filter(True, min(1.0, sampling * 2)).admits("a", draw)
    assert Filter(True, 1.0).admits("a", draw)
    assert not Filter(True, 0.0).admits("a", draw)


def test_events_of_one_id_share_a_draw_and_ids_are_spread() -> None:
    draws = [draw_of(str(number)) for number in range(1000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert 400 < sum(draw < 0.5 for draw in draws) < 600
    assert draw_of("\ud800") == draw_of("\ud800")


@given(st.text(min_size=1, max_size=300))
def test_a_name_becomes_one_that_a_host_takes(name: str) -> None:
    told = _plain.name(name)
    assert 1 <= len(told) <= 256
    assert told.isprintable()
    assert not any(char.isspace() for char in told)
    told.encode()


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=1100) | st.integers() | st.floats()))
def test_metadata_is_told_in_bounds(metadata: dict[str, Any]) -> None:
    told = _plain.facts(metadata)
    assert len(told) <= 64
    for key, fact in told.items():
        assert 1 <= len(key) <= 256
        assert key.isprintable()
        key.encode()
        assert type(fact) in (str, int, float, bool)
        if isinstance(fact, str):
            assert len(fact.encode()) <= 4096


class Secretive:
    def __str__(self) -> str:
        raise ValueError


def test_what_is_no_text_is_told_as_one() -> None:
    told = _plain.facts({"a": Decimal("1.5"), "b": Secretive(), "c": [1], "d": 10**400})
    assert told == {"a": "1.5", "b": "<str() of the value raised>", "c": "[1]", "d": "out of range"}
    assert _plain.numbers({"n": 10**400, "m": True, "": 1}) == {"m": 1}


class Outlet:
    def __init__(self) -> None:
        self.version = 1
        self.control: tuple[bool, float, list[str], list[str]] = (False, 1.0, [], [])
        self.told: list[tuple[Any, ...]] = []
        self.spans: list[tuple[Any, ...]] = []

    def want(self, *control: Any) -> None:
        self.control = control  # type: ignore[assignment]
        self.version += 1

    def wanted(self) -> tuple[bool, float, list[str], list[str]]:
        return self.control

    def event(self, *parts: Any) -> None:
        self.told.append(parts)

    def span(self, *parts: Any) -> None:
        self.spans.append(parts)


@pytest.fixture
def outlet(monkeypatch: pytest.MonkeyPatch) -> Outlet:
    outlet = Outlet()
    monkeypatch.setattr(_context, "outlet", outlet)
    return outlet


def test_the_host_gets_what_it_wants_from_then_on(outlet: Outlet) -> None:
    telemetry.emit("a", {"n": 1})
    assert not telemetry.is_enabled()
    outlet.want(True, 1.0, [], ["b"])
    assert telemetry.is_enabled()
    token = current.set(Call("tool", None, False, None))
    try:
        telemetry.emit("a", {"n": 2, "x": 0.5}, {"m": None}, "id")
    finally:
        current.reset(token)
    telemetry.emit("b", {})
    telemetry.emit("c", {})
    first, second = outlet.told
    assert (first[0], *first[2:]) == ("a", {"n": 2, "x": 0.5}, {"m": "None"}, "id", 1)
    assert first[1] > 0
    assert (second[0], *second[2:]) == ("c", {}, {}, "", 0)
    outlet.want(True, 0.0, [], [])
    telemetry.emit("a", {})
    assert len(outlet.told) == 2


def test_half_of_the_ids_are_told_whole(outlet: Outlet) -> None:
    outlet.want(True, 0.5, [], [])
    for number in range(100):
        with telemetry.span("work", correlation_id=f"id{number}"):
            pass
    ids = [parts[4] for parts in outlet.told]
    assert 20 < len(set(ids)) < 80
    assert all(ids.count(each) == 2 for each in ids)


def test_a_line_that_fails_harms_no_tool(outlet: Outlet, caplog: pytest.LogCaptureFixture) -> None:
    outlet.want(True, 1.0, [], [])
    outlet.told = None  # type: ignore[assignment]
    telemetry.emit("a", {})
    assert "a listener of telemetry raised" in caplog.text


def test_spans_of_a_recorded_call_are_inside_of_each_other_and_of_its_execution(
    outlet: Outlet,
) -> None:
    call = Call("tool", None, False, None)
    header = f"00-{'ab' * 16}-{'cd' * 8}-01"
    for recorded in [b"execute!", b""]:
        call.trace = (header, "", recorded)
        token = current.set(call)
        try:
            with telemetry.span("outer", {"kind": "x"}) as outer:
                outer.measurements["n"] = Decimal("1.5")
                with pytest.raises(KeyError), telemetry.span("two words"):
                    raise KeyError("k")
        finally:
            current.reset(token)
    with telemetry.span("beside"):
        pass
    begun, inner, failed, ended = outlet.spans
    trace_id, own, parent = begun[0]
    assert (trace_id, parent, len(own)) == (b"\xab" * 16, b"execute!", 8)
    assert inner[0][2] == own
    assert [it[1] for it in outlet.spans] == ["outer", "two words", "two words", "outer"]
    assert (begun[3], begun[5], ended[5]) == (0, 0, 1)
    assert (begun[4], ended[4]) == ({"kind": "x"}, {"kind": "x", "n": 1.5})
    assert (failed[5], failed[6]) == (2, "KeyError: 'k'")
    assert begun[2] <= inner[2] <= failed[3] <= ended[3]

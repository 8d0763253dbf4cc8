"""What an exception is made of, within bounds: whatever it is, describing it never fails."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge._report import DEPTH, NUMBER, TEXT, Reporter

if sys.version_info < (3, 11):  # noqa: UP036 - the SDK is tested on 3.10, too
    from exceptiongroup import ExceptionGroup  # noqa: A004

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="exception groups came with Python 3.11"
)


def reported(error: BaseException, *listed: str) -> Any:
    return Reporter(listed)(type(error), error, error.__traceback__)


def inside(report: Any) -> list[Any]:
    if report[3] is None:
        return []
    _, cause, context, members, *_ = report[3]
    return [told for told in (cause, context, *members) if told is not None]


def every(report: Any) -> list[Any]:
    return [report, *(deeper for inner in inside(report) for deeper in every(inner))]


def depth(report: Any) -> int:
    return 1 + max(map(depth, inside(report)), default=0)


def text(report: Any) -> int:
    return sum(
        len(text.encode()) for told in every(report)[1:] for text in (*told[:3], *notes(told))
    )


def notes(report: Any) -> list[str]:
    return [] if report[3] is None else report[3][0]


def test_an_exception_alone_has_nothing_more_to_tell() -> None:
    assert reported(ValueError("alone")) == ("ValueError", "alone", "ValueError: alone\n", None)


class Linked(Exception):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_a_circle_is_told_once() -> None:
    first, second = Linked("first"), Linked("second")
    first.__cause__, second.__cause__ = second, first
    told = every(reported(first))
    assert [report[1] for report in told] == ["first", "second"]


def test_an_exception_in_two_places_is_in_both() -> None:
    shared = ValueError("shared")
    told = every(reported(ExceptionGroup("two", [shared, shared])))
    assert [report[1] for report in told[1:]] == ["shared", "shared"]


def test_attributes_that_fail_cost_the_details_alone() -> None:
    class Broken(Exception):
        @property
        def __notes__(self) -> list[str]:
            raise SystemExit("from a note")

    name, message, _, detail = reported(Broken("broken"))
    assert (message, detail) == ("broken", None)
    assert name.endswith("Broken")


def test_notes_that_are_no_texts() -> None:
    error = ValueError("noted")
    error.__notes__ = ["a", 2, "\udc80"]  # type: ignore[list-item]
    assert notes(reported(error)) == ["a", "2", "\\udc80"]
    error.__notes__ = 3  # type: ignore[assignment]
    assert reported(error)[3] is None


class Quota(Exception):
    pass


class Tight(Quota):
    pass


@pytest.mark.parametrize("listed", [Quota, Tight])
def test_a_listed_class_is_found_among_the_ancestors(listed: type) -> None:
    name = f"{__name__}:{listed.__name__}"
    detail = reported(Tight("ann", 5), "other:Class", name)[3]
    assert detail[4:] == (name, ["ann", 5])
    assert reported(Tight("ann", 5), "other:Class")[3] is None


TEXTS = st.text(max_size=20) | st.integers(0, 30_000).map(lambda size: "é" * size)


def noted(error: Exception, notes: list[str]) -> Exception:
    for note in notes:
        error.add_note(note)
    return error


def chained(errors: tuple[Exception, Exception | None, Exception | None]) -> Exception:
    outer, cause, context = errors
    outer.__context__ = context
    if cause is not None:
        outer.__cause__ = cause
    return outer


ERRORS = st.recursive(
    st.builds(noted, TEXTS.map(ValueError), st.lists(TEXTS, max_size=3)),
    lambda inner: st.one_of(
        st.tuples(TEXTS.map(OSError), st.none() | inner, st.none() | inner).map(chained),
        st.builds(ExceptionGroup, TEXTS, st.lists(inner, min_size=1, max_size=30)),
    ),
    max_leaves=100,
)


@given(ERRORS)
@settings(max_examples=200, deadline=None)
def test_whatever_it_is_made_of_is_told_within_bounds(error: Exception) -> None:
    report = reported(error)
    told = every(report)
    assert depth(report) <= DEPTH
    assert len(told) <= NUMBER
    assert text(report) <= TEXT
    for _, message, _, _ in told:
        message.encode()


@pytest.mark.parametrize("count", [DEPTH - 1, DEPTH, DEPTH + 1, 1000])
def test_a_chain_is_told_to_its_bound(count: int) -> None:
    error: Exception = ValueError("innermost")
    for number in range(count - 1):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer
    assert depth(reported(error)) == min(count, DEPTH)

"""``inline=True`` and workers agree: the same calls, the same values, the same errors."""

from __future__ import annotations

from typing import Any

import pytest

CALLS: list[tuple[str, Any]] = [
    ("ping", None),
    ("add", {"a": 1, "b": 2}),
    ("add_later", {"a": 1, "b": 2}),
    ("echo", {"value": (1, {"k": (2.5, None)})}),
    ("echo", {"value": {1: "one"}}),
    ("echo", {"value": {1, 2}}),
    ("add", {"a": 1}),
    ("fail", {"kind": "KeyError"}),
    ("fail", {"kind": "UnicodeError"}),
    ("fail", {"kind": "StopIteration"}),
    ("\ud800", None),
    ("fail_of_its_own", None),
    ("unspeakable", None),
    ("leave", None),
    ("pign", None),
    ("large", {"size": 200_000}),
    ("echo", {"value": bytes(200_000)}),
    ("environment", {"names": ["HOME"]}),
]


def outcome(run: Any) -> Any:
    try:
        return run()
    except Exception as error:
        fields = {
            name: getattr(error, name, None)
            for name in ("type_name", "remote_message", "path", "suggestions", "limit", "direction")
        }
        if fields["suggestions"] is not None:
            fields["suggestions"] = list(fields["suggestions"])
        return type(error), error.may_have_run, fields  # type: ignore[attr-defined]


@pytest.fixture
def both(make_pool: Any) -> tuple[Any, Any]:
    return (
        make_pool(max_message=100_000),
        make_pool(name="inline", inline=True, max_message=100_000),
    )


@pytest.mark.parametrize(
    ("tool", "args"), CALLS, ids=[f"{t}-{n}" for n, (t, _) in enumerate(CALLS)]
)
def test_calls(both: Any, tool: str, args: Any) -> None:
    real, inline = (outcome(lambda pool=pool: pool.execute(tool, args)) for pool in both)
    assert real == inline
    real, inline = (outcome(lambda pool=pool: pool.submit(tool, args).result(30)) for pool in both)
    assert real == inline


@pytest.mark.parametrize("tool", ["count", "count_later", "count_and_fail", "ping", "pign"])
def test_streams(both: Any, tool: str) -> None:
    args = {"upto": 5} if tool.startswith("count") else None
    real, inline = (
        outcome(lambda pool=pool: list(pool.execute_stream(tool, args))) for pool in both
    )
    assert real == inline


def test_sessions(both: Any) -> None:
    def use(pool: Any) -> Any:
        session = pool.session("u")
        return [session.execute("who")[1:], session.execute("who")[1:], pool.execute("who")[1:]]

    assert use(both[0]) == use(both[1])

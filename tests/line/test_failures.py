"""What an exception is made of, as the line carries it: causes, notes, groups, listed classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from snakepit import _core
from snakepit.conformance.host import ScriptedHost

QUOTA = "__main__:Quota"
"""The adapter of these tests is run as a script."""


@pytest.fixture
def listing(attach: Callable[..., ScriptedHost]) -> ScriptedHost:
    """A worker whose pool lists a class."""
    host = attach(initialize={"errors": ["app:Other", QUOTA]})
    host.handshake()
    return host


def test_causes_come_with_their_own_frames_and_notes(host: ScriptedHost) -> None:
    third = host.failure(host.call("chain"))
    second = third.cause
    first = second.cause
    assert [(failure.type_name, failure.message) for failure in (third, second, first)] == [
        ("ValueError", "third"),
        ("OSError", "second"),
        ("KeyError", "'first'"),
    ]
    assert [*first.notes] == ["of the first"]
    assert not first.HasField("cause")
    assert not third.HasField("context")
    assert "direct cause" in third.traceback, "the outermost one has the whole text"
    assert "adapter_of_line.py" in first.traceback
    assert "direct cause" not in second.traceback


@pytest.mark.parametrize("hides", [False, True])
def test_what_was_handled_comes_unless_it_is_hidden(host: ScriptedHost, hides: bool) -> None:
    failure = host.failure(host.call("handled", hides=hides))
    assert failure.HasField("context") != hides
    assert failure.context.type_name == ("" if hides else "KeyError")
    assert not failure.HasField("cause")


def test_a_group_has_its_members(host: ScriptedHost) -> None:
    failure = host.failure(host.call("group", size=2))
    assert failure.type_name == "ExceptionGroup"
    members = [(member.type_name, member.message) for member in failure.exceptions]
    assert members[:2] == [("ValueError", "member 0"), ("ValueError", "member 1")]
    assert [member.message for member in failure.exceptions[2].exceptions] == ["deep"]


def test_a_large_group_says_how_many_are_left_out(host: ScriptedHost) -> None:
    failure = host.failure(host.call("group", size=1000))
    told = len(failure.exceptions)
    assert told <= 63
    assert [*failure.notes] == [f"{1001 - told} more exceptions of this group are left out"]
    assert failure.ByteSize() < 64 * 1024


def depth(failure: Any) -> int:
    return 1 + depth(failure.cause) if failure.HasField("cause") else 1


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_a_long_chain_is_cut(listing: ScriptedHost, size: int) -> None:
    failure = listing.failure(listing.call("endless", depth=40, size=size))
    assert depth(failure) == 16 if size == 0 else 2 < depth(failure) <= 16
    assert failure.ByteSize() < 64 * 1024
    assert listing.result(listing.call("echo", value=1)) == 1


def test_an_exception_of_a_listed_class_is_told_with_its_arguments(listing: ScriptedHost) -> None:
    failure = listing.failure(listing.call("quota", user="ann", limit=b"\0"))
    assert failure.type_name.endswith("TightQuota"), "what it is"
    assert getattr(failure, "class") == QUOTA, "what it is caught as"
    assert _core.decode(failure.arguments) == ["ann", b"\0"]


def test_arguments_that_are_too_large_are_left_out(listing: ScriptedHost) -> None:
    failure = listing.failure(listing.call("quota", user="x" * 5000, limit=1))
    assert (getattr(failure, "class"), failure.arguments) == (QUOTA, b"")


def test_other_classes_are_not_told(listing: ScriptedHost, host: ScriptedHost) -> None:
    for failure in (
        listing.failure(listing.call("fail", how="value")),
        host.failure(host.call("quota", user="ann", limit=1)),
    ):
        assert (getattr(failure, "class"), failure.arguments) == ("", b"")


def test_a_substitute_goes_in_the_place_of_what_cannot_travel(
    attach: Callable[..., ScriptedHost],
) -> None:
    rule = {"detail": "type", "max_repr": 100, "max_elements": 10}
    host = attach(initialize={"unserializable": rule})
    host.handshake()
    assert host.result(host.call("unfit")) == {
        "deep": [
            {
                "__ffi_unserializable__": True,
                "__type__": "builtins.object",
                "__repr__": "<unserializable builtins.object>",
            }
        ]
    }

"""What a worker tells of its tools in Ready, over each end."""

from __future__ import annotations

import json
from collections.abc import Callable

from snakepit.conformance.host import ScriptedHost
from snakepit.conformance.protocol import failure_kind


def test_ready_tells_what_each_tool_takes(attach: Callable[..., ScriptedHost]) -> None:
    tools = {tool.name: json.loads(tool.parameters) for tool in attach().handshake().tools}
    assert tools["echo"]["properties"] == {"value": {"default": None}}
    assert tools["echo"]["additionalProperties"] is False
    assert {schema["type"] for schema in tools.values()} == {"object"}


def test_more_than_a_frame_holds_is_told_as_such(attach: Callable[..., ScriptedHost]) -> None:
    here = __file__.rsplit("/", 1)[0]
    host = attach(f"{here}/verbose_adapter.py:Verbose", max_message=1024)
    failed = host.handshake()
    assert failed.permanent
    assert failure_kind(failed.failure) == "EXCEPTION"
    assert "raise the pool's max_message" in failed.failure.message

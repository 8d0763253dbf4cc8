"""docs/protocol.md is whole: every message and field is in it, and every check points into it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="the kit serves the line through grpcio")

from snakepit.conformance import checks as _all_of_them
from snakepit.conformance.check import CHECKS, TOOLS
from snakepit.conformance.protocol import VERSION, messages
from snakepit.conformance.report import DOCUMENT

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / DOCUMENT).read_text()
HEADINGS = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", TEXT, flags=re.M | re.S), re.M)
ANCHORS = {heading.lower().replace(" ", "-") for heading in HEADINGS}


def test_the_kit_has_checks() -> None:
    assert _all_of_them
    assert len(CHECKS) >= 60


def test_every_check_points_to_a_heading() -> None:
    assert {check.anchor for check in CHECKS.values()} - ANCHORS == set()


def test_every_link_inside_the_document_leads_somewhere() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) - ANCHORS == set()


def test_every_file_that_it_names_exists() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert linked
    assert [link for link in linked if not (ROOT / "docs" / link).exists()] == []


@pytest.mark.parametrize("name", sorted(vars(messages())))
def test_every_message_and_field_is_there(name: str) -> None:
    message: Any = getattr(messages(), name)
    assert name in TEXT
    frames = {"HostFrame", "WorkerFrame"}
    fields = [] if name in frames else [field.name for field in message.DESCRIPTOR.fields]
    assert [field for field in fields if f"`{field}`" not in TEXT] == []


def test_every_kind_of_failure_is_there() -> None:
    kinds = messages().Failure.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_name
    names = [kind.removeprefix("FAILURE_KIND_") for kind in kinds]
    assert [name for name in names if f"`{name}`" not in TEXT] == ["UNSPECIFIED"]


def test_the_tools_and_the_version_are_those_of_the_kit() -> None:
    assert [name for name in TOOLS if f"| `{name}(" not in TEXT] == []
    assert f"version **{VERSION}**" in TEXT

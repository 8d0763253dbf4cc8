"""What the README says is so: its commands and its tests exist; see test_pages for its programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown import relative_links, rows

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_command_of_the_readme_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert commands >= {"demo", "test"}
    missing = [name for name in commands if not re.search(rf"^{name}:", makefile, re.MULTILINE)]
    assert missing == []


def test_the_figures_have_as_many_passes_as_the_command_makes() -> None:
    told = re.findall(r"One run of `make bench`[^|]*?(\d+)\s+interleaved passes", README)
    made = re.findall(r"side_by_side\.py --passes (\d+)$", (ROOT / "Makefile").read_text(), re.M)
    assert len(told) == 1
    assert told == made


def test_every_feature_names_a_test_that_exists() -> None:
    """`path` or `path::name`, relative to the root; at least one a row."""
    features = list(rows(README, "feature"))
    assert len(features) >= 10
    for feature in features:
        named = re.findall(r"`((?:tests|crates|examples)/[^`]+)`", feature[-1])
        assert named, f"no test shows: {feature[0]}"
        for test in named:
            path, _, name = test.partition("::")
            assert (ROOT / path).is_file(), f"{feature[0]}: no file {path}"
            if name:
                assert re.search(rf"(def|fn) {name}\b", (ROOT / path).read_text()), test


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "benches/README.md",
        "examples/README.md",
        "examples/node-worker/README.md",
        "examples/rust/README.md",
        *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("**/*.md")),
    ],
)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    file = ROOT / page
    broken = [
        link for link in relative_links(file.read_text()) if not (file.parent / link).exists()
    ]
    assert broken == []

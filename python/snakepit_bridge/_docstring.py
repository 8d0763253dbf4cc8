"""What a docstring says about each parameter: Google's, NumPy's and Sphinx's ways to write it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_HEADS = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "other parameters"}
)
_FIELDS = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})


def parameter_texts(docstring: str, names: Container[str]) -> dict[str, str]:
    """Return the text of each of ``names`` that the docstring tells about, in one line."""
    lines = docstring.expandtabs().splitlines()
    texts: dict[str, list[str]] = {}
    for place, line in enumerate(lines):
        stripped = line.strip()
        following = lines[place + 1 :]
        if stripped.startswith(":"):
            _field(stripped, _indent(line), following, names, texts)
        elif stripped.rstrip(":").lower() in _HEADS:
            if following and following[0].strip() and not following[0].strip().strip("-"):
                _numpy(following[1:], _indent(line), names, texts)
            elif stripped.endswith(":"):
                _google(following, _indent(line), names, texts)
    return {name: text for name, said in texts.items() if (text := " ".join(said).strip())}


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _field(
    line: str,
    indent: int,
    following: list[str],
    names: Container[str],
    texts: dict[str, list[str]],
) -> None:
    """``:param int name: text``, and the deeper lines below it."""
    head, _, text = line[1:].partition(":")
    words = head.split()
    if len(words) < 2 or words[0] not in _FIELDS:
        return
    name = words[-1].lstrip("*")
    if name not in names or name in texts:
        return
    texts[name] = [text.strip()]
    for more in following:
        if not more.strip() or _indent(more) <= indent or more.strip().startswith(":"):
            break
        texts[name].append(more.strip())


def _google(
    lines: list[str], outer: int, names: Container[str], texts: dict[str, list[str]]
) -> None:
    """``name (type): text``, all at one depth, and deeper lines that go on."""
    depth: int | None = None
    said: list[str] | None = None
    for line in lines:
        if not line.strip():
            continue
        if _indent(line) <= outer:
            return
        depth = _indent(line) if depth is None else depth
        if _indent(line) > depth:
            if said is not None:
                said.append(line.strip())
            continue
        head, colon, text = line.strip().partition(":")
        name = head.split("(")[0].strip().lstrip("*")
        said = None
        if colon and name in names and name not in texts:
            said = texts[name] = [text.strip()]


def _numpy(
    lines: list[str], outer: int, names: Container[str], texts: dict[str, list[str]]
) -> None:
    """``name : type`` at the depth of the heading, and its text deeper below it."""
    said: list[str] = []
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        if _indent(line) > outer:
            said.append(line.strip())
            continue
        below = lines[place + 1].strip() if place + 1 < len(lines) else ""
        if _indent(line) < outer or (below and not below.strip("-")):
            return
        said = []
        for each in line.partition(":")[0].split(","):
            name = each.strip().lstrip("*")
            if name in names and name not in texts:
                texts[name] = said

"""The pages of the site link to files of the repository; this takes those files along.

A hook of MkDocs. A link that leaves ``docs`` is followed: a page becomes a page below ``source/``,
a program one that shows it, a folder one that lists its files. Of what they link to themselves the
same is true, so that no link leads out of the site. What does not exist is left as it is, and a
strict build fails for it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Callable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SHOWN = {".rs": "rust", ".py": "python", ".toml": "toml", ".js": "js", ".proto": "protobuf"}
"""Suffix of what is shown as text, and its language."""
CODE = re.compile(r"^(?P<fence>```+).*?^(?P=fence)[ \t]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
AROUND = re.compile(r"^<!-- around\n.*?-->\n", re.MULTILINE | re.DOTALL)
"""What the tests put around a fragment, to run it."""
LINK = re.compile(r"(?<=\]\()(?P<to>[^)#\s]+)(?=(?:#[^)]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to, and what that links to."""
    known = {kept(file.src_uri) for file in files}
    reading = [name for name in known if name.endswith(".md")]
    while reading:
        name = reading.pop()
        for to in sorted({target(name, link) for link in links(text(name))} - known):
            if not (ROOT / to).exists():
                continue
            known.add(to)
            files.append(generated(to, config))
            if to.endswith(".md") or (ROOT / to).is_dir():
                reading.append(to)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write the links between the two trees as they are on the site."""
    own = kept(page.file.src_uri)

    def rewritten(found: re.Match[str]) -> str:
        if "://" in found["to"]:
            return found["to"]
        to = published(target(own, found["to"]))
        if files.get_file_from_path(to) is None:
            return found["to"]
        return posixpath.relpath(to, posixpath.dirname(page.file.src_uri))

    return outside_code(AROUND.sub("", markdown), rewritten)


def generated(name: str, config: MkDocsConfig) -> File:
    """A file of the repository as one of the site."""
    path = ROOT / name
    if path.is_dir():
        return File.generated(config, published(name), content=text(name))
    language = SHOWN.get(path.suffix)
    if language is None:
        return File.generated(config, published(name), abs_src_path=str(path))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", path.read_text())), default=0))
    head = "---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n"
    shown = f"{head}# `{name}`\n\n{fence}{language}\n{path.read_text()}{fence}\n"
    return File.generated(config, published(name), content=shown)


def kept(src_uri: str) -> str:
    """Where a file of the site is in the repository."""
    if not src_uri.startswith("source/"):
        return f"docs/{src_uri}"
    name = src_uri.removeprefix("source/")
    return name if (ROOT / name).is_file() else name.removesuffix(".md").removesuffix("/files")


def published(name: str) -> str:
    """Where a file of the repository is on the site."""
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    if (ROOT / name).is_dir():
        return f"source/{name}/files.md"
    return f"source/{name}.md" if Path(name).suffix in SHOWN else f"source/{name}"


def target(page: str, link: str) -> str:
    """The file or folder that a link of a page leads to, from the root of the repository."""
    folder = page if (ROOT / page).is_dir() else posixpath.dirname(page)
    return posixpath.normpath(posixpath.join(folder, link))


def text(name: str) -> str:
    """What the page says; that of a folder lists its files."""
    path = ROOT / name
    if not path.is_dir():
        return path.read_text()
    inside = sorted(file.name for file in path.iterdir() if file.suffix in {".md", *SHOWN})
    return "\n".join([f"# `{name}`\n", *(f"- [{file}]({file})" for file in inside), ""])


def links(markdown: str) -> list[str]:
    """Relative links, code left aside."""
    return [to for to in LINK.findall(CODE.sub("", markdown)) if "://" not in to]


def outside_code(markdown: str, rewritten: Callable[[re.Match[str]], str]) -> str:
    """Replace each link that is not in code."""
    parts, at = list[str](), 0
    for code in CODE.finditer(markdown):
        parts += [LINK.sub(rewritten, markdown[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, LINK.sub(rewritten, markdown[at:])])

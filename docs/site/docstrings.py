"""Docstrings that are put together while a module is imported, for a reader that imports nothing.

An extension of griffe. The docstring of ``Pool`` is an f-string with that of its base in it; it is
read from the source.
"""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING, Any

from griffe import Attribute, Docstring, Extension

if TYPE_CHECKING:
    from griffe import Class, GriffeLoader, Module, Object

SECTIONS = re.compile(r"(?m)^(?=(?:Args|Returns|Raises|Examples?):$)")


class MadeDocstrings(Extension):
    """Gives classes whose body assigns ``__doc__`` the text that it has when they are imported."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for each thing that has been read: one example is a section, as several are."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^( *)Example:$", r"\1Examples:", obj.docstring.value)

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: Any) -> None:
        """Called when a package has been read and its names are known."""
        modules = [pkg]
        while modules:
            module = modules.pop()
            modules += module.modules.values() if not module.is_alias else ()
            for each in module.classes.values():
                if not each.is_alias and isinstance(each.members.get("__doc__"), Attribute):
                    made(each)


def made(cls: Class) -> None:
    """Read ``__doc__ = f"{Base.__doc__}…"``: prose after the base's prose, sections after its."""
    lines = cls.module.lines[cls.lineno - 1 : cls.endlineno] if cls.lineno and cls.endlineno else []
    (statement,) = ast.parse("\n".join(lines)).body
    assert isinstance(statement, ast.ClassDef)
    for each in statement.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__doc__":
            parts = [SECTIONS.split(text, maxsplit=1) for text in texts(each.value, cls)]
            heads = [head.strip() for head, *_ in parts]
            text = "\n\n".join([*heads, *(rest.strip() for _, *rests in parts for rest in rests)])
            cls.docstring = Docstring(text, lineno=cls.lineno, parent=cls)
    del cls.members["__doc__"]


def texts(value: ast.expr, cls: Class) -> list[str]:
    """The base's docstring and what is added to it, each without its indentation."""
    match value:
        case ast.JoinedStr(
            [ast.FormattedValue(ast.Attribute(ast.Name(base), "__doc__")), *added]
        ) if (found := cls.module[base].docstring) is not None:
            own = "".join(str(it.value) for it in added if isinstance(it, ast.Constant))
            return [found.value, inspect.cleandoc(own).replace("Example:", "Examples:")]
    raise ValueError(f"{cls.path}.__doc__: {ast.unparse(value)} is not read here")

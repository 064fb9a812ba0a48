"""Liberty text, the format of cell libraries, as a tree of groups.

A library is a group ``library (name) { ... }`` of statements, such as ``time_unit : "1ps";``, and of further groups:
templates of tables and cells, which hold pins, which hold timing. The format is that of the Liberty User Guide.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Group", "LibertyError", "parse_liberty", "read_liberty"]


class LibertyError(ValueError):
    """A file is no Liberty library, or not one that can be used."""


@dataclass
class Group:
    """A group: ``kind (name) { ... }``.

    Attributes
    ----------
    kind, name
        What it is, and what stands in its parentheses, without quotes.
    statements
        Text of its statements in their order, without the semicolon.
    groups
        The groups inside.
    """

    kind: str
    name: str
    statements: list[str] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """What an attribute has after its colon, or in its parentheses, without quotes; None without it."""
        for statement in self.statements:
            found = _ATTRIBUTE.fullmatch(statement)
            if found and found[1] == name:
                return (found[2] if found[2] is not None else found[3]).replace('"', "").strip()
        return None

    def inner(self, *kinds: str) -> Iterator[Group]:
        """The groups inside of these kinds."""
        return (group for group in self.groups if group.kind in kinds)

    def text(self, indent: str = "") -> str:
        """The group as Liberty text."""
        lines = [f"{indent}{self.kind} ({self.name}) {{"]
        lines += [f"{indent}  {statement};" for statement in self.statements]
        lines += [group.text(f"{indent}  ") for group in self.groups]
        return "\n".join([*lines, f"{indent}}}"])


_ATTRIBUTE = re.compile(r"(\w+)\s*(?::\s*(.*)|\((.*)\))", re.DOTALL)
_HEAD = re.compile(r"(\w+)\s*\((.*)\)", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CONTINUED = re.compile(r"\\[ \t\r]*\n")
_TOKEN = re.compile(r'"[^"]*"|[{};\n]')
_UNENDED = re.compile(r'\w+\s*:\s*("[^"]*"|[^"\s][^"\n]*)')
"""A simple attribute whose line ends it: some libraries leave semicolons out."""


def parse_liberty(text: str, *, what: str, without: Container[str] = ()) -> Group:
    """The library in ``text``.

    Parameters
    ----------
    text
        Liberty text.
    what
        Name of its file, for error messages.
    without
        Kinds of groups that are left out, with all that is in them.

    Raises
    ------
    LibertyError
        If the text is no Liberty library.
    """
    text = _CONTINUED.sub(" ", _COMMENT.sub(" ", text))
    root = Group("", "")
    stack = [root]
    skipped = 0  # depth inside a group that is left out
    start = 0
    for token in _TOKEN.finditer(text):
        mark = token[0][0]
        if mark == '"':
            continue
        if mark == "{":
            head = _HEAD.fullmatch(text[start : token.start()].strip())
            if skipped or (head is not None and head[1] in without):
                skipped += 1
            elif head is None:
                raise LibertyError(f"{what}: no Liberty file: a brace without a group before it")
            else:
                group = Group(head[1], head[2].replace('"', "").strip())
                stack[-1].groups.append(group)
                stack.append(group)
        elif skipped:
            skipped -= mark == "}"
        else:
            statement = text[start : token.start()].strip()
            if mark == "\n" and not _UNENDED.fullmatch(statement):
                continue
            if statement:
                stack[-1].statements.append(" ".join(statement.split()))
            if mark == "}":
                stack.pop()
                if not stack:
                    raise LibertyError(f"{what}: no Liberty file: a closing brace too many")
        start = token.end()
    if len(stack) > 1 or skipped:
        raise LibertyError(f"{what}: the Liberty file is cut off: a closing brace is missing")
    libraries = list(root.inner("library"))
    if len(libraries) != 1:
        raise LibertyError(f"{what}: {len(libraries)} Liberty libraries: must be one")
    return libraries[0]


def read_liberty(path: Path, *, without: Container[str] = ()) -> Group:
    """The library in a file, which may be compressed with gzip.

    Raises
    ------
    LibertyError
        If it is no Liberty library.
    OSError
        If it cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            raise LibertyError(f"{path}: cannot be decompressed: the file is damaged") from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise LibertyError(f"{path}: no Liberty file: it is not text") from None
    return parse_liberty(text, what=str(path), without=without)

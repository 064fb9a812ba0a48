"""Which modules of a design become C++ classes of their own, and which are inlined in their users."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["kept_modules"]

SMALL = 6
"""Largest number of operations per instance inside, of a module that only connects others."""
ALONE = 48
"""Least number of operations inside, of a module with one instance only that keeps its class."""
LARGE = 256
"""Largest number of operations and instances inside, of a module with one instance only that connects others."""
MOST_STATEMENTS = 128
"""Largest number of statements that the copies of one module may add to a user: more compile slowly."""

_MODULE = re.compile(r"^module \\(\S+)\n.*?^end$", re.MULTILINE | re.DOTALL)
_LOGIC = re.compile(r"^  (?:cell \$|process )", re.MULTILINE)
_INSTANCE = re.compile(r"^  cell \\(\S+) ", re.MULTILINE)


def kept_modules(text: str) -> list[str]:
    """Return the modules in ``text``, the RTLIL of a design, that keep a class of their own, in its order.

    A class for each distinct block compiles in seconds, one for the whole design in minutes; and an instance in which
    nothing has changed is not evaluated. But values are copied across the boundary of a class. So a module is inlined
    if it only connects others (a row of the array, rows of rows) or is tiny (a bank of a buffer), while its copies stay
    small, and if it has one instance only and is not large. So a die stays apart from the network around it: what
    happens in one of them does not evaluate the other.
    """
    logic: dict[str, int] = {}
    children: dict[str, Counter[str]] = {}
    for match in _MODULE.finditer(text):
        logic[match[1]] = len(_LOGIC.findall(match[0]))
        children[match[1]] = Counter(_INSTANCE.findall(match[0]))
    most_copies: Counter[str] = Counter()
    instances: Counter[str] = Counter()
    for uses in children.values():
        most_copies |= uses
        instances += uses
    sizes: dict[str, tuple[int, int]] = {}
    kept = set()

    def visit(name: str) -> tuple[int, int]:
        """Operations and instances of a module with everything that is inlined in it."""
        if name not in sizes:
            operations, cells = logic[name], 0
            for child, copies in children[name].items():
                whole = visit(child) if child in logic else (0, 1)
                inner = (0, 1) if child in kept else whole
                operations, cells = operations + copies * inner[0], cells + copies * inner[1]
            connects = operations <= SMALL * max(cells, 1)
            if instances[name] > 1:
                inlined = connects and most_copies[name] * (operations + cells) <= MOST_STATEMENTS
            else:  # the top has no instance
                connects = connects and operations + cells <= LARGE
                inlined = connects or operations < ALONE or not instances[name]
            if not inlined:
                kept.add(name)
            sizes[name] = operations, cells
        return sizes[name]

    for name in logic:
        visit(name)
    return [name for name in logic if name in kept]

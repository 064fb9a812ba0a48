"""The modules of an emitted design, and which of them are mapped together as one block.

A block is a module with the small modules that it uses once: their logic is then mapped without a border in between.
Everything else is a block of its own, so what is used many times is mapped once, and a unit keeps its name. The top
takes nothing in: its units are what a reader looks for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["ModuleText", "ModuleTree", "parse_modules"]

FOLDED_CHARACTERS = 20_000
"""Characters of Verilog, with all that is folded into it, up to which a module is folded into its one user."""

_MODULE = re.compile(r"^(\(\* blackbox \*\)\n)?(module (\w+) \(\n.*?^endmodule\n)", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\w+) (\w+) \($", re.MULTILINE)
_PORT = re.compile(r"^  (input|output) (?:wire|reg) (?:\[(\d+):0\] )?(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class ModuleText:
    """A module of an emitted design.

    Attributes
    ----------
    name
        Its name.
    text
        Its Verilog.
    macro
        Whether it is ports only, for a hard macro.
    uses
        Instance name and module of each module that it uses.
    """

    name: str
    text: str
    macro: bool
    uses: tuple[tuple[str, str], ...]

    @cached_property
    def ports(self) -> tuple[tuple[str, str, int], ...]:
        """Name, direction and bits of each port."""
        head = self.text[: self.text.index(");")]
        return tuple((port[3], port[1], int(port[2] or 0) + 1) for port in _PORT.finditer(head))

    @property
    def stub(self) -> str:
        """The module with its ports alone."""
        lines = [f"  {way} wire [{bits - 1}:0] {name}" for name, way, bits in self.ports]
        return f"(* blackbox *)\nmodule {self.name} (\n" + ",\n".join(lines) + "\n);\nendmodule\n"


@dataclass(frozen=True)
class ModuleTree:
    """An emitted design as blocks.

    Attributes
    ----------
    top
        Name of the top module.
    modules
        All modules by name, used ones before their users.
    """

    top: str
    modules: Mapping[str, ModuleText]

    @cached_property
    def instances(self) -> Mapping[str, int]:
        """How often the design has each module, those inside other modules counted each time."""
        counts: Counter[str] = Counter({self.top: 1})
        for module in reversed(list(self.modules.values())):
            for _, used in module.uses:
                counts[used] += counts[module.name]
        return counts

    @cached_property
    def folded(self) -> Mapping[str, tuple[str, ...]]:
        """The modules that are mapped as part of each module, at any depth, in the order of ``modules``."""
        inside: dict[str, tuple[str, ...]] = {}
        for module in self.modules.values():
            names: set[str] = set()
            for used, count in Counter(name for _, name in module.uses).items():
                taken = (used, *inside[used])
                small = sum(len(self.modules[name].text) for name in taken) <= FOLDED_CHARACTERS
                if count == 1 and small and module.name != self.top and not self.modules[used].macro:
                    names |= set(taken)
            inside[module.name] = tuple(name for name in self.modules if name in names)
        return inside

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Modules that are mapped as blocks, used ones before their users: macros are none."""
        needed = {self.top}
        for module in reversed(list(self.modules.values())):
            if module.name in needed:
                needed |= set(self.uses(module.name))
        return tuple(name for name in self.modules if name in needed and not self.modules[name].macro)

    def uses(self, block: str) -> Counter[str]:
        """Blocks and macros that a block uses, those that its folded modules use among them, and how often."""
        return Counter(self._kept(self.modules[block], set(self.folded[block])))

    def _kept(self, module: ModuleText, folded: set[str]) -> Iterator[str]:
        for _, used in module.uses:
            if used in folded:
                yield from self._kept(self.modules[used], folded)
            else:
                yield used

    def place_of(self, block: str) -> str:
        """The first instance of a block that is not folded, as names from the top with ``/`` in between.

        Instances within a folded module have its name before theirs, with a dot: Yosys names them so.
        """
        waiting = [("", self.top)]
        while waiting:
            place, name = waiting.pop(0)
            if name == block:
                return place
            inner = self._named_uses(name, "", set(self.folded[name]))
            waiting += [(f"{place}/{instance}".lstrip("/"), used) for instance, used in inner]
        raise ValueError(f"{self.top} has no block {block}")

    def _named_uses(self, name: str, prefix: str, folded: set[str]) -> Iterator[tuple[str, str]]:
        for instance, used in self.modules[name].uses:
            if used in folded:
                yield from self._named_uses(used, f"{prefix}{instance}.", folded)
            elif not self.modules[used].macro:
                yield f"{prefix}{instance}", used

    @cached_property
    def block_instances(self) -> Mapping[str, int]:
        """How often the design has each block and macro as such: not where it is folded into another block."""
        counts: Counter[str] = Counter({self.top: 1})
        for name in reversed(self.blocks):
            for used, count in self.uses(name).items():
                counts[used] += count * counts[name]
        return counts


def parse_modules(text: str, top: str) -> ModuleTree:
    """The design in the text of an emitted one, whose modules stand before their users."""
    found = {match[3]: match for match in _MODULE.finditer(text)}
    modules = {}
    for name, match in found.items():
        uses = [(use[2], use[1]) for use in _INSTANCE.finditer(match[2]) if use[1] in found]
        modules[name] = ModuleText(name, match[2], match[1] is not None, tuple(uses))
    return ModuleTree(top, modules)

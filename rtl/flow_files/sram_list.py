"""SRAMs of an emitted design, black boxes or not, as a list for those who make or buy the macros."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rtl.synthesis.macros import Macro, macro_of
from rtl.synthesis.module_tree import ModuleText, ModuleTree

__all__ = ["SramUse", "sram_json", "sram_page", "sram_uses"]

_VECTORS = ("write_enable", "write_address", "write_data", "read_address", "read_data")
"""Ports that may have several bits."""


@dataclass(frozen=True)
class SramUse:
    """SRAMs of one size.

    Attributes
    ----------
    macro
        Their size and latency.
    module
        Their module.
    count
        How many the design has.
    """

    macro: Macro
    module: ModuleText
    count: int


def sram_uses(design: ModuleTree) -> tuple[SramUse, ...]:
    """SRAMs of a design, the largest first. Raises ValueError if a black box is no SRAM."""
    uses = []
    for module in design.modules.values():
        try:
            macro = macro_of(module)
        except ValueError:
            if module.macro:
                raise
            continue
        uses.append(SramUse(macro, module, design.instances[module.name]))
    return tuple(sorted(uses, key=lambda use: (-use.macro.words * use.macro.bits, use.macro.name)))


def sram_json(top: str, uses: tuple[SramUse, ...], files: dict[str, dict[str, str]]) -> str:
    """The list as JSON: name, number, size, latency and ports of each SRAM, and its ``files`` by their fileset."""
    entries = [
        {
            "name": use.macro.name,
            "count": use.count,
            "words": use.macro.words,
            "bits": use.macro.bits,
            "write_bits": use.macro.part,
            "latency": use.macro.latency,
            "ports": [{"name": name, "direction": way, "bits": bits} for name, way, bits in use.module.ports],
            "files": {fileset: names[use.macro.name] for fileset, names in files.items()},
        }
        for use in uses
    ]
    total = sum(use.count * use.macro.words * use.macro.bits for use in uses)
    return json.dumps({"top": top, "sram_bits": total, "srams": entries}, indent=2) + "\n"


def sram_page(top: str, uses: tuple[SramUse, ...]) -> str:
    """The list to be read: rules of the ports, and a table of sizes, those of ports in bits."""
    lines = [
        f"# SRAMs of {top}",
        "",
        "One clock `clk`. One write port (`write_enable`, `write_address`, `write_data`) and one read port",
        "(`read_enable`, `read_address`, `read_data`), both used in the same cycle. A word that is written can be read",
        "from the next cycle on; a read of it in the same cycle may give anything. `read_data` is there `latency`",
        "cycles after `read_enable`, until that of the next read; a read may begin in every cycle. Contents are",
        "undefined at first. Each bit of `write_enable` writes a part of the word, the lowest bits first.",
        "",
        f"| module | count | words | latency | {' | '.join(f'`{name}`' for name in _VECTORS)} |",
        f"|---|---|---|---|{'---|' * len(_VECTORS)}",
    ]
    for use in uses:
        macro, bits = use.macro, {name: bits for name, _, bits in use.module.ports}
        sizes = [use.count, macro.words, macro.latency, *(bits[name] for name in _VECTORS)]
        lines.append(f"| `{macro.name}` | {' | '.join(map(str, sizes))} |")
    return "\n".join([*lines, ""])

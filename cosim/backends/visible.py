"""What benches see inside a design when a simulator makes everything else invisible."""

from __future__ import annotations

import re

from cosim.backends.base import Design
from rtl.emit.rtlil import kept_hierarchy

__all__ = ["visible_names"]

_MODULE = re.compile(r"^module (\w+) \((.*?)^endmodule", re.MULTILINE | re.DOTALL)
_BIT = re.compile(r"^  (?:input|output) (?:wire|reg) (\w+)", re.MULTILINE)
_MEMORY = re.compile(r"^  reg (?:\[\d+:0\] )?(\w+) \[", re.MULTILINE)


def visible_names(design: Design) -> str:
    """Settings of Verilator that make signals inside a design visible to benches.

    These are all memories, for the back door, and ports of one bit of observed blocks
    (:attr:`rtl.block.Block.observed`), for traces.
    """
    observed = kept_hierarchy(design.rtlil)
    lines = ["`verilator_config"]
    for name, body in _MODULE.findall(design.text):
        lines += [f'public_flat_rw -module "{name}" -var "{memory}"' for memory in _MEMORY.findall(body)]
        if name in observed:
            lines += [f'public_flat_rd -module "{name}" -var "{bit}"' for bit in _BIT.findall(body)]
    return "\n".join([*lines, ""])

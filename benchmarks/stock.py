"""The stock Amaranth path: ``amaranth.back.verilog`` on the whole design, run on Icarus, as the baseline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosim.backends.base import Backend, Design
from cosim.backends.icarus import Icarus
from rtl.block import Block, port_values

__all__ = ["Stock", "stock_verilog"]


def stock_verilog(block: Block, name: str) -> str:
    """Return the Verilog of a block as Amaranth writes it: a module for each instance, the ports named as in ours."""
    from amaranth.back import verilog

    # The Yosys that comes with Amaranth, as for our Verilog.
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    ports = {port: (signal, None) for port, (_, signal) in port_values(block).items()}
    text: str = verilog.convert(block, name=name, ports=ports, emit_src=False)
    return text


@dataclass(frozen=True)
class _Source:
    top: str
    text: str
    rtlil: str = ""


class Stock(Backend):
    """Icarus on the stock Verilog of a block, whatever design it is asked to build."""

    name = "icarus, stock Verilog"

    def __init__(self, block: Block) -> None:
        self._block = block
        self._text: str | None = None
        self._icarus = Icarus()

    def version(self) -> str:
        return self._icarus.version()

    def build(self, design: Design) -> Path:
        if self._text is None:
            # Icarus never starts an `always @*` whose inputs never change, as those of links that lead nowhere: its
            # outputs stay X.
            self._text = stock_verilog(self._block, design.top).replace("always @*", "always_comb")
        return self._icarus.build(_Source(design.top, self._text))

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._icarus.run(model, top, bench, folder, environment)

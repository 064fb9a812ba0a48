"""What each input of a projection is in the hardware, and the bench that measures it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chiplet.machine.base import StrictModel
from chiplet.machine.sources import Input, Status

__all__ = ["COUNTERPARTS", "Counterpart", "LedgerRow", "counterpart_of", "ledger_rows"]


class Counterpart(NamedTuple):
    """``hardware`` that an input stands for, and the ``bench``: a command that measures it, empty if none does."""

    hardware: str
    bench: str = ""


_CALIBRATE = "hecaton calibrate -o calibration.json"
_GEMM = "hecaton cosim gemm --m 128 --k 64 --n 64"
_VERILOG = "hecaton verilog -o die"
_PACKAGE = "hecaton verilog --package -o package"
_LEDGER = "make accept CHECKS=ledger"
_ARRAY = Counterpart("array and accumulator buffer: rtl/compute", _CALIBRATE)
_BUFFER = Counterpart("SRAM banks that are emitted, and their capacity: rtl/compute, rtl/memory", _VERILOG)
_PORT = Counterpart("memory port of a die and memory plane: rtl/memory, rtl/package", _GEMM)
_DRAM = Counterpart("none: DRAM and its controller are behind the AXI ports of the IO dies")
_FABRIC = Counterpart("none: network between packages")
_LANES = Counterpart(
    "lanes of the vector unit: rtl/vector", "hecaton cosim vector --program softmax --rows 16 --cols 64"
)

COUNTERPARTS: dict[str, Counterpart] = {
    "gemm.constant": _ARRAY,
    "gemm.fill_per_row": _ARRAY,
    "gemm.per_row": _ARRAY,
    "gemm.per_tile": _ARRAY,
    "gemm.drain_per_row": _ARRAY,
    "gemm.drain_per_col": _ARRAY,
    "gemm.drain_per_stage": Counterpart("adders of the accumulator buffer: rtl/compute", _LEDGER),
    "die.rows": Counterpart("rows of PEs that are emitted: rtl/compute", _VERILOG),
    "die.cols": Counterpart("columns of PEs that are emitted: rtl/compute", _VERILOG),
    "die.stages": Counterpart("register stages of the adders that are emitted: rtl/compute", _VERILOG),
    "die.weight_bytes": _BUFFER,
    "die.activation_bytes": _BUFFER,
    "die.accumulator_bytes": _BUFFER,
    "die.scratchpad_bytes": _BUFFER,
    "die.clock_hz": Counterpart(
        "clock of a die; what its stages allow: chiplet/machine/silicon/stage_clock.py"
    ),
    "link.lanes": Counterpart("lanes of a link adapter, whose phit carries them: rtl/network", _PACKAGE),
    "link.lane_rate": Counterpart(
        "transfers of a lane; the adapter takes them as bits of a cycle: rtl/network"
    ),
    "link.latency_seconds": Counterpart("PHY, as cycles of a delay in the bench: rtl/bench"),
    "link.goodput": Counterpart("frames of the link adapter: rtl/network", _CALIBRATE),
    "link.router_cycles": Counterpart(
        "router and engine that a flit crosses: rtl/network, rtl/engine", _CALIBRATE
    ),
    "link.pj_per_bit": Counterpart("none: PHY"),
    "nop.flit_bits": Counterpart("data bits of a flit that are emitted: rtl/network", _PACKAGE),
    "nop.coordinate_bits": Counterpart("coordinates in a packet's head: rtl/network", _PACKAGE),
    "memory.word_bytes": Counterpart("width of the memory port that is emitted: rtl/memory", _VERILOG),
    "memory.latency_cycles": Counterpart("memory of the bench behind the port: rtl/bench", _GEMM),
    "memory.outstanding": _PORT,
    "memory.channels": _DRAM,
    "memory.channels_per_edge_die": _DRAM,
    "memory.channel_bytes_per_second": _DRAM,
    "memory.efficiency": _DRAM,
    "memory.channel_bytes": _DRAM,
    "memory.pj_per_bit": _DRAM,
    "vector.lanes": _LANES,
    "vector.function_lanes": _LANES,
    "energy.mac_pj": Counterpart("none: cells of a PE"),
    "energy.vector_pj": Counterpart("none: cells of a lane"),
    "energy.sram_pj_per_byte": Counterpart("none: SRAM macros"),
    "energy.static_watts": Counterpart("none: leakage and clock tree"),
    "fabric.ports": _FABRIC,
    "fabric.port_bytes_per_second": _FABRIC,
    "fabric.latency_seconds": _FABRIC,
    "fabric.pj_per_bit": _FABRIC,
    "model.*": Counterpart("none: what the model's file says, or leaves out"),
    "silicon.*": Counterpart(
        "cells of the emitted die: rtl/synthesis", "hecaton synth --liberty cells.lib.gz -o silicon"
    ),
    "area.*": Counterpart("none: cells and macros of the emitted die, without layout"),
    "cost.*": Counterpart("none: wafers and assembly"),
}
"""The counterpart of every input, by its name; ``section.*`` stands for the others of a section."""


class LedgerRow(StrictModel):
    """An input that a projection used, and where it can be found and measured.

    Attributes
    ----------
    name, value, unit, status, source
        Of the input.
    hardware
        Its counterpart in the generated hardware.
    bench
        The command that measures it, or ``assumed``, or ``published``.
    """

    name: str
    value: float
    unit: str
    status: Status
    source: str
    hardware: str
    bench: str


def counterpart_of(name: str) -> Counterpart:
    """The counterpart of the input ``name``. Raises ``KeyError`` if it has none: the ledger is complete."""
    found = COUNTERPARTS.get(name)
    return COUNTERPARTS[f"{name.partition('.')[0]}.*"] if found is None else found


def ledger_rows(inputs: Iterable[Input]) -> Sequence[LedgerRow]:
    """The row of each of ``inputs``, in their order."""
    rows = []
    for entry in inputs:
        hardware, bench = counterpart_of(entry.name)
        status = "assumed" if entry.status == "measured" else entry.status
        rows.append(LedgerRow(**entry.model_dump(), hardware=hardware, bench=bench or status))
    return rows

"""The result of a synthesis, out of a mapped design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtl.synthesis.flow import MappedDesign, TimedBlock
from rtl.synthesis.library import Library
from rtl.synthesis.macros import MacroTimes, macro_of
from rtl.synthesis.paths import longest, period_of
from rtl.synthesis.result import BlockArea, MacroUse, SiliconConditions, Synthesis
from rtl.synthesis.scaling.block_numbers import BlockNumbers
from rtl.synthesis.synthesis_programs import find_program
from rtl.synthesis.timing_report import TimingPath

__all__ = ["synthesis_report"]

LONGEST = 10
"""Paths of a result."""


def synthesis_report(
    mapped: MappedDesign,
    library: Library,
    *,
    times: MacroTimes,
    target_hz: float,
    numbers: Mapping[str, BlockNumbers] | None = None,
) -> Synthesis:
    """What was found of a design that is mapped to the cells of a library; ``numbers`` are those of a die's blocks."""
    design, timing = mapped.design, mapped.timing
    counts, known = design.block_instances, numbers or {}
    blocks = sorted(
        (
            _block(name, counts[name], known.get(name), block, library)
            for name, block in mapped.blocks.items()
        ),
        key=lambda block: (-block.total_um2, block.block),
    )
    macros = [macro_of(module) for name, module in design.modules.items() if module.macro and counts[name]]
    period = _longest(timing.registers)
    return Synthesis(
        top=design.top,
        libraries=library.names,
        period_ps=period,
        clock_hz=1e12 / period if period else None,
        target_hz=target_hz,
        met=period is None or period <= 1e12 / target_hz,
        from_inputs_ps=_longest(timing.from_inputs),
        to_outputs_ps=_longest(timing.to_outputs),
        cells=sum(block.count * block.cells for block in blocks),
        area_um2=round(sum(block.total_um2 for block in blocks), 3),
        flip_flops=sum(block.count * block.flip_flops for block in blocks),
        latches=sum(counts[name] * block.mapped.latches for name, block in mapped.blocks.items()),
        loops=timing.loops,
        sram_bits=sum(counts[macro.name] * macro.words * macro.bits for macro in macros),
        macros=tuple(
            MacroUse(macro.name, counts[macro.name], macro.words, macro.bits, macro.part, 1, 1)
            for macro in sorted(macros, key=lambda macro: (-macro.words * macro.bits, macro.name))
        ),
        blocks=tuple(blocks),
        paths=longest(timing.registers, library, count=LONGEST),
        assumptions=SiliconConditions(
            sram_output_ps=times.output_ps,
            sram_setup_ps=times.setup_ps,
            wires="none",
            clock="ideal",
            voltage=library.voltage,
            temperature=library.temperature,
        ),
        modelled=mapped.modelled,
        reused=sum(block.reused for block in mapped.blocks.values()),
        yosys=find_program("yosys").version,
        opensta=find_program("sta").version,
    )


def _block(
    name: str, count: int, numbers: BlockNumbers | None, block: TimedBlock, library: Library
) -> BlockArea:
    cells = block.mapped.cells
    area = sum(number * library.cells[cell].area for cell, number in cells.items())
    return BlockArea(
        block=name,
        count=count,
        numbers=numbers,
        cells=sum(cells.values()),
        flip_flops=sum(number for cell, number in cells.items() if library.cells[cell].kind == "flip-flop"),
        area_um2=round(area, 3),
        total_um2=round(count * area, 3),
        period_ps=_longest(block.timing.registers),
        from_inputs_ps=_longest(block.timing.from_inputs),
        to_outputs_ps=_longest(block.timing.to_outputs),
    )


def _longest(paths: Sequence[TimingPath]) -> float | None:
    return round(max(map(period_of, paths)), 3) if paths else None

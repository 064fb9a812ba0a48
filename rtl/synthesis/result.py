"""What a synthesis found: a design in cells, area, macros, and the paths that limit its clock."""

from __future__ import annotations

from dataclasses import dataclass

from rtl.synthesis.scaling.block_numbers import BlockNumbers

__all__ = ["BlockArea", "LongPath", "MacroUse", "PathUnit", "SiliconConditions", "Synthesis"]


@dataclass(frozen=True)
class SiliconConditions:
    """What the figures hold for.

    Attributes
    ----------
    sram_output_ps, sram_setup_ps
        Times of every SRAM macro: from the clock to its word, and from its inputs to the clock.
    wires
        ``none``: no length, resistance or capacitance.
    clock
        ``ideal``: it reaches all registers at once, and has no tree.
    voltage, temperature
        Corner of the library, in V and degrees Celsius.
    """

    sram_output_ps: float
    sram_setup_ps: float
    wires: str
    clock: str
    voltage: float
    temperature: float


@dataclass(frozen=True)
class BlockArea:
    """A block that was mapped, without the blocks and macros inside.

    Attributes
    ----------
    block
        Its module.
    count
        How often the design has it.
    numbers
        That in a die of any rows and columns; null in a package.
    cells, flip_flops, area_um2
        Of one of them.
    total_um2
        Area of all of them.
    period_ps
        Longest path between registers of one block, with set-up; null without such a path.
    from_inputs_ps, to_outputs_ps
        Longest path from its inputs to registers or outputs, and from its registers to its outputs.
    """

    block: str
    count: int
    numbers: BlockNumbers | None
    cells: int
    flip_flops: int
    area_um2: float
    total_um2: float
    period_ps: float | None
    from_inputs_ps: float | None
    to_outputs_ps: float | None


@dataclass(frozen=True)
class MacroUse:
    """SRAM macros of one size.

    Attributes
    ----------
    macro
        Name of their module.
    count
        How many the design has.
    words, bits
        Of each one.
    write_bits
        Bits that one write enable writes.
    read_ports, write_ports
        Of each one.
    """

    macro: str
    count: int
    words: int
    bits: int
    write_bits: int
    read_ports: int
    write_ports: int


@dataclass(frozen=True)
class PathUnit:
    """A part of a path: instance of a block (empty for the top), cells that it passes there, and their delay in ps."""

    instance: str
    cells: int
    delay_ps: float


@dataclass(frozen=True)
class LongPath:
    """A path that limits the clock, and those like it.

    Attributes
    ----------
    start, end
        Register, macro port or pin where it starts and ends.
    period_ps
        The shortest period that it allows, with set-up.
    cells
        Cells of logic on the way.
    alike
        Ends of paths among the longest that differ in the number of a bit or an instance only.
    units
        The way, unit by unit.
    """

    start: str
    end: str
    period_ps: float
    cells: int
    alike: int
    units: tuple[PathUnit, ...]


@dataclass(frozen=True)
class Synthesis:
    """A design mapped to cells.

    Attributes
    ----------
    top
        Its top module.
    libraries
        Names of the cell libraries.
    period_ps, clock_hz
        Shortest period of the clock, and that as a frequency: paths between registers, macros among them.
    target_hz
        The clock that was asked for.
    met
        Whether the clock reaches it.
    from_inputs_ps, to_outputs_ps
        Longest path from the inputs of the design, and to its outputs.
    cells, area_um2, flip_flops, latches
        Of the whole design, without SRAM macros.
    loops
        Pins of each loop of logic.
    sram_bits
        Bits of all SRAM macros.
    macros, blocks, paths
        One object for each size of macro, each block, the largest in total first, and each of the longest paths.
    assumptions
        What the figures hold for.
    modelled
        Blocks of so many cells in total that the whole design was timed through models of them: their inner paths, and
        the worst bit of each of their ports.
    reused
        Blocks whose mapping was kept from before.
    yosys, opensta
        Versions of the programs.
    """

    top: str
    libraries: tuple[str, ...]
    period_ps: float | None
    clock_hz: float | None
    target_hz: float
    met: bool
    from_inputs_ps: float | None
    to_outputs_ps: float | None
    cells: int
    area_um2: float
    flip_flops: int
    latches: int
    loops: tuple[tuple[str, ...], ...]
    sram_bits: int
    macros: tuple[MacroUse, ...]
    blocks: tuple[BlockArea, ...]
    paths: tuple[LongPath, ...]
    assumptions: SiliconConditions
    modelled: tuple[str, ...]
    reused: int
    yosys: str
    opensta: str

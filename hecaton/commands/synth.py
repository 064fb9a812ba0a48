"""``hecaton synth``: a compute die or a package in cells of a library: area, macros, and the clock that it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson, MachineOptions, OutputDirectory, Workers
from hecaton.terminal.output import Output, to_json
from hecaton.terminal.simulation_options import WholePackage
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.machine.specs import SystemSpec
    from hecaton.results.silicon_objects import SynthesisFiles
    from hecaton.terminal.json_keys import JsonObject
    from rtl.emit.emitter import Emitted
    from rtl.synthesis.module_tree import ModuleTree
    from rtl.synthesis.result import Synthesis
    from rtl.synthesis.scaling.block_numbers import BlockNumbers

app = typer.Typer()

BLOCK_COLUMNS = (
    *("block", "count", "cells", "flip_flops", "area_um2", "total_um2"),
    *("period_ps", "from_inputs_ps", "to_outputs_ps"),
)

SHOWN_BLOCKS = 25
"""Blocks of the table: those with the most area in total."""


def _json_object() -> JsonObject:
    from hecaton.results.silicon_objects import SynthesisFiles, SynthesizedDesign
    from hecaton.terminal.json_keys import JsonObject
    from rtl.synthesis.result import Synthesis

    return JsonObject((Synthesis, SynthesizedDesign, SynthesisFiles))


@subcommand(
    app,
    examples=(
        "hecaton synth --liberty cells.lib.gz -o silicon -P die.rows=4 -P die.cols=4 -P die.stages=4",
        "hecaton synth --liberty logic.lib --liberty registers.lib --clock 1e9 -o silicon --json",
        "hecaton synth --liberty cells.lib --sram-output 250 --sram-setup 60 -o silicon -P die.sram_latency=2",
        "hecaton synth --package --liberty cells.lib -o silicon -P package.rows=1 -P package.cols=2",
    ),
    json_object=_json_object,
)
def synth(
    *,
    liberty: Annotated[
        list[Path],
        typer.Option(
            "--liberty",
            metavar="FILE",
            help="Liberty file of standard cells, plain or compressed with gzip; repeatable, all of one corner.",
        ),
    ],
    output: OutputDirectory,
    package: WholePackage = False,
    clock: Annotated[
        float | None,
        typer.Option("--clock", metavar="HZ", help="Clock that is asked for; by default die.clock_hz."),
    ] = None,
    sram_output: Annotated[
        float,
        typer.Option(
            "--sram-output", metavar="PS", help="Time from the clock to the word of every SRAM macro, ps."
        ),
    ] = 350.0,
    sram_setup: Annotated[
        float,
        typer.Option(
            "--sram-setup", metavar="PS", help="Time from the inputs of every SRAM macro to the clock, ps."
        ),
    ] = 80.0,
    workers: Workers = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Map a compute die, or with --package a package of dies, to the cells of a library with Yosys, and time it with
    OpenSTA: cells, area, SRAM macros, the shortest period of the clock and the paths that limit it, block by block and
    as a whole. Memories are cut out as macros with stated times; there are no wires, and the clock is ideal.

    Writes the Verilog, its constraints (SDC), the netlist, a Liberty library of the macros, the result as JSON and a
    picture of the area. Mapped blocks are kept, so that a second run takes seconds. Without --config the machine starts
    from the preset bench. Exit code 1 if there is a latch or a loop of logic.
    """
    from cosim.backends.cache import cached_build
    from cosim.workers.pool import cores
    from hecaton.plots.silicon import plot_area
    from hecaton.results.synthesized_design import synthesized_design
    from rtl.emit.output_files import check_output_folder, write_outputs
    from rtl.synthesis.flow import map_design
    from rtl.synthesis.library import load_library
    from rtl.synthesis.macros import MacroTimes
    from rtl.synthesis.module_tree import parse_modules
    from rtl.synthesis.report import synthesis_report
    from rtl.synthesis.synthesis_programs import SYNTHESIS_PROGRAMS, find_program

    with Output(as_json) as out:
        times = MacroTimes(
            output_ps=_positive("--sram-output", sram_output), setup_ps=_positive("--sram-setup", sram_setup)
        )
        for program in SYNTHESIS_PROGRAMS:
            find_program(program)
        check_output_folder(output)
        system = machine.load(out, "bench", "die.sram=macro")
        target = _positive("--clock", system.die.clock_hz if clock is None else clock)
        library = load_library(liberty)
        out.note("generating the Verilog")
        emitted = _emitted(system, package)
        design = parse_modules(emitted.text, emitted.top)
        with out.progress("mapping blocks", len(design.blocks) + 1) as advance:
            mapped = map_design(
                design,
                library,
                times=times,
                target_hz=target,
                keep=cached_build,
                workers=workers or cores(),
                done=advance,
            )
        numbers = None
        if not package:
            numbers = _numbers(design, system)
        result = synthesis_report(mapped, library, times=times, target_hz=target, numbers=numbers)
        files = _files(output, result.top)
        made_of = synthesized_design(
            asdict(result),
            system,
            package=package,
        )
        data: Mapping[str, Any] = {**asdict(result), **made_of, **files}
        contents = {
            files["verilog"]: emitted.text,
            files["constraints"]: mapped.constraints,
            files["netlist"]: mapped.netlist,
            files["macro_liberty"]: mapped.macro_text,
            files["report"]: to_json(data) + "\n",
        }
        write_outputs(output, {Path(name).name: text for name, text in contents.items()})
        plot_area(result, Path(files["picture"]))
        out.result(data, _view(result, files))
        if result.latches or result.loops:
            raise CheckFailed(
                f"{result.latches} latches and {len(result.loops)} loops of logic: must be none"
            )


def _positive(option: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{option} {value:g}: must be a number above 0")
    return value


def _emitted(system: SystemSpec, package: bool) -> Emitted:
    from cosim.run.designs import emitted_once
    from rtl.die.die import Die
    from rtl.package.package import Package

    if package:
        return emitted_once(Package, system=system, vector=True)
    return emitted_once(Die, die=system.die, memory=system.memory, vector=system.vector)


def _numbers(design: ModuleTree, system: SystemSpec) -> Mapping[str, BlockNumbers]:
    """The numbers of a die's blocks in dies of other rows and columns, of which one is emitted to compare with."""
    from rtl.synthesis.macros import single_cycle
    from rtl.synthesis.module_tree import parse_modules
    from rtl.synthesis.scaling.block_numbers import SizedDesign, block_numbers
    from rtl.synthesis.scaling.probe_die import probe_die

    other = probe_die(system.die)
    emitted = _emitted(system.model_copy(update={"die": other}), False)
    return block_numbers(
        SizedDesign(single_cycle(design), system.die.rows, system.die.cols),
        SizedDesign(single_cycle(parse_modules(emitted.text, emitted.top)), other.rows, other.cols),
    )


def _files(output: Path, top: str) -> SynthesisFiles:
    return {
        "verilog": str(output / f"{top}.v"),
        "constraints": str(output / f"{top}.sdc"),
        "netlist": str(output / f"{top}_netlist.v"),
        "macro_liberty": str(output / f"{top}_sram.lib"),
        "report": str(output / f"{top}_silicon.json"),
        "picture": str(output / f"{top}_area.svg"),
    }


def _view(result: Synthesis, files: SynthesisFiles) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    whole = {
        "top": result.top,
        "libraries": result.libraries,
        "shortest period ps": result.period_ps,
        "clock MHz": result.clock_hz and result.clock_hz / 1e6,
        "asked for MHz": result.target_hz / 1e6,
        "met": result.met,
        "cells": result.cells,
        "area um2, SRAM apart": result.area_um2,
        "flip-flops": result.flip_flops,
        "SRAM bits": result.sram_bits,
        "latches": result.latches,
        "loops": len(result.loops),
    }
    blocks = [asdict(block) for block in result.blocks]
    paths = [
        {
            "period ps": path.period_ps,
            "cells": path.cells,
            "from": path.start,
            "to": path.end,
            "alike": path.alike,
        }
        for path in result.paths
    ]
    assumed = result.assumptions
    return Group(
        pairs(whole, title="whole design"),
        columns(
            blocks[:SHOWN_BLOCKS],
            BLOCK_COLUMNS,
            title=f"blocks by total area ({min(SHOWN_BLOCKS, len(blocks))} of {len(blocks)})",
        ),
        columns(
            [asdict(macro) for macro in result.macros],
            ["macro", "count", "words", "bits", "write_bits", "read_ports", "write_ports"],
            title="SRAM macros",
        ),
        columns(paths, ["period ps", "cells", "from", "to", "alike"], title="longest paths"),
        f"Assumed: SRAM {assumed.sram_output_ps:g} ps from the clock to its word, {assumed.sram_setup_ps:g} ps set-up; "
        f"no wires; ideal clock; {assumed.voltage:g} V, {assumed.temperature:g} C. "
        f"Yosys {result.yosys}, OpenSTA {result.opensta}; {result.reused} of {len(blocks)} blocks were mapped before.",
        f"report {files['report']}, netlist {files['netlist']}, picture {files['picture']}",
    )

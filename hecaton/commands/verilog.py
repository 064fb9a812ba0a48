"""``hecaton verilog``: write a compute die or a package as Verilog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson, MachineOptions, OutputDirectory
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import WholePackage
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from hecaton.results.simulation_objects import VerilogFiles
    from hecaton.terminal.json_keys import JsonObject
    from rtl.block import Block
    from rtl.emit.emitter import Emitted

PACKAGE_SECTIONS = ("die", "memory", "nop", "link", "package", "vector")
"""Sections of the configuration that decide the Verilog of a package."""

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.simulation_objects import FlowFiles, VerilogFiles
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((VerilogFiles,), {"--flow": (FlowFiles,)})


@subcommand(
    app,
    examples=(
        "hecaton verilog -o die",
        "hecaton verilog -o die16 -P die.rows=16 -P die.cols=16 -P die.dtype=int8",
        "hecaton verilog -o die --config machine.toml -P die.sram=macro",
        "hecaton verilog --package -o package -P package.rows=2 -P package.cols=3",
        "hecaton verilog --flow -o die -P die.rows=4 -P die.cols=4 -P die.sram=macro",
    ),
    json_object=_json_object,
)
def verilog(
    *,
    output: OutputDirectory,
    package: WholePackage = False,
    flow: Annotated[
        bool,
        typer.Option(
            "--flow",
            help="Also write a FuseSoC core with a bench that checks itself, constraints (SDC), registers as "
            "SystemRDL, and the SRAMs as a list, as models and as block RAM.",
        ),
    ] = False,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Write a compute die, or with --package a package of dies, as Verilog: one module a file, a file list, waivers for
    Verilator's lint, and a JSON map of registers, counters, commands and signals, for a package also of its dies and IO
    dies. The same configuration gives the same bytes.

    Without --config the machine starts from the preset bench.
    """
    from chiplet.machine.configuration_keys import section_digests
    from rtl.die.die import Die
    from rtl.die.die_map import DIE_SECTIONS, die_map
    from rtl.emit.emitter import emit
    from rtl.flow_files.flow_files import flow_files

    with Output(as_json) as out:
        system = machine.load(out, "bench")
        if package:
            from rtl.package.package import Package, package_map

            top: Block = Package(system=system, vector=True)
            sections: tuple[str, ...] = PACKAGE_SECTIONS
            entries = package_map(system, vector=True)
        else:
            top = Die(die=system.die, memory=system.memory, vector=system.vector)
            sections = DIE_SECTIONS
            entries = die_map(system.die, system.memory, system.vector)

        def beside(emitted: Emitted) -> dict[str, str]:
            files = flow_files(
                emitted, clock_hz=system.die.clock_hz, dies=system.package.dies if package else None
            )
            beside_paths.extend(str(output / name) for name in files)
            return files

        beside_paths: list[str] = []
        emitted = emit(
            top,
            output,
            configuration={name: getattr(system, name).model_dump() for name in sections},
            map={**entries, "preset": out.preset, "digests": section_digests(system, sections)},
            beside=beside if flow else None,
        )
        files: VerilogFiles = {
            "top": emitted.top,
            "files": [str(path) for path in emitted.files],
            "modules": list(emitted.modules),
            "bytes": emitted.bytes,
            "seconds": round(emitted.seconds, 3),
            "map": str(output / f"{emitted.top}.json"),
            "file_list": str(output / f"{emitted.top}.f"),
            "lint_waivers": str(output / f"{emitted.top}.vlt"),
        }
        data: Mapping[str, Any] = {**files, "flow_files": beside_paths} if flow else files
        core = f"\nFuseSoC core {output / emitted.top}.core" if flow else ""
        out.result(
            data,
            f"{emitted.top}: {len(emitted.modules)} modules, {emitted.bytes} bytes in {output} "
            f"({emitted.seconds:.1f} s)\nfile list {files['file_list']}, map {files['map']}{core}",
        )

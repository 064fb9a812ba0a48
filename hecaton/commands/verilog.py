"""``hecaton verilog``: write a compute die or a package as Verilog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import AsJson, ConfigFile, Overrides, examples
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rtl.block import Block

DIE_SECTIONS: tuple[str, ...] = ("die", "memory")
PACKAGE_SECTIONS: tuple[str, ...] = ("die", "memory", "nop", "link", "package")
"""Sections of the configuration that decide the Verilog."""

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton verilog -o die",
        "hecaton verilog -o die16 -P die.rows=16 -P die.cols=16 -P die.dtype=int8",
        "hecaton verilog -o die --config machine.toml -P die.sram=macro",
        "hecaton verilog --package -o package -P package.rows=2 -P package.cols=3",
    )
)
def verilog(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="Directory for the Verilog; made if missing."),
    ],
    package: Annotated[
        bool, typer.Option("--package", help="A package of dies and IO dies instead of one die.")
    ] = False,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write a compute die, or a package of them, as Verilog: one module a file, a file list, and a JSON map of
    registers, counters, commands and signals, for a package also of its dies and IO dies. The same configuration gives
    the same bytes.

    The configuration starts from the preset bench.

    JSON keys: top, files, modules, bytes, seconds, map, file_list.
    """
    from chiplet.machine.config import load_system
    from rtl.die.die import Die, die_map
    from rtl.emit.emitter import emit

    with Output(as_json) as out:
        system = load_system(config, override or [], preset="bench")
        if package:
            from rtl.package.package import Package, package_map

            top: Block = Package(system=system)
            sections = PACKAGE_SECTIONS
            entries = package_map(system)
        else:
            top = Die(die=system.die, memory=system.memory)
            sections = DIE_SECTIONS
            entries = die_map(system.die, system.memory)
        emitted = emit(
            top,
            output,
            configuration={name: getattr(system, name).model_dump() for name in sections},
            map=entries,
        )
        data = {
            "top": emitted.top,
            "files": [str(path) for path in emitted.files],
            "modules": list(emitted.modules),
            "bytes": emitted.bytes,
            "seconds": round(emitted.seconds, 3),
            "map": str(output / f"{emitted.top}.json"),
            "file_list": str(output / f"{emitted.top}.f"),
        }
        out.result(
            data,
            f"{emitted.top}: {len(emitted.modules)} modules, {emitted.bytes} bytes in {output} "
            f"({emitted.seconds:.1f} s)\nfile list {data['file_list']}, map {data['map']}",
        )

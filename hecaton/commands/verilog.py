"""``hecaton verilog``: write a compute die as Verilog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hecaton.options import AsJson, ConfigFile, Overrides, examples
from hecaton.output import Output

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton verilog -o die",
        "hecaton verilog -o die16 -P die.rows=16 -P die.cols=16 -P die.dtype=int8",
        "hecaton verilog -o die --config machine.toml -P die.sram=macro",
    )
)
def verilog(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="Directory for the Verilog; made if missing."),
    ],
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write a compute die as Verilog: one module a file, a file list, and a JSON map of registers, counters,
    commands and signals. The same configuration gives the same bytes.

    The configuration starts from the preset bench.

    JSON keys: top, files, modules, bytes, seconds, map, file_list.
    """
    from chiplet.config import load_system
    from rtl.die import Die, die_map
    from rtl.emit import emit

    with Output(as_json) as out:
        system = load_system(config, override or [], preset="bench")
        emitted = emit(
            Die(die=system.die, memory=system.memory),
            output,
            configuration={"die": system.die.model_dump(), "memory": system.memory.model_dump()},
            map=die_map(system.die, system.memory),
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

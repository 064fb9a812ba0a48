"""``hecaton schema``: the JSON Schema of the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import AsJson, MachineOptions
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from hecaton.results.configuration_objects import SchemaFile
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.configuration_objects import SchemaFile
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((), {"-o": (SchemaFile,)})


@subcommand(
    app,
    examples=(
        "hecaton schema",
        "hecaton schema -o hecaton.schema.json",
    ),
    json_object=_json_object,
    names_preset=False,
)
def schema(
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the schema to FILE, not to stdout."),
    ] = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of the configuration file, for editors and validators.

    A configuration that is given with --config or -P is checked too. Without -o the JSON object is the schema.
    """
    import json

    from chiplet.machine.config import load_system, system_schema

    with Output(as_json) as out:
        load_system(machine.config, machine.overrides, preset=machine.preset("bench"))
        document = system_schema()
        text = json.dumps(document, indent=2, ensure_ascii=False)
        if output is None:
            out.result(document, text)
        else:
            from rtl.emit.output_files import write_output

            write_output(output, text + "\n")
            data: SchemaFile = {"file": str(output), "bytes": len(text.encode()) + 1}
            out.result(data, f"wrote {output}")

"""``hecaton schema``: the JSON Schema of the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hecaton.terminal.options import AsJson, ConfigFile, Overrides, examples
from hecaton.terminal.output import Output

app = typer.Typer()


@app.command(epilog=examples("hecaton schema", "hecaton schema -o hecaton.schema.json"))
def schema(
    config: ConfigFile = None,
    override: Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the schema to FILE, not to stdout."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of the configuration file, for editors and validators.

    A configuration that is given with --config or -P is checked on the way.
    With -o the JSON keys are: file, bytes. Without, the JSON object is the schema.
    """
    import json

    from chiplet.machine.config import load_system, system_schema
    from rtl.emit.output_files import write_output

    with Output(as_json) as out:
        load_system(config, override or [], preset="bench")
        found = system_schema()
        text = json.dumps(found, indent=2, ensure_ascii=False)
        if output is None:
            out.result(found, text)
        else:
            write_output(output, text + "\n")
            out.result({"file": output, "bytes": len(text.encode()) + 1}, f"wrote {output}")

"""``hecaton config``: look at the configuration that the layers make together."""

from __future__ import annotations

from typing import Annotated

import typer

from hecaton.terminal.options import AsJson, ConfigFile, Overrides, examples
from hecaton.terminal.output import Output

app = typer.Typer(help="Look at the configuration.")


@app.command(
    epilog=examples(
        "hecaton config show",
        "hecaton config show -P die.rows=16 -P die.dtype=int8 > machine.toml",
        "hecaton config show --config machine.toml --json",
    )
)
def show(
    config: ConfigFile = None,
    override: Overrides = None,
    preset: Annotated[str, typer.Option("--preset", metavar="NAME", help="Preset to start from.")] = "bench",
    as_json: AsJson = False,
) -> None:
    """Print the whole configuration, presets and overrides applied, as TOML that loads back.

    JSON keys: preset, config (sections of keys), sources (for each key the layer that its value comes from).
    """
    from chiplet.machine.config import dump_toml, load_configuration

    with Output(as_json) as out:
        found = load_configuration(config, override or [], preset=preset)
        out.result(
            {"preset": preset, "config": found.system, "sources": found.sources},
            dump_toml(found.system).rstrip(),
        )


@app.command(
    epilog=examples(
        "hecaton config memory",
        "hecaton project --model llama2-7b --dies 64 -P memory.preset=hbm3 -P memory.channels_per_edge_die=1.0",
    )
)
def memory(as_json: AsJson = False) -> None:
    """List the memory presets, which memory.preset selects: kind of DRAM, and what each channel or stack has.

    JSON keys: presets (preset, kind, channels_per_edge_die, channel_bytes_per_second, channel_bytes, pj_per_bit).
    """
    from chiplet.machine.config import memory_preset_names, read_memory_preset
    from hecaton.terminal.tables import columns

    with Output(as_json) as out:
        rows = [
            {"preset": name, **read_memory_preset(name).values["memory"]} for name in memory_preset_names()
        ]
        out.result({"presets": rows}, columns(rows, list(rows[0]), title="Memory presets"))

"""``hecaton config``: show the configuration that its layers make together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hecaton.terminal.options import AsJson, MachineOptions
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from hecaton.results.configuration_objects import ConfigurationObject, MemoryPreset, MemoryPresets
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer(help="Show the configuration.")


def _configuration_object() -> JsonObject:
    from hecaton.results.configuration_objects import ConfigurationObject
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((ConfigurationObject,))


def _memory_object() -> JsonObject:
    from hecaton.results.configuration_objects import MemoryPresets
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((MemoryPresets,))


@subcommand(
    app,
    examples=(
        "hecaton config show",
        "hecaton config show -P die.rows=16 -P die.dtype=int8 > machine.toml",
        "hecaton config show --config machine.toml --json",
    ),
    json_object=_configuration_object,
    names_preset=False,
)
def show(
    *,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Preset to start from; by default the one that is named, or else small with a file and bench without.",
        ),
    ] = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Print the whole configuration, presets and overrides applied, as TOML that loads back."""
    from chiplet.machine.config import PRESET_KEY, dump_toml, load_configuration, read_preset
    from chiplet.machine.configuration_keys import to_toml_value

    with Output(as_json) as out:
        if preset is not None:
            read_preset(preset)
            machine = replace(machine, override=[*machine.overrides, f"preset={preset}"])
        start = machine.preset("bench")
        configuration = load_configuration(machine.config, machine.overrides, preset=start)
        data: ConfigurationObject = {
            "preset": configuration.preset,
            "config": configuration.system,
            "sources": dict(configuration.sources),
        }
        named = f"{PRESET_KEY} = {to_toml_value(configuration.preset)}"
        out.result(data, f"{named}\n\n{dump_toml(configuration.system).rstrip()}")


@subcommand(
    app,
    examples=(
        "hecaton config memory",
        "hecaton project --model llama2-7b --dies 64 -P memory.preset=hbm3 -P memory.channels_per_edge_die=1.0",
    ),
    json_object=_memory_object,
)
def memory(as_json: AsJson = False) -> None:
    """List the memory presets, which memory.preset selects: DRAM type, rates and energies of a channel or stack."""
    from chiplet.machine.config import memory_preset_names, read_memory_preset
    from hecaton.terminal.tables import columns

    with Output(as_json) as out:
        rows = [
            cast("MemoryPreset", {"preset": name, **read_memory_preset(name).values["memory"]})
            for name in memory_preset_names()
        ]
        data: MemoryPresets = {"presets": rows}
        out.result(data, columns(rows, list(rows[0]), title="Memory presets"))

"""``hecaton export``: one layer of a projection as input for other simulators, to check ours against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import AsJson, MachineOptions, OutputDirectory
from hecaton.terminal.output import Output
from hecaton.terminal.projection_options import MethodOptions, StepOptions
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import integer_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.export.layer_graph import Node
    from chiplet.projection.project import Accounted
    from hecaton.results.projection_objects import ExportedGemms, ExportedTraces
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer(
    help="Write one layer of a projection as inputs of other tools: see docs/export.md.", no_args_is_help=True
)

Sequences = Annotated[
    int | None,
    integer_option(
        "--sequences",
        "Sequences that the layer works on; by default enough to give every die work in the attention.",
    ),
]
TokenTiles = Annotated[
    bool, typer.Option("--token-tiles", help="Cut every operation into the token tiles of the schedule.")
]
CycleLength = Annotated[
    str,
    typer.Option(
        "--cycle",
        metavar="ns|ps",
        help="What a cycle of ASTRA-sim stands for; with ps times in the files are a thousandfold.",
    ),
]


def _traces_object() -> JsonObject:
    from hecaton.results.projection_objects import ExportedTraces
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((ExportedTraces,))


def _gemms_object() -> JsonObject:
    from hecaton.results.projection_objects import ExportedGemms
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((ExportedGemms,))


@subcommand(
    app, examples=("hecaton export chakra --model llama2-7b --dies 64 -o trace",), json_object=_traces_object
)
def chakra(
    *,
    step: StepOptions,
    choice: MethodOptions,
    output: OutputDirectory,
    sequences: Sequences = None,
    token_tiles: TokenTiles = False,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Write the computation and collectives of one layer as Chakra execution traces: layer.<npu>.et and
    comm_group.json.

    One NPU is one die. Needs protobuf: pip install 'hecaton[export]'. Without --config the machine starts from the
    preset package.
    """
    import json

    from chiplet.export.chakra import groups, trace_files
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        accounted = _account(step, choice, machine, out)
        count, nodes = _layer(accounted, sequences, token_tiles)
        mesh = accounted.method.mesh
        listed = json.dumps(groups(nodes, mesh), indent=2) + "\n"
        written = _write(output, {"comm_group.json": listed}) + _write(
            output, trace_files(nodes, mesh, "layer")
        )
        out.result(*_traces(accounted, output, count, nodes, written))


@subcommand(
    app,
    name="astra-sim",
    examples=(
        "hecaton export astra-sim --model llama2-7b --dies 64 -o astra",
        "hecaton export astra-sim --model llama2-7b --dies 64 --method flat-ring --token-tiles -o ring",
    ),
    json_object=_traces_object,
)
def astra_sim(
    *,
    step: StepOptions,
    choice: MethodOptions,
    output: OutputDirectory,
    sequences: Sequences = None,
    token_tiles: TokenTiles = False,
    cycle: CycleLength = "ns",
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Write all inputs of ASTRA-sim for one layer: the Chakra traces and comm_group.json, network.yml of the
    analytical backend, system.json and memory.json.

    Durations are whole microseconds, and its cycles nanoseconds; with --cycle ps nanoseconds, and its cycles
    picoseconds. Needs protobuf: pip install 'hecaton[export]'. Without --config the machine starts from the preset
    package.
    """
    from chiplet.export.astra_sim import input_files, parse_cycle
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        length = parse_cycle(cycle)
        accounted = _account(step, choice, machine, out)
        count, nodes = _layer(accounted, sequences, token_tiles)
        files = input_files(accounted.method, accounted.machine.system, nodes, length)
        out.result(*_traces(accounted, output, count, nodes, _write(output, files)))


@subcommand(
    app,
    name="scale-sim",
    examples=("hecaton export scale-sim --model llama2-7b --dies 64 -o scale --json",),
    json_object=_gemms_object,
)
def scale_sim(
    *,
    step: StepOptions,
    choice: MethodOptions,
    output: OutputDirectory,
    sequences: Sequences = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Write the GEMMs of one layer on one die for SCALE-Sim: gemm.csv (topology) and die.cfg.

    The table has the array cycles of each by our terms, and SCALE-Sim's stall-free closed form. Without --config
    the machine starts from the preset package.
    """
    from dataclasses import asdict

    from chiplet.export.layer_graph import layer_sequences
    from chiplet.export.scale_sim import config_cfg, gemm_rows, topology_csv
    from hecaton.terminal.tables import columns
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        accounted = _account(step, choice, machine, out)
        count = layer_sequences(accounted, sequences)
        rows = gemm_rows(accounted, count)
        model = accounted.projection.model.replace("/", "_")
        name = f"{model}_{accounted.method.name}_{accounted.method.mesh}"
        files = {"gemm.csv": topology_csv(rows), "die.cfg": config_cfg(accounted.machine.system.die, name)}
        gemms = [asdict(row) for row in rows]
        data: ExportedGemms = {
            "directory": str(output),
            "files": _write(output, files),
            "tokens": count * accounted.projection.sequence_length,
            "gemms": rows,
            "macs": sum(row.times * row.m * row.k * row.n for row in rows),
        }
        out.result(data, columns(gemms, list(gemms[0]), title=f"GEMMs of a die, written to {output}"))


def _account(step: StepOptions, choice: MethodOptions, machine: MachineOptions, out: Output) -> Accounted:
    from chiplet.projection.project import account

    return account(step.request(machine.load(out, "package"), **choice.arguments()))


def _layer(accounted: Accounted, sequences: int | None, token_tiles: bool) -> tuple[int, list[Node]]:
    """Sequences and nodes of the layer."""
    from chiplet.export.chakra import messages
    from chiplet.export.layer_graph import layer_sequences, layer_trace

    messages()  # refuses before anything is written
    count = layer_sequences(accounted, sequences)
    return count, layer_trace(accounted, sequences=count, token_tiles=token_tiles)


def _traces(
    accounted: Accounted,
    output: Path,
    sequences: int,
    nodes: list[Node],
    written: list[str],
) -> tuple[ExportedTraces, RenderableType]:
    from hecaton.terminal.tables import pairs

    mesh = accounted.method.mesh
    data: ExportedTraces = {
        "directory": str(output),
        "files": [*(name for name in written if not name.endswith(".et")), "layer.<npu>.et"],
        "npus": mesh.nodes,
        "nodes": len(nodes),
        "tokens": sequences * accounted.projection.sequence_length,
        "received_bytes_per_die": sum(node.received_bytes for node in nodes),
        "collective_seconds": _seconds(nodes, collectives=True),
        "compute_seconds": _seconds(nodes, collectives=False),
    }
    return data, pairs(
        data, title=f"One layer of {accounted.projection.model}, {accounted.method.name} on {mesh}"
    )


def _seconds(nodes: list[Node], *, collectives: bool) -> float:
    return sum(node.seconds for node in nodes if (node.line is not None) == collectives)


def _write(output: Path, files: Mapping[str, str] | Iterable[tuple[str, str | bytes]]) -> list[str]:
    from rtl.emit.output_files import write_output

    names = []
    for name, content in files.items() if isinstance(files, Mapping) else files:
        write_output(output / name, content)
        names.append(name)
    return names

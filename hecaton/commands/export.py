"""``hecaton export``: one layer of a projection as inputs of other tools, so that they can check ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    ConfigFile,
    Dies,
    GlobalBatch,
    MeshSize,
    ModelName,
    Overrides,
    SequenceLength,
    examples,
    integer,
    parse_assignments,
    parse_mesh,
)
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.export.layer_graph import Node
    from chiplet.projection.project import Accounted

app = typer.Typer(
    help="Write one layer of a projection as inputs of other tools: see docs/export.md.", no_args_is_help=True
)

OutputDirectory = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Directory for the files; made if missing.")
]
MethodName = Annotated[
    str, typer.Option("--method", metavar="METHOD", help="hecaton, flat-ring, torus-ring or optimus.")
]
SwitchValues = Annotated[
    list[str] | None,
    typer.Option("--switch", metavar="NAME=VALUE", help="Set one switch of the method; repeatable."),
]
Sequences = Annotated[
    int | None,
    typer.Option(
        "--sequences",
        parser=integer(1),
        metavar="N",
        help="Sequences that the layer works on; else as many as give every die work in the attention.",
    ),
]
TokenTiles = Annotated[
    bool, typer.Option("--token-tiles", help="Cut every operation into the token tiles of the schedule.")
]


@app.command(epilog=examples("hecaton export chakra --model llama2-7b --dies 64 -o trace"))
def chakra(
    model: ModelName,
    output: OutputDirectory,
    dies: Dies = None,
    mesh: MeshSize = None,
    method: MethodName = "hecaton",
    switch: SwitchValues = None,
    sequences: Sequences = None,
    token_tiles: TokenTiles = False,
    calibration: CalibrationFile = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write one layer's compute and collectives as Chakra execution traces: layer.<npu>.et and comm_group.json.

    One NPU is one die. Needs protobuf: pip install 'hecaton[export]'. The configuration starts from the preset
    package.

    JSON keys: directory, files, npus, nodes, tokens, received_bytes_per_die, collective_seconds,
    compute_seconds.
    """
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        found = _account(
            model, dies, mesh, method, switch, calibration, global_batch, sequence_length, config, override
        )
        out.result(*_traces(found, output, sequences, token_tiles, {}))


@app.command(
    "astra-sim",
    epilog=examples(
        "hecaton export astra-sim --model llama2-7b --dies 64 -o astra",
        "hecaton export astra-sim --model llama2-7b --dies 64 --method flat-ring --token-tiles -o ring",
    ),
)
def astra_sim(
    model: ModelName,
    output: OutputDirectory,
    dies: Dies = None,
    mesh: MeshSize = None,
    method: MethodName = "hecaton",
    switch: SwitchValues = None,
    sequences: Sequences = None,
    token_tiles: TokenTiles = False,
    calibration: CalibrationFile = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write all inputs of ASTRA-sim for one layer: the Chakra traces and comm_group.json, network.yml of the
    analytical backend, system.json and memory.json.

    Needs protobuf: pip install 'hecaton[export]'. The configuration starts from the preset package.

    JSON keys: directory, files, npus, nodes, tokens, received_bytes_per_die, collective_seconds,
    compute_seconds.
    """
    from chiplet.export.astra_sim import input_files
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        found = _account(
            model, dies, mesh, method, switch, calibration, global_batch, sequence_length, config, override
        )
        files = input_files(found.method, found.machine.system)
        out.result(*_traces(found, output, sequences, token_tiles, files))


@app.command(
    "scale-sim",
    epilog=examples("hecaton export scale-sim --model llama2-7b --dies 64 -o scale --json"),
)
def scale_sim(
    model: ModelName,
    output: OutputDirectory,
    dies: Dies = None,
    mesh: MeshSize = None,
    method: MethodName = "hecaton",
    switch: SwitchValues = None,
    sequences: Sequences = None,
    calibration: CalibrationFile = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the GEMMs of one layer on one die for SCALE-Sim: gemm.csv (topology) and die.cfg.

    The table has the array cycles of each by our terms, and SCALE-Sim's stall-free closed form. The
    configuration starts from the preset package.

    JSON keys: directory, files, tokens, gemms (name, m, k, n, times, array_cycles, scale_sim_cycles), macs (of
    the busiest die).
    """
    from dataclasses import asdict

    from chiplet.export.layer_graph import layer_sequences
    from chiplet.export.scale_sim import config_cfg, gemm_rows, topology_csv
    from hecaton.terminal.tables import columns
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        found = _account(
            model, dies, mesh, method, switch, calibration, global_batch, sequence_length, config, override
        )
        count = layer_sequences(found, sequences)
        rows = gemm_rows(found, count)
        name = f"{found.projection.model}_{found.method.name}_{found.method.mesh}"
        files = {"gemm.csv": topology_csv(rows), "die.cfg": config_cfg(found.machine.system.die, name)}
        gemms = [asdict(row) for row in rows]
        data = {
            "directory": str(output),
            "files": _write(output, files),
            "tokens": count * found.projection.sequence_length,
            "gemms": gemms,
            "macs": sum(row.times * row.m * row.k * row.n for row in rows),
        }
        out.result(data, columns(gemms, list(gemms[0]), title=f"GEMMs of a die, written to {output}"))


def _account(
    model: str,
    dies: int | None,
    mesh: str | None,
    method: str,
    switch: list[str] | None,
    calibration: Path | None,
    global_batch: int | None,
    sequence_length: int | None,
    config: Path | None,
    override: list[str] | None,
) -> Accounted:
    from chiplet.machine.calibration import Calibration
    from chiplet.machine.config import load_system
    from chiplet.projection.job import StepRequest
    from chiplet.projection.project import account

    return account(
        StepRequest(
            model,
            load_system(config, override or [], preset="package"),
            dies=dies,
            mesh=parse_mesh(mesh),
            method=method,
            switches=parse_assignments("--switch", switch),
            calibration=None if calibration is None else Calibration.load(calibration),
            global_batch=global_batch,
            sequence_length=sequence_length,
        )
    )


def _traces(
    found: Accounted, output: Path, sequences: int | None, token_tiles: bool, files: Mapping[str, str]
) -> tuple[dict[str, Any], RenderableType]:
    import json

    from chiplet.export.chakra import groups, messages, trace_files
    from chiplet.export.layer_graph import layer_sequences, layer_trace
    from hecaton.terminal.tables import pairs
    from rtl.emit.output_files import write_output

    messages()  # refuses before anything is written
    count = layer_sequences(found, sequences)
    nodes = layer_trace(found, sequences=count, token_tiles=token_tiles)
    mesh = found.method.mesh
    listed = json.dumps(groups(nodes, mesh), indent=2) + "\n"
    written = _write(output, {**files, "comm_group.json": listed})
    for name, content in trace_files(nodes, mesh, "layer"):
        write_output(output / name, content)
    data = {
        "directory": str(output),
        "files": [*written, "layer.<npu>.et"],
        "npus": mesh.nodes,
        "nodes": len(nodes),
        "tokens": count * found.projection.sequence_length,
        "received_bytes_per_die": sum(node.received_bytes for node in nodes),
        "collective_seconds": _seconds(nodes, collectives=True),
        "compute_seconds": _seconds(nodes, collectives=False),
    }
    return data, pairs(data, title=f"One layer of {found.projection.model}, {found.method.name} on {mesh}")


def _seconds(nodes: list[Node], *, collectives: bool) -> float:
    return sum(node.seconds for node in nodes if (node.line is not None) == collectives)


def _write(output: Path, files: Mapping[str, str]) -> list[str]:
    from rtl.emit.output_files import write_outputs

    write_outputs(output, files)
    return list(files)

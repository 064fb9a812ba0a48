"""``hecaton cosim package``: a GEMM spread over the dies of the generated package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.commands.cosim.measured import link_lines, show_record
from hecaton.terminal.link_options import FaultOptions
from hecaton.terminal.options import AsJson, MachineOptions, MeshSize
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import Algorithm, GemmOptions, RunOptions, warn_of_depth
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import parse_mesh

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.package import PackageGemmRecord
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from cosim.records.package import PackageGemmRecord
    from hecaton.results.simulation_objects import SavedRecord
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((PackageGemmRecord, SavedRecord))


@subcommand(
    app,
    examples=(
        "hecaton cosim package --mesh 2x2 --m 16 --k 16 --n 16 --sim cxxrtl",
        "hecaton cosim package --mesh 1x3 --m 13 --k 7 --n 5 --form nt --operands special --direct",
        "hecaton cosim package --mesh 1x2 --m 8 --k 8 --n 8 --trace package.json",
        "hecaton cosim package --mesh 2x2 --m 16 --k 16 --n 16 --flips 1e-3 --stalls 1e-4 --sim cxxrtl",
        "hecaton cosim package --mesh 3x2 --m 9 --k 20 --n 8 --form tn -P die.dtype=int8 --algorithm ring --json",
    ),
    json_object=_json_object,
)
def package(
    *,
    workload: GemmOptions,
    faults: FaultOptions,
    run: RunOptions,
    mesh: MeshSize = None,
    algorithm: Algorithm = "chain",
    direct: Annotated[
        bool,
        typer.Option("--direct", help="Links as wires, without adapters: simulates faster."),
    ] = False,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Run Y = A B on all dies of the generated package together, with IO dies and their AXI memories, compare every
    bit, and count cycles and words.

    The operands are in memory once. The host starts one program on each die. Tokens come in tiles: while a die
    multiplies one, the next one is gathered along rows or columns, and the partial sums of the last one are
    scattered along the other lines and stored. Without --config the machine starts from the preset bench. Every run
    leaves a measurement record. --flips and the like concern all links, those of the memory plane as well;
    --dead-link one of the collective plane, and counts cycles from the start of the programs. Exit code 1 if any
    bit differs, a link is dead, or the run ends before a link dies.
    """
    from dataclasses import asdict

    from cosim.records.package import package_gemm_request
    from cosim.run.package_gemm import prepare
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(run.records)
        shape = parse_mesh(mesh)
        sizes = [] if shape is None else [f"package.rows={shape[0]}", f"package.cols={shape[1]}"]
        system = machine.load(out, "bench", *sizes)
        warn_of_depth(out, system.die)
        links = faults.of(system)
        request = package_gemm_request(
            **asdict(workload),
            algorithm=algorithm,
            system=system,
            seed=run.seed,
            sim=run.sim,
            direct=direct,
            links=links if links.faulty else None,
        )
        prepared = prepare(request, run.observation)
        dies = f"{system.package.rows}x{system.package.cols}"
        out.note(f"simulating {workload} on a package of {dies} dies with {run.sim} ...")
        with out.fraction("phases") as progress:
            record = prepared.run(progress)
        compared = f"of {workload.m * workload.n} results differ from the golden model"
        show_record(out, record, run.records, _tables, mismatches=record.mismatches, compared=compared)


def _tables(record: PackageGemmRecord, provenance: Mapping[str, object]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    phases = [phase.model_dump() for phase in record.phases]
    dies = [{"die": f"({die.row}, {die.col})", **die.model_dump()} for die in record.dies]
    moved = sum(sum(words.values()) for words in record.axi_bytes.values())
    return Group(
        pairs(
            {
                "package": f"{record.mesh} dies of {record.rows}x{record.cols} {record.dtype}",
                "mismatches": record.mismatches,
                "cycles": f"{record.cycles} (predicted {record.predicted_cycles}, ideal {record.ideal_cycles})",
                "utilization": f"{record.utilization:.2%}, of the array {record.array_utilization:.2%}",
                "AXI bytes": f"{moved} (operands and result: {record.least_axi_bytes})",
                **record.axi_bytes,
                **link_lines(record.link_faults, record.link_ends),
                **provenance,
            },
            title=f"{record.m}x{record.k}x{record.n} {record.form}, {record.algorithm}, seed {record.seed}",
        ),
        columns(phases, list(phases[0]), title="Phases; AXI in words"),
        columns(dies, ["die", "macs", "utilization", "mismatches"], title="Dies"),
    )

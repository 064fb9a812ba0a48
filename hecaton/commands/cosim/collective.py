"""``hecaton cosim collective``: a collective between the generated dies of a mesh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.commands.cosim.measured import link_lines, show_record
from hecaton.terminal.link_options import LinkOptions
from hecaton.terminal.options import AsJson, MachineOptions, MeshSize
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import (
    Algorithm,
    OperandChoice,
    RunOptions,
    Stall,
    WholePackage,
    warn_of_depth,
)
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import integer_option, parse_mesh

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.collective import CollectiveRecord
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from cosim.records.collective import CollectiveRecord
    from cosim.records.package import PackageCollectiveRecord
    from hecaton.results.simulation_objects import SavedRecord
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((CollectiveRecord, SavedRecord), {"--package": (PackageCollectiveRecord,)})


@subcommand(
    app,
    examples=(
        "hecaton cosim collective --op all-gather --mesh 1x4 --axis row --algorithm ring --flits 64",
        "hecaton cosim collective --op all-reduce --mesh 3x2 --axis both --flits 7 --operands special --sim cxxrtl",
        "hecaton cosim collective --op all-reduce --mesh 1x3 --flits 100 --links --flips 1e-3 --sim cxxrtl",
        "hecaton cosim collective --op reduce-scatter --mesh 1x4 --flits 16 --trace scatter.json",
        "hecaton cosim collective --op reduce-scatter --mesh 5x1 --axis column --flits 13 -P die.dtype=int8 --json",
        "hecaton cosim collective --op all-gather --mesh 2x3 --axis both --flits 16 --package --sim cxxrtl",
        "hecaton cosim collective --op all-reduce --mesh 2x2 --axis both --flits 9 --package --flips 1e-3",
    ),
    json_object=_json_object,
)
def collective(
    *,
    op: Annotated[
        str,
        typer.Option(
            "--op", metavar="all-gather|reduce-scatter|all-reduce", help="What the dies of a line do."
        ),
    ],
    flits: Annotated[
        int,
        integer_option("--flits", "Flits of a die's chunk.", high=65535, metavar="F"),
    ],
    faults: LinkOptions,
    run: RunOptions,
    mesh: MeshSize = None,
    axis: Annotated[
        str,
        typer.Option(
            "--axis",
            metavar="row|column|both",
            help="Lines: all rows, all columns, or all of both at the same time.",
        ),
    ] = "row",
    algorithm: Algorithm = "chain",
    operands: OperandChoice = "normal",
    stall: Stall = 0.0,
    package: WholePackage = False,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Run a collective on a mesh of generated dies: make their programs, simulate the Verilog, compare every bit, count
    cycles.

    Without --config the machine starts from the preset bench; without --links the links have no latency. Cycles run
    from the first flit that leaves an engine to the last one that enters one; floor_cycles is what the links allow
    at a flit a cycle, predicted_cycles what the schedule takes with the design's terms. With --stall the dies begin
    at different times. With --package, chunks come from the memories behind the IO dies and go back there, and the
    host starts all dies in the same cycle; its links always have adapters, and --flips and the like concern all of
    them, those of the memory plane as well. --dead-link counts cycles from the one in which the dies may send.
    Every run leaves a measurement record. Exit code 1 if any bit differs from the golden result, a link is dead, or
    the run ends before a link dies.
    """
    from cosim.records.collective import collective_request
    from cosim.run import collective as on_mesh
    from cosim.run import package_collective as on_package
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(run.records)
        system = machine.load(out, "bench")
        warn_of_depth(out, system.die)
        rows, cols = parse_mesh(mesh) or (system.package.rows, system.package.cols)
        request = collective_request(
            op=op,
            rows=rows,
            cols=cols,
            axis=axis,
            algorithm=algorithm,
            flits=flits,
            die=system.die,
            nop=system.nop,
            memory=system.memory,
            links=faults.of(system) if package else faults.chosen(system),
            operands=operands,
            stall=stall,
            seed=run.seed,
            sim=run.sim,
        )
        prepared = (
            on_package.prepare(request, system, run.observation)
            if package
            else on_mesh.prepare(request, run.observation)
        )
        where = f"a package of {rows}x{cols}" if package else f"{rows}x{cols}"
        out.note(f"simulating {op} of {flits} flits a die on {where} dies with {run.sim} ...")
        record = prepared.run()
        compared = "words of the chunks differ from the golden result"
        show_record(out, record, run.records, _tables, mismatches=record.mismatches, compared=compared)


def _tables(record: CollectiveRecord, provenance: Mapping[str, object]) -> RenderableType:
    from hecaton.terminal.tables import pairs

    stalls = ("send_stall_semaphore", "send_stall_link", "receive_stall_semaphore")
    return pairs(
        {
            "dies": f"{record.mesh}, along {record.axis} lines, flits of {record.nop.flit_bits} bits",
            "mismatches": record.mismatches,
            "cycles": f"{record.cycles} (floor {record.floor_cycles}, predicted {record.predicted_cycles:g})",
            "utilization": f"{record.utilization:.2%}",
            "flits sent": {side: count for side, count in record.flits_sent.items() if count},
            **_link_lines(record),
            "stalled cycles": {name: sum(die[name] for die in record.counters) for name in stalls},
            **provenance,
        },
        title=f"{record.op}, {record.algorithm}, {record.flits} flits a die, {record.dtype}, seed {record.seed}",
    )


def _link_lines(record: CollectiveRecord) -> dict[str, object]:
    faults, ends = getattr(record, "link_faults", None), getattr(record, "link_ends", None)
    if ends is not None:
        return link_lines(faults, ends)
    totals = record.link_totals
    if totals is None:
        return {}
    names = ("sent", "replayed", "crc_errors", "flips", "stalls")
    return {"links": {name: getattr(totals, name) for name in names}}

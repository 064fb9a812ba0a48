"""``hecaton cosim collective``: a collective between the generated dies of a mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.link_options import Burst, DeadLink, Flips, Links, LinkStalls, faulty_links
from hecaton.terminal.options import (
    AsJson,
    ConfigFile,
    Overrides,
    Seed,
    Simulator,
    TraceFile,
    WaveFile,
    examples,
    integer,
    parse_mesh,
)
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.collective import CollectiveRecord

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton cosim collective --op all-gather --mesh 1x4 --axis row --algorithm ring --flits 64",
        "hecaton cosim collective --op all-reduce --mesh 3x2 --axis both --flits 7 --operands special --sim cxxrtl",
        "hecaton cosim collective --op all-reduce --mesh 1x3 --flits 100 --links --flips 1e-3 --sim cxxrtl",
        "hecaton cosim collective --op reduce-scatter --mesh 1x4 --flits 16 --trace scatter.json",
        "hecaton cosim collective --op reduce-scatter --mesh 5x1 --axis column --flits 13 -P die.dtype=int8 --json",
        "hecaton cosim collective --op all-gather --mesh 2x3 --axis both --flits 16 --package --sim cxxrtl",
    )
)
def collective(
    op: Annotated[
        str,
        typer.Option(
            "--op", metavar="all-gather|reduce-scatter|all-reduce", help="What the dies of a line do."
        ),
    ],
    flits: Annotated[
        int,
        typer.Option("--flits", parser=integer(1, 65535), metavar="F", help="Flits of a die's chunk."),
    ],
    mesh: Annotated[
        str | None,
        typer.Option("--mesh", metavar="RxC", help="Rows x columns of dies; else the package's."),
    ] = None,
    axis: Annotated[
        str,
        typer.Option(
            "--axis",
            metavar="row|column|both",
            help="Lines: all rows, all columns, or all of both at the same time.",
        ),
    ] = "row",
    algorithm: Annotated[
        str,
        typer.Option("--algorithm", metavar="ring|chain", help="Folded ring, or chain in both directions."),
    ] = "chain",
    operands: Annotated[
        str,
        typer.Option(
            "--operands",
            metavar="normal|special",
            help="Random numbers, or with zeros, subnormals, Inf, NaN.",
        ),
    ] = "normal",
    stall: Annotated[
        float,
        typer.Option(
            "--stall",
            metavar="CHANCE",
            help="Chance that a cycle of a memory port stalls, 0 to 0.9: dies begin one after the other.",
        ),
    ] = 0.0,
    package: Annotated[
        bool,
        typer.Option(
            "--package", help="On the whole package, with its links, IO dies and memories, instead of a mesh."
        ),
    ] = False,
    links: Links = False,
    flips: Flips = 0.0,
    burst: Burst = 0,
    stalls: LinkStalls = 0.0,
    dead_link: DeadLink = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    records: Annotated[
        Path, typer.Option("--records", metavar="DIR", help="Directory for the measurement record.")
    ] = Path("records"),
    trace: TraceFile = None,
    waves: WaveFile = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run a collective on a mesh of generated dies: make their programs, simulate the Verilog, compare every bit, count
    cycles.

    The configuration starts from the preset bench; without --links the links have no latency. Cycles run from the
    first flit that leaves an engine to the last one that enters one; floor_cycles is what the links allow at a flit a
    cycle, predicted_cycles what the schedule takes with the design's terms. Every run leaves a measurement record.
    Exit code 1 if any bit differs from the golden result, or a link is dead. With --package, chunks come from the
    memories behind the IO dies and go back there, and the host lets all dies begin in the same cycle.

    JSON keys: op, mesh, axis, algorithm, flits, dtype, nop, cycles, floor_cycles, predicted_cycles, utilization
    (floor / cycles), mismatches (32-bit words), flits_sent and flits_received (by side, over all dies), commands (of
    the longest program), counters (of each die, row by row), link_totals (with --links), seed, sim,
    simulator_version, hecaton_version, verilog_sha256, wall_seconds, request, record; with --package also io and
    phase_cycles (load, collective, store).
    """
    from chiplet.machine.config import load_system
    from cosim.observe.observation import Observation
    from cosim.records.collective import collective_request
    from cosim.run import collective as on_mesh
    from cosim.run import package_collective as on_package
    from hecaton.results.records import save_record
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(records)
        system = load_system(config, override or [], preset="bench")
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
            links=faulty_links(system, links, flips, burst, stalls, dead_link),
            operands=operands,
            stall=stall,
            seed=seed,
            sim=sim,
        )
        observation = Observation(trace=trace, waves=waves)
        prepared = (
            on_package.prepare(request, system, observation)
            if package
            else on_mesh.prepare(request, observation)
        )
        where = f"a package of {rows}x{cols}" if package else f"{rows}x{cols}"
        out.note(f"simulating {op} of {flits} flits a die on {where} dies with {sim} ...")
        record = prepared.run()
        path = save_record(record, records)
        out.result({**record.model_dump(mode="json"), "record": str(path)}, _view(record, path))
        if record.mismatches:
            raise CheckFailed(f"{record.mismatches} words of the chunks differ from the golden result")


def _view(record: CollectiveRecord, path: Path) -> RenderableType:
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
            "simulator": f"{record.sim} {record.simulator_version}, {record.wall_seconds:.1f} s",
            "record": str(path),
        },
        title=f"{record.op}, {record.algorithm}, {record.flits} flits a die, {record.dtype}, seed {record.seed}",
    )


def _link_lines(record: CollectiveRecord) -> dict[str, object]:
    totals = record.link_totals
    if totals is None:
        return {}
    names = ("sent", "replayed", "crc_errors", "flips", "stalls")
    return {"links": {name: getattr(totals, name) for name in names}}

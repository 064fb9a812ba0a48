"""``hecaton cosim package``: a GEMM spread over the dies of the generated package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.errors import CheckFailed
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

    from cosim.records.package import PackageGemmRecord

app = typer.Typer()

Size = integer(1, 1 << 24)


@app.command(
    epilog=examples(
        "hecaton cosim package --mesh 2x2 --m 16 --k 16 --n 16 --sim cxxrtl",
        "hecaton cosim package --mesh 1x3 --m 13 --k 7 --n 5 --form nt --operands special --direct",
        "hecaton cosim package --mesh 1x2 --m 8 --k 8 --n 8 --trace package.json",
        "hecaton cosim package --mesh 3x2 --m 9 --k 20 --n 8 --form tn -P die.dtype=int8 --algorithm ring --json",
    )
)
def package(
    m: Annotated[int, typer.Option("--m", parser=Size, metavar="M", help="Rows of the result.")],
    k: Annotated[int, typer.Option("--k", parser=Size, metavar="K", help="Summed dimension.")],
    n: Annotated[int, typer.Option("--n", parser=Size, metavar="N", help="Columns of the result.")],
    mesh: Annotated[
        str | None,
        typer.Option("--mesh", metavar="RxC", help="Rows x columns of dies; else the package's."),
    ] = None,
    form: Annotated[
        str, typer.Option("--form", metavar="nn|nt|tn", help="XW, dY W^T or X^T dY: how operands are stored.")
    ] = "nn",
    algorithm: Annotated[
        str,
        typer.Option("--algorithm", metavar="ring|chain", help="Folded ring, or chain in both directions."),
    ] = "chain",
    direct: Annotated[
        bool,
        typer.Option("--direct", help="Wires for links, without adapters: simulates faster."),
    ] = False,
    stall: Annotated[
        float,
        typer.Option("--stall", metavar="CHANCE", help="Chance that a cycle of a memory stalls, 0 to 0.9."),
    ] = 0.0,
    interval: Annotated[
        int,
        typer.Option(
            "--interval",
            parser=integer(1, 1 << 15),
            metavar="N",
            help="Least cycles between requests of a memory.",
        ),
    ] = 1,
    operands: Annotated[
        str,
        typer.Option(
            "--operands",
            metavar="normal|special",
            help="Random numbers, or with zeros, subnormals, Inf, NaN.",
        ),
    ] = "normal",
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
    """Run Y = A B on all dies of the generated package together, with IO dies and their AXI memories, compare every
    bit, and count cycles and words.

    The operands are in memory once. In phases, which the host starts on all dies at once, each die loads its part
    (load), the parts are gathered along rows or columns (gather), each die multiplies (multiply), the partial sums are
    scattered along the other lines (scatter) and stored (store). The configuration starts from the preset bench. Every
    run leaves a measurement record. Exit code 1 if any bit differs.

    JSON keys: m, k, n, form, algorithm, mesh, rows, cols, dtype, cycles (sum of the phases), ideal_cycles, utilization
    (ideal / cycles), array_utilization (ideal / those of multiply), mismatches, phases (name, cycles, axi_reads and
    axi_writes in words, nop_flits), dies (row, col, macs, utilization, mismatches), axi_bytes (of each IO die),
    least_axi_bytes (operands and result once), counters (of each die in each phase), seed, sim, simulator_version,
    hecaton_version, verilog_sha256, wall_seconds, request, record.
    """
    from chiplet.machine.config import load_system
    from cosim.observe.observation import Observation
    from cosim.records.package import package_gemm_request
    from cosim.run.package_gemm import prepare
    from hecaton.results.records import save_record
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(records)
        shape = parse_mesh(mesh)
        sizes = [] if shape is None else [f"package.rows={shape[0]}", f"package.cols={shape[1]}"]
        system = load_system(config, [*(override or []), *sizes], preset="bench")
        request = package_gemm_request(
            m=m,
            k=k,
            n=n,
            form=form,
            algorithm=algorithm,
            system=system,
            seed=seed,
            stall=stall,
            interval=interval,
            operands=operands,
            sim=sim,
            direct=direct,
        )
        prepared = prepare(request, Observation(trace=trace, waves=waves))
        dies = f"{system.package.rows}x{system.package.cols}"
        out.note(f"simulating {m}x{k}x{n} ({form}) on a package of {dies} dies with {sim} ...")
        with out.share("phases") as progress:
            record = prepared.run(progress)
        path = save_record(record, records)
        out.result({**record.model_dump(mode="json"), "record": str(path)}, _view(record, path))
        if record.mismatches:
            raise CheckFailed(f"{record.mismatches} of {m * n} results differ from the golden model")


def _view(record: PackageGemmRecord, path: Path) -> RenderableType:
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
                "cycles": f"{record.cycles} (ideal {record.ideal_cycles})",
                "utilization": f"{record.utilization:.2%}, while multiplying {record.array_utilization:.2%}",
                "AXI bytes": f"{moved} (operands and result: {record.least_axi_bytes})",
                **record.axi_bytes,
                "simulator": f"{record.sim} {record.simulator_version}, {record.wall_seconds:.1f} s",
                "record": str(path),
            },
            title=f"{record.m}x{record.k}x{record.n} {record.form}, {record.algorithm}, seed {record.seed}",
        ),
        columns(phases, list(phases[0]), title="Phases; AXI in words"),
        columns(dies, ["die", "macs", "utilization", "mismatches"], title="Dies"),
    )

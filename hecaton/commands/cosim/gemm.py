"""``hecaton cosim``: run workloads on the generated hardware and compare every bit with the golden model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.commands.cosim import regress
from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    ConfigFile,
    Overrides,
    Seed,
    Simulator,
    TraceFile,
    WaveFile,
    examples,
    integer,
)
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.gemm import GemmRecord

app = typer.Typer(no_args_is_help=True)

Size = integer(1, 1 << 24)


@app.callback()
def _cosim() -> None:
    """Run workloads on the generated hardware and compare every bit with the golden model."""


@app.command(
    epilog=examples(
        "hecaton cosim gemm --m 37 --k 53 --n 29",
        "hecaton cosim gemm --m 31 --k 32 --n 31 --form tn -P die.rows=5 -P die.cols=3 -P die.dtype=int8",
        "hecaton cosim gemm --m 16 --k 16 --n 16 --stall 0.3 --seed 7 --json",
        "hecaton cosim gemm --m 64 --k 64 --n 64 --trace gemm.json --waves gemm.fst",
    )
)
def gemm(
    m: Annotated[int, typer.Option("--m", parser=Size, metavar="M", help="Rows of the result.")],
    k: Annotated[int, typer.Option("--k", parser=Size, metavar="K", help="Summed dimension.")],
    n: Annotated[int, typer.Option("--n", parser=Size, metavar="N", help="Columns of the result.")],
    form: Annotated[
        str, typer.Option("--form", metavar="nn|nt|tn", help="XW, dY W^T or X^T dY: how operands are stored.")
    ] = "nn",
    stall: Annotated[
        float,
        typer.Option(
            "--stall", metavar="CHANCE", help="Chance that a cycle of the memory port stalls, 0 to 0.9."
        ),
    ] = 0.0,
    interval: Annotated[
        int,
        typer.Option(
            "--interval",
            parser=integer(1, 1 << 15),
            metavar="N",
            help="Least cycles between memory requests.",
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
    calibration: CalibrationFile = None,
    records: Annotated[
        Path, typer.Option("--records", metavar="DIR", help="Directory for the measurement record.")
    ] = Path("records"),
    trace: TraceFile = None,
    waves: WaveFile = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run Y = A B on the generated die: schedule it, simulate the Verilog, compare every bit, count cycles.

    The configuration starts from the preset bench. Every run leaves a measurement record. Exit code 1 if any bit
    differs.

    JSON keys: m, k, n, form, rows, cols, dtype, cycles, array_cycles, ideal_cycles, floor_cycles,
    predicted_cycles, predicted_array_cycles, utilization, mismatches, counters, commands, seed, sim,
    simulator_version, hecaton_version, verilog_sha256, wall_seconds, request, record.
    """
    from chiplet.machine.calibration import Calibration
    from chiplet.machine.config import load_system
    from cosim.observe.observation import Observation
    from cosim.records.gemm import gemm_request
    from cosim.run.gemm import prepare
    from hecaton.results.records import save_record
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(records)
        system = load_system(config, override or [], preset="bench")
        terms = None
        if calibration is not None:
            measured = Calibration.load(calibration)
            measured.check_die(system.die)
            terms = measured.terms
        request = gemm_request(
            m=m,
            k=k,
            n=n,
            form=form,
            die=system.die,
            memory=system.memory,
            seed=seed,
            stall=stall,
            interval=interval,
            operands=operands,
            sim=sim,
        )
        prepared = prepare(request, Observation(trace=trace, waves=waves))
        out.note(
            f"simulating {m}x{k}x{n} ({form}) on a {system.die.rows}x{system.die.cols} die with {sim} ..."
        )
        with out.share("cycles") as progress:
            record = prepared.run(terms, progress)
        path = save_record(record, records)
        out.result({**record.model_dump(mode="json"), "record": str(path)}, _view(record, path))
        if record.mismatches:
            raise CheckFailed(f"{record.mismatches} of {m * n} results differ from the golden model")


app.add_typer(regress.app)


def _view(record: GemmRecord, path: Path) -> RenderableType:
    from hecaton.terminal.tables import pairs

    stalls = {name: count for name, count in record.counters.items() if "stall" in name}
    return pairs(
        {
            "die": f"{record.rows}x{record.cols} {record.dtype}",
            "mismatches": record.mismatches,
            "cycles": f"{record.cycles} (predicted {record.predicted_cycles})",
            "array cycles": f"{record.array_cycles} (floor {record.floor_cycles}, ideal {record.ideal_cycles})",
            "utilization": f"{record.utilization:.2%}",
            "stalled cycles": stalls,
            "simulator": f"{record.sim} {record.simulator_version}, {record.wall_seconds:.1f} s",
            "record": str(path),
        },
        title=f"{record.m}x{record.k}x{record.n} {record.form}, seed {record.seed}",
    )

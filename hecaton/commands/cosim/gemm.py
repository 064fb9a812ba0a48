"""``hecaton cosim gemm``: a GEMM on the generated die."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import typer

from hecaton.commands.cosim.measured import show_record
from hecaton.terminal.options import AsJson, CalibrationFile, Explain, MachineOptions, load_calibration
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import GemmOptions, RunOptions
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.gemm import GemmRecord
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from cosim.records.gemm import GemmRecord
    from hecaton.results.simulation_objects import SavedRecord
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((GemmRecord, SavedRecord))


@subcommand(
    app,
    examples=(
        "hecaton cosim gemm --m 37 --k 53 --n 29",
        "hecaton cosim gemm --m 31 --k 32 --n 31 --form tn -P die.rows=5 -P die.cols=3 -P die.dtype=int8",
        "hecaton cosim gemm --m 16 --k 16 --n 16 --stall 0.3 --seed 7 --json",
        "hecaton cosim gemm --m 37 --k 53 --n 29 --explain",
        "hecaton cosim gemm --m 64 --k 64 --n 64 --trace gemm.json --waves gemm.fst",
    ),
    json_object=_json_object,
)
def gemm(
    *,
    workload: GemmOptions,
    run: RunOptions,
    explain: Explain = False,
    calibration: CalibrationFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Run Y = A B on the generated die: make its program, simulate the Verilog, compare every bit, count cycles.

    Without --config the machine starts from the preset bench. Every run leaves a measurement record. Exit code 1 if
    any bit differs.
    """
    from dataclasses import asdict

    from cosim.records.gemm import gemm_request
    from cosim.run.gemm import prepare
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(run.records)
        system = machine.load(out, "bench")
        measured = load_calibration(calibration)
        terms = None
        if measured is not None:
            measured.check_die(system.die)
            terms = measured.terms
        request = gemm_request(
            **asdict(workload), die=system.die, memory=system.memory, seed=run.seed, sim=run.sim
        )
        prepared = prepare(request, run.observation)
        out.note(f"simulating {workload} on a {system.die.rows}x{system.die.cols} die with {run.sim} ...")
        with out.fraction("cycles") as progress:
            record = prepared.run(terms, progress)
        compared = f"of {workload.m * workload.n} results differ from the golden model"
        show_record(
            out,
            record,
            run.records,
            partial(_tables, explain=explain),
            mismatches=record.mismatches,
            compared=compared,
        )


def _tables(record: GemmRecord, provenance: Mapping[str, object], *, explain: bool) -> RenderableType:
    from hecaton.terminal.tables import pairs

    stalls = {name: count for name, count in record.counters.items() if "stall" in name}
    result = pairs(
        {
            "die": f"{record.rows}x{record.cols} {record.dtype}",
            "mismatches": record.mismatches,
            "cycles": f"{record.cycles} (predicted {record.predicted_cycles})",
            "array cycles": f"{record.array_cycles} (floor {record.floor_cycles}, ideal {record.ideal_cycles})",
            "utilization": f"{record.utilization:.2%} of the array cycles",
            "total utilization": f"{record.total_utilization:.2%} from start to done",
            "stalled cycles": stalls,
            **provenance,
        },
        title=f"{record.m}x{record.k}x{record.n} {record.form}, seed {record.seed}",
    )
    if not explain:
        return result
    from rich.console import Group

    spent = pairs(
        {name: f"{cycles:,.2f} ({cycles / record.cycles:.2%})" for name, cycles in record.spent.items()},
        title=f"{record.cycles} cycles",
    )
    return Group(result, spent)

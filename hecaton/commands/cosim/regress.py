"""``hecaton cosim regress``: a matrix of runs, each held to its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson, MachineOptions, OptionalSeed, WorkerOptions
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import OptionalSimulator, RecordFolder
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.regress.cases import GemmCase
    from cosim.regress.tasks import Finished
    from hecaton.results.simulation_objects import Regression, RegressionRow
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()

COLUMNS = [
    "run",
    "cycles",
    "predicted_cycles",
    "array_cycles",
    "floor_cycles",
    "utilization",
    "mismatches",
    "verdict",
]
"""Columns of the table, which does not depend on how often the regression was interrupted."""


def _json_object() -> JsonObject:
    from hecaton.results.simulation_objects import Regression
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((Regression,))


@subcommand(
    app,
    examples=(
        "hecaton cosim regress benchmarks/regressions/gemm.toml",
        "hecaton cosim regress benchmarks/regressions/gemm.toml --sim cxxrtl --seed 7 --json",
        "hecaton cosim regress benchmarks/regressions/gemm.toml --scheduler tcp://host:8786",
    ),
    json_object=_json_object,
)
def regress(
    *,
    regression: Annotated[
        Path, typer.Argument(metavar="LIST.toml", help="The matrix of runs, and the bounds.")
    ],
    processes: WorkerOptions,
    records: RecordFolder = Path("records"),
    sim: OptionalSimulator = None,
    seed: OptionalSeed = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Run a matrix of GEMMs on generated dies (configurations x data types x shapes x forms x stalls x seeds) and hold
    each run to the bounds of the file.

    Every run leaves a measurement record as soon as it ends. Started again after an interruption or a change, the
    command runs only what DIR has no record of by the same simulator on the same Verilog. --sim and --seed replace
    the simulator and all seeds of the file. Without --config the machines start from the preset bench; keys of the file
    win over --config and -P. Exit code 1 if any run is out of bounds; each such run is named.
    """
    import time

    from cosim.backends.registry import backend
    from cosim.regress.cases import cases
    from cosim.regress.matrix import load_baseline, load_regression, with_seed
    from cosim.regress.tasks import RegressionTask, run_task, shortfalls
    from cosim.workers.dask import run_on_cluster
    from cosim.workers.pool import run_all
    from hecaton.results.records import known_records, save_record
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(records)
        start = time.perf_counter()
        processes.check()
        chosen: dict[str, Any] = {} if sim is None else {"sim": sim}
        matrix = load_regression(regression).model_copy(update=chosen)
        most_cycles = load_baseline(matrix, regression)
        if seed is not None:
            matrix = with_seed(matrix, seed)
        out.configured(preset := machine.preset("bench"))
        todo = cases(
            matrix,
            config=machine.config,
            overrides=machine.overrides,
            preset=preset,
            source=str(regression),
        )
        tasks = [RegressionTask(case.request, tuple(known_records(case.request, records))) for case in todo]
        if processes.scheduler is None:
            backend(matrix.sim).version()  # missing for one, missing for all
            results = run_all(run_task, tasks, workers=processes.workers)
        else:
            results = run_on_cluster(run_task, tasks, address=processes.scheduler)
        finished: dict[int, Finished] = {}
        paths: dict[int, Path] = {}
        with out.progress("runs", len(todo)) as advance:
            for index, task in results:
                finished[index] = task
                if task.record is not None:
                    paths[index] = (
                        records / task.record.file_name if task.reused else save_record(task.record, records)
                    )
                advance()
        rows = [
            _row(
                case,
                finished[index],
                paths.get(index),
                shortfalls(case, finished[index], matrix.bounds, most_cycles),
            )
            for index, case in enumerate(todo)
        ]
        short = [row for row in rows if row["verdict"] != "good"]
        reused = sum(task.reused for task in finished.values())
        seconds = time.perf_counter() - start
        data: Regression = {
            "runs": len(rows),
            "failed": len(short),
            "reused": reused,
            "seconds": seconds,
            "rows": rows,
        }
        out.note(f"{reused} of {len(rows)} runs reused, {seconds:.1f} s")
        out.result(data, _table(rows, f"{regression}: {len(rows)} runs"))
        if short:
            named = "; ".join(f"{row['run']}: {row['verdict']}" for row in short)
            raise CheckFailed(f"{len(short)} of {len(rows)} runs fall short: {named}")


def _row(case: GemmCase, finished: Finished, path: Path | None, short_of: Sequence[str]) -> RegressionRow:
    request, record = case.request, finished.record
    measured = (
        "cycles",
        "predicted_cycles",
        "array_cycles",
        "floor_cycles",
        "ideal_cycles",
        "utilization",
        "mismatches",
        "wall_seconds",
    )
    row = {
        "run": case.name,
        "rows": request.die.rows,
        "cols": request.die.cols,
        "dtype": request.die.dtype,
        **request.model_dump(include={"m", "k", "n", "form", "stall", "seed", "sim"}),
        **{name: getattr(record, name, None) for name in measured},
        "record": None if path is None else str(path),
        "verdict": ", ".join(short_of) or "good",
    }
    return cast("RegressionRow", row)


def _table(rows: Sequence[RegressionRow], title: str) -> RenderableType:
    from hecaton.terminal.tables import columns

    return columns(rows, COLUMNS, title=title)

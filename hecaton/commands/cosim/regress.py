"""``hecaton cosim regress``: a matrix of runs, each held to its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson, ConfigFile, Overrides, examples, integer
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.regress.cases import GemmCase
    from cosim.regress.tasks import Finished

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
"""Of the table, which says the same however often the regression was interrupted."""


@app.command(
    epilog=examples(
        "hecaton cosim regress benchmarks/regressions/gemm.toml",
        "hecaton cosim regress benchmarks/regressions/gemm.toml --sim cxxrtl --seed 7 --json",
        "hecaton cosim regress benchmarks/regressions/gemm.toml --scheduler tcp://host:8786",
    )
)
def regress(
    regression: Annotated[
        Path, typer.Argument(metavar="LIST.toml", help="The matrix of runs, and the bounds.")
    ],
    records: Annotated[
        Path, typer.Option("--records", metavar="DIR", help="Directory for the measurement records.")
    ] = Path("records"),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", parser=integer(1, 1024), metavar="N", help="Runs at a time; else one a core."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="tcp://HOST:PORT",
            help="Run on the workers of this Dask scheduler, not on the local cores.",
        ),
    ] = None,
    sim: Annotated[
        str | None,
        typer.Option("--sim", metavar="icarus|cxxrtl|verilator", help="Simulator; else the one of the file."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", parser=integer(0), metavar="N", help="The only seed; else those of the file."),
    ] = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run a matrix of GEMMs on generated dies (configurations x data types x shapes x forms x stalls x seeds) and hold
    each run to the bounds of the file.

    Every run leaves a measurement record as soon as it ends. Started again after an interruption, or after a change,
    only those are run of which DIR has no record by the same simulator on the same Verilog. The configurations start
    from the preset bench, --config and -P; keys of the file win. Exit code 1 if any run falls short, each of which
    is named.

    JSON keys: runs, failed, reused, seconds, rows (a list with run, rows, cols, dtype, m, k, n, form, stall, seed,
    sim, cycles, predicted_cycles, array_cycles, floor_cycles, ideal_cycles, utilization, mismatches, wall_seconds,
    record, verdict).
    """
    import time

    from cosim.backends.registry import backend
    from cosim.regress.cases import cases
    from cosim.regress.matrix import load_regression
    from cosim.regress.tasks import RegressionTask, run_task, shortfalls
    from cosim.workers.dask import run_on_cluster
    from cosim.workers.pool import run_all
    from hecaton.results.records import known_records, save_record
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(records)
        start = time.perf_counter()
        if workers is not None and scheduler is not None:
            raise ValueError("--workers and --scheduler exclude each other: a cluster has its own workers")
        chosen: dict[str, Any] = {} if sim is None else {"sim": sim}
        if seed is not None:
            chosen["seeds"] = (seed,)
        matrix = load_regression(regression).model_copy(update=chosen)
        todo = cases(matrix, config=config, overrides=override or [], source=str(regression))
        tasks = [RegressionTask(case.request, tuple(known_records(case.request, records))) for case in todo]
        if scheduler is None:
            backend(matrix.sim).version()  # missing for one, missing for all
            results = run_all(run_task, tasks, workers=workers)
        else:
            results = run_on_cluster(run_task, tasks, address=scheduler)
        found: dict[int, Finished] = {}
        paths: dict[int, Path] = {}
        with out.progress("runs", len(todo)) as advance:
            for index, finished in results:
                found[index] = finished
                if finished.record is not None:
                    paths[index] = (
                        records / finished.record.file_name
                        if finished.reused
                        else save_record(finished.record, records)
                    )
                advance()
        rows = [
            _row(case, found[index], paths.get(index), shortfalls(case, found[index], matrix.bounds))
            for index, case in enumerate(todo)
        ]
        short = [row for row in rows if row["verdict"] != "good"]
        reused = sum(finished.reused for finished in found.values())
        seconds = time.perf_counter() - start
        data = {"runs": len(rows), "failed": len(short), "reused": reused, "seconds": seconds, "rows": rows}
        out.note(f"{reused} of {len(rows)} runs reused, {seconds:.1f} s")
        out.result(data, _view(rows, f"{regression}: {len(rows)} runs"))
        if short:
            named = "; ".join(f"{row['run']}: {row['verdict']}" for row in short)
            raise CheckFailed(f"{len(short)} of {len(rows)} runs fall short: {named}")


def _row(case: GemmCase, finished: Finished, path: Path | None, short_of: Sequence[str]) -> dict[str, Any]:
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
    return {
        "run": case.name,
        "rows": request.die.rows,
        "cols": request.die.cols,
        "dtype": request.die.dtype,
        **request.model_dump(include={"m", "k", "n", "form", "stall", "seed", "sim"}),
        **{name: getattr(record, name, None) for name in measured},
        "record": None if path is None else str(path),
        "verdict": ", ".join(short_of) or "good",
    }


def _view(rows: Sequence[dict[str, Any]], title: str) -> RenderableType:
    from hecaton.terminal.tables import columns

    return columns(rows, COLUMNS, title=title)

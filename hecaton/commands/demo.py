"""``hecaton demo``: the main job in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson, ConfigFile, Overrides, Seed, Simulator, examples, integer
from hecaton.terminal.output import Output

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton demo",
        "hecaton demo -o int8 -P die.dtype=int8",
        "hecaton demo --json --workers 1 --seed 7",
    )
)
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Directory for all files; made if missing.")
    ] = Path("demo"),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", parser=integer(1, 1024), metavar="N", help="Runs at a time; else one a core."
        ),
    ] = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the Verilog of a die, co-simulate GEMMs, calibrate, compare distribution methods for Llama3.1-405B on
    1024 dies with the measured cycles, and project weak scaling. Takes a few minutes.

    DIR/index.md shows all results, DIR/index.json lists every file with the command that makes it again. A second
    run takes over the co-simulation records that are there. Verilog and co-simulation start from the preset bench,
    calibration and projections from the preset package; --config and -P change both. Exit code 1 if any bit
    differs.

    JSON keys: folder, seconds, stages, left_out, mismatches, holdout_max_relative_error,
    nop_holdout_max_relative_error, check_max_relative_error, sim, simulator_version, hecaton_version, seed, verilog,
    runs, reused, utilization, cycles_per_second, samples, samples_reused, speedup, energy_ratio, step_seconds, scaling,
    files.
    """
    from hecaton.demo.plan import FULL
    from hecaton.demo.run import run_demo
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        done = run_demo(
            output,
            out,
            plan=FULL,
            config=config,
            overrides=override or [],
            workers=workers,
            seed=seed,
            sim=sim,
        )
        out.result(done.data, done.text.rstrip())
        wrong = done.data["mismatches"]
        if wrong:
            raise CheckFailed(f"{wrong} results differ from the golden model: see {output / 'index.md'}")

"""``hecaton calibrate``: fit the cycle terms of the die and of the network-on-package to measured runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hecaton.terminal.options import AsJson, ConfigFile, Overrides, Seed, Simulator, examples, integer
from hecaton.terminal.output import Output

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton calibrate -o calibration.json",
        "hecaton calibrate -o int8.json -P die.dtype=int8 --quick",
        "hecaton project --model llama3.1-405b --dies 1024 --calibration calibration.json",
    )
)
def calibrate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File for the calibration.")],
    quick: Annotated[bool, typer.Option("--quick", help="Half of the runs, the small ones.")] = False,
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
    """Measure GEMMs on small arrays of the configured die's kind and collectives on short rows of dies, fit the cycle
    terms, and tell the error on array sizes, shapes, rows and lengths that were not fitted.

    The configuration starts from the preset package, so that `hecaton project` accepts the result as it is.

    JSON keys: fits, holdout_max_relative_error, samples, nop_fits, nop_holdout_max_relative_error, nop_samples, die,
    provenance, file.
    """
    from rich.console import Group

    from chiplet.machine.config import load_system
    from cosim.calibrate import die as calibration
    from cosim.calibrate import network as nop_calibration
    from hecaton.terminal.tables import columns
    from rtl.emit.output_files import check_output, write_output

    with Output(as_json) as out:
        check_output(output)
        system = load_system(config, override or [], preset="package")
        chosen = calibration.samples(quick=quick)
        requests = [calibration.request_for(sample, system, seed=seed, sim=sim) for sample in chosen]
        chosen_nop = nop_calibration.nop_samples(quick=quick)
        requests_nop = [
            nop_calibration.request_for(sample, system, seed=seed, sim=sim) for sample in chosen_nop
        ]
        with out.progress("measuring", len(requests) + len(requests_nop)) as advance:
            records = calibration.measure(requests, workers=workers, progress=advance)
            records_nop = nop_calibration.measure(requests_nop, workers=workers, progress=advance)
        found, rows = calibration.to_calibration(system, chosen, records)
        found, rows_nop = nop_calibration.with_network(found, chosen_nop, records_nop)
        write_output(output, found.model_dump_json(indent=2) + "\n")
        error = found.provenance["holdout_max_relative_error"]
        error_nop = found.provenance["nop_holdout_max_relative_error"]
        data = {
            "fits": list(calibration.fits(found.terms)),
            "holdout_max_relative_error": error,
            "samples": rows,
            "nop_fits": list(nop_calibration.nop_fits(found)),
            "nop_holdout_max_relative_error": error_nop,
            "nop_samples": rows_nop,
            "die": found.die.model_dump(),
            "provenance": found.provenance,
            "file": str(output),
        }
        tail = ["use", "cycles", "predicted_cycles", "relative_error"]
        apart = "largest error on runs kept apart"
        array = columns(rows, ["array", "m", "k", "n", "form", *tail], title=f"GEMMs: {apart} {error:.3%}")
        network = columns(
            rows_nop,
            ["op", "algorithm", "mesh", "flits", *tail],
            title=f"Collectives: {apart} {error_nop:.3%}",
        )
        out.result(data, Group(array, network))

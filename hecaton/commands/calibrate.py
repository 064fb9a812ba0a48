"""``hecaton calibrate``: fit the cycle terms of the die and of the network-on-package to measured runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson, MachineOptions, PlotFile, Seed, Workers
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import Simulator
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from hecaton.results.simulation_objects import CalibrationRun
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.simulation_objects import CalibrationRun
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((CalibrationRun,))


@subcommand(
    app,
    examples=(
        "hecaton calibrate -o calibration.json",
        "hecaton calibrate -o int8.json -P die.dtype=int8 --quick",
        "hecaton project --model llama3.1-405b --dies 1024 --calibration calibration.json",
    ),
    json_object=_json_object,
)
def calibrate(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File for the calibration.")],
    quick: Annotated[bool, typer.Option("--quick", help="Only the smaller half of the runs.")] = False,
    plot: PlotFile = None,
    workers: Workers = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Measure GEMMs on small arrays like the configured die's, collectives on short rows of dies, steps of few
    operators and the goodput of a link, fit the cycle terms, and report the error on held-out array sizes, shapes, rows
    and lengths. Dies whose type is not bf16 cannot train: they have no terms of a step.

    Without --config the machine starts from the preset package, as for `hecaton project`, which accepts the result.
    """
    from rich.console import Group

    from chiplet.machine.terms import check_predicted
    from cosim.calibrate import die as calibration
    from cosim.calibrate import link as link_calibration
    from cosim.calibrate import network as nop_calibration
    from cosim.calibrate import step_terms as step_calibration
    from hecaton.terminal.tables import columns
    from rtl.emit.output_files import check_output, write_output

    with Output(as_json) as out:
        check_output(output)
        if plot is not None:
            from hecaton.plots.figure import check_plot

            check_plot(plot)
        system = machine.load(out, "package")
        check_predicted(system.die, "calibrations")
        chosen = calibration.samples(quick=quick)
        requests = [calibration.request_for(sample, system, seed=seed, sim=sim) for sample in chosen]
        chosen_nop = nop_calibration.nop_samples(quick=quick)
        requests_nop = [
            nop_calibration.request_for(sample, system, seed=seed, sim=sim) for sample in chosen_nop
        ]
        requests_link = link_calibration.link_requests(system, seed=seed, sim=sim)
        trains = system.die.dtype == "bf16"
        chosen_step = step_calibration.step_samples(quick=quick) if trains else []
        requests_step = [
            step_calibration.request_for(sample, system, seed=seed, sim=sim) for sample in chosen_step
        ]
        total = len(requests) + len(requests_nop) + len(requests_link) + len(requests_step)
        with out.progress("measuring", total) as advance:
            records = calibration.measure(requests, workers=workers, progress=advance)
            records_nop = nop_calibration.measure(requests_nop, workers=workers, progress=advance)
            records_link = nop_calibration.measure(requests_link, workers=workers, progress=advance)
            runs_step = step_calibration.measure(requests_step, workers=workers, progress=advance)
        fitted, rows = calibration.to_calibration(system, chosen, records)
        fitted, rows_nop = nop_calibration.with_network(fitted, chosen_nop, records_nop)
        rows_step: list[dict[str, Any]] = []
        if trains:
            fitted, rows_step = step_calibration.with_step(fitted, system, chosen_step, runs_step)
        link = link_calibration.link_goodput(system, records_link)
        fitted = fitted.model_copy(update={"link": link})
        write_output(output, fitted.to_json())
        error = fitted.provenance["holdout_max_relative_error"]
        error_nop = fitted.provenance["nop_holdout_max_relative_error"]
        data: CalibrationRun = {
            "fits": list(calibration.fits(fitted.terms)),
            "holdout_max_relative_error": error,
            "samples": rows,
            "nop_fits": list(nop_calibration.nop_fits(fitted)),
            "nop_holdout_max_relative_error": error_nop,
            "nop_samples": rows_nop,
            "step_fits": list(step_calibration.step_fits(fitted)),
            "step_holdout_max_relative_error": fitted.provenance.get("step_holdout_max_relative_error"),
            "step_samples": rows_step,
            "link_goodput": link.goodput,
            "die": fitted.die,
            "provenance": fitted.provenance,
            "file": str(output),
        }
        if plot is not None:
            from hecaton.plots.calibration import plot_calibration

            title = f"Cycles of GEMMs, collectives and steps from start to done, {system.die.dtype}, {sim}"
            plot_calibration([*rows, *rows_nop, *rows_step], title, plot)
        tail = ["use", "cycles", "predicted_cycles", "relative_error"]
        held_out = "largest error on held-out runs"
        rate = f"Link: {link.goodput:.1%} of the lanes carry data of flits"
        array = columns(rows, ["array", "m", "k", "n", "form", *tail], title=f"GEMMs: {held_out} {error:.3%}")
        network = columns(
            rows_nop,
            ["op", "algorithm", "mesh", "flits", *tail],
            title=f"Collectives: {held_out} {error_nop:.3%}",
        )
        tables = [array, network]
        if trains:
            error_step = fitted.provenance["step_holdout_max_relative_error"]
            title = f"Steps of few operators: {held_out} {error_step:.3%}"
            tables.append(columns(rows_step, ["work", "array", *tail], title=title))
        out.result(data, Group(*tables, rate))

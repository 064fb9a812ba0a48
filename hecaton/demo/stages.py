"""The stages of the demo. Each writes its files and returns its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group

from chiplet.machine.calibration import Calibration
from chiplet.machine.configuration_keys import section_digests
from chiplet.projection.results import Projection
from chiplet.studies.results import MethodResult
from cosim.calibrate import die as die_calibration
from cosim.calibrate import network as nop_calibration
from hecaton.demo.index import DemoFile, DemoPart
from hecaton.demo.setup import Setup, array_of, shape_of
from hecaton.plots.calibration import plot_calibration
from hecaton.plots.projection import TIME_PARTS, plot_comparison
from hecaton.plots.scaling import plot_scaling
from hecaton.results.programs_of_step import programs_of_step
from hecaton.results.records import Run
from hecaton.results.reproduce import command, gemm_command
from hecaton.terminal.comparison import LIKE, baseline_rows, comparison_tables
from hecaton.terminal.output import as_text, to_json, with_preset
from hecaton.terminal.projection_options import MOST_SQUARE_MESH
from hecaton.terminal.tables import markdown, quantity
from rtl.die.die import Die
from rtl.die.die_map import DIE_SECTIONS, die_map
from rtl.emit.emitter import emit
from rtl.emit.output_files import write_output


def write_verilog(setup: Setup) -> DemoPart:
    """Emit the configured die."""
    bench = setup.bench
    folder = setup.folder / "verilog"
    emitted = emit(
        Die(die=bench.die, memory=bench.memory, vector=bench.vector),
        folder,
        configuration={name: getattr(bench, name).model_dump() for name in DIE_SECTIONS},
        map={
            **die_map(bench.die, bench.memory, bench.vector),
            "preset": setup.bench_preset,
            "digests": section_digests(bench, DIE_SECTIONS),
        },
    )
    made_by = command("verilog", "-o", folder, *setup.options)
    named = {
        f"{emitted.top}.f": "the modules in the order of their use",
        f"{emitted.top}.json": "ports, registers, counters, commands and signals by name",
        f"{emitted.top}.vlt": "waivers for the lint of Verilator, with their reasons",
    }
    files = [DemoFile(f"verilog/{name}.v", f"module {name}", made_by) for name in reversed(emitted.modules)]
    files += [DemoFile(f"verilog/{name}", what, made_by) for name, what in named.items()]
    figures = {"top": emitted.top, "modules": len(emitted.modules), "bytes": emitted.bytes}
    summary = f"{emitted.top}: {len(emitted.modules)} modules, {emitted.bytes:,} bytes"
    text = f"{summary}. File list: [{emitted.top}.f](verilog/{emitted.top}.f).\n"
    return DemoPart(summary, text, files, {"verilog": {**figures, "seconds": round(emitted.seconds, 3)}})


def cosimulate(setup: Setup) -> DemoPart:
    """Run the plan's GEMMs on dies of several sizes and compare every bit."""
    runs = setup.run("co-simulation", setup.case_requests())
    setup.cosimulated[:] = runs
    wrong = sum(run.record.mismatches for run in runs)
    best = max(run.record.utilization for run in runs)
    rows = [
        {
            "die": array_of(run),
            "GEMM": shape_of(run),
            "mismatches": run.record.mismatches,
            "cycles": run.record.cycles,
            "array cycles": run.record.array_cycles,
            "floor": run.record.floor_cycles,
            "utilization": f"{run.record.utilization:.2%}",
        }
        for run in runs
    ]
    text = (
        "Random operands go through the generated Verilog; every bit of the result is compared with the golden "
        "model. Array cycles go from the first operand row into the array to the last result out of it. The floor "
        "is the minimum of the design; utilization is M K N / (rows x columns) over array cycles.\n\n"
        + markdown(rows, list(rows[0]))
    )
    seconds = sum(run.record.wall_seconds for run in runs)
    figures = {
        "runs": len(runs),
        "reused": sum(run.reused for run in runs),
        "utilization": best,
        "cycles_per_second": round(sum(run.record.cycles for run in runs) / seconds, 1),
    }
    summary = f"{len(runs)} GEMMs, {wrong} mismatches, utilization up to {best:.2%}"
    return DemoPart(summary, text, _record_files(setup, runs), figures, wrong)


def calibrate(setup: Setup) -> DemoPart:
    """Fit the cycle terms of the package's die, and check them against held-out runs."""
    runs = setup.run("calibration", setup.sample_requests())
    files = _record_files(setup, runs)
    wrong = sum(run.record.mismatches for run in runs)
    figures: dict[str, Any] = {"samples": len(runs), "samples_reused": sum(run.reused for run in runs)}
    if wrong:
        return DemoPart(f"{len(runs)} GEMMs, {wrong} mismatches: no calibration", "", files, figures, wrong)
    fitted, rows = die_calibration.to_calibration(
        setup.package, setup.plan.samples, [run.record for run in runs]
    )
    with setup.out.progress("network", len(setup.plan.nop_samples)) as advance:
        collectives = nop_calibration.measure(
            [
                nop_calibration.request_for(sample, setup.package, seed=setup.seed, sim=setup.sim)
                for sample in setup.plan.nop_samples
            ],
            workers=setup.workers,
            progress=advance,
        )
    fitted, rows_nop = nop_calibration.with_network(fitted, setup.plan.nop_samples, collectives)
    write_output(setup.calibration, fitted.to_json())
    error = fitted.provenance["holdout_max_relative_error"]
    checks = _checks(setup.cosimulated, fitted)
    picture = setup.folder / "calibration.png"
    title = f"Cycles of GEMMs from start to done, {fitted.die.dtype}, {setup.sim}"
    plot_calibration([*rows, *checks], title, picture)
    words = ["--seed", setup.seed] if setup.seed else []
    words += ["--sim", setup.sim] if setup.sim != "icarus" else []
    made_by = command("calibrate", "--quick", "-o", setup.calibration, *words, *setup.options)
    files = [
        DemoFile("calibration.json", "measured cycle terms of the package's die", made_by),
        DemoFile("calibration.png", "predicted over measured cycles", setup.command),
        *files,
    ]
    fit_count, held_out = (sum(row["use"] == use for row in rows) for use in ("fit", "holdout"))
    text = (
        f"Terms of {fitted.die.rows}x{fitted.die.cols} {fitted.die.dtype} dies, each a cost per row, column, tile, "
        "word or command, fitted to small arrays of the same kind. Runs of the use holdout were not fitted: they have "
        "other arrays and shapes. Runs of the use check are the co-simulated ones above, with another memory.\n\n"
        f"![predicted over measured cycles](calibration.png)\n\n{_prediction_table([*rows, *checks])}\n"
        + markdown(die_calibration.fits(fitted.terms), ["term", "value", "design", "unit"])
        + "\nCollectives on rows of dies, and the terms of the network-on-package fitted to them.\n\n"
        + markdown(rows_nop, ["op", "algorithm", "mesh", "flits", "use", "cycles", "predicted_cycles"])
        + "\n"
        + markdown(nop_calibration.nop_fits(fitted), ["term", "value", "design", "unit", "use"])
    )
    figures |= {
        "holdout_max_relative_error": error,
        "nop_holdout_max_relative_error": fitted.provenance["nop_holdout_max_relative_error"],
        "check_max_relative_error": max((row["relative_error"] for row in checks), default=None),
    }
    summary = f"{fit_count} runs fitted, {held_out} held out: largest error on these {error:.3%}"
    return DemoPart(summary, text, files, figures)


def _checks(runs: Sequence[Run], calibration: Calibration) -> list[dict[str, Any]]:
    """Return rows of the runs outside the calibration for which its terms hold: those without random stalls."""
    rows = []
    for run in runs:
        record = run.record
        if record.dtype == calibration.die.dtype and not record.request.stall:
            predicted, error = die_calibration.prediction_error(record, calibration.terms)
            rows.append(
                {
                    "array": f"{record.rows}x{record.cols}",
                    **{name: getattr(record, name) for name in ("m", "k", "n", "form", "cycles")},
                    "use": "check",
                    "predicted_cycles": predicted,
                    "relative_error": error,
                }
            )
    return rows


def _prediction_table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = ["array", "m", "k", "n", "form", "use", "cycles", "predicted", "error"]
    shown = [
        {
            **row,
            "predicted": f"{row['predicted_cycles']:.8g}",
            "error": f"{row['relative_error']:.3%}",
        }
        for row in rows
    ]
    return markdown(shown, names)


def compare(setup: Setup) -> DemoPart:
    """Compare all distribution methods with the measured terms."""
    comparison, preset = setup.compared(Calibration.load(setup.calibration)), setup.projection_preset
    words = ["compare", "--model", setup.plan.model, "--dies", setup.plan.dies]
    words += ["--calibration", setup.calibration, *setup.options]
    json_file, text_file = setup.folder / "comparison.json", setup.folder / "comparison.txt"
    write_output(json_file, to_json({**comparison.model_dump(), "preset": preset}) + "\n")
    shown = Group(comparison_tables(comparison), MOST_SQUARE_MESH.format(dies=comparison.dies))
    write_output(text_file, as_text(with_preset(shown, preset)))
    plot_comparison(comparison, setup.folder / "comparison.png")
    files = [
        DemoFile(
            "comparison.json", "all methods on the same machine", command(*words, "--json", into=json_file)
        ),
        DemoFile("comparison.txt", "the same as tables", command(*words, into=text_file)),
        DemoFile("comparison.png", "time and energy of a step by part and method", setup.command),
    ]
    names = ["method", "step", "speedup", "energy", "energy ratio", "MFU", "switches"]
    claims = "".join(
        f"Published for {claim.model}, on {claim.dies_label}: {claim.speedup}x the speed, 1/{claim.energy_ratio} of "
        f"the energy ({claim.source}), in settings that are not public. All other figures are our own.\n\n"
        for claim in comparison.published
    )
    baselines = baseline_rows(_method_rows(comparison.baselines), comparison.baselines)
    measured = ", ".join(entry.name for entry in comparison.measured_inputs)
    text = (
        f"{comparison.model} on {comparison.dies} dies ({comparison.mesh}), {comparison.global_batch} sequences of "
        f"{comparison.sequence_length} tokens a step. What hecaton gains over flat rings with these switches, like for "
        f"like first:\n\n{markdown(baselines, [names[0], LIKE, *names[1:]])}\n"
        "![time and energy of a step](comparison.png)\n\n"
        "All methods with their own switches. Speed and energy are against the flat ring here, which may be unlike:\n\n"
        f"{markdown(_method_rows(comparison.methods), names)}\n{claims}"
        f"Measured inputs: {measured}. Published or assumed: {len(comparison.assumed_inputs)}, listed in "
        "[comparison.json](comparison.json).\n"
    )
    ours = next(row for row in comparison.methods if row.method == "hecaton")
    ring = min((row for row in comparison.baselines if row.like_for_like), key=lambda row: row.step_seconds)
    summary = (
        f"{comparison.model} on {comparison.dies} dies: {ring.speedup:.2f}x the speed and "
        f"1/{ring.energy_ratio:.2f} of the energy of the quickest flat ring that is like for like"
    )
    figures = {"speedup": ring.speedup, "energy_ratio": ring.energy_ratio, "step_seconds": ours.step_seconds}
    return DemoPart(summary, text, files, figures)


def scale(setup: Setup) -> DemoPart:
    """Project models that grow together with their packages."""
    accounted = setup.scaled(Calibration.load(setup.calibration))
    projections = [one.projection for one in accounted]
    files = []
    for one, projection in zip(accounted, projections, strict=True):
        name = f"projections/{projection.model}_{projection.dies}_{projection.method}.json"
        path = setup.folder / name
        programs = programs_of_step(projection.model, one.job)
        data = {**projection.model_dump(), **programs.model_dump(), "preset": setup.projection_preset}
        write_output(path, to_json(data) + "\n")
        words: list[object] = ["project", "--model", projection.model, "--mesh", projection.mesh]
        words += ["--method", projection.method, "--calibration", setup.calibration, *setup.options, "--json"]
        what = f"{projection.model} on {projection.dies} dies, {projection.method}"
        files.append(DemoFile(name, what, command(*words, into=path)))
    plot_scaling(projections, setup.folder / "scaling.png")
    files.append(
        DemoFile("scaling.png", "shares of a step, and computation over communication", setup.command)
    )
    rows = [_scaling_row(projection) for projection in projections]
    ours = [row["compute_to_nop"] for row in rows if row["method"] == "hecaton"]
    summary = f"computation over communication of hecaton from {max(ours):.2f} to {min(ours):.2f}"
    names = {"compute_to_nop": "array over NoP time", "step_seconds": "step s", "mfu": "MFU"}
    shown = [
        {
            names.get(key, key): f"{value:.1%}" if key == "mfu" or key in _TIME_LABELS else value
            for key, value in row.items()
        }
        for row in rows
    ]
    text = (
        "Model and package grow together. Array over NoP time is computation over communication, hidden or not; "
        "the other columns are shares of a step.\n\n"
        f"![weak scaling](scaling.png)\n\n{markdown(shown, list(shown[0]))}"
    )
    return DemoPart(summary, text, files, {"scaling": rows})


_TIME_LABELS = [label for label, _ in TIME_PARTS.values()]


def _scaling_row(projection: Projection) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(projection, name)
        for name in ("model", "dies", "method", "compute_to_nop", "step_seconds", "mfu")
    }
    for part, (label, _) in TIME_PARTS.items():
        row[label] = getattr(projection.breakdown, part) / projection.step_seconds
    return row


def _method_rows(results: Sequence[MethodResult]) -> list[dict[str, Any]]:
    return [
        {
            "method": result.method,
            "step": f"{result.step_seconds:.4g} s",
            "speedup": result.speedup,
            "energy": quantity(result.energy_joules, "J"),
            "energy ratio": result.energy_ratio,
            "MFU": f"{result.mfu:.1%}",
            "switches": result.switches,
        }
        for result in results
    ]


def _record_files(setup: Setup, runs: Sequence[Run]) -> list[DemoFile]:
    return [
        DemoFile(
            f"{setup.records.name}/{run.path.name}",
            f"record of {shape_of(run)} on {array_of(run)}",
            gemm_command(run.record.request, setup.records),
        )
        for run in runs
    ]

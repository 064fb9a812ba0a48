"""``hecaton scaling``: weak and strong scaling, and the sensitivity of the results to the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    MachineOptions,
    PlotFile,
    SiliconFiles,
    load_calibration,
    load_silicon,
)
from hecaton.terminal.output import Output
from hecaton.terminal.projection_options import MOST_SQUARE_MESH, GlobalBatch, SequenceLength
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import integer
from nop.topology import MAX_DIES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.studies.results import ScalingRow
    from hecaton.results.projection_objects import ScalingStudy
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.projection_objects import ScalingStudy
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((ScalingStudy,))


@subcommand(
    app,
    examples=(
        "hecaton scaling",
        "hecaton scaling --plot scaling.pdf --json",
        "hecaton scaling --strong llama2-70b --dies-list 64,256,1024",
    ),
    json_object=_json_object,
)
def scaling(
    *,
    strong: Annotated[
        str | None,
        typer.Option("--strong", metavar="MODEL", help="Also scale this model over --dies-list."),
    ] = None,
    dies_list: Annotated[
        str, typer.Option("--dies-list", metavar="N,N,...", help="Numbers of dies for --strong.")
    ] = "64,256,1024",
    calibration: CalibrationFile = None,
    silicon: SiliconFiles = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    plot: PlotFile = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Directory for all pictures.", hidden=True),
    ] = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Scale model and package together over four pairs with all methods, and vary the machine.

    The result has weak scaling, with the published figures beside ours, for numbers of dies that are inferred;
    strong scaling of one model; and for the largest pair the sensitivity to link bandwidth and latency, DRAM
    bandwidth, SRAM, array size, mesh shape and switches. Without --config the machine starts from the preset
    package.
    """
    from chiplet.studies import scaling as study
    from chiplet.workload.llm import load_model
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        if plot is not None:
            from hecaton.plots.figure import check_plot

            check_plot(plot)
        if output is not None:
            check_output_folder(output)
        counts = _counts(dies_list)
        model = None if strong is None else load_model(strong)
        setting = study.Setting(
            machine.load(out, "package"),
            load_calibration(calibration),
            load_silicon(silicon),
            global_batch,
            sequence_length,
        )
        rows, left_out = study.weak_scaling(setting)
        strong_rows: list[ScalingRow] = []
        if model is not None:
            strong_rows, lacking = study.strong_scaling(model, counts, setting)
            left_out += lacking
        varied, lacking = study.sensitivity(*study.PAIRS[-1], setting)
        left_out += lacking
        data: ScalingStudy = {
            "rows": rows,
            "spread": study.spread(rows),
            "strong": strong_rows,
            "sensitivity": varied,
            "published": study.published_beside(rows),
            "left_out": left_out,
            "files": [],
        }
        if plot is not None:
            from hecaton.plots.scaling import plot_scaling

            plot_scaling([*rows, *strong_rows], plot)
            data["files"] = [str(plot)]
        if output is not None:
            from hecaton.plots.scaling import plot_scaling, plot_sensitivity

            output.mkdir(parents=True, exist_ok=True)
            paths = [output / "scaling.png", output / "sensitivity.png"]
            plot_scaling(rows, paths[0])
            plot_sensitivity(varied, paths[1])
            if strong_rows:
                paths.append(output / "strong.png")
                plot_scaling(strong_rows, paths[-1], "Strong scaling: one model on more dies")
            data["files"] += [str(path) for path in paths]
        out.result(data, _tables(data))


def _counts(text: str) -> list[int]:
    try:
        return [integer(1, MAX_DIES)(part.strip()) for part in text.split(",")]
    except typer.BadParameter:
        raise ValueError(
            f"--dies-list {text[:60]}: must be integers from 1 to {MAX_DIES} separated by commas"
        ) from None


def _tables(data: ScalingStudy) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    parts: list[RenderableType] = [_table(data["rows"], "Weak scaling: model and package grow together")]
    terms = [
        {"model": row.model, "array over NoP": row.compute_to_nop, **row.terms.model_dump()}
        for row in data["rows"]
        if row.terms is not None
    ]
    if terms:
        title = f"Factors of hecaton's array over NoP, which stays within ±{data['spread']:.1%}"
        parts.append(columns(terms, list(terms[0]), title=title))
    if data["strong"]:
        parts.append(_table(data["strong"], "Strong scaling: one model on more dies"))
    varied = [row.model_dump() for row in data["sensitivity"]]
    if varied:
        names = ["parameter", "value", "method", "step_seconds", "mfu", "speedup", "energy_ratio"]
        title = f"Sensitivity: {varied[0]['model']} on {varied[0]['dies']} dies"
        parts.append(columns(varied, names, title=title))
    parts += [pairs(claim.model_dump(), title="Published, beside ours") for claim in data["published"]]
    parts += [f"Left out: {method.method}: {method.reason}" for method in data["left_out"]]
    parts.append(MOST_SQUARE_MESH.format(dies="so many"))
    parts += [f"Written: {path}" for path in data["files"]]
    return Group(*parts)


def _table(rows: Sequence[ScalingRow], title: str) -> RenderableType:
    from hecaton.terminal.tables import columns, quantity

    shown = [
        {
            "model": row.model,
            "dies": row.dies,
            "method": row.method,
            "array over NoP": row.compute_to_nop,
            "step s": row.step_seconds,
            "MFU": f"{row.mfu:.1%}",
            "energy J": row.energy_joules,
            "speedup": row.speedup,
            "energy ratio": row.energy_ratio,
            "SRAM of a die": quantity(sum(row.sram_bytes.values()), "B"),
        }
        for row in rows
    ]
    return columns(shown, list(shown[0]) if shown else ["model"], title=title)

"""``hecaton validate``: the model's terms against published measurements of other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson, PlotFile
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.studies.megatron import Validation
    from chiplet.studies.megatron_fits import PairFit
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from chiplet.studies.megatron import Validation
    from hecaton.results.projection_objects import PictureFiles, ValidationPairs
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((Validation,), {"--pairs": (ValidationPairs,), "--plot": (PictureFiles,)})


@subcommand(
    app,
    examples=(
        "hecaton validate",
        "hecaton validate --pairs",
        "hecaton validate --machine h100",
        "hecaton validate --machine my_nodes.toml --runs my_runs.toml --json",
    ),
    json_object=_json_object,
)
def validate(
    *,
    machine: Annotated[
        str,
        typer.Option(
            "--machine", metavar="NAME|FILE.toml", help="GPU nodes of the runs: a preset or a file."
        ),
    ] = "a100",
    runs: Annotated[
        str | None,
        typer.Option(
            "--runs",
            metavar="NAME|FILE.toml",
            help="Training steps that were measured on these nodes; by default those of the preset machine.",
        ),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Also fit the two efficiencies to every pair of runs, with the errors of the other runs.",
        ),
    ] = False,
    plot: PlotFile = None,
    as_json: AsJson = False,
) -> None:
    """Predict measured training steps of Megatron-LM on GPU nodes, each with its error: by default eight published
    ones on A100 nodes.

    GEMMs and collectives are those of the flat-ring method. The machine's efficiencies are inputs; on A100 nodes two of
    them are fitted to the two runs that are marked as fitted. A machine's file may have a table of efficiency against
    size for GEMMs and networks; the result says what was used. Runs belong to a machine: another one is refused, and
    docs/method.md describes their file.
    """
    from rich.console import Group

    from chiplet.studies.gpu_cluster import load_cluster
    from chiplet.studies.megatron import validate as predict_all
    from chiplet.studies.megatron_runs import runs_of

    with Output(as_json) as out:
        if plot is not None:
            from hecaton.plots.figure import check_plot

            check_plot(plot)
        gpus = load_cluster(machine)
        measured = runs_of(machine, runs)
        if measured.machine != gpus.name:
            raise ValueError(
                f"--runs {runs}: measured on {measured.machine}, not on {gpus.name}, the machine of --machine {machine}"
            )
        validation = predict_all(gpus, measured.runs)
        data: dict[str, Any] = validation.model_dump()
        tables: list[RenderableType] = [_tables(validation)]
        if pairs:
            from chiplet.studies.megatron_fits import pair_fits

            fits = pair_fits(gpus, measured.runs)
            data["pairs"] = [fit.model_dump() for fit in fits]
            tables.append(_fits_table(fits))
        if plot is not None:
            from hecaton.plots.validation import plot_validation

            plot_validation(validation, plot)
            data["files"] = [str(plot)]
        out.result(data, Group(*tables))


def _fits_table(fits: list[PairFit]) -> RenderableType:
    from hecaton.terminal.tables import columns

    rows = [
        {
            "fitted to": " and ".join(fit.pair),
            "efficiency": fit.gemm_efficiency,
            "half": fit.gemm_half,
            "mean error of the others": _percent(fit.mean_error_others),
            "largest": _percent(fit.max_error_others),
        }
        for fit in fits
    ]
    return columns(
        rows, list(rows[0]), title="Efficiencies from every pair of runs (-: none up to 1 meets both)"
    )


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _tables(validation: Validation) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    rows = [
        {
            "model": prediction.run.name,
            "recompute": prediction.run.recompute,
            "GPUs": prediction.run.gpus,
            "measured s": prediction.run.seconds,
            "predicted s": prediction.predicted_seconds,
            "error": f"{prediction.error:+.2%}",
            "fitted": prediction.fitted,
            **{name: f"{seconds:.4g}" for name, seconds in prediction.parts.items()},
        }
        for prediction in validation.predictions
    ]
    fitted = [prediction.run.label for prediction in validation.predictions if prediction.fitted]
    sources = dict.fromkeys(prediction.run.source for prediction in validation.predictions)
    summary = {
        "measured by": "; ".join(sources),
        "fitted to": ", ".join(fitted) or "none of these runs",
        "mean error": f"{validation.mean_error:.2%}",
        "largest error": f"{validation.max_error:.2%}",
        "mean error of runs not fitted": _percent(validation.mean_error_not_fitted),
        "largest error of runs not fitted": _percent(validation.max_error_not_fitted),
    }
    return Group(
        columns(
            rows,
            list(rows[0]),
            title=f"Steps measured on {validation.machine.name}, predicted (parts in seconds)",
        ),
        pairs(summary),
        pairs(validation.efficiencies, title="Efficiencies that were used"),
        pairs(validation.machine.model_dump(exclude_none=True), title="Machine"),
    )

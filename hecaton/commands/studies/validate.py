"""``hecaton validate``: the model's terms against published measurements of another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson
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
    from hecaton.results.projection_objects import ValidationPairs
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((Validation,), {"--pairs": (ValidationPairs,)})


@subcommand(
    app,
    examples=(
        "hecaton validate",
        "hecaton validate --pairs",
        "hecaton validate --machine my_nodes.toml --json",
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
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Also fit the two efficiencies to every pair of runs, with the errors of the other runs.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict eight published training steps of Megatron-LM on A100 nodes, each with its error.

    GEMMs and collectives are those of the flat-ring method. The machine's efficiencies are inputs; two of them are
    fitted to the two runs that are marked as fitted.
    """
    from rich.console import Group

    from chiplet.studies.gpu_cluster import load_cluster
    from chiplet.studies.megatron import validate as predict_all

    with Output(as_json) as out:
        gpus = load_cluster(machine)
        validation = predict_all(gpus)
        data: dict[str, Any] = validation.model_dump()
        tables: list[RenderableType] = [_tables(validation)]
        if pairs:
            from chiplet.studies.megatron_fits import pair_fits

            fits = pair_fits(gpus)
            data["pairs"] = [fit.model_dump() for fit in fits]
            tables.append(_fits_table(fits))
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
            "published s": prediction.run.seconds,
            "predicted s": prediction.predicted_seconds,
            "error": f"{prediction.error:+.2%}",
            "fitted": prediction.fitted,
            **{name: f"{seconds:.4g}" for name, seconds in prediction.parts.items()},
        }
        for prediction in validation.predictions
    ]
    summary = {
        "mean error": f"{validation.mean_error:.2%}",
        "largest error": f"{validation.max_error:.2%}",
        "mean error of runs not fitted": f"{validation.mean_error_not_fitted:.2%}",
        "largest error of runs not fitted": f"{validation.max_error_not_fitted:.2%}",
    }
    return Group(
        columns(rows, list(rows[0]), title="Published steps of Megatron-LM, predicted (parts in seconds)"),
        pairs(summary),
        pairs(validation.machine.model_dump(), title="Machine"),
    )

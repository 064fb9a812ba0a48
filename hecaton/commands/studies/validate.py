"""``hecaton validate``: the model's terms against published measurements of another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import AsJson, examples
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.studies.megatron import Validation
    from chiplet.studies.megatron_fits import PairFit

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton validate", "hecaton validate --pairs", "hecaton validate --machine my_nodes.toml --json"
    )
)
def validate(
    machine: Annotated[
        str, typer.Option("--machine", metavar="NAME|FILE.toml", help="Nodes of GPUs that the runs were on.")
    ] = "a100",
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="Fit the two efficiencies to every pair of runs as well: errors of the others."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict eight published training steps of Megatron-LM on A100 nodes, each with its error.

    GEMMs and collectives are those of the flat-ring method. The machine's efficiencies are inputs, of which two
    are fitted to the two runs that are marked so.

    JSON keys: machine, predictions (run, predicted_seconds, error, fitted, parts), mean_error, max_error,
    mean_error_not_fitted, max_error_not_fitted; with --pairs also pairs (pair, gemm_efficiency, gemm_half,
    mean_error_others, max_error_others; null where no efficiency up to 1 meets both runs).
    """
    from rich.console import Group

    from chiplet.studies.gpu_cluster import load_cluster
    from chiplet.studies.megatron import validate as predict_all

    with Output(as_json) as out:
        gpus = load_cluster(machine)
        found = predict_all(gpus)
        data: dict[str, Any] = found.model_dump()
        view: list[RenderableType] = [_view(found)]
        if pairs:
            from chiplet.studies.megatron_fits import pair_fits

            fits = pair_fits(gpus)
            data["pairs"] = [fit.model_dump() for fit in fits]
            view.append(_fits(fits))
        out.result(data, Group(*view))


def _fits(fits: list[PairFit]) -> RenderableType:
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


def _view(found: Validation) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    rows = [
        {
            "model": each.run.name,
            "recompute": each.run.recompute,
            "GPUs": each.run.gpus,
            "published s": each.run.seconds,
            "predicted s": each.predicted_seconds,
            "error": f"{each.error:+.2%}",
            "fitted": each.fitted,
            **{name: f"{seconds:.4g}" for name, seconds in each.parts.items()},
        }
        for each in found.predictions
    ]
    summary = {
        "mean error": f"{found.mean_error:.2%}",
        "largest error": f"{found.max_error:.2%}",
        "mean error of runs not fitted": f"{found.mean_error_not_fitted:.2%}",
        "largest error of runs not fitted": f"{found.max_error_not_fitted:.2%}",
    }
    return Group(
        columns(rows, list(rows[0]), title="Published steps of Megatron-LM, predicted (parts in seconds)"),
        pairs(summary),
        pairs(found.machine.model_dump(), title="Machine"),
    )

"""``hecaton validate``: the model's terms against published measurements of another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.options import AsJson, examples
from hecaton.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.megatron import Validation

app = typer.Typer()


@app.command(epilog=examples("hecaton validate", "hecaton validate --machine my_nodes.toml --json"))
def validate(
    machine: Annotated[
        str, typer.Option("--machine", metavar="NAME|FILE.toml", help="Nodes of GPUs that the runs were on.")
    ] = "a100",
    as_json: AsJson = False,
) -> None:
    """Predict eight published training steps of Megatron-LM on A100 nodes, each with its error.

    GEMMs and collectives are those of the flat-ring method. The machine's efficiencies are inputs, of which two
    are fitted to the two runs that are marked so.

    JSON keys: machine, predictions (run, predicted_seconds, error, fitted, parts), mean_error, max_error,
    mean_error_not_fitted, max_error_not_fitted.
    """
    from chiplet.cluster import load_cluster
    from chiplet.megatron import validate as predict_all

    with Output(as_json) as out:
        found = predict_all(load_cluster(machine))
        out.result(found.model_dump(), _view(found))


def _view(found: Validation) -> RenderableType:
    from rich.console import Group

    from hecaton.tables import columns, pairs

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

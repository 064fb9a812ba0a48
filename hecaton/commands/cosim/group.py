"""``hecaton cosim``: run workloads on the generated hardware and compare every bit with the golden model."""

from __future__ import annotations

import typer

from hecaton.commands.cosim import collective, gemm, package, regress, traffic, train_step, vector

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _cosim() -> None:
    """Run workloads on the generated hardware and compare every bit with the golden model."""


for command in (gemm, vector, regress, traffic, collective, package, train_step):
    app.add_typer(command.app)

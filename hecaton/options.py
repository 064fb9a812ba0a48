"""The options that subcommands share, declared once: use them as parameter types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.toml", help="Configuration file; its keys win over the preset's."),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-P", metavar="KEY=VALUE", help="Set one configuration key, as in -P die.rows=16; repeatable."
    ),
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else, on stdout.")
]

Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is drawn at random.")]

Simulator = Annotated[
    str,
    typer.Option(
        "--sim", metavar="icarus|cxxrtl|verilator", help="Simulator that runs the generated Verilog."
    ),
]


def examples(*lines: str) -> str:
    """The epilog of a subcommand's help: one example a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *(line.replace("[", r"\[") for line in lines)])

"""The options that subcommands share, declared once: use them as parameter types."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

MAX_DIES = 1 << 20
"""More dies than any package has: a larger number is a slip of the hand."""


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Parser of an option's value: an integer of at least ``low``, and of at most ``high``."""
    allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"

    def parse(text: str) -> int:
        shown = str(text)
        if re.fullmatch(r"[+-]?\d{1,18}", shown, re.ASCII):
            value = int(shown)
            if value >= low and (high is None or value <= high):
                return value
        raise typer.BadParameter(f"must be {allowed}, not {shown[:60]}")

    return parse


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

Seed = Annotated[
    int,
    typer.Option(
        "--seed", parser=integer(0), metavar="N", help="Seed of everything that is drawn at random."
    ),
]

TraceFile = Annotated[
    Path | None,
    typer.Option("--trace", metavar="FILE.json", help="Trace of the units for Perfetto (ui.perfetto.dev)."),
]

WaveFile = Annotated[
    Path | None,
    typer.Option(
        "--waves",
        metavar="FILE.fst|FILE.vcd",
        help="Waveform of every signal, with views for GTKWave (.gtkw) and Surfer (.sucl) beside it.",
    ),
]

Simulator = Annotated[
    str,
    typer.Option(
        "--sim", metavar="icarus|cxxrtl|verilator", help="Simulator that runs the generated Verilog."
    ),
]


ModelName = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="Preset model by name, or the path of a config.json.")
]

Dies = Annotated[
    int | None,
    typer.Option(
        "--dies",
        parser=integer(1, MAX_DIES),
        metavar="N",
        help="Compute dies, as square a mesh as they make.",
    ),
]

MeshSize = Annotated[
    str | None,
    typer.Option(
        "--mesh", metavar="RxC", help="Rows x columns of dies; without --dies and --mesh the package's."
    ),
]

CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration", metavar="FILE", help="Measured cycles of this die; else the design's floor."
    ),
]

GlobalBatch = Annotated[
    int | None,
    typer.Option("--global-batch", parser=integer(1), metavar="N", help="Sequences in a training step."),
]

SequenceLength = Annotated[
    int | None,
    typer.Option("--sequence-length", parser=integer(1), metavar="N", help="Tokens in a sequence."),
]

OptimizerName = Annotated[
    str, typer.Option("--optimizer", metavar="adam|sgd", help="Optimizer of the training.")
]


def parse_mesh(text: str | None) -> tuple[int, int] | None:
    """Rows and columns of a ``--mesh``, such as ``4x8``. Raises ``ValueError`` for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text, re.ASCII)
    if match is None:
        raise ValueError(f"--mesh {text}: must be ROWSxCOLUMNS, as in --mesh 4x8")
    rows, cols = int(match[1]), int(match[2])
    if rows * cols > MAX_DIES:
        raise ValueError(f"--mesh {text}: must have at most {MAX_DIES} dies")
    return rows, cols


def parse_assignments(option: str, items: Sequence[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` items of ``option`` by name, values read as those of ``-P``; else ``ValueError``."""
    from chiplet.machine.config import parse_value

    found: dict[str, Any] = {}
    for item in items or []:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not name or not equals or not value:
            raise ValueError(f"{option} {item}: must be NAME=VALUE")
        found[name] = parse_value(value)
    return found


def examples(*lines: str) -> str:
    """The epilog of a subcommand's help: one example a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *(line.replace("[", r"\[") for line in lines)])

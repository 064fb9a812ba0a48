"""``hecaton compare``: all methods for one model on the same machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import typer

from hecaton.terminal.comparison import view
from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    ConfigFile,
    Dies,
    GlobalBatch,
    MeshSize,
    ModelName,
    OptimizerName,
    Overrides,
    SequenceLength,
    examples,
    parse_assignments,
    parse_mesh,
)
from hecaton.terminal.output import Output

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton compare --model llama3.1-405b --dies 1024",
        "hecaton compare --model llama2-70b --dies 256 --switch overlap=false",
        "hecaton compare --model llama2-7b --mesh 8x8 --switch hecaton.collective=chain --json",
    )
)
def compare(
    model: ModelName,
    dies: Dies = None,
    mesh: MeshSize = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            "--switch",
            metavar="[METHOD.]NAME=VALUE",
            help="Set a switch of one method, or of every method that has it; repeatable.",
        ),
    ] = None,
    calibration: CalibrationFile = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    optimizer: OptimizerName = "adam",
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare all distribution methods for a model on the same machine, each with the switches that it used.

    The configuration starts from the preset package.

    JSON keys: model, dies, mesh, global_batch, sequence_length, methods (speedup and energy_ratio against the
    flat ring), baselines (flat rings with other switches, and what hecaton gains over each), published
    (figures of the literature, beside ours), measured_inputs, assumed_inputs.
    """
    from chiplet.machine.calibration import Calibration
    from chiplet.machine.config import load_system
    from chiplet.projection.job import StepRequest
    from chiplet.schedule.buffers import Optimizer
    from chiplet.studies.compare import compare as compare_methods

    with Output(as_json) as out:
        request = StepRequest(
            model,
            load_system(config, override or [], preset="package"),
            dies=dies,
            mesh=parse_mesh(mesh),
            calibration=None if calibration is None else Calibration.load(calibration),
            global_batch=global_batch,
            sequence_length=sequence_length,
            optimizer=cast(Optimizer, optimizer),
        )
        found = compare_methods(request, _by_method(parse_assignments("--switch", switch)))
        out.result(found.model_dump(), view(found))


def _by_method(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Switches by method; a name without a method belongs to every method that has it."""
    from chiplet.machine.base import nearest
    from chiplet.methods.registry import METHODS

    chosen: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        method, dot, inner = name.rpartition(".")
        owners = (
            [method]
            if dot
            else [key for key, kind in METHODS.items() if inner in kind.switches_type.model_fields]
        )
        if not owners:
            known = dict.fromkeys(key for kind in METHODS.values() for key in kind.switches_type.model_fields)
            raise ValueError(
                f"--switch {name}: no method has it: the nearest known one is {nearest(name, known)}"
            )
        for owner in owners:
            chosen.setdefault(owner, {})[inner] = value
    return chosen

"""Options of the commands that project a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.options import CalibrationFile, MeshSize, SiliconFiles, load_calibration, load_silicon
from hecaton.terminal.values import integer_option, parse_assignments, parse_mesh
from nop.topology import MAX_DIES

if TYPE_CHECKING:
    from chiplet.machine.specs import SystemSpec
    from chiplet.projection.job import StepRequest

DIES_HELP = (
    "Most compute dies of a package, of which the quickest mesh is taken (or the best, to optimize); to compare "
    "methods, the most square mesh."
)

QUICKEST_MESH = (
    "mesh: the quickest of at most {dies} dies (hecaton compare and scaling take the most square one)"
)
MOST_SQUARE_MESH = (
    "mesh: the most square one of {dies} dies, for all methods (hecaton project takes the quickest)"
)
"""How the mesh of ``--dies`` was chosen, as the line below a table."""

GlobalBatch = Annotated[
    int | None,
    integer_option("--global-batch", "Sequences in a training step."),
]

SequenceLength = Annotated[
    int | None,
    integer_option("--sequence-length", "Tokens in a sequence."),
]

_MODEL = typer.Option(
    "--model", metavar="MODEL", help="Preset model by name, or the path of a config.json or its folder."
)
ModelName = Annotated[str, _MODEL]
OptionalModelName = Annotated[str | None, _MODEL]

OptimizerName = Annotated[
    str, typer.Option("--optimizer", metavar="adam|sgd", help="Optimizer of the training.")
]

MethodSwitches = Annotated[
    list[str] | None,
    typer.Option(
        "--switch",
        metavar="[METHOD.]NAME=VALUE",
        help="Set a switch of one method, or of every method that has it; repeatable.",
    ),
]


@dataclass(frozen=True)
class StepOptions:
    """Options that name a training step: the model, the dies that it runs on, and the batch."""

    model: ModelName
    dies: Annotated[
        int | None,
        integer_option("--dies", DIES_HELP, high=MAX_DIES),
    ] = None
    mesh: MeshSize = None
    calibration: CalibrationFile = None
    silicon: SiliconFiles = None
    global_batch: GlobalBatch = None
    sequence_length: SequenceLength = None

    def mesh_line(self, text: str) -> list[str]:
        """``text``, how the mesh was chosen, as the line below a table; none if the mesh itself was given."""
        return [] if self.dies is None or self.mesh is not None else [text.format(dies=self.dies)]

    def request(self, system: SystemSpec, **choices: Any) -> StepRequest:
        """Return the request for a projection on ``system``, with ``choices`` as its other fields.

        Raises ``ValueError`` of one line for a mesh, a calibration or a silicon report that cannot be read.
        """
        from chiplet.projection.job import StepRequest

        return StepRequest(
            self.model,
            system,
            dies=self.dies,
            mesh=parse_mesh(self.mesh),
            calibration=load_calibration(self.calibration),
            silicon=load_silicon(self.silicon),
            global_batch=self.global_batch,
            sequence_length=self.sequence_length,
            **choices,
        )


@dataclass(frozen=True)
class MethodOptions:
    """Options that choose one distribution method."""

    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="hecaton, flat-ring, torus-ring or optimus.")
    ] = "hecaton"
    switch: Annotated[
        list[str] | None,
        typer.Option("--switch", metavar="NAME=VALUE", help="Set one switch of the method; repeatable."),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """Return method and switches as fields of a request. Raises ``ValueError`` for a switch that cannot be read."""
        return {"method": self.method, "switches": parse_assignments("--switch", self.switch)}


def switches_by_method(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the switches by method from values by ``[METHOD.]NAME``; a name without a method belongs to every method
    that has it.

    Raises ``ValueError`` for a name that no method has.
    """
    from chiplet.machine.base import nearest
    from chiplet.methods.registry import METHODS

    by_method: dict[str, dict[str, Any]] = {}
    switches = {method: kind.switches_type.model_fields for method, kind in METHODS.items()}
    for name, value in values.items():
        prefix, dot, switch = name.rpartition(".")
        owners = [prefix] if dot else [method for method, names in switches.items() if switch in names]
        if not owners:
            known = dict.fromkeys(key for names in switches.values() for key in names)
            raise ValueError(
                f"--switch {name}: no method has it: the nearest known one is {nearest(name, known)}"
            )
        for owner in owners:
            by_method.setdefault(owner, {})[switch] = value
    return by_method

"""Options of the commands that run a training step on a package: the model, the batch, and the dies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import MeshSize
from hecaton.terminal.projection_options import OptimizerName, OptionalModelName
from hecaton.terminal.values import integer, parse_mesh

if TYPE_CHECKING:
    from chiplet.graph.training.sizes import ModelSizes, StepSizes
    from chiplet.machine.specs import SystemSpec
    from chiplet.workload.pretrained_model import PretrainedModel

_SIZE = integer(1, 1 << 24)

TilesOption = Annotated[
    int,
    typer.Option(
        "--tiles",
        parser=_SIZE,
        metavar="T",
        help="Token tiles of whole sequences that the programs of a step run in.",
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """Options that give the model: a published one, or its sizes."""

    model: OptionalModelName = None
    hidden: Annotated[
        int | None,
        typer.Option("--hidden", parser=_SIZE, metavar="H", help="Without --model: features of a token."),
    ] = None
    heads: Annotated[
        int | None, typer.Option("--heads", parser=_SIZE, metavar="A", help="Query heads of a layer.")
    ] = None
    kv_heads: Annotated[
        int | None,
        typer.Option(
            "--kv-heads",
            parser=_SIZE,
            metavar="K",
            help="Key/value heads of a layer; by default one for each query head.",
        ),
    ] = None
    head_dim: Annotated[
        int | None,
        typer.Option(
            "--head-dim", parser=_SIZE, metavar="D", help="Features of a head; by default hidden / heads."
        ),
    ] = None
    ffn: Annotated[
        int | None, typer.Option("--ffn", parser=_SIZE, metavar="F", help="Features of the FFN.")
    ] = None
    layers: Annotated[int | None, typer.Option("--layers", parser=_SIZE, metavar="L", help="Layers.")] = None
    vocab: Annotated[
        int | None, typer.Option("--vocab", parser=_SIZE, metavar="V", help="Tokens of the vocabulary.")
    ] = None
    tied: Annotated[bool, typer.Option("--tied", help="The output layer is the embedding.")] = False

    def read(self) -> PretrainedModel:
        """Return the sizes of the model, and what else its ``config.json`` says.

        Raises ``ValueError`` of one line for a model that is refused, and for sizes that are missing or not those of
        a model.
        """
        from chiplet.workload.pretrained_model import PretrainedModel, read_pretrained

        given = {
            entry.name: value
            for entry in fields(ModelOptions)
            if entry.name != "model" and (value := getattr(self, entry.name))
        }
        if self.model is not None:
            if given:
                raise ValueError(
                    f"--model {self.model} has sizes of its own: leave out {_option(next(iter(given)))}"
                )
            return read_pretrained(self.model)
        missing = [name for name in ("hidden", "heads", "ffn", "layers", "vocab") if name not in given]
        if missing:
            raise ValueError(f"without --model, its sizes are needed: {_option(missing[0])} is missing")
        return PretrainedModel(_model_sizes(given))


@dataclass(frozen=True)
class TrainingOptions(ModelOptions):
    """Options that give a training step: the model, the batch, and the dies."""

    mesh: MeshSize = None
    sequence: Annotated[
        int, typer.Option("--sequence", parser=_SIZE, metavar="S", help="Tokens of a sequence.")
    ] = 16
    batch: Annotated[
        int, typer.Option("--batch", parser=_SIZE, metavar="B", help="Sequences of a training step.")
    ] = 1
    tiles: TilesOption = 1
    optimizer: OptimizerName = "adam"

    @property
    def assignments(self) -> list[str]:
        """The configuration keys of ``--mesh``. Raises ``ValueError`` of one line for a mesh that cannot be read."""
        shape = parse_mesh(self.mesh)
        return [] if shape is None else [f"package.rows={shape[0]}", f"package.cols={shape[1]}"]

    def sizes(self, model: PretrainedModel, system: SystemSpec) -> StepSizes:
        """Return the sizes of a step of ``model`` on the package of ``system``.

        Raises ``ValueError`` of one line for what cannot be laid out.
        """
        from chiplet.graph.training.sizes import StepSizes

        return StepSizes.on_package(
            model.sizes,
            system,
            sequences=self.batch,
            length=self.sequence,
            tiles=self.tiles,
            optimizer=self.optimizer,
        )


def _model_sizes(given: dict[str, int]) -> ModelSizes:
    """Sizes of a model, with what is not given. Raises ValueError if they are not those of a model."""
    from chiplet.graph.training.sizes import ModelSizes

    hidden, heads = given["hidden"], given["heads"]
    if "head_dim" not in given and hidden % heads:
        raise ValueError(f"--hidden {hidden} is no multiple of --heads {heads}: --head-dim is needed")
    return ModelSizes(**{"kv_heads": heads, "head_dim": hidden // heads, **given})  # type: ignore[arg-type]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"

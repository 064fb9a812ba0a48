"""Sizes of a training step: the model, the batch and the mesh; what does not fit the layouts is refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Self, cast, get_args

from chiplet.graph.descriptions.shared_programs import Optimizer
from chiplet.graph.sharding import DiePlace, TileShape
from chiplet.machine.specs import SystemSpec
from nop.collectives import ALGORITHMS, Algorithm

__all__ = ["ModelSizes", "StepSizes"]

LARGEST_OFFSET = (1 << 15) - 1
"""Largest column that a ``pick`` of the vector unit begins at."""


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """A decoder-only Transformer with RMSNorm, rotary positions, grouped-query attention and gated SiLU FFN.

    Raises
    ------
    ValueError
        If a size is below 1, heads are no multiple of ``kv_heads``, or ``head_dim`` is odd.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    layers: int
    vocab: int
    tied: bool = False

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "layers", "vocab"):
            _at_least("model", name, getattr(self, name), 1)
        if self.heads % self.kv_heads:
            raise ValueError(
                f"model: heads = {self.heads}: must be a multiple of kv_heads = {self.kv_heads}, as each "
                "key/value head serves as many query heads"
            )
        if self.head_dim % 2:
            raise ValueError(f"model: head_dim = {self.head_dim}: must be even, as rotary turns its halves")


@dataclass(frozen=True, kw_only=True)
class StepSizes:
    """A training step of ``model`` on ``rows`` x ``cols`` dies.

    Each of ``batches`` has ``sequences`` of ``length`` tokens, in ``tiles`` token tiles of whole sequences, which
    differ by at most one sequence. The gradients of all batches are added up.

    Raises
    ------
    ValueError
        If a size is below 1, there are more tiles than sequences, a die would have no part of the model, operands are
        not bf16, or the optimizer or the collective algorithm is not one of those that exist.
    """

    model: ModelSizes
    rows: int
    cols: int
    sequences: int
    length: int
    tiles: int = 1
    batches: int = 1
    optimizer: Optimizer = "sgd"
    algorithm: Algorithm = "chain"
    dtype: str = "bf16"

    def __post_init__(self) -> None:
        for name in ("rows", "cols", "sequences", "length", "tiles", "batches"):
            _at_least("training step", name, getattr(self, name), 1)
        if self.dtype != "bf16":
            raise ValueError(
                f"training step: die.dtype = {self.dtype}: must be bf16, as gradients and norms are fractions"
            )
        for name, value, known in (
            ("optimizer", self.optimizer, get_args(Optimizer)),
            ("algorithm", self.algorithm, ALGORITHMS),
        ):
            if value not in known:
                raise ValueError(f"training step: {name} = {value!r}: must be one of {', '.join(known)}")
        if self.tiles > self.sequences:
            raise ValueError(
                f"training step: tiles = {self.tiles}: must be at most the {self.sequences} sequences of a batch, "
                "as a tile has whole ones"
            )
        model = self.model
        for name, size, of, dies in (
            ("heads", model.heads, "columns", self.cols),
            ("ffn", model.ffn, "columns", self.cols),
            ("vocab", model.vocab, "columns", self.cols),
            ("hidden", model.hidden, "rows", self.rows),
        ):
            if size < dies:
                raise ValueError(
                    f"training step: {name} = {size} cannot be split over {dies} {of} of dies: "
                    f"must be at least {dies}"
                )
        last = model.vocab * (self.cols - 1) // self.cols
        if last > LARGEST_OFFSET:
            raise ValueError(
                f"training step: vocab = {model.vocab} on {self.cols} columns: the last one's part begins at {last}: "
                f"must be at most {LARGEST_OFFSET}, the largest offset of a vector pass"
            )

    @classmethod
    def on_package(
        cls,
        model: ModelSizes,
        system: SystemSpec,
        *,
        sequences: int,
        length: int,
        tiles: int,
        optimizer: str,
    ) -> Self:
        """A step as the package of ``system`` runs it: the lines of its collectives are chains."""
        return cls(
            model=model,
            rows=system.package.rows,
            cols=system.package.cols,
            sequences=sequences,
            length=length,
            tiles=tiles,
            optimizer=cast(Optimizer, optimizer),  # all others are refused by name
            algorithm="chain",
            dtype=system.die.dtype,
        )

    @property
    def tile_shapes(self) -> tuple[TileShape, ...]:
        """The token tiles of a batch, in order."""
        ends = [self.sequences * tile // self.tiles for tile in range(self.tiles + 1)]
        return tuple(TileShape(end - start, self.length) for start, end in pairwise(ends))

    def place(self, row: int, col: int, tile: int | None) -> DiePlace:
        """The die in ``row`` and ``col`` as it is in a token tile; None: in the largest one."""
        shapes = self.tile_shapes
        shape = max(shapes, key=lambda one: one.sequences) if tile is None else shapes[tile]
        return DiePlace(self.rows, self.cols, row, col, self.algorithm, shape)

    @property
    def tokens(self) -> int:
        """Tokens of the step, over which the loss is averaged."""
        return self.batches * self.sequences * self.length


def _at_least(what: str, name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what}: {name} = {value!r}: must be an integer of at least {least}")

"""Cycles of the die, out of mechanistic terms: the design's floor, or what a calibration measured.

A :class:`Calibration` belongs to the die that it was made for and refuses any other.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from chiplet.specs import DieSpec, Spec


class GemmTerms(Spec):
    """Terms of the cycles of one GEMM on the weight-stationary array; the defaults are the design's floor.

    The floor R + T max(m, R, P) + R P + C - 2 is: load the first stationary tile (R), one tile after the
    other without a bubble, each taking as long as its m rows but no less than the shadow load of the next
    tile (R) or the adder's latency (P), and the way of the last row through R rows of P stages and C columns
    of skew.
    """

    constant: Annotated[float, Field(description="cycles of every GEMM")] = -2.0
    fill_per_row: Annotated[float, Field(description="cycles for each array row before the first result")] = (
        1.0
    )
    per_row: Annotated[float, Field(description="cycles for each row streamed through a stationary tile")] = (
        1.0
    )
    per_tile: Annotated[float, Field(description="cycles for each stationary tile besides its rows")] = 0.0
    drain_per_row: Annotated[
        float, Field(description="cycles for each array row and adder stage at the end")
    ] = 1.0
    drain_per_col: Annotated[float, Field(description="cycles for each array column at the end")] = 1.0

    def array_cycles(self, *, rows: int, cols: int, stages: int, m: int, k: int, n: int) -> float:
        """Cycles of an m x k by k x n GEMM on a ``rows`` x ``cols`` array, first operand row in to last
        result out.

        ``stages`` are the pipeline stages P of the adder. Raises ``ValueError`` when a size is below 1.
        """
        for name, value in (("rows", rows), ("cols", cols), ("stages", stages), ("m", m), ("k", k), ("n", n)):
            if value < 1:
                raise ValueError(f"{name} = {value}: must be at least 1")
        tiles = ceil(k / rows) * ceil(n / cols)
        return (
            self.constant
            + self.fill_per_row * rows
            + self.per_row * tiles * max(m, rows, stages)
            + self.per_tile * tiles
            + self.drain_per_row * rows * stages
            + self.drain_per_col * cols
        )

    def on(self, die: DieSpec, m: int, k: int, n: int) -> float:
        """:meth:`array_cycles` on the array of ``die``."""
        return self.array_cycles(rows=die.rows, cols=die.cols, stages=die.stages, m=m, k=k, n=n)


class Calibration(Spec):
    """Measured terms, the die that they were measured on, and how.

    ``provenance`` says simulator, version, number of samples, seeds and the error on shapes that were not
    fitted; ``extra`` holds further terms by name.
    """

    die: DieSpec
    gemm: GemmTerms = Field(default_factory=GemmTerms)
    provenance: dict[str, Any] = Field(default_factory=dict)
    extra: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a calibration from a JSON file. Raises ``ValueError`` of one line when it is missing or
        broken.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{path}: cannot read the calibration: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a calibration: byte {error.start} is not UTF-8") from None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            what = " ".join(first["msg"].split())
            raise ValueError(f"{path}: not a calibration: {f'{place}: ' if place else ''}{what}") from None

    def save(self, path: str | Path) -> None:
        """Write the calibration as a JSON file."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def check_die(self, die: DieSpec) -> None:
        """Raise ``ValueError``, naming the first field that differs and both values, if made for another die.
        """
        for field in DieSpec.model_fields:
            made_for, asked_for = getattr(self.die, field), getattr(die, field)
            if made_for != asked_for:
                raise ValueError(
                    f"the calibration was made for a die with die.{field} = {made_for}, not {asked_for}: "
                    f"calibrate this die (hecaton calibrate -P die.{field}={asked_for}) or project that one"
                )

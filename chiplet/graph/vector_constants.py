"""Constants of the vector programs: operands of one value, which a host writes before the program runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

from chiplet.graph.vector_program import VectorProgram

__all__ = ["ConstantSettings", "constants"]

GELU_LINEAR = 2 * sqrt(2 / pi)
GELU_CUBIC = 0.044715 * GELU_LINEAR


@dataclass(frozen=True)
class ConstantSettings:
    """What the constants follow from besides sizes.

    ``norm_epsilon`` of the norms, ``rate`` of learning, and for Adam the decay of both moments, its epsilon and the
    ``step``, counted from 1. ``tokens`` of the batch over which the loss is averaged; 0: the rows of the program.
    """

    norm_epsilon: float = 1e-5
    rate: float = 1e-3
    keep_m: float = 0.9
    keep_v: float = 0.999
    adam_epsilon: float = 1e-8
    step: int = 1
    tokens: int = 0


def constants(
    program: VectorProgram, *, rows: int, cols: int, settings: ConstantSettings | None = None
) -> dict[str, float]:
    """The constants of ``program`` on ``rows`` x ``cols``, by the names of its tensors."""
    given = settings or ConstantSettings()
    adam = program.name.startswith("adam")
    known = {
        "zero": 0.0,
        "one": 1.0,
        "three": 3.0,
        "part_of_row": 1 / cols,
        "root_of_row": sqrt(cols),
        "epsilon_of_row": cols * given.norm_epsilon,
        "part_of_tokens": 1 / (given.tokens or rows),
        "gelu_linear": GELU_LINEAR,
        "gelu_cubic": GELU_CUBIC,
        "rate": given.rate / (1 - given.keep_m**given.step) if adam else given.rate,
        "keep_m": given.keep_m,
        "take_m": 1 - given.keep_m,
        "keep_v": given.keep_v,
        "take_v": 1 - given.keep_v,
        "scale_v": 1 / (1 - given.keep_v**given.step),
        "tiny": 2.0**-100,
        "epsilon": given.adam_epsilon,
    }
    return {name: known[name] for name in program.constants}

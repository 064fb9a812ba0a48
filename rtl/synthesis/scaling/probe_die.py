"""The die that the numbers of another die's blocks are told from: the same one with other rows and columns."""

from __future__ import annotations

from chiplet.machine.specs import SUM_BYTES, DieSpec

__all__ = ["probe_die", "probe_size"]

_SIZES = ((2, 16), (16, 2), (8, 4), (4, 8), (2, 8), (8, 2))
"""Rows and columns to compare with: powers of two, whose rows are nested alike."""


def probe_size(rows: int, cols: int) -> tuple[int, int]:
    """Rows and columns of a die whose numbers tell a constant, rows, columns and PEs of ``rows`` x ``cols`` apart."""
    return next(
        (r, c) for r, c in _SIZES if r != rows and c != cols and r * c != rows * cols and r * cols != c * rows
    )


def probe_die(die: DieSpec) -> DieSpec:
    """``die`` with the rows and columns of :func:`probe_size`, and banks of as many words."""
    rows, cols = probe_size(die.rows, die.cols)
    element = die.element_bytes
    sizes = {
        "rows": rows,
        "cols": cols,
        "weight_bytes": max(die.weight_depth, rows) * cols * element,
        "activation_bytes": max(die.activation_depth, rows) * rows * element,
        "accumulator_bytes": die.accumulator_depth * cols * SUM_BYTES,
    }
    return DieSpec.model_validate({**die.model_dump(), **sizes})

"""Golden results of collectives: the scratchpads of all dies before and after."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cosim.golden.numerics import fp32_add
from cosim.program.line_commands import LineCollective, sum_order
from cosim.records.collective import CollectiveRequest
from nop.collectives import Algorithm, LineOp, line
from nop.forwarding import slots

SUMS = np.dtype("<u4")
"""32-bit words as they lie in memories."""


def _operands(
    request: CollectiveRequest, rng: np.random.Generator, shape: tuple[int, ...]
) -> NDArray[np.uint32]:
    if request.op == "all-gather" or request.die.dtype == "int8":
        return rng.integers(0, 1 << 32, shape, dtype=np.uint32)
    values = rng.standard_normal(shape, dtype=np.float32).view(np.uint32)
    if request.operands == "special":
        special = np.array([0, 1 << 31, 1, 0x7F800000, 0xFF800000, 0x7FC00001, 0x7F7FFFFF], np.uint32)
        values = np.where(rng.random(shape) < 0.3, rng.choice(special, shape), values)
    return values


def _add(request: CollectiveRequest, a: NDArray[np.uint32], b: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return a + b if request.die.dtype == "int8" else fp32_add(a, b)


def golden(request: CollectiveRequest, work: LineCollective, given: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Chunks of each die of a line after the collective, in the order of the dies.

    Sums are made in the order of :func:`cosim.program.line_commands.sum_order`.

    Parameters
    ----------
    given
        (nodes, chunks, words): each die's version of each chunk before the collective.

    Returns
    -------
    The same shape. Chunks for which the op makes no promise are unspecified.
    """
    return carried_out(work.op, work.algorithm, given, partial(_add, request))


def carried_out(
    op: LineOp,
    algorithm: Algorithm,
    given: NDArray[np.uint32],
    add: Callable[[NDArray[np.uint32], NDArray[np.uint32]], NDArray[np.uint32]] = fp32_add,
) -> NDArray[np.uint32]:
    """Chunks of (nodes, chunks, words) after a collective on a line, as :func:`golden`; sums are made by ``add``."""
    chunks = given.copy()
    for part in line(op, len(given), algorithm).parts():
        for _, sender, receiver, chunk in sum_order(algorithm, part):
            sent = chunks[sender, chunk]
            chunks[receiver, chunk] = (
                add(sent, chunks[receiver, chunk]) if part.op == "reduce-scatter" else sent
            )
    return chunks


def scratchpads(
    request: CollectiveRequest, lines: dict[str, LineCollective]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.bool_]]:
    """(dies, sums) arrays: the scratchpads before and after, and which sums after it the op promises."""
    rng = np.random.default_rng(request.seed)
    word_sums = request.memory.word_bytes // 4
    sums = request.flits * request.nop.flit_bits // 32
    words = sum(work.nodes * work.pitch for work in lines.values())
    before = rng.integers(0, 1 << 32, (request.rows * request.cols, words * word_sums), np.uint32)
    after, promised = before.copy(), np.zeros(before.shape, bool)
    numbers = np.arange(request.rows * request.cols).reshape(request.rows, request.cols)
    for axis, work in lines.items():
        slot = slots(work.algorithm, work.nodes)
        for dies in numbers if axis == "row" else numbers.T:
            given = _operands(request, rng, (work.nodes, work.nodes, sums))
            result = golden(request, work, given)
            for place, die in enumerate(dies):
                for chunk in range(work.nodes):
                    start = (work.base + slot[chunk] * work.pitch) * word_sums
                    where = slice(start, start + sums)
                    if work.op != "all-gather" or chunk == place:
                        before[die, where] = given[place, chunk]
                    if work.op != "reduce-scatter" or chunk == place:
                        after[die, where] = result[place, chunk]
                        promised[die, where] = True
    return before, after, promised

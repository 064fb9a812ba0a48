"""How long a pass takes on the vector unit, while the scratchpad serves each of its ports in every cycle."""

from __future__ import annotations

from chiplet.graph.vector_pass import VectorPass
from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.vector_specs import VECTOR_FUNCTION_STAGES, VECTOR_MULTIPLIER_STAGES
from chiplet.vectorized.elementwise import Number, ceil_div, larger

__all__ = ["START_CYCLES", "beat_cycles", "pass_cycles", "pass_latency", "result_words", "stage_cycles"]

START_CYCLES = 6 + SRAM_LATENCY
"""Cycles of a pass beside its beats and its stages: the command, the first word of each operand, the last write."""

_SUM_BYTES = 4
_RESULT_BYTES = {"fp32": 4, "bf16": 2}


def beat_cycles(
    work: VectorPass, *, rows: Number, cols: Number, lanes: int, function_lanes: int, word_bytes: int
) -> Number:
    """Cycles in which beats enter, or in which words are written if these are more.

    A row is ceil(cols / lanes) beats. With a function each takes lanes / function_lanes cycles, otherwise one.
    """
    turns = 1 if work.function == "none" else lanes // function_lanes
    words = result_words(work, rows=rows, cols=cols, word_bytes=word_bytes)
    return larger(rows * ceil_div(cols, lanes) * turns, words)


def result_words(work: VectorPass, *, rows: Number, cols: Number, word_bytes: int) -> Number:
    """Words that a pass writes: those of each row's results, and those of the values of rows."""
    words: Number = 0
    if work.result is not None:
        words = rows * ceil_div(cols * _RESULT_BYTES[work.result], word_bytes)
    if work.reduction != "none":
        words = words + ceil_div(rows * _SUM_BYTES, word_bytes)
    return words


def pass_latency(work: VectorPass, *, lanes: int, stages: int) -> int:
    """Cycles of a pass beside those of its beats. ``stages`` are those of the die's adders."""
    return START_CYCLES + stage_cycles(work, lanes=lanes, stages=stages)


def stage_cycles(work: VectorPass, *, lanes: int, stages: int) -> int:
    """Cycles of the stages that a beat of a pass goes through."""
    cycles = 0
    for op in (work.op1, work.op2):
        cycles += VECTOR_MULTIPLIER_STAGES if op == "mul" else stages
    if work.function != "none":
        cycles += VECTOR_FUNCTION_STAGES
    if work.reduction != "none":
        # The tree over the lanes, the partial sums, and two levels that add these.
        cycles += ((lanes - 1).bit_length() + 3) * stages
    return cycles


def pass_cycles(
    work: VectorPass,
    *,
    rows: Number,
    cols: Number,
    lanes: int,
    function_lanes: int,
    word_bytes: int,
    stages: int,
) -> Number:
    """Cycles from the end of the pass before, which has all semaphores of this one, to the end of this one."""
    beats = beat_cycles(
        work, rows=rows, cols=cols, lanes=lanes, function_lanes=function_lanes, word_bytes=word_bytes
    )
    return beats + pass_latency(work, lanes=lanes, stages=stages)

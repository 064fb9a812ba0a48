"""How long a pass takes on the vector unit, while the scratchpad serves each of its ports in every cycle."""

from __future__ import annotations

from chiplet.graph.vector_pass import VectorPass
from chiplet.machine.specs import DieSpec
from chiplet.machine.vector_specs import VectorSpec
from chiplet.vectorized.elementwise import Number, ceil_div, larger

__all__ = ["beat_cycles", "pass_cycles", "pass_latency", "result_words", "stage_cycles"]

START_CYCLES = 6
"""Cycles of a pass beside its beats, its stages and a read: the command, the first word that came, the last write."""

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


def pass_latency(work: VectorPass, *, lanes: int, die: DieSpec, vector: VectorSpec) -> int:
    """Cycles of a pass beside those of its beats."""
    return START_CYCLES + die.sram_latency + stage_cycles(work, lanes=lanes, die=die, vector=vector)


def stage_cycles(work: VectorPass, *, lanes: int, die: DieSpec, vector: VectorSpec) -> int:
    """Cycles of the stages that a beat of a pass goes through."""
    stages = die.stages
    cycles = 0
    for op in (work.op1, work.op2):
        cycles += vector.multiplier_stages if op == "mul" else stages
    if work.function != "none":
        cycles += vector.function_stages
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
    die: DieSpec,
    vector: VectorSpec,
) -> Number:
    """Cycles from the end of the pass before, which has all semaphores of this one, to the end of this one."""
    beats = beat_cycles(
        work, rows=rows, cols=cols, lanes=lanes, function_lanes=function_lanes, word_bytes=word_bytes
    )
    return beats + pass_latency(work, lanes=lanes, die=die, vector=vector)

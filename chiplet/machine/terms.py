"""Cycles of the die from mechanistic terms: those of the design, or those that a calibration measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel
from chiplet.machine.pipelining import DEPTHS, MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.specs import DieSpec
from chiplet.vectorized.elementwise import Number, ceil_div, larger
from nop.terms import FIT_SLACK, MOST_CYCLES


def deeper_keys(die: DieSpec) -> str:
    """Keys of ``die`` that make it deeper than packages are predicted for, with their values; empty for none."""
    values = {name: getattr(die, name) for name in DEPTHS}
    return ", ".join(f"die.{name} = {value}" for name, value in values.items() if value > DEPTHS[name])


def check_predicted(die: DieSpec, what: str) -> None:
    """Raise ``ValueError``, in one line, if ``what`` does not follow the depth of ``die``."""
    deeper = deeper_keys(die)
    if deeper:
        raise ValueError(
            f"{deeper}: {what} count on die.sram_latency = {SRAM_LATENCY} and die.multiplier_stages = "
            f"{MULTIPLIER_STAGES}"
        )


_MOST_PER_ROW = 16.0
"""Cycles for a row or column above which the array is none of pipelined PEs: the formulas do not hold for it."""

_LEAST_STEP = -4.0
"""Least value of a term that stands for the steps of a unit, cycles. No unit acts before its cause, so the cycles of a
program's units together are not negative. But the runs cannot tell all terms apart, and the fit then spreads a
difference evenly over some of them.
"""


def _cycles(meaning: str, least: float, most: float, bound: str = "") -> Any:
    """A term that is finite and from ``least`` to ``most``; ``bound`` is the physical reason, for its description."""
    description = f"{meaning}; {bound}" if bound else meaning
    return Field(ge=least, le=most, allow_inf_nan=False, description=description)


def _step(meaning: str) -> Any:
    """A term that stands for the steps of a unit."""
    return _cycles(meaning, _LEAST_STEP, MOST_CYCLES)


def floor_cycles(*, rows: int, cols: int, stages: int, m: int, k: int, n: int) -> int:
    """The design's lower bound for an m x k by k x n GEMM out of the buffers: R + T max(m, R, P) + R P + C - 2.

    These are the load of the first stationary tile (R); T tiles one after the other without a bubble, each as long as
    its m rows, but no shorter than the shadow load of the next tile (R) or the latency of the adder (P); and the way of
    the last row through R rows of P stages and C columns of skew. (With m < R the last tile can end R - m cycles
    earlier.)
    """
    return int(rows + _tiles(rows, cols, k, n) * max(m, rows, stages) + rows * stages + cols - 2)


def _tiles(rows: Number, cols: Number, k: Number, n: Number) -> Number:
    """Stationary tiles of a GEMM."""
    return ceil_div(k, rows) * ceil_div(n, cols)


class GemmTerms(StrictModel):
    """Terms of the array cycles of one GEMM out of the buffers; the defaults follow from the pipeline.

    Terms are finite and within what hardware can do, as the description of each field says.

    The array takes ``fill_per_row`` R cycles for the first stationary tile; then T tiles of ``per_row``
    max(m, R, P) + ``per_tile`` cycles, the last of which ends with its m rows; and the last row leaves after
    ``drain_per_row`` R P + ``drain_per_col`` C + ``drain_per_stage`` P cycles, the accumulator adder included.
    """

    constant: Annotated[
        float,
        _cycles(
            "cycles of every GEMM", -16.0, MOST_CYCLES, "below 0 where pipelines overlap by a few cycles"
        ),
    ] = MULTIPLIER_STAGES - 2.0
    fill_per_row: Annotated[
        float,
        _cycles(
            "cycles for each array row while the first weights enter",
            0.0,
            _MOST_PER_ROW,
            "weights cannot enter before the GEMM begins",
        ),
    ] = 1.0
    per_row: Annotated[
        float,
        _cycles(
            "cycles for each row streamed through a stationary tile",
            1.0 - FIT_SLACK,
            _MOST_PER_ROW,
            "no less than 1: the array takes at most one row a cycle",
        ),
    ] = 1.0
    per_tile: Annotated[
        float,
        _cycles(
            "cycles for each stationary tile besides its rows",
            -FIT_SLACK,
            MOST_CYCLES,
            "not below 0: tiles follow one another and do not overlap",
        ),
    ] = 0.0
    drain_per_row: Annotated[
        float,
        _cycles(
            "cycles for each array row and adder stage at the end",
            0.0,
            _MOST_PER_ROW,
            "sums cannot leave before they are complete",
        ),
    ] = 1.0
    drain_per_col: Annotated[
        float,
        _cycles(
            "cycles for each array column at the end",
            0.0,
            _MOST_PER_ROW,
            "sums cannot leave before they are complete",
        ),
    ] = 1.0
    drain_per_stage: Annotated[
        float,
        _cycles(
            "cycles for each stage of the accumulator adder at the end",
            0.0,
            _MOST_PER_ROW,
            "sums cannot leave before they are complete",
        ),
    ] = 1.0

    @classmethod
    def of_design(cls, die: DieSpec) -> Self:
        """The terms that follow from the pipeline of ``die``."""
        design = cls()
        deeper = die.multiplier_stages - MULTIPLIER_STAGES
        return design.model_copy(update={"constant": design.constant + deeper}) if deeper else design

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        """No GEMM takes less than its rows: it is enough to look at the smallest one, since no slope is negative."""
        least = self.array_cycles(rows=1, cols=1, stages=1, m=1, k=1, n=1)
        if least < 1:
            raise ValueError(f"a GEMM of one multiply-add would take {least:g} cycles: it takes at least 1")
        return self

    def tile_cycles(self, *, rows: int, stages: int, m: int) -> float:
        """Cycles from one stationary tile to the next."""
        return self.per_row * max(m, rows, stages) + self.per_tile

    def drain_cycles(self, *, rows: Number, cols: Number, stages: int) -> Number:
        """Cycles from the last row into the array to its sums out of the accumulator adders."""
        return (
            self.constant
            + self.drain_per_row * rows * stages
            + self.drain_per_col * cols
            + self.drain_per_stage * stages
        )

    def array_cycles(self, *, rows: int, cols: int, stages: int, m: int, k: int, n: int) -> float:
        """Cycles of an m x k by k x n GEMM on a ``rows`` x ``cols`` array, first operand row in to last result out.

        ``stages`` are the pipeline stages P of the adder. Raises ``ValueError`` if a size is below 1.
        """
        if min(rows, cols, stages, m, k, n) < 1:
            sizes = {"rows": rows, "cols": cols, "stages": stages, "m": m, "k": k, "n": n}
            name, value = next((name, value) for name, value in sizes.items() if value < 1)
            raise ValueError(f"{name} = {value}: must be at least 1")
        return float(self.counter(rows=rows, cols=cols, stages=stages)(m, k, n))

    def counter(
        self, *, rows: Number, cols: Number, stages: int
    ) -> Callable[[Number, Number, Number], Number]:
        """:meth:`array_cycles` of an array as a function of m, k and n, for many GEMMs; sizes are not checked."""
        fill, per_row, per_tile = self.fill_per_row * rows, self.per_row, self.per_tile
        drain = self.drain_cycles(rows=rows, cols=cols, stages=stages)
        least = larger(rows, stages)

        def cycles(m: Number, k: Number, n: Number) -> Number:
            tile = per_row * larger(m, least) + per_tile
            return fill + (_tiles(rows, cols, k, n) - 1) * tile + per_row * m + drain

        return cycles

    def on(self, die: DieSpec, m: int, k: int, n: int) -> float:
        """:meth:`array_cycles` on the array of ``die``."""
        return self.array_cycles(rows=die.rows, cols=die.cols, stages=die.stages, m=m, k=k, n=n)


class DieTerms(StrictModel):
    """Terms of a whole program on a die: the array's, and the constants of command, load and store units.

    The defaults follow from the pipeline of the units; a calibration fits them to measured runs.
    """

    gemm: GemmTerms = Field(default_factory=GemmTerms)
    fetch: Annotated[float, _step("cycles from start to the first command, without memory")] = 2.0
    load_command: Annotated[float, _step("cycles from a LOAD at the head of its queue to its semaphores")] = (
        1.0
    )
    round_trip: Annotated[float, _step("cycles from a read to its word, without memory")] = 0.0
    load_post: Annotated[
        float, _step("cycles from the last word of a row in the scratchpad to its semaphore")
    ] = 1.0
    read_command: Annotated[
        float, _step("cycles from a feed or STORE at the head of its queue to its semaphores")
    ] = 1.0
    scratchpad_read: Annotated[
        float, _step("cycles from the read of a word of the scratchpad to its use")
    ] = float(SRAM_LATENCY)
    feed_post: Annotated[
        float,
        _step("cycles from the last element in an operand buffer to the semaphore of a FEED"),
    ] = 2.0
    gemm_command: Annotated[float, _step("cycles from a GEMM at the head of its queue to its semaphores")] = (
        1.0
    )
    operand_read: Annotated[float, _step("cycles from the read of an operand row to the array")] = (
        SRAM_LATENCY + 1.0
    )
    handover: Annotated[
        float, _step("least cycles from the first weights of a command to its first activations")
    ] = 2.0
    panel_post: Annotated[float, _step("cycles from the last sum to the semaphore of its panel")] = 1.0
    drain_command: Annotated[
        float, _step("cycles from a DRAIN at the head of its queue to its semaphores")
    ] = 1.0
    drain_read: Annotated[float, _step("cycles from the read of a row of sums to its place in words")] = (
        SRAM_LATENCY + 1.0
    )
    drain_post: Annotated[
        float, _step("cycles from the last word of a row in the scratchpad to its semaphore")
    ] = 1.0
    store_post: Annotated[float, _step("cycles from the last word of a STORE to its semaphore")] = 1.0
    finish: Annotated[float, _step("cycles from the last word stored to done")] = 0.0

    @classmethod
    def of_design(cls, die: DieSpec) -> Self:
        """The terms that follow from the pipeline of ``die``."""
        design = cls()
        later = die.sram_latency - SRAM_LATENCY
        reads = ("scratchpad_read", "operand_read", "drain_read")
        update: dict[str, Any] = {name: getattr(design, name) + later for name in reads} if later else {}
        if die.multiplier_stages != MULTIPLIER_STAGES:
            update["gemm"] = GemmTerms.of_design(die)
        return design.model_copy(update=update)


class StepUnitTerms(StrictModel):
    """Terms of a training step beside those of a program: what the units of a die and the way to its memory take.

    The defaults follow from the design; a calibration fits them to steps of few operators.
    """

    memory_read: Annotated[float, _step("cycles of a read and its word at the ends of the memory plane")] = (
        1.0
    )
    memory_written: Annotated[
        float, _step("cycles from a write to its answer, beside those of links and flits")
    ] = 7.0
    memory_flit: Annotated[
        float,
        _cycles(
            "cycles of a flit of the memory plane, by those of the link",
            1.0 - FIT_SLACK,
            _MOST_PER_ROW,
            "no less than 1: a link carries no more",
        ),
    ] = 1.0
    queue: Annotated[float, _step("cycles of a command from the command processor to its unit")] = 1.0
    vector_command: Annotated[
        float, _step("cycles from a VECTOR at the head of its queue to its semaphores")
    ] = 1.0
    vector_pass: Annotated[
        float, _step("cycles of a pass beside its beats and the stages that they go through")
    ] = 6.0 + SRAM_LATENCY
    vector_beat: Annotated[
        float,
        _cycles(
            "cycles of a beat, or of a word of results",
            1.0 - FIT_SLACK,
            _MOST_PER_ROW,
            "no less than 1: the vector unit takes at most one a cycle",
        ),
    ] = 1.0
    vector_post: Annotated[float, _step("cycles from the end of a pass to its semaphores")] = 0.0
    operand_wait: Annotated[
        float,
        _cycles(
            "cycles that each further operand of a pass waits for the bank of another, in the mean",
            0.0,
            MOST_CYCLES,
            "no operand comes before it is asked for",
        ),
    ] = 0.5
    feed_group: Annotated[
        float,
        _cycles(
            "cycles of each group of elements that a feed writes at once",
            1.0 - FIT_SLACK,
            _MOST_PER_ROW,
            "no less than 1: a bank takes an element a cycle",
        ),
    ] = 1.0
    sums_panel: Annotated[
        float, _step("cycles of a panel of sums that is fed, beside its rows: the read of its first word")
    ] = 2.0
    sums_row: Annotated[
        float,
        _cycles(
            "cycles of a row of sums that is fed, beside those of its further words",
            1.0 - FIT_SLACK,
            _MOST_PER_ROW,
            "no less than 1: the accumulator buffer takes a row a cycle",
        ),
    ] = 3.0
    drain_row: Annotated[
        float,
        _cycles(
            "cycles of a word of sums that is drained",
            1.0 - FIT_SLACK,
            _MOST_PER_ROW,
            "no less than 1: the accumulator buffer gives a row a cycle",
        ),
    ] = 1.0
    drain_write: Annotated[
        float, _step("cycles from a row of sums in words to its last word in the scratchpad")
    ] = 1.0
    store_word: Annotated[
        float, _step("cycles from a word of the scratchpad at the store unit to its way to memory")
    ] = 0.0

    @classmethod
    def of_design(cls, die: DieSpec) -> Self:
        """The terms that follow from the pipeline of ``die``."""
        design = cls()
        later = die.sram_latency - SRAM_LATENCY
        return design.model_copy(update={"vector_pass": design.vector_pass + later}) if later else design

"""The record of training steps: what the units of all dies did in the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cosim.records.train_step import TrainStepRecord, TrainStepRequest, UnitCycles
from cosim.run.training.train_step import PreparedTraining, TrainingRun
from rtl.interface.register_map import SIDES

__all__ = ["measured_busy", "train_step_record", "unit_cycles"]

_CountedDie = Mapping[str, int]

_UNITS = ("feed_activation", "feed_weight", "feed_sums", "drain", "vector")
_AXES = {"row links": ("east", "west"), "column links": ("north", "south")}


def _busy(unit: str) -> Callable[[_CountedDie], int]:
    return lambda die: die[f"{unit}_busy"] - die[f"{unit}_stall_semaphore"]


def _flits(sides: Sequence[str]) -> Callable[[_CountedDie], int]:
    return lambda die: max(die[f"flits_{way}_{side}"] for way in ("sent", "received") for side in sides)


_KINDS: dict[str, Callable[[_CountedDie], int]] = {
    "array": lambda die: die["array_busy"],
    "load": lambda die: die["load_words"],
    **{unit: _busy(unit) for unit in _UNITS},
    "store": lambda die: die["store_words"],
    **{name: _flits(sides) for name, sides in _AXES.items()},
}


def measured_busy(counters: Sequence[_CountedDie]) -> dict[str, int]:
    """Busy cycles of each kind of unit by the counters of all dies: of the die where they are most."""
    return {name: max(map(busy, counters)) for name, busy in _KINDS.items()}


def unit_cycles(counters: Sequence[_CountedDie], predicted: Mapping[str, int]) -> dict[str, UnitCycles]:
    """Busy cycles of each kind of unit, from the counters of all dies, and as ``predicted``."""
    return {
        name: UnitCycles(measured=busy, predicted=predicted[name])
        for name, busy in measured_busy(counters).items()
    }


def train_step_record(
    request: TrainStepRequest, prepared: PreparedTraining, run: TrainingRun
) -> TrainStepRecord:
    """The record of a run on the generated package."""
    package, programs = run.package, prepared.programs
    assert package is not None
    assert programs is not None
    phases = [*package.phases.values()]
    last = phases[-1]
    predicted = prepared.predicted
    return TrainStepRecord(
        request=request,
        mesh=request.mesh,
        rows=request.system.die.rows,
        cols=request.system.die.cols,
        steps=request.steps,
        optimizer=request.optimizer,
        learning_rate=request.learning_rate,
        cycles=last.cycles,
        predicted_cycles=predicted.cycles,
        step_cycles=[phase.cycles for phase in phases],
        units=unit_cycles(last.counters, predicted.units),
        nop_busy_cycles=max(die.busy for die in run.activity),
        nop_exposed_cycles=max(die.exposed for die in run.activity),
        nop_flits=sum(die[f"flits_sent_{side}"] for die in last.counters for side in SIDES),
        axi_reads=sum(counts["reads"] for counts in last.axi.values()),
        axi_writes=sum(counts["writes"] for counts in last.axi.values()),
        commands=prepared.compiled.longest,
        memory_words=programs.memory_words,
        loss=run.losses,
        words=run.words.compared,
        mismatches=run.mismatches,
        counters=last.counters,
        link_faults=package.link_faults,
        link_ends=package.link_ends,
        seed=request.seed,
        **package.provenance,
    )

"""Steps that hang are given up soon, and others never."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.config import load_system
from cosim.backends.base import SimulationError
from cosim.backends.registry import backend
from cosim.program.command import Command
from cosim.records.links import Death, FaultyLinks
from cosim.run.cycle_bound import CycleBound
from cosim.run.training.step_bound import PATIENCE, most_step_cycles
from rtl.interface.isa import Opcode
from tests.cosim.run.training.test_train_step import TINY, compiled_of, prepared_of

SYSTEM = load_system(None, [], preset="bench")
LINKS = FaultyLinks.of(SYSTEM)


def test_a_step_is_given_up_soon_behind_its_prediction() -> None:
    compiled = compiled_of((1, 1), TINY, optimizer="sgd")
    prepared = prepared_of(compiled, simulator=backend("icarus"), direct=True)
    assert prepared.programs is not None
    (phase,) = prepared.programs.phases
    assert phase.most_cycles == PATIENCE * prepared.predicted.cycles + 10_000
    programs = [[*die.commands] for die in compiled.dies]
    serial = CycleBound(compiled.system, interval=1, stall=0.0).most(prepared.work, programs)
    assert 5 * phase.most_cycles < serial


@given(
    st.integers(1, 10**6),
    st.floats(0, 0.9),
    st.integers(1, 50),
    st.floats(0, 0.5),
    st.floats(0, 0.1),
)
def test_what_slows_a_step_down_only_adds_patience(
    cycles: int, stall: float, interval: int, flips: float, stalls: float
) -> None:
    still = most_step_cycles(cycles, SYSTEM, stall=0.0, interval=1, links=None)
    assert still > PATIENCE * cycles
    slow = most_step_cycles(cycles, SYSTEM, stall=stall, interval=interval, links=None)
    faulty = LINKS.model_copy(update={"flips": flips, "stalls": stalls})
    slower = most_step_cycles(cycles, SYSTEM, stall=stall, interval=interval, links=faulty)
    assert still <= slow <= slower
    assert slow >= PATIENCE * cycles * interval / (1 - stall)


def test_dead_links_have_their_own_time_out() -> None:
    for links in (
        LINKS.model_copy(update={"flips": 1.0}),
        LINKS.model_copy(update={"deaths": (Death(source=0, target=1, cycle=9),)}),
    ):
        assert most_step_cycles(100, SYSTEM, stall=0.0, interval=1, links=links) == inf


@pytest.mark.slow
def test_a_program_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compiled_of((1, 1), TINY, optimizer="sgd")
    (die,) = compiled.dies
    number = next(
        number
        for number, command in reversed([*enumerate(die.commands)])
        if command.opcode == Opcode.VECTOR and command.fields.get("post_0")
    )
    command = die.commands[number]
    silent = Command(command.opcode, {**command.fields, "post_0": 0})
    broken = [*die.commands]
    broken[number] = silent
    object.__setattr__(die, "commands", broken)
    for module, check in (
        ("cosim.run.training.train_step", "check_step"),
        ("cosim.run.package", "check_phase"),
    ):
        monkeypatch.setattr(f"{module}.{check}", lambda *_args, **_more: None)
    prepared = prepared_of(compiled, simulator=backend("icarus"), direct=True)
    assert prepared.programs is not None
    # The dies' watchdogs wait for a quarter of the bound: about as long as the whole step should take.
    assert prepared.programs.phases[0].most_cycles < 6 * prepared.predicted.cycles
    with pytest.raises(SimulationError, match="no progress .* waiting for semaphores: store"):
        prepared.run()

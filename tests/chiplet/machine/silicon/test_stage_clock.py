"""The clock that the stages of a die allow."""

from __future__ import annotations

import pytest

from chiplet.machine.config import load_system
from chiplet.machine.silicon.stage_clock import STAGES_HZ, megahertz
from chiplet.machine.specs import DieSpec


@pytest.mark.parametrize(("stages", "clock"), STAGES_HZ.items())
def test_a_clock_follows_the_stages(stages: int, clock: float) -> None:
    die = load_system(None, ["die.clock_hz=stages", f"die.stages={stages}"], preset="bench").die
    assert die.clock_hz == clock
    assert DieSpec.model_validate(die.model_dump()) == die
    given = load_system(None, ["die.clock_hz=1e9", f"die.stages={stages}"], preset="small").die
    assert given.clock_hz == 1e9


def test_it_follows_stages_that_a_later_layer_sets() -> None:
    assert load_system(None, [], preset="small").die.clock_hz == STAGES_HZ[3]
    assert load_system(None, ["die.stages=2", "die.dtype=int8"], preset="small").die.clock_hz == STAGES_HZ[2]


def test_other_words_and_stages_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"die\.clock_hz must be a finite number .*, not \"stage\""):
        load_system(None, ["die.clock_hz=stage"], preset="bench")
    with pytest.raises(ValueError, match=r"die\.stages must be an integer from 1 to 4, not 9"):
        load_system(None, ["die.clock_hz=stages", "die.stages=9"], preset="bench")


@pytest.mark.parametrize(
    ("clock", "text"),
    [(781e6, "781 MHz"), (781000001.0, "781.000001 MHz"), (1e9, "1000 MHz"), (1e3, "0.001 MHz")],
)
def test_a_clock_is_shown_with_all_of_its_digits(clock: float, text: str) -> None:
    assert megahertz(clock) == text

"""SRAM banks of a die, and which of them are beyond real ones."""

from __future__ import annotations

import pytest

from chiplet.machine.config import load_system
from chiplet.machine.silicon.sram_banks import MOST_WORDS, Bank, bank_remark
from chiplet.machine.sources import banks_of, collect_inputs


def test_banks_are_those_of_the_buffers() -> None:
    system = load_system(None, [], preset="bench")
    assert banks_of(system.die, system.memory, system.nop) == {
        "die.weight_bytes": Bank(16_384, 16),
        "die.activation_bytes": Bank(8_192, 16),
        "die.accumulator_bytes": Bank(2_048, 32),
        "die.scratchpad_bytes": Bank(256, 256),
    }


@pytest.mark.parametrize(("words", "beyond"), [(MOST_WORDS, False), (MOST_WORDS + 1, True)])
def test_what_is_beyond_real_banks_is_said(words: int, beyond: bool) -> None:
    assert ("beyond" in bank_remark(Bank(words, 16))) is beyond


def test_assumed_inputs_mark_banks_beyond_real_ones() -> None:
    _, assumed = collect_inputs(load_system(None, [], preset="package"), None)
    beyond = {entry.name for entry in assumed if "words that are taken for real" in entry.source}
    assert beyond == {"die.weight_bytes", "die.accumulator_bytes", "die.scratchpad_bytes"}

"""Every rule of the schedule saves DRAM traffic or time, or does nothing."""

from __future__ import annotations

import pytest

from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from chiplet.schedule.schedule import RULES
from chiplet.studies.ablation import ablate
from tests.chiplet.machines import PACKAGE, package


@pytest.mark.parametrize("method", METHODS)
def test_leaving_a_rule_out_never_saves_traffic_nor_much_time(method: str) -> None:
    found = account(StepRequest("llama3.1-405b", PACKAGE, dies=1024, method=method))
    rows, left_out = ablate(found)
    assert not left_out
    assert [row.without for row in rows] == ["nothing", *RULES]
    assert rows[0].step_seconds == found.projection.step_seconds
    for row in rows[1:]:
        assert row.dram_ratio >= 1 - 1e-9
        # Without fusion a mini-batch may be larger, which saves a little time where DRAM is not the limit.
        assert row.step_ratio >= 0.97
        assert row.dram_ratio == pytest.approx(row.dram_bytes / rows[0].dram_bytes)


def test_what_the_rules_save_for_hecaton() -> None:
    rows, _ = ablate(account(StepRequest("llama3.1-405b", PACKAGE, dies=1024)))
    by_rule = {row.without: row for row in rows}
    assert by_rule["residence"].dram_ratio > 1.1
    assert by_rule["fusion"].dram_ratio > 1.1
    assert by_rule["overlap"].step_ratio > 1.1
    assert by_rule["overlap"].dram_ratio == pytest.approx(1)


def test_what_does_not_fit_without_a_rule_is_named() -> None:
    system = package("die.scratchpad_bytes=6000000")
    rows, left_out = ablate(account(StepRequest("tinyllama-1.1b", system, dies=16)))
    assert len(rows) + len(left_out) == 1 + len(RULES)

"""Steps: what they need and post, where their panels lie, and the orders."""

from __future__ import annotations

import numpy as np

from cosim.golden.interleaving import UnitStep, at_random, in_program_order, loads_first, steps_of
from cosim.program.command import Command
from rtl.interface.isa import Opcode

GEMM = {
    "wait_0": 1,
    "post_0": 2,
    "panel_wait": 3,
    "panel_post": 4,
    "panels": 3,
    "accumulator_base": 4,
    "accumulator_step": 4,
    "accumulator_wrap": 8,
    "m": 1,
    "k_tiles": 1,
    "last_k": 1,
    "last_cols": 1,
}


def test_a_gemm_takes_and_posts_by_panel() -> None:
    steps = list(steps_of(0, Command(Opcode.GEMM, GEMM)))
    assert [step.needs for step in steps] == [{1, 3}, {3}, {3}]
    assert [step.posts for step in steps] == [{4}, {4}, {2, 4}]
    assert [step.last for step in steps] == [False, False, True]
    assert [step.accumulator for step in steps] == [4, 0, 4]


def test_a_load_posts_its_rows() -> None:
    load = Command(Opcode.LOAD, {"wait_0": 1, "post_1": 2, "row_post": 3, "rows": 2, "words": 5})
    steps = list(steps_of(7, load))
    assert [(step.index, step.row) for step in steps] == [(7, 0), (7, 1)]
    assert [step.needs for step in steps] == [{1}, set()]
    assert [step.posts for step in steps] == [{3}, {2, 3}]


def test_a_drain_posts_rows_with_its_last_panel() -> None:
    drain = Command(
        Opcode.DRAIN,
        {"panel_wait": 1, "panel_post": 2, "row_post": 3, "rows": 2, "panels": 2, "last_cols": 1},
    )
    steps = list(steps_of(0, drain))
    assert [step.needs for step in steps] == [{1}, set(), {1}, set()]
    assert [step.posts for step in steps] == [set(), {2}, {3}, {2, 3}]


def test_orders() -> None:
    store, gemm, load = (
        UnitStep(index, opcode, {"panels": 1}, 0, 0)
        for index, opcode in enumerate((Opcode.STORE, Opcode.GEMM, Opcode.LOAD))
    )
    assert in_program_order([load, gemm, store]) is store
    assert loads_first([store, gemm, load]) is load
    assert loads_first([store, gemm]) is gemm
    chosen = [at_random(np.random.default_rng(seed))([load, gemm, store]).index for seed in range(20)]
    assert set(chosen) == {0, 1, 2}

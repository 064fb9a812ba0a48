"""Steps: what they need and post, where their panels lie, and the orders."""

from __future__ import annotations

import numpy as np

from cosim.golden.interleaving import UnitStep, at_random, in_program_order, loads_first, members
from rtl.interface.isa import Opcode

GEMM = {
    "wait": 0b0001,
    "post": 0b0010,
    "panel_wait": 0b0100,
    "panel_post": 0b1000,
    "panels": 3,
    "accumulator_base": 4,
    "accumulator_step": 4,
    "accumulator_wrap": 8,
}


def test_a_gemm_takes_and_posts_by_panel() -> None:
    steps = [UnitStep(0, Opcode.GEMM, GEMM, panel) for panel in range(3)]
    assert [step.needs for step in steps] == [0b0101, 0b0100, 0b0100]
    assert [step.posts for step in steps] == [0b1000, 0b1000, 0b1010]
    assert [step.last for step in steps] == [False, False, True]
    assert [step.accumulator for step in steps] == [4, 0, 4]


def test_a_load_is_one_step() -> None:
    step = UnitStep(2, Opcode.LOAD, {"wait": 1, "post": 2}, 0)
    assert (step.needs, step.posts, step.last) == (1, 2, True)


def test_orders() -> None:
    store, gemm, load = (
        UnitStep(index, opcode, {"wait": 0, "post": 0, "panels": 1}, 0)
        for index, opcode in enumerate((Opcode.STORE, Opcode.GEMM, Opcode.LOAD))
    )
    assert in_program_order([load, gemm, store]) is store
    assert loads_first([store, gemm, load]) is load
    assert loads_first([store, gemm]) is gemm
    chosen = [at_random(np.random.default_rng(seed))([load, gemm, store]).index for seed in range(20)]
    assert set(chosen) == {0, 1, 2}


def test_members() -> None:
    assert members(0) == []
    assert members(0b1000_0101) == [0, 2, 7]

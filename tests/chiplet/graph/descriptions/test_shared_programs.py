"""Programs of shared rows against those of whole rows, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from chiplet.graph.descriptions.shared_programs import (
    CROSS_ENTROPY_INPUT,
    NORM_INPUT,
    NORM_OPERAND,
    NORM_SCALE,
    SILU_SCALED,
    ZEROS,
    norm_share,
    product_sums,
    product_sums_add,
    sums_of,
    update,
)
from chiplet.graph.vector_constants import constants
from chiplet.graph.vector_program import VectorProgram
from chiplet.graph.vector_programs import vector_program
from tests.chiplet.graph.exact_programs import run_exact

ROWS, COLS = 5, 6
Array = Any


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def run(program: VectorProgram, **inputs: Any) -> Any:
    given = {**constants(program, rows=ROWS, cols=COLS), **inputs}
    assert given.keys() == {*program.inputs}
    return run_exact(program, {key: np.atleast_2d(value) for key, value in given.items()})


def test_a_folded_norm_is_the_norm_and_its_linear() -> None:
    """Two dies have three features each; the weights behind the norm are cut by rows."""
    x, gain, w, dy = (
        random(ROWS, COLS),
        random(1, COLS, seed=1),
        random(COLS, 4, seed=2),
        random(ROWS, 4, seed=3),
    )
    whole = run(vector_program("rmsnorm"), x=x, gain=gain)
    halves = [run(NORM_OPERAND, x=x[:, :3]), run(NORM_OPERAND, x=x[:, 3:])]
    squares = run(sums_of(2), x_0=halves[0]["squares"], x_1=halves[1]["squares"])["y"]
    scale = run(NORM_SCALE, squares=squares)["scale"]
    folded = w * gain.T
    y = scale * (x @ folded)
    assert_allclose(y, whole["y"] @ w, rtol=1e-12)

    back = run(vector_program("rmsnorm-backward"), dy=dy @ w.T, x=x, gain=gain, scale=whole["scale"])
    u = scale * dy
    parts = [
        run(product_sums("bf16", "fp32"), u=u[:, some], y=y[:, some])["sums"]
        for some in (slice(1), slice(1, 4))
    ]
    t = run(norm_share(2), x_0=parts[0], x_1=parts[1], scale=scale)["t"]
    past = random(ROWS, COLS, seed=4)
    dx = run(NORM_INPUT, x=x, t=t, z=u @ folded.T, gradient=past)["gradient"] - past
    assert_allclose(dx, back["dx"], rtol=1e-10, atol=1e-12)
    gradient = run(product_sums("fp32", "fp32"), u=w, y=x.T @ u)["sums"][:, 0]
    assert_allclose(gradient, back["gain_terms"].sum(axis=0), rtol=1e-10, atol=1e-12)


def test_sums_over_pieces_are_those_of_all_columns() -> None:
    u, y = random(ROWS, COLS), random(ROWS, COLS, seed=1)
    total = np.zeros((ROWS, 1)) + run(ZEROS)["total"]
    for some in (slice(2), slice(2, 4), slice(4, 6)):
        total = run(product_sums_add("fp32", "bf16"), u=u[:, some], y=y[:, some], total=total)["total"]
    assert_allclose(total, run(product_sums("fp32", "bf16"), u=u, y=y)["sums"], rtol=1e-12)


def test_scaled_silu_is_the_silu_of_what_is_scaled() -> None:
    gate, up, scale = random(ROWS, COLS), random(ROWS, COLS, seed=1), random(ROWS, 1, seed=2)
    got = run(SILU_SCALED, gate=gate, up=up, scale=scale)
    wanted = run(vector_program("silu"), gate=gate * scale, up=up * scale)
    for name in ("y", "gate_saved", "up_saved"):
        assert_allclose(got[name], wanted[name], rtol=1e-12)


def test_gradients_of_logits_have_the_scale_of_the_norm() -> None:
    x, label, scale = random(ROWS, COLS), np.arange(ROWS)[:, None], random(ROWS, 1, seed=2)
    forward = run(vector_program("cross-entropy"), x=x, label=label)
    three = {f"{name}_0": forward[name] for name in ("largest", "total", "picked")}
    merged = run(vector_program("cross-entropy-merge"), **three)
    given = {"label": label, "largest": forward["largest"], "most": merged["most"], "all": merged["all"]}
    wanted = run(vector_program("cross-entropy-backward"), e=forward["e"].copy(), **given)["dx"]
    got = run(CROSS_ENTROPY_INPUT, e=forward["e"].copy(), scale=scale, **given)["u"]
    assert_allclose(got, wanted * scale, rtol=1e-12)


def test_updates_are_those_that_leave_an_operand() -> None:
    w, g, m, v = (
        random(ROWS, COLS),
        random(ROWS, COLS, seed=1),
        random(ROWS, COLS, seed=2),
        random(ROWS, COLS, seed=3) ** 2,
    )
    for optimizer, state in (("sgd", {}), ("adam", {"m": m, "v": v})):
        assert optimizer in ("sgd", "adam")
        mine = update("sgd" if optimizer == "sgd" else "adam")
        assert constants(mine, rows=ROWS, cols=COLS) == constants(
            vector_program(optimizer), rows=ROWS, cols=COLS
        )
        got, wanted = run(mine, w=w, g=g, **state), run(vector_program(optimizer), w=w, g=g, **state)
        assert all(np.array_equal(got[name], wanted[name]) for name in ("w", *state))

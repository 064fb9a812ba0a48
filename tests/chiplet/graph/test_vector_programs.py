"""Vector programs against formulas in float64, and their backward passes against finite differences."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chiplet.graph.vector_constants import ConstantSettings, constants
from chiplet.graph.vector_program import ProgramPass, Tensor, VectorProgram
from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from tests.chiplet.graph.exact_programs import run_exact

Array = Any
ROWS, COLS = 5, 6
EXACT: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def run(name: str, *, causal: bool = False, lines: int = 1, **inputs: Any) -> Any:
    """All tensors of a program on ROWS x COLS, with its constants."""
    program = vector_program(name, lines=lines)
    given = {**constants(program, rows=ROWS, cols=COLS), **inputs}
    arrays = {key: np.full((1, 1), value) if np.ndim(value) == 0 else value for key, value in given.items()}
    assert arrays.keys() == set(program.inputs)
    return run_exact(program, arrays, causal=causal)


def slope(loss: Callable[[Array], float], at: Array) -> Array:
    """Gradient of ``loss`` by central differences."""
    step, result = 1e-6, np.zeros_like(at)
    for index in np.ndindex(at.shape):
        change = np.zeros_like(at)
        change[index] = step
        result[index] = (loss(at + change) - loss(at - change)) / (2 * step)
    return result


def agrees(gradient: Array, loss: Callable[[Array], float], at: Array) -> None:
    assert_allclose(gradient, slope(loss, at), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("causal", [False, True])
def test_softmax(causal: bool) -> None:
    x, dp = random(ROWS, ROWS), random(ROWS, ROWS, seed=1)

    def softmax(x: Array) -> Array:
        kept = np.tril(np.ones_like(x)) if causal else 1
        e = np.exp(x) * kept
        return e / e.sum(axis=1, keepdims=True)

    p = run("softmax", x=x, causal=causal)["p"]
    assert_allclose(p, softmax(x), **EXACT)
    agrees(run("softmax-backward", p=p, dp=dp)["dx"], lambda x: float((softmax(x) * dp).sum()), x)


def test_rmsnorm() -> None:
    x, dy, gain = random(ROWS, COLS), random(ROWS, COLS, seed=1), random(1, COLS, seed=2)

    def rmsnorm(x: Array, gain: Array) -> Array:
        return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5) * gain

    forward = run("rmsnorm", x=x, gain=gain)
    assert_allclose(forward["y"], rmsnorm(x, gain), **EXACT)
    backward = run("rmsnorm-backward", dy=dy, x=x, gain=gain, scale=forward["scale"])
    agrees(backward["dx"], lambda x: float((rmsnorm(x, gain) * dy).sum()), x)
    terms = backward["gain_terms"].sum(axis=0, keepdims=True)
    agrees(terms, lambda gain: float((rmsnorm(x, gain) * dy).sum()), gain)


def test_layernorm() -> None:
    x, dy = random(ROWS, COLS), random(ROWS, COLS, seed=1)
    gain, bias = random(1, COLS, seed=2), random(1, COLS, seed=3)

    def layernorm(x: Array, gain: Array) -> Array:
        centred = x - x.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * gain + bias

    forward = run("layernorm", x=x, gain=gain, bias=bias)
    assert_allclose(forward["y"], layernorm(x, gain), **EXACT)
    backward = run("layernorm-backward", dy=dy, n=forward["n"], gain=gain, scale=forward["scale"])
    agrees(backward["dx"], lambda x: float((layernorm(x, gain) * dy).sum()), x)
    terms = backward["gain_terms"].sum(axis=0, keepdims=True)
    agrees(terms, lambda gain: float((layernorm(x, gain) * dy).sum()), gain)


def test_silu() -> None:
    gate, up, dy = random(ROWS, COLS), random(ROWS, COLS, seed=1), random(ROWS, COLS, seed=2)

    def silu(gate: Array, up: Array) -> Array:
        return gate / (1 + np.exp(-gate)) * up

    forward = run("silu", gate=gate, up=up)
    assert_allclose(forward["y"], silu(gate, up), **EXACT)
    backward = run("silu-backward", dy=dy, gate=forward["gate_saved"], up=forward["up_saved"])
    agrees(backward["dgate"], lambda gate: float((silu(gate, up) * dy).sum()), gate)
    agrees(backward["dup"], lambda up: float((silu(gate, up) * dy).sum()), up)


def test_gelu() -> None:
    x, dy = random(ROWS, COLS), random(ROWS, COLS, seed=1)

    def gelu(x: Array) -> Array:
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    forward = run("gelu", x=x)
    assert_allclose(forward["y"], gelu(x), **EXACT)
    agrees(run("gelu-backward", dy=dy, x=forward["saved"])["dx"], lambda x: float((gelu(x) * dy).sum()), x)


def test_rotary() -> None:
    half = COLS // 2
    halves, angles, gradients = random(ROWS, COLS), random(ROWS, half, seed=1), random(ROWS, COLS, seed=2)
    turns: dict[str, Any] = {"cos": np.cos(angles), "sin": np.sin(angles)}

    def rotary(x: Array) -> Array:
        turned = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angles)
        return np.hstack((turned.real, turned.imag))

    def program(name: str, x: Array) -> Array:
        arrays = run(name, low=x[:, :half], high=x[:, half:], **turns)
        return np.hstack((arrays["low_turned"], arrays["high_turned"]))

    assert_allclose(program("rotary", halves), rotary(halves), **EXACT)
    agrees(program("rotary-backward", gradients), lambda x: float((rotary(x) * gradients).sum()), halves)


def test_residual() -> None:
    x, branch = random(ROWS, COLS), random(ROWS, COLS, seed=1)
    assert_allclose(run("residual", x=x, branch=branch)["x"], x + branch, **EXACT)
    backward = run("residual-backward", dy=x, dbranch=branch)
    assert_allclose(backward["dy"], x + branch, **EXACT)
    assert_allclose(backward["operand"], x + branch, **EXACT)


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_cross_entropy(lines: int) -> None:
    logits = random(ROWS, lines * COLS)
    labels = np.random.default_rng(1).integers(0, lines * COLS, (ROWS, 1))

    def loss(x: Array) -> Array:
        return np.log(np.exp(x).sum(axis=1)) - np.take_along_axis(x, labels, axis=1)[:, 0]

    parts = np.hsplit(logits, lines)
    # A command's offset makes the label's number one of the die's own columns.
    dies = [run("cross-entropy", x=part, label=labels - die * COLS) for die, part in enumerate(parts)]
    gathered: dict[str, Any] = {
        f"{name}_{die}": dies[die][name] for die in range(lines) for name in ("largest", "total", "picked")
    }
    merged = run("cross-entropy-merge", lines=lines, **gathered)
    assert_allclose(merged["loss"][:, 0], loss(logits), **EXACT)
    assert_allclose(merged["sum"], [[loss(logits).sum()]], **EXACT)
    gradients = [
        run(
            "cross-entropy-backward",
            label=labels - die * COLS,
            most=merged["most"],
            all=merged["all"],
            e=dies[die]["e"],
            largest=dies[die]["largest"],
        )["dx"]
        for die in range(lines)
    ]
    agrees(np.hstack(gradients), lambda x: float(loss(x).mean()), logits)


def test_sgd() -> None:
    w, g = random(ROWS, COLS), random(ROWS, COLS, seed=1)
    after = run("sgd", w=w, g=g)
    assert_allclose(after["w"], w - 1e-3 * g, **EXACT)
    assert_allclose(after["operand"], after["w"])


def test_adam() -> None:
    w, m, v = random(ROWS, COLS), np.zeros((ROWS, COLS)), np.zeros((ROWS, COLS))
    arrays = {"w": w, "m": m, "v": v}
    for step in range(1, 4):
        g = random(ROWS, COLS, seed=step)
        g[0, 0] = 0.0
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 1e-2 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        settings = ConstantSettings(rate=1e-2, step=step)
        given: dict[str, Any] = {name: arrays[name] for name in ("w", "m", "v")}
        given |= constants(vector_program("adam"), rows=ROWS, cols=COLS, settings=settings)
        arrays = run("adam", g=g, **given)
        for name, expected in (("w", w), ("m", m), ("v", v), ("operand", w)):
            assert_allclose(arrays[name], expected, **EXACT)


@pytest.mark.parametrize("name", PROGRAM_NAMES)
def test_every_pass_is_one_of_the_vector_unit(name: str) -> None:
    program = vector_program(name)
    assert program.name == name
    for step in program.passes:
        work = program.operation(step, causal=True)
        assert work.operands.keys() == step.operands.keys()
        assert work.causal == step.causal
        assert any(operand.spread == "matrix" for operand in work.operands.values())


def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(
        ValueError, match=re.escape("vector program 'relu': must be one of softmax, softmax-")
    ):
        vector_program("relu")


MATRIX = Tensor("rows", "cols")


@pytest.mark.parametrize(
    ("tensors", "outputs", "passes", "message"),
    [
        (
            {"x": MATRIX, "y": MATRIX},
            ("y",),
            (ProgramPass("t", y="y"),),
            "vector program p: pass 0 reads t: not written before",
        ),
        (
            {"x": MATRIX, "y": MATRIX, "z": MATRIX},
            ("y",),
            (ProgramPass("x", y="y"),),
            "vector program p: tensor z is not written, not used or not declared",
        ),
        (
            {"x": MATRIX, "y": Tensor("rows", "half")},
            ("y",),
            (ProgramPass("x", y="y"),),
            "vector program p: y does not cover rows x cols",
        ),
    ],
)
def test_a_program_that_does_not_hold_together_is_refused(
    tensors: dict[str, Tensor], outputs: tuple[str, ...], passes: tuple[ProgramPass, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        VectorProgram("p", tensors, ("x",), outputs, passes)

"""A package that learns a text by heart, against a float64 reference that starts from the same weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accept.training_runs import Training
from benchmarks.timed import cpu_seconds
from chiplet.graph.training.sizes import ModelSizes
from cosim.golden.training.initial import random_weights
from cosim.golden.training.reference import adam
from cosim.golden.training.reference_names import named, reference_of
from rtl.processes.temporary import temporary_folder

__all__ = ["ALPHABET", "PLOT", "TEXT", "reference_losses", "text_tokens", "train_text"]

ALPHABET = "abcdefghijklmnopqrstuvwxyz ,.-'!"
TEXT = "a package of dies learns these lines by heart, and every bit is checked."
STEPS, RATE, SEED = 30, 0.01, 0
PLOT = Path("build/train-30-steps.pdf")

_TRAINING = Training(
    model=ModelSizes(hidden=32, heads=4, kv_heads=2, head_dim=8, ffn=64, layers=1, vocab=len(ALPHABET)),
    rows=2,
    cols=2,
    length=16,
    batch=4,
    optimizer="adam",
)


def text_tokens(steps: int) -> NDArray[np.int64]:
    """(steps, sequences, length + 1) letters of the text, the same in each step."""
    letters = [ALPHABET.index(letter) for letter in TEXT]
    starts = range(0, _TRAINING.batch * _TRAINING.length, _TRAINING.length)
    sequences = [letters[start : start + _TRAINING.length + 1] for start in starts]
    return np.array([sequences] * steps)


def reference_losses(steps: int) -> list[float]:
    """Loss of each step of the reference, from the weights of the command's seed."""
    model = _TRAINING.model
    reference, exact = reference_of(model), named(random_weights(model, seed=SEED))
    zeros = {name: np.zeros_like(value) for name, value in exact.items()}
    moments, losses = (zeros, zeros), []
    for step, text in enumerate(text_tokens(steps), 1):
        loss, gradients = reference.gradients(exact, text[:, :-1], text[:, 1:])
        losses.append(loss)
        exact, moments = adam(exact, gradients, moments, step=step, rate=RATE)
    return losses


def train_text() -> dict[str, Any]:
    """30 steps on 2x2 dies: losses, largest difference to the reference, processor time, the curve in ``PLOT``."""
    start = cpu_seconds()
    with temporary_folder() as folder:
        np.save(folder / "tokens.npy", text_tokens(STEPS))
        found = _TRAINING.run(
            *("--direct", "--steps", str(STEPS), "--learning-rate", str(RATE), "--seed", str(SEED)),
            *("--tokens", str(folder / "tokens.npy"), "--plot", str(folder / PLOT.name)),
        )
        PLOT.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / PLOT.name, PLOT)
    seconds = cpu_seconds() - start
    losses, exact = found["loss"], reference_losses(STEPS)
    return {
        "steps": len(losses),
        "mismatches": found["mismatches"],
        "words": found["words"],
        "loss": losses,
        "reference_loss": exact,
        "last_to_first": losses[-1] / losses[0],
        "largest_difference": max(abs(one - other) for one, other in zip(losses, exact, strict=True)),
        "cpu_seconds": seconds,
        "plot_bytes": PLOT.stat().st_size,
        "step_cycles": found["step_cycles"],
    }

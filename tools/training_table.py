"""The training of the demo as a table: its programs run in the interpreter, so it takes seconds."""

from __future__ import annotations

from chiplet.machine.config import load_system
from hecaton.demo.plan import FULL

__all__ = ["training_table"]


def training_table() -> str:
    """Losses of some steps, words that differ from the golden run, and predicted cycles."""
    training = FULL.training
    ready = training.prepared(load_system(None, training.assignments, preset="bench"), seed=0, sim="icarus")
    run = ready.prepared.interpret()
    model, (rows, cols) = training.model, training.array
    shown = sorted({0, 1, 3, training.steps - 1})
    head = "| package | model | commands a die | loss " + " | ".join(f"in step {step + 1}" for step in shown)
    return (
        f"{head} | stored words that differ | predicted cycles a step |\n{'|---' * (5 + len(shown))}|\n"
        f"| {ready.request.mesh} dies of {rows}x{cols} | Llama: {model.layers} layer, hidden {model.hidden}, "
        f"{model.heads} heads, vocabulary {model.vocab} | "
        f"{max(len(die.commands) for die in ready.prepared.compiled.dies):,} | "
        f"{' | '.join(f'{run.losses[step]:.3f}' for step in shown)} | "
        f"{run.mismatches} of {run.words.compared:,} | {ready.predicted.cycles:,} |\n"
    )

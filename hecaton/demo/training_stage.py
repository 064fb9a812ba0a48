"""The stage of the demo that trains: a loss curve, and predicted cycles beside measured ones."""

from __future__ import annotations

from typing import Any

from cosim.records.train_step import TrainStepRecord
from cosim.run.training.training_record import train_step_record
from hecaton.demo.index import DemoFile, DemoPart
from hecaton.demo.setup import Setup
from hecaton.demo.training import DemoTrainingRun
from hecaton.plots.training import plot_loss
from hecaton.results.records import save_record
from hecaton.results.reproduce import command
from hecaton.terminal.tables import markdown

__all__ = ["train"]


def train(setup: Setup) -> DemoPart:
    """Train the plan's model on a package, and compare every stored bit."""
    ready, request = setup.training, setup.training.request
    if ready.simulator is None:
        setup.out.note(f"      {ready.missing}; training in the interpreter, without cycles")
        trained, record = ready.prepared.interpret(), None
    else:
        with setup.out.fraction("training") as progress:
            trained = ready.prepared.run(progress)
        record = train_step_record(request, ready.prepared, trained)
    picture = setup.folder / "training.png"
    plot_loss(
        trained.losses, picture, f"{request.mesh} dies, {request.optimizer}, rate {request.learning_rate:g}"
    )
    words = setup.plan.training.words(setup.options, seed=setup.seed, sim=ready.simulator or request.sim)
    if record is None:
        files = [DemoFile("training.png", "loss of each step", setup.command)]
    else:
        path = save_record(record, setup.records)
        made_by = command(*words, "--records", setup.records, "--plot", picture)
        files = [
            DemoFile("training.png", "loss of each step", made_by),
            DemoFile(
                f"{setup.records.name}/{path.name}", f"record of training on {request.mesh} dies", made_by
            ),
        ]
    summary = (
        f"{request.steps} steps on {request.mesh} dies of {_array(ready)}, {trained.mismatches} of "
        f"{trained.words.compared} words differ, loss {trained.losses[0]:.3f} to {trained.losses[-1]:.3f}"
    )
    predicted = ready.predicted.cycles
    figures: dict[str, Any] = {
        "steps": request.steps,
        "simulator": ready.simulator,
        "loss": trained.losses,
        "words": trained.words.compared,
        "predicted_cycles": predicted,
        "cycles": None if record is None else record.cycles,
    }
    if record is not None:
        summary += f"; {record.cycles:,} cycles a step, predicted {predicted:,}"
    text = (
        f"A Llama of {request.layers} layer, {request.hidden} features and {request.heads} heads learns "
        f"{request.batch} sequences of {request.sequence} random tokens on {request.mesh} dies of {_array(ready)}. The "
        "step is compiled to one program for each die; weights and the optimizer's state stay in the memories behind "
        "the IO dies. Losses are compared with the golden run after each step, all that is stored after the first and "
        f"the last one: {trained.mismatches} of {trained.words.compared} words differ.\n\n"
        f"![loss of each step](training.png)\n\n{_cycles(ready, record)}"
    )
    return DemoPart(summary, text, files, {"training": figures}, trained.mismatches)


def _array(ready: DemoTrainingRun) -> str:
    die = ready.request.system.die
    return f"{die.rows}x{die.cols}"


def _cycles(ready: DemoTrainingRun, record: TrainStepRecord | None) -> str:
    """Predicted cycles, and those that were measured beside them."""
    predicted = ready.predicted
    if record is None:
        return (
            f"No cycles are measured, as the programs ran in the interpreter: {ready.missing}. Predicted are "
            f"{predicted.cycles:,} cycles a step.\n"
        )
    rows = [{"of a step": "from start to end", "predicted": predicted.cycles, "measured": record.cycles}]
    rows += [
        {"of a step": f"{name} busy", "predicted": predicted.units[name], "measured": unit.measured}
        for name, unit in record.units.items()
    ]
    return (
        f"Cycles of the last step, predicted with the terms of the design and simulated with {record.sim}; busy cycles "
        f"are those of the die where they are most.\n\n{markdown(rows, list(rows[0]))}"
    )

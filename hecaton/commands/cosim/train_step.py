"""``hecaton cosim train-step``: a Llama trained on the generated package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.commands.cosim.measured import link_lines, show_record
from hecaton.terminal.link_options import FaultOptions
from hecaton.terminal.options import AsJson, CalibrationFile, MachineOptions, PlotFile, load_calibration
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import Interval, RunOptions, Stall, warn_of_depth
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.training_options import TrainingOptions
from hecaton.terminal.values import integer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.train_step import TrainStepRecord
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from cosim.records.train_step import TrainStepRecord
    from hecaton.results.simulation_objects import SavedRecord
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((TrainStepRecord, SavedRecord))


_MODEL = "--hidden 16 --heads 2 --kv-heads 1 --ffn 24 --layers 1 --vocab 32 --sequence 8"
_COMMAND = "hecaton cosim train-step --mesh"


@subcommand(
    app,
    name="train-step",
    examples=(
        f"{_COMMAND} 1x2 {_MODEL} --batch 2",
        f"{_COMMAND} 2x2 {_MODEL} --batch 4 --tiles 2 --steps 30 --optimizer adam --learning-rate 0.02 --plot loss.pdf",
        f"{_COMMAND} 2x2 --model llama --weights llama --tokens tokens.npy --dump trained.safetensors --sim cxxrtl",
        f"{_COMMAND} 2x2 {_MODEL} --batch 2 --flips 1e-3 --stall 0.3 --json",
    ),
    json_object=_json_object,
)
def train_step(
    *,
    workload: TrainingOptions,
    steps: Annotated[
        int, typer.Option("--steps", parser=integer(1, 1 << 16), metavar="N", help="Training steps.")
    ] = 1,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", metavar="X", help="Rate of the optimizer.")
    ] = 0.01,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE|DIR",
            help="Initial weights: safetensors with the names of a Llama; by default random ones.",
        ),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens",
            metavar="FILE.npy",
            help="Integers, steps x batch x (sequence + 1), each the label of the one before it; by default random "
            "ones, the same in every step.",
        ),
    ] = None,
    dump: Annotated[
        Path | None,
        typer.Option(
            "--dump",
            metavar="FILE.safetensors",
            help="Trained weights by the names of a Llama, the gradients of the first step, the optimizer's state, and "
            "the losses.",
        ),
    ] = None,
    plot: PlotFile = None,
    faults: FaultOptions,
    run: RunOptions,
    stall: Stall = 0.0,
    interval: Interval = 1,
    direct: Annotated[
        bool,
        typer.Option("--direct", help="Links as wires, without adapters: simulates faster."),
    ] = False,
    calibration: CalibrationFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Train a Llama on the generated package: compile the step to one program a die, simulate all dies with their IO
    dies and AXI memories, and compare every bit that is stored with the golden run.

    Weights and the optimizer's state stay in the memories behind the IO dies; between steps the host writes tokens,
    labels and scalars, and starts the programs again. Losses are compared after each step, all that is stored after the
    first and the last one. Cycles and busy cycles are those of the last step. The configuration starts from the preset
    bench. Every run leaves a measurement record. With --dump every step stores the gradients as well. --flips and the
    like concern all links, those of the memory plane as well; a --dead-link dies in the first step. --calibration gives
    the terms of the prediction. Exit code 1 if any
    bit differs, or a link is dead.
    """
    from chiplet.dataflow.package_play import StepTerms
    from cosim.backends.registry import backend
    from cosim.compile.compiler import compile_step
    from cosim.run.simulation import check_dies
    from cosim.run.training.training_dump import check_dump, save_dump
    from cosim.run.training.training_inputs import initial_weights, training_tokens
    from cosim.run.training.training_record import train_step_record
    from cosim.run.training.training_request import prepare_request, training_request
    from hecaton.plots.figure import check_plot
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(run.records)
        if plot is not None:
            check_plot(plot)
        if dump is not None:
            check_dump(dump)
        simulator = backend(run.sim)
        system = machine.load(out, "bench", *workload.assignments)
        warn_of_depth(out, system.die)
        measured = load_calibration(calibration)
        if measured is not None:
            measured.check_die(system.die)
        package = system.package
        check_dies("package", package.rows, package.cols)
        model = workload.read()
        sizes = workload.sizes(model, system)
        text = training_tokens(sizes, steps, tokens, seed=run.seed)
        compiled = compile_step(sizes, system, gradients=dump is not None)  # before weights that may be large
        initial = initial_weights(model.sizes, weights, seed=run.seed)
        links = faults.of(system)
        request = training_request(
            sizes,
            system,
            initial,
            text,
            norm_epsilon=model.norm_epsilon,
            rope_theta=model.rope_theta,
            learning_rate=learning_rate,
            gradients=dump is not None,
            seed=run.seed,
            stall=stall,
            interval=interval,
            sim=run.sim,
            direct=direct,
            links=links if links.faulty else None,
        )
        prepared = prepare_request(
            request, compiled, initial, text, simulator, run.observation, terms=StepTerms.of(system, measured)
        )
        out.note(f"simulating {steps} training steps on {request.mesh} dies with {run.sim} ...")
        with out.fraction("steps") as progress:
            trained = prepared.run(progress)
        record = train_step_record(request, prepared, trained)
        if dump is not None:
            save_dump(dump, model.sizes, trained)
        if plot is not None:
            from hecaton.plots.training import plot_loss

            plot_loss(record.loss, plot, f"{request.mesh} dies, {request.optimizer}, rate {learning_rate:g}")
        compared = f"of {record.words} stored words differ from the golden run"
        show_record(out, record, run.records, _tables, mismatches=record.mismatches, compared=compared)


def _tables(record: TrainStepRecord, provenance: Mapping[str, object]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import pairs

    request = record.request
    model = (
        f"hidden {request.hidden}, {request.heads} heads, {request.kv_heads} key/value heads, ffn {request.ffn}, "
        f"{request.layers} layers, vocabulary {request.vocab}"
    )
    busy = {
        name: f"{unit.measured} ({unit.measured / record.cycles:.1%}), predicted {unit.predicted}"
        for name, unit in record.units.items()
    }
    return Group(
        pairs(
            {
                "package": f"{record.mesh} dies of {record.rows}x{record.cols}",
                "model": model,
                "batch": f"{request.batch} sequences of {request.sequence} tokens in {request.tiles} tiles",
                "loss": f"{record.loss[0]:.5f} in the first step, {record.loss[-1]:.5f} in step {record.steps}",
                "mismatches": f"{record.mismatches} of {record.words} words",
                "cycles": f"{record.cycles}, predicted {record.predicted_cycles}",
                "NoP cycles": f"{record.nop_busy_cycles} busy, {record.nop_exposed_cycles} exposed",
                "NoP flits": record.nop_flits,
                "AXI words": f"{record.axi_reads} read, {record.axi_writes} written",
                "commands": record.commands,
                **link_lines(record.link_faults, record.link_ends),
                **provenance,
            },
            title=f"{record.steps} steps of {record.optimizer}, rate {record.learning_rate:g}, seed {record.seed}",
        ),
        pairs(busy, title="Busy cycles of the last step, of the busiest die"),
    )

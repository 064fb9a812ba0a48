"""``hecaton project``: one training step of a model on a package, by one method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hecaton.terminal.options import AsJson, Explain, MachineOptions, PlotFile, Trace
from hecaton.terminal.output import Output
from hecaton.terminal.projection_options import QUICKEST_MESH, MethodOptions, OptimizerName, StepOptions
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.training_options import TilesOption
from hecaton.terminal.values import integer_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.explain.ledger import Term
    from chiplet.projection.project import Accounted
    from chiplet.projection.projected_step import ProjectedStep
    from chiplet.projection.results import Projection
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from chiplet.projection.projected_step import ProjectedStep
    from chiplet.projection.results import Projection
    from hecaton.results.projection_objects import PictureFiles, ProjectionAblation, ProjectionTerms
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject(
        (Projection, ProjectedStep),
        {
            "--explain": (ProjectionTerms,),
            "--ablate": (ProjectionAblation,),
            "--trace or --plot": (PictureFiles,),
        },
    )


@subcommand(
    app,
    examples=(
        "hecaton project --model llama2-7b --dies 64 --explain",
        "hecaton project --model llama3.1-405b --dies 1024 --ablate",
        "hecaton project --model llama3.1-405b --dies 1024",
        "hecaton project --model llama2-7b --dies 64 --trace step.json --plot step.pdf",
        "hecaton project --model llama3.1-405b --dies 1024 --data-parallel 4 --pipeline-parallel 6",
        "hecaton project --model llama2-7b --mesh 8x8 --method flat-ring --switch direction=one",
        "hecaton project --model path/to/config.json --dies 256 --calibration calibration.json --json",
    ),
    json_object=_json_object,
)
def project(
    *,
    step: StepOptions,
    choice: MethodOptions,
    mini_batch: Annotated[
        int | None,
        integer_option("--mini-batch", "Sequences in a mini-batch; by default the most that fit."),
    ] = None,
    optimizer: OptimizerName = "adam",
    tiles: TilesOption = 1,
    data_parallel: Annotated[
        int | None,
        integer_option("--data-parallel", "Replicas: the same as -P parallel.data=D.", metavar="D"),
    ] = None,
    pipeline_parallel: Annotated[
        int | None,
        integer_option(
            "--pipeline-parallel",
            "Packages of a replica, each with some of the layers: the same as -P parallel.pipeline=P.",
            metavar="P",
        ),
    ] = None,
    context_parallel: Annotated[
        int | None,
        integer_option(
            "--context-parallel",
            "Packages that share the tokens of each sequence: the same as -P parallel.context=C.",
            metavar="C",
        ),
    ] = None,
    explain: Explain = False,
    ablate: Annotated[
        bool,
        typer.Option(
            "--ablate",
            help="DRAM bytes and step time of the quickest schedule without fusion, resident weights, or overlap of "
            "GEMMs, vector work, communication and weights.",
        ),
    ] = False,
    trace: Trace = None,
    plot: PlotFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Project one training step of a model on one package or several: time, energy, memory, and which inputs were
    measured.

    Without --config the machine starts from the preset package. With several packages, --dies and --mesh describe
    one of them; the sections parallel and fabric of the configuration say how the packages share the work and how
    they are connected. The picture has the timeline of one layer, the parts of the step, and its memories;
    docs/timeline.md describes the trace.

    A step that fits the scratchpads of one package as programs also has predicted_cycles: those of ``hecaton cosim
    train-step`` with the same model, mesh, batch and token tiles (docs/training.md). Otherwise they are null, and the
    reason stands beside them.
    """
    from rich.console import Group

    from chiplet.projection.project import account
    from chiplet.schedule.buffers import Optimizer
    from hecaton.results.programs_of_step import programs_of_step

    with Output(as_json) as out:
        _check_files(trace, plot)
        packages = {
            "parallel.data": data_parallel,
            "parallel.pipeline": pipeline_parallel,
            "parallel.context": context_parallel,
        }
        sizes = [f"{key}={count}" for key, count in packages.items() if count is not None]
        request = step.request(
            machine.load(out, "package", *sizes),
            mini_batch=mini_batch,
            optimizer=cast(Optimizer, optimizer),
            **choice.arguments(),
        )
        accounted = account(request)
        projection = accounted.projection
        programs = programs_of_step(step.model, accounted.job, tiles=tiles)
        data = {**projection.model_dump(), **programs.model_dump()}
        tables: list[RenderableType] = [
            _tables(projection, step.mesh_line(QUICKEST_MESH)),
            _programs_table(programs),
        ]
        if explain:
            from chiplet.explain.cost import explain_cost
            from chiplet.explain.counterparts import ledger_rows
            from chiplet.explain.step import explain as terms_of
            from hecaton.terminal.tables import columns

            terms = terms_of(accounted) + explain_cost(projection)
            data["terms"] = [term.model_dump() for term in terms]
            inputs = [*projection.measured_inputs, *projection.assumed_inputs, *projection.cost.inputs]
            data["ledger"] = [row.model_dump() for row in ledger_rows(inputs)]
            names = ["name", "value", "unit", "status", "hardware", "bench"]
            tables += [_terms_table(terms), columns(data["ledger"], names, title="Ledger of the inputs")]
        if ablate:
            from chiplet.studies.ablation import ablate as rows_of
            from hecaton.terminal.tables import columns

            rows, left_out = rows_of(accounted)
            data["ablation"] = [row.model_dump() for row in rows]
            data["left_out"] = [method.model_dump() for method in left_out]
            names = ["without", "dram_bytes", "step_seconds", "dram_ratio", "step_ratio"]
            tables.append(columns(data["ablation"], names, title="The quickest schedule without one rule"))
            tables += [f"Left out: {method.method}: {method.reason}" for method in left_out]
        if trace is not None or plot is not None:
            data["files"] = _write_timeline(accounted, out.preset, trace, plot)
            tables += [f"Written: {path}" for path in data["files"]]
        out.result(data, Group(*tables))


def _check_files(trace: Path | None, plot: Path | None) -> None:
    """Refuse files that cannot be written before anything runs."""
    if trace is not None:
        from rtl.emit.output_files import check_output

        if trace.suffix != ".json":
            raise ValueError(f"--trace {trace}: its suffix must be .json")
        check_output(trace)
    if plot is not None:
        from hecaton.plots.figure import check_plot

        check_plot(plot)


def _write_timeline(accounted: Accounted, preset: str, trace: Path | None, plot: Path | None) -> list[str]:
    """Write the timeline as a trace, which names the ``preset``, and as a picture; return the files."""
    from chiplet.timeline.placed_step import timeline

    steps = timeline(accounted)
    if trace is not None:
        from chiplet.timeline.chrome_trace import chrome_trace
        from hecaton.version import VERSION
        from rtl.emit.output_files import write_output

        result = accounted.projection
        names = ["model", "method", "switches", "mesh", "dies", "packages", "optimizer"]
        names += ["global_batch", "sequence_length", "digests"]
        metadata = {name: getattr(result, name) for name in names}
        write_output(trace, chrome_trace(steps, {**metadata, "preset": preset, "hecaton": VERSION}))
    if plot is not None:
        from hecaton.plots.timeline import plot_timeline

        plot_timeline(steps, accounted.projection, plot)
    return [str(path) for path in (trace, plot) if path is not None]


def _programs_table(step: ProjectedStep) -> RenderableType:
    from hecaton.terminal.tables import pairs

    title = f"The step as programs, in {step.tiles} token tiles"
    if step.predicted_cycles is None:
        return pairs({"predicted cycles": f"none: {step.predicted_cycles_reason}"}, title=title)
    busy = {name: f"{cycles} busy" for name, cycles in (step.units or {}).items()}
    return pairs({"predicted cycles": step.predicted_cycles, **busy}, title=title)


def _terms_table(terms: list[Term]) -> RenderableType:
    from hecaton.terminal.tables import cell, columns

    rows = [
        {
            "term": term.name,
            "value": term.value,
            "unit": term.unit,
            "status": term.status,
            "formula": f"{term.formula} ({term.how})" if term.how != "formula" else term.formula,
            "operands": "; ".join(
                f"{operand.name} = {cell(operand.value)} {operand.unit}".rstrip() + f" [{operand.status}]"
                for operand in term.operands
            ),
        }
        for term in terms
    ]
    return columns(rows, list(rows[0]), title="Terms of the result")


def _clock(projection: Projection) -> str:
    """The clock, and whether the stages of a die allow it."""
    from chiplet.machine.silicon.stage_clock import megahertz

    inputs = [*projection.measured_inputs, *projection.assumed_inputs]
    (clock,) = (entry for entry in inputs if entry.name == "die.clock_hz")
    if projection.silicon_report is not None:
        return f"{clock.value / 1e6:.4g} MHz, {clock.status}: {clock.source}"
    return f"{megahertz(clock.value)}, {clock.source.partition(': ')[2]}"


def _tables(projection: Projection, mesh_line: list[str]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import cell, columns, pairs, quantity

    step = projection.step_seconds
    counts = f"{projection.parameters:,}"
    if projection.active_parameters != projection.parameters:
        counts += f", {projection.active_parameters:,} of them active for a token"
    summary = {
        "parameters": counts,
        "method": projection.method,
        "switches": cell(projection.switches),
        "batch": f"{projection.global_batch} sequences of {projection.sequence_length} tokens, {projection.optimizer}",
        "clock": _clock(projection),
        "step": quantity(step, "s"),
        "tokens per second": f"{projection.tokens_per_second:.4g}",
        "MFU": f"{projection.mfu:.1%}",
        "energy": quantity(projection.energy_joules, "J"),
        "NoP elements a die and layer": f"{projection.nop_elements_per_die_per_layer:.4g}",
        "cost": f"{projection.cost.dollars:.4g} $, dies of {projection.cost.die_mm2:.4g} mm2, design not counted",
        "yield": f"{projection.cost.die_yield:.1%} of dies, {projection.cost.assembly_yield:.1%} of assemblies",
    }
    parts = projection.breakdown
    times = [
        {
            "time": name,
            "busy": "" if busy is None else quantity(busy, "s"),
            "adds": quantity(adds, "s"),
            "share": f"{adds / step:.1%}",
        }
        for name, busy, adds in (
            ("array", parts.compute, parts.compute),
            ("NoP", parts.nop_busy, parts.nop_exposed),
            ("vector unit", parts.vector_busy, parts.vector_exposed),
            ("DRAM", parts.dram_busy, parts.dram_exposed),
            ("optimizer", None, parts.optimizer),
            *(
                [
                    ("pipeline bubble", None, parts.pipeline_bubble),
                    ("between packages", None, parts.fabric_exposed),
                ]
                if projection.parallel
                else []
            ),
        )
    ]
    schedule = [
        {
            "block": block,
            "mini-batch tokens": tokens,
            **{f"tile {direction}": tile for direction, tile in projection.memory.token_tiles[block].items()},
            "parts": projection.memory.parts[block],
            "slices": projection.memory.slices[block],
        }
        for block, tokens in projection.memory.mini_batch_tokens.items()
        if block in projection.memory.token_tiles
    ]
    energy = [
        {
            "energy": name.replace("_", " "),
            "joules": joules,
            "share": f"{joules / projection.energy_joules:.1%}",
        }
        for name, joules in projection.energy.items()
    ]
    memory = [
        {
            "memory": name.replace("_", " "),
            "needed": quantity(use.needed_bytes, "B"),
            "available": quantity(use.available_bytes, "B"),
        }
        for name, use in [*projection.memory.buffers.items(), ("DRAM", projection.memory.dram)]
    ]
    inputs = [
        {
            "input": entry.name,
            "value": entry.value,
            "unit": entry.unit,
            "status": entry.status,
            "source": entry.source,
        }
        for entry in [*projection.measured_inputs, *projection.assumed_inputs, *projection.cost.inputs]
    ]
    cost = [
        {
            "cost": name.replace("_", " "),
            "dollars": dollars,
            "share": f"{dollars / projection.cost.dollars:.1%}",
        }
        for name, dollars in projection.cost.parts.items()
    ]
    title = f"{projection.model} on {projection.dies} dies ({projection.mesh})"
    if projection.unused_dies:
        title += f", {projection.unused_dies} left out"
    shared: list[RenderableType] = []
    if projection.parallel is not None:
        title += f" in each of {projection.packages} packages"
        shared.append(pairs(projection.parallel.model_dump(), title="Packages"))
    return Group(
        pairs(summary, title=title),
        *mesh_line,
        *shared,
        columns(times, list(times[0]), title="Busy, and what it adds to the step"),
        columns(schedule, list(schedule[0]), title=f"Schedule: {projection.memory.rounds} rounds"),
        columns(energy, ["energy", "joules", "share"]),
        columns(memory, ["memory", "needed", "available"]),
        columns(cost, ["cost", "dollars", "share"]),
        columns(inputs, ["input", "value", "unit", "status", "source"]),
    )

"""``hecaton project``: one training step of a model on a package, by one method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from hecaton.terminal.options import (
    AsJson,
    CalibrationFile,
    ConfigFile,
    Dies,
    GlobalBatch,
    MeshSize,
    ModelName,
    OptimizerName,
    Overrides,
    SequenceLength,
    examples,
    integer,
    parse_assignments,
    parse_mesh,
)
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chiplet.explain.ledger import Term
    from chiplet.projection.results import Projection

app = typer.Typer()


@app.command(
    epilog=examples(
        "hecaton project --model llama2-7b --dies 64 --explain",
        "hecaton project --model llama3.1-405b --dies 1024 --ablate",
        "hecaton project --model llama3.1-405b --dies 1024",
        "hecaton project --model llama3.1-405b --dies 1024 --data-parallel 4 --pipeline-parallel 6",
        "hecaton project --model llama2-7b --mesh 8x8 --method flat-ring --switch direction=one",
        "hecaton project --model path/to/config.json --dies 256 --calibration calibration.json --json",
    )
)
def project(
    model: ModelName,
    dies: Dies = None,
    mesh: MeshSize = None,
    method: Annotated[
        str,
        typer.Option("--method", metavar="METHOD", help="hecaton, flat-ring, torus-ring or optimus."),
    ] = "hecaton",
    switch: Annotated[
        list[str] | None,
        typer.Option("--switch", metavar="NAME=VALUE", help="Set one switch of the method; repeatable."),
    ] = None,
    calibration: CalibrationFile = None,
    global_batch: GlobalBatch = None,
    sequence_length: SequenceLength = None,
    mini_batch: Annotated[
        int | None,
        typer.Option(
            "--mini-batch", parser=integer(1), metavar="N", help="Sequences in a mini-batch; else what fits."
        ),
    ] = None,
    optimizer: OptimizerName = "adam",
    data_parallel: Annotated[
        int | None,
        typer.Option(
            "--data-parallel",
            parser=integer(1),
            metavar="D",
            help="Replicas: the same as -P parallel.data=D.",
        ),
    ] = None,
    pipeline_parallel: Annotated[
        int | None,
        typer.Option(
            "--pipeline-parallel",
            parser=integer(1),
            metavar="P",
            help="Packages of a replica, each with a part of the layers: the same as -P parallel.pipeline=P.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print every term of the result: formula, operands, unit and status."),
    ] = False,
    ablate: Annotated[
        bool,
        typer.Option("--ablate", help="DRAM bytes and step time without fusion, weight residence, overlap."),
    ] = False,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Project one training step of a model on a package, or on several: time, energy, memory, and which inputs
    were measured.

    The configuration starts from the preset package. With several packages --dies and --mesh are those of one,
    and the sections parallel and fabric of the configuration say how they share the work and what joins them.

    JSON keys: model, dies, mesh, method, switches, optimizer, global_batch, sequence_length, step_seconds,
    tokens_per_second, mfu, energy_joules, energy, breakdown, memory, nop_elements_per_die_per_layer,
    compute_to_nop, cost (dollars, parts, die_mm2, die_area, die_yield, dies_per_wafer, good_die_dollars,
    substrates, assembly_yield, inputs), measured_inputs, assumed_inputs, packages, parallel; with --explain also
    terms, with --ablate also ablation and left_out.
    """
    from rich.console import Group

    from chiplet.machine.calibration import Calibration
    from chiplet.machine.config import load_system
    from chiplet.projection.job import StepRequest
    from chiplet.projection.project import account
    from chiplet.schedule.buffers import Optimizer

    with Output(as_json) as out:
        packages = {"parallel.data": data_parallel, "parallel.pipeline": pipeline_parallel}
        given = [f"{key}={count}" for key, count in packages.items() if count is not None]
        request = StepRequest(
            model,
            load_system(config, [*(override or []), *given], preset="package"),
            dies=dies,
            mesh=parse_mesh(mesh),
            method=method,
            switches=parse_assignments("--switch", switch),
            calibration=None if calibration is None else Calibration.load(calibration),
            global_batch=global_batch,
            sequence_length=sequence_length,
            mini_batch=mini_batch,
            optimizer=cast(Optimizer, optimizer),
        )
        accounted = account(request)
        found = accounted.projection
        data = found.model_dump()
        view: list[RenderableType] = [_view(found)]
        if explain:
            from chiplet.explain.cost import explain_cost
            from chiplet.explain.step import explain as terms_of

            terms = terms_of(accounted) + explain_cost(found)
            data["terms"] = [term.model_dump() for term in terms]
            view.append(_terms(terms))
        if ablate:
            from chiplet.studies.ablation import ablate as rows_of
            from hecaton.terminal.tables import columns

            rows, left_out = rows_of(accounted)
            data["ablation"] = [row.model_dump() for row in rows]
            data["left_out"] = [each.model_dump() for each in left_out]
            names = ["without", "dram_bytes", "step_seconds", "dram_ratio", "step_ratio"]
            view.append(columns(data["ablation"], names, title="Without one rule of the schedule"))
            view += [f"Left out: {each.method}: {each.reason}" for each in left_out]
        out.result(data, Group(*view))


def _terms(terms: list[Term]) -> RenderableType:
    from hecaton.terminal.tables import cell, columns

    rows = [
        {
            "term": term.name,
            "value": term.value,
            "unit": term.unit,
            "status": term.status,
            "formula": f"{term.formula} ({term.how})" if term.how != "formula" else term.formula,
            "operands": "; ".join(
                f"{each.name} = {cell(each.value)} {each.unit}".rstrip() + f" [{each.status}]"
                for each in term.operands
            ),
        }
        for term in terms
    ]
    return columns(rows, list(rows[0]), title="Terms of the result")


def _view(found: Projection) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import cell, columns, pairs, quantity

    step = found.step_seconds
    summary = {
        "method": found.method,
        "switches": cell(found.switches),
        "batch": f"{found.global_batch} sequences of {found.sequence_length} tokens, {found.optimizer}",
        "step": quantity(step, "s"),
        "tokens per second": f"{found.tokens_per_second:.4g}",
        "MFU": f"{found.mfu:.1%}",
        "energy": quantity(found.energy_joules, "J"),
        "NoP elements a die and layer": f"{found.nop_elements_per_die_per_layer:.4g}",
        "cost": f"{found.cost.dollars:.4g} $, dies of {found.cost.die_mm2:.4g} mm2, design not counted",
        "yield": f"{found.cost.die_yield:.1%} of dies, {found.cost.assembly_yield:.1%} of assemblies",
    }
    parts = found.breakdown
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
                if found.parallel
                else []
            ),
        )
    ]
    schedule = [
        {
            "block": block,
            "mini-batch tokens": tokens,
            **{f"tile {direction}": tile for direction, tile in found.memory.token_tiles[block].items()},
            "parts": found.memory.parts[block],
            "slices": found.memory.slices[block],
        }
        for block, tokens in found.memory.mini_batch_tokens.items()
        if block in found.memory.token_tiles
    ]
    energy = [
        {"energy": name.replace("_", " "), "joules": joules, "share": f"{joules / found.energy_joules:.1%}"}
        for name, joules in found.energy.items()
    ]
    memory = [
        {
            "memory": name.replace("_", " "),
            "needed": quantity(use.needed_bytes, "B"),
            "there": quantity(use.available_bytes, "B"),
        }
        for name, use in [*found.memory.buffers.items(), ("DRAM", found.memory.dram)]
    ]
    inputs = [
        {
            "input": entry.name,
            "value": entry.value,
            "unit": entry.unit,
            "status": entry.status,
            "source": entry.source,
        }
        for entry in [*found.measured_inputs, *found.assumed_inputs, *found.cost.inputs]
    ]
    cost = [
        {"cost": name.replace("_", " "), "dollars": dollars, "share": f"{dollars / found.cost.dollars:.1%}"}
        for name, dollars in found.cost.parts.items()
    ]
    title = f"{found.model} on {found.dies} dies ({found.mesh})"
    shared: list[RenderableType] = []
    if found.parallel is not None:
        title += f" in each of {found.packages} packages"
        shared.append(pairs(found.parallel.model_dump(), title="Packages"))
    return Group(
        pairs(summary, title=title),
        *shared,
        columns(times, list(times[0]), title="Busy, and what it adds to the step"),
        columns(schedule, list(schedule[0]), title=f"Schedule: {found.memory.rounds} rounds"),
        columns(energy, ["energy", "joules", "share"]),
        columns(memory, ["memory", "needed", "there"]),
        columns(cost, ["cost", "dollars", "share"]),
        columns(inputs, ["input", "value", "unit", "status", "source"]),
    )

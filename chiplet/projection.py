"""The projection: one training step of a language model on a whole package, in time, energy and memory.

:func:`project` evaluates one method, :func:`compare` all of them on the same machine. Results say which inputs were
measured and which were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from chiplet.energy import Events, comm_events, joules, operation_events, traffic_events
from chiplet.inputs import Input, collect_inputs
from chiplet.llm import Llm, load_model
from chiplet.memory import STATE_BYTES, UPDATE_BYTES, UPDATE_OPS, BufferUse, Optimizer
from chiplet.methods.base import BlockPlan, Method, Operation, Switches
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.published import CLAIMS, PublishedClaim
from chiplet.schedule import BlockSchedule, Schedule, make_schedule
from chiplet.specs import SystemSpec
from chiplet.timeline import Busy, Machine, block_busy, comm_seconds
from chiplet.timing import Calibration, GemmTerms
from chiplet.traffic import Traffic, activation_traffic, weight_bytes
from nop.topology import Mesh, most_square

DEFAULT_GLOBAL_BATCH = 512
"""Sequences of a training step unless the caller says otherwise."""

DEFAULT_SEQUENCE_LENGTH = 4096
"""Tokens of a sequence unless the caller says otherwise, or the model is made for fewer."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Buffer(_Result):
    """Bytes that a memory must hold, and that it has."""

    needed_bytes: int
    available_bytes: int


class Memory(_Result):
    """Memory use: buffers of one die by name (the fullest block), and DRAM of the package.

    ``weight_bytes_per_die`` and ``state_bytes_per_die`` are a die's share of the model and of the training state.
    """

    buffers: dict[str, Buffer]
    dram: Buffer
    weight_bytes_per_die: float
    state_bytes_per_die: float
    mini_batch_tokens: dict[str, int]
    token_tiles: dict[str, dict[str, int]]
    fused: dict[str, bool]
    rounds: int


class Breakdown(_Result):
    """Parts of the step, seconds. The first five add up to it, and so do the last three.

    ``compute`` is the array at work; the exposed parts are what NoP, vector unit and DRAM add beyond it; ``optimizer``
    is the weight update. ``*_busy`` say how long each resource is in use in all, hidden or not.
    """

    compute: float
    nop_exposed: float
    vector_exposed: float
    dram_exposed: float
    optimizer: float
    vector_busy: float
    nop_busy: float
    dram_busy: float
    forward: float
    backward: float
    optimizer_step: float


class Projection(_Result):
    """One training step. Times in seconds, energies in joules, memory in bytes."""

    model: str
    dies: int
    mesh: str
    method: str
    switches: dict[str, Any]
    optimizer: Optimizer
    global_batch: int
    sequence_length: int
    step_seconds: float
    tokens_per_second: float
    mfu: float
    energy_joules: float
    energy: dict[str, float]
    breakdown: Breakdown
    memory: Memory
    nop_elements_per_die_per_layer: float
    compute_to_nop: float
    measured_inputs: list[Input]
    assumed_inputs: list[Input]


class MethodResult(_Result):
    """One method in a comparison; ``speedup`` and ``energy_ratio`` are against the flat ring."""

    method: str
    step_seconds: float
    energy_joules: float
    speedup: float
    energy_ratio: float
    mfu: float
    nop_elements_per_die_per_layer: float
    switches: dict[str, Any]
    breakdown: Breakdown
    energy: dict[str, float]


class Comparison(_Result):
    """All methods on the same machine.

    ``baselines`` are flat rings with other switches, and what Hecaton gains against each; ``published`` are the
    authors' own figures for the same model, where there are some.
    """

    model: str
    dies: int
    mesh: str
    global_batch: int
    sequence_length: int
    methods: list[MethodResult]
    baselines: list[MethodResult]
    published: list[PublishedClaim]
    measured_inputs: list[Input]
    assumed_inputs: list[Input]


@dataclass
class _Totals:
    """Sums over the step."""

    forward: Busy
    backward: Busy
    forward_seconds: float = 0.0
    backward_seconds: float = 0.0
    dram_busy: float = 0.0
    dram_exposed: float = 0.0
    layer_elements: float = 0.0


def project(
    model: Llm | str,
    system: SystemSpec,
    *,
    dies: int | None = None,
    mesh: Mesh | tuple[int, int] | None = None,
    method: str = "hecaton",
    switches: Mapping[str, Any] | Switches | None = None,
    calibration: Calibration | None = None,
    global_batch: int | None = None,
    sequence_length: int | None = None,
    mini_batch: int | None = None,
    optimizer: Optimizer = "adam",
) -> Projection:
    """Project one training step.

    ``model`` is a preset's name, the path of a ``config.json`` or a model; ``dies`` are arranged as the most square
    mesh unless ``mesh`` (rows, columns) is given, and without either the mesh is the system's own. ``global_batch`` and
    ``mini_batch`` are in sequences, the latter the largest that fits unless given. Raises ``ValueError`` of one line for
    whatever is unknown, out of range, made for another die or too large for a buffer.
    """
    llm = load_model(model) if isinstance(model, str) else model
    grid = _mesh(system, dies, mesh)
    kind = method_type(method)
    machine = Machine(system, _terms(system, calibration))
    batch = _positive("global_batch", DEFAULT_GLOBAL_BATCH if global_batch is None else global_batch)
    default_length = min(llm.max_positions, DEFAULT_SEQUENCE_LENGTH)
    length = _positive("sequence_length", default_length if sequence_length is None else sequence_length)
    if mini_batch is not None:
        _positive("mini_batch", mini_batch)
    if llm.learned_positions and length > llm.learned_positions:
        raise ValueError(
            f"sequence_length = {length}: {llm.name} has learned positions for at most {llm.learned_positions} tokens"
        )
    if optimizer not in STATE_BYTES:
        raise ValueError(f"optimizer {optimizer!r}: must be one of {', '.join(STATE_BYTES)}")
    instance = kind(llm, grid, make_switches(method, switches), system.die.element_bytes)
    schedule = make_schedule(
        instance, system, global_batch=batch, length=length, optimizer=optimizer, mini_batch=mini_batch
    )
    return _evaluate(instance, machine, schedule, batch, optimizer, calibration)


def compare(
    model: Llm | str,
    system: SystemSpec,
    *,
    dies: int | None = None,
    mesh: Mesh | tuple[int, int] | None = None,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    calibration: Calibration | None = None,
    global_batch: int | None = None,
    sequence_length: int | None = None,
    optimizer: Optimizer = "adam",
) -> Comparison:
    """Project all methods on the same machine; ``switches`` by method name. Arguments and errors as :func:`project`."""
    llm = load_model(model) if isinstance(model, str) else model
    chosen = dict(switches or {})
    for name in chosen:
        method_type(name)

    def run(method: str, values: Mapping[str, Any] | None) -> Projection:
        return project(
            llm,
            system,
            dies=dies,
            mesh=mesh,
            method=method,
            switches=values,
            calibration=calibration,
            global_batch=global_batch,
            sequence_length=sequence_length,
            optimizer=optimizer,
        )

    results = {method: run(method, chosen.get(method)) for method in METHODS}
    flat, ours = results["flat-ring"], results["hecaton"]
    variants = [
        run("flat-ring", {**flat.switches, "direction": direction, "overlap": overlap})
        for direction in ("one", "both")
        for overlap in (False, True)
    ]
    return Comparison(
        model=flat.model,
        dies=flat.dies,
        mesh=flat.mesh,
        global_batch=flat.global_batch,
        sequence_length=flat.sequence_length,
        methods=[_against(flat, result) for result in results.values()],
        baselines=[_hecaton_against(ours, variant) for variant in variants],
        published=[claim for claim in CLAIMS if claim.model == flat.model],
        measured_inputs=flat.measured_inputs,
        assumed_inputs=flat.assumed_inputs,
    )


def _against(baseline: Projection, result: Projection) -> MethodResult:
    return MethodResult(
        method=result.method,
        step_seconds=result.step_seconds,
        energy_joules=result.energy_joules,
        speedup=baseline.step_seconds / result.step_seconds,
        energy_ratio=baseline.energy_joules / result.energy_joules,
        mfu=result.mfu,
        nop_elements_per_die_per_layer=result.nop_elements_per_die_per_layer,
        switches=result.switches,
        breakdown=result.breakdown,
        energy=result.energy,
    )


def _hecaton_against(ours: Projection, baseline: Projection) -> MethodResult:
    """The baseline's own figures, with the gain of Hecaton over it."""
    gain = _against(baseline, ours)
    return _against(baseline, baseline).model_copy(
        update={"speedup": gain.speedup, "energy_ratio": gain.energy_ratio}
    )


def _mesh(system: SystemSpec, dies: int | None, mesh: Mesh | tuple[int, int] | None) -> Mesh:
    if mesh is not None:
        grid = mesh if isinstance(mesh, Mesh) else Mesh(*mesh)
        if dies is not None and dies != grid.nodes:
            raise ValueError(f"mesh {grid} has {grid.nodes} dies, not {dies}: give one of the two, or let them agree")
        return grid
    if dies is not None:
        return most_square(dies)
    return Mesh(system.package.rows, system.package.cols)


def _terms(system: SystemSpec, calibration: Calibration | None) -> GemmTerms:
    if calibration is None:
        return GemmTerms()
    calibration.check_die(system.die)
    return calibration.gemm


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} = {value}: must be at least 1")
    return value


def _evaluate(
    method: Method,
    machine: Machine,
    schedule: Schedule,
    global_batch: int,
    optimizer: Optimizer,
    calibration: Calibration | None,
) -> Projection:
    model, mesh, system = method.model, method.mesh, machine.system
    tokens = global_batch * schedule.length
    totals = _Totals(Busy(), Busy())
    events = Events()
    tiles: dict[str, dict[str, int]] = {}
    for part in schedule.blocks:
        layers = 1 if part.block.contract is None else model.layers
        plan = method.plan(part.block, part.batch)
        times = block_busy(plan, part, machine, method)
        traffics = _pass_traffic(plan, part, method, schedule, global_batch)
        tiles[part.block.name] = {"forward": times[0][1], "backward": times[1][1]}
        runs = schedule.rounds * part.batches
        for direction, (busy, tile), traffic, operations in zip(
            ("forward", "backward"), times, traffics, (plan.forward, plan.backward), strict=True
        ):
            on_package = busy * runs
            if direction == "backward":
                on_package += _once(plan, system)
            memory = traffic.seconds(system, mesh)
            exposed = max(0.0, memory - on_package.elapsed) + _unhidden(plan, part, method, system, direction) * (
                schedule.rounds
            )
            totals.dram_busy += memory * layers
            totals.dram_exposed += exposed * layers
            seconds = (on_package.elapsed + exposed) * layers
            if direction == "forward":
                totals.forward += on_package * layers
                totals.forward_seconds += seconds
            else:
                totals.backward += on_package * layers
                totals.backward_seconds += seconds
            counted = _events(operations, method, system, tile, tokens / part.batch.tokens, runs)
            events += (counted + traffic_events(traffic, mesh)) * layers
            if part.block.contract is not None:
                totals.layer_elements += _elements(operations, tokens / part.batch.tokens, runs)
        for step in plan.once:
            totals.layer_elements += step.elements
            events += comm_events(step, mesh.nodes) * layers
    return _result(method, machine, schedule, global_batch, optimizer, calibration, totals, events, tiles)


def _pass_traffic(
    plan: BlockPlan, part: BlockSchedule, method: Method, schedule: Schedule, global_batch: int
) -> tuple[Traffic, Traffic]:
    """Memory traffic of one block in a step: activations of all tokens, weights and gradients of all rounds."""
    forward, backward = activation_traffic(plan, part, method, global_batch * schedule.length)
    stored, per_die = weight_bytes(plan, method)
    rounds = schedule.rounds
    load = Traffic(stored * rounds, per_die * rounds)
    # Gradients are written in 32 bits each round, and from the second round on read before.
    gradient = 4 / method.element_bytes * (2 * rounds - 1)
    store = Traffic(stored * gradient, stored * gradient / method.mesh.nodes)
    if plan.block.contract is None:  # forward and backward share one load
        return forward + load, backward + store
    return forward + load, backward + load + store


def _unhidden(plan: BlockPlan, part: BlockSchedule, method: Method, system: SystemSpec, direction: str) -> float:
    """Seconds a round for which a block waits for its weights, or for its gradients to leave."""
    stored, per_die = weight_bytes(plan, method)
    seconds = 0.0
    if not part.weights_ahead and not (direction == "backward" and plan.block.contract is None):
        seconds += Traffic(stored, per_die).seconds(system, method.mesh)
    if not part.gradients_behind and direction == "backward":
        gradient = stored * 4 / method.element_bytes
        seconds += Traffic(gradient, gradient / method.mesh.nodes).seconds(system, method.mesh)
    return seconds


def _once(plan: BlockPlan, system: SystemSpec) -> Busy:
    """Time of what is communicated once a step; nothing hides it."""
    seconds = sum(comm_seconds(step, system) for step in plan.once)
    return Busy(elapsed=seconds, nop_exposed=seconds, nop=seconds)


def _elements(operations: tuple[Operation, ...], batches: float, runs: int) -> float:
    """Elements that a die receives in ``batches`` mini-batches' worth of tokens; weights travel in every run."""
    return sum(
        step.elements * (runs if step.weights else batches) for operation in operations for step in operation.comms
    )


def _events(
    operations: tuple[Operation, ...], method: Method, system: SystemSpec, tile: int, batches: float, runs: int
) -> Events:
    total = Events()
    for operation in operations:
        total += operation_events(operation, system, tile) * batches
        for step in operation.comms:
            total += comm_events(step, method.mesh.nodes) * (runs if step.weights else batches)
    return total


def _result(
    method: Method,
    machine: Machine,
    schedule: Schedule,
    global_batch: int,
    optimizer: Optimizer,
    calibration: Calibration | None,
    totals: _Totals,
    events: Events,
    tiles: dict[str, dict[str, int]],
) -> Projection:
    model, mesh, system = method.model, method.mesh, machine.system
    tokens = global_batch * schedule.length
    element = system.die.element_bytes
    # Beside the layers: table rows in and out for the embedding, and the update of every parameter.
    embedding = tokens * model.hidden * (3 * element + 2 * 4)
    update = model.parameters * (UPDATE_BYTES[optimizer] + element)
    edge, rest = Traffic(embedding, embedding / mesh.nodes), Traffic(update, update / mesh.nodes)
    operations = model.parameters * UPDATE_OPS[optimizer]
    vector_seconds = operations / mesh.nodes / machine.vector_operations_per_second
    update_dram = rest.seconds(system, mesh)
    update_seconds = max(update_dram, vector_seconds)
    embedding_seconds = edge.seconds(system, mesh)
    events += traffic_events(edge, mesh) + traffic_events(rest, mesh)
    events += Events(vector_operations=operations, sram_bytes=8 * model.parameters)

    busy = totals.forward + totals.backward
    step = totals.forward_seconds + totals.backward_seconds + embedding_seconds + update_seconds
    energy = joules(events, system, mesh.nodes, step)
    flops = model.forward_flops(tokens, schedule.length) + model.backward_flops(tokens, schedule.length)
    peak = 2 * system.die.macs_per_cycle * system.die.clock_hz * mesh.nodes
    measured, assumed = collect_inputs(system, calibration)
    breakdown = Breakdown(
        compute=busy.compute,
        nop_exposed=busy.nop_exposed,
        vector_exposed=busy.vector_exposed,
        dram_exposed=totals.dram_exposed + embedding_seconds,
        optimizer=update_seconds,
        vector_busy=busy.vector + vector_seconds,
        nop_busy=busy.nop,
        dram_busy=totals.dram_busy + embedding_seconds + update_dram,
        forward=totals.forward_seconds + embedding_seconds / 3,
        backward=totals.backward_seconds + embedding_seconds * 2 / 3,
        optimizer_step=update_seconds,
    )
    return Projection(
        model=model.name,
        dies=mesh.nodes,
        mesh=str(mesh),
        method=method.name,
        switches=method.switches.model_dump(),
        optimizer=optimizer,
        global_batch=global_batch,
        sequence_length=schedule.length,
        step_seconds=step,
        tokens_per_second=tokens / step,
        mfu=flops / (step * peak),
        energy_joules=sum(energy.values()),
        energy=energy,
        breakdown=breakdown,
        memory=_memory(method, schedule, optimizer, tiles),
        nop_elements_per_die_per_layer=totals.layer_elements,
        compute_to_nop=busy.compute / busy.nop if busy.nop else 0.0,
        measured_inputs=measured,
        assumed_inputs=assumed,
    )


def _memory(method: Method, schedule: Schedule, optimizer: Optimizer, tiles: dict[str, dict[str, int]]) -> Memory:
    names = [use.name for use in schedule.blocks[0].buffers]
    fullest: dict[str, BufferUse] = {
        name: max((part.buffers[place] for part in schedule.blocks), key=lambda use: use.needed)
        for place, name in enumerate(names)
    }
    model, dies, element = method.model, method.mesh.nodes, method.element_bytes
    return Memory(
        buffers={
            name.replace(" ", "_"): Buffer(needed_bytes=use.needed, available_bytes=use.available)
            for name, use in fullest.items()
        },
        dram=Buffer(needed_bytes=schedule.dram.needed, available_bytes=schedule.dram.available),
        weight_bytes_per_die=model.parameters * element / dies,
        state_bytes_per_die=model.parameters * (element + STATE_BYTES[optimizer]) / dies,
        mini_batch_tokens={part.block.name: part.batch.tokens for part in schedule.blocks},
        token_tiles=tiles,
        fused={part.block.name: part.fused for part in schedule.blocks},
        rounds=schedule.rounds,
    )

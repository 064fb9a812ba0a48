"""The compiler: a training step becomes one program for each die.

All dies go through the operators in one order. So each queue is a part of it, and what a command waits for is done by
one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from chiplet.dataflow.fused_operators import FusedOperators
from chiplet.dataflow.step_schedule import step_schedule
from chiplet.graph.graph import Graph, TensorKey
from chiplet.graph.operators import Gather, Move, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import DiePlace
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.layout.step_bounds import check_scratchpad
from chiplet.layout.storage import Storage, layout_of
from chiplet.machine.specs import SystemSpec, scratchpad_depth
from cosim.compile.compiled_step import Buffer, CompiledStep, DieProgram, StoredTensor
from cosim.compile.operators.die_state import ZERO, DieState
from cosim.compile.operators.line_operators import gather, reduce_replicas, scatter
from cosim.compile.operators.product_operators import run_products
from cosim.compile.operators.vector_operators import copied_words, move, run_vector
from cosim.compile.ordering.die_steps import DieStep
from cosim.compile.ordering.semaphores import Relay, with_semaphores
from cosim.compile.places.buffers import place_buffers
from cosim.compile.products.product_steps import ProductSteps
from cosim.program.layout import Places
from cosim.program.scratchpad_copies import words_to_scratchpad
from rtl.interface.io_dies import io_die_of

__all__ = ["compile_graph", "compile_step"]


def compile_step(sizes: StepSizes, system: SystemSpec, *, gradients: bool = False) -> CompiledStep:
    """The programs of a training step with ``sizes`` on a package; with ``gradients`` they are stored, too.

    Raises
    ------
    ValueError
        If the step does not fit the package: the mesh, the dies' types, or a buffer.
    """
    package = system.package
    if (package.rows, package.cols) != (sizes.rows, sizes.cols):
        raise ValueError(
            f"training step: for {sizes.rows}x{sizes.cols} dies: the package has {package.rows}x{package.cols}"
        )
    if system.die.dtype != "bf16":
        raise ValueError(
            f"die.dtype = {system.die.dtype}: must be bf16 to train, as gradients and norms are fractions"
        )
    if sizes.algorithm == "ring" and max(sizes.rows, sizes.cols) > 2:
        raise ValueError(
            f"nop.collective = ring on {sizes.rows}x{sizes.cols} dies: must be chain on lines of three dies or more, "
            "as a die at the end of a ring takes chunks of successive collectives from two senders"
        )
    graph = training_step(sizes)
    check_scratchpad(graph, sizes, system)
    return compile_graph(graph, sizes, system, step_schedule(graph, sizes, system, gradients=gradients).order)


def compile_graph(
    graph: Graph, sizes: StepSizes, system: SystemSpec, order: Sequence[FusedOperators]
) -> CompiledStep:
    """The programs of ``graph``, whose operators all dies go through in ``order``; dies have the parts of ``sizes``.

    Raises
    ------
    ValueError
        If a buffer is too small.
    """
    package, places = system.package, Places()
    dies = [_die_program(sizes, system, graph, order, row, col, places) for row, col in package.places()]
    return CompiledStep(
        sizes=sizes,
        system=system,
        graph=graph,
        order=order,
        dies=dies,
        memory_words=max(places.used.values()),
        places=places,
    )


def _die_program(
    sizes: StepSizes,
    system: SystemSpec,
    graph: Graph,
    order: Sequence[FusedOperators],
    row: int,
    col: int,
    places: Places,
) -> DieProgram:
    io_die = io_die_of(system, row, col)
    place = partial(sizes.place, row, col)
    memory = _memory(graph, order, place, system, places, io_die)
    constants = [ZERO, *graph.constants]
    address = places.take(io_die, len(constants))
    state = DieState(system, graph, place, memory, {key: n for n, key in enumerate(constants)})
    load = words_to_scratchpad
    state.steps.append(
        lambda: copied_words(
            load(address=address, base=state.constant_words.start, words=len(constants)), "constants"
        )
    )
    array = ProductSteps(system.die, system.memory)
    numbers = _go_through(state, order, array)
    depth = scratchpad_depth(system.die, system.memory, system.nop)
    relay = state.buffer(TensorKey("relay"), 1, 0)
    state.constant_words.touch(len(order) + 1)
    relay.touch(len(order) + 1)
    place_buffers(state.buffers, depth, word_bytes=system.memory.word_bytes)
    steps: list[DieStep] = []
    ranges: dict[int, tuple[int, int]] = {}
    for number, make in zip(numbers, state.steps, strict=True):
        first = len(steps)
        steps.extend(make())
        start, _ = ranges.get(number, (first, first))
        ranges[number] = start, len(steps)
    return DieProgram(
        io_die=io_die,
        steps=steps,
        commands=with_semaphores(steps, relay=Relay(relay.start, address)),
        memory={
            key: StoredTensor(name=key.name, layer=key.layer, tile=key.tile, storage=storage)
            for key, storage in memory.items()
        },
        scratchpad=_buffers(state, ranges, len(steps)),
        constants={key: address + n for n, key in enumerate(constants)},
    )


def _buffers(state: DieState, ranges: Mapping[int, tuple[int, int]], steps: int) -> list[Buffer]:
    """Buffers as they were placed, with the steps that use them."""

    def first_step(number: int) -> int:
        return next((ranges[n][0] for n in range(number, max(ranges) + 1) if n in ranges), steps)

    buffers = [
        Buffer(
            name=buffer.name,
            layer=buffer.layer,
            tile=buffer.tile,
            word=buffer.start,
            words=buffer.words,
            first_step=first_step(buffer.first),
            last_step=max(first_step(buffer.last + 1) - 1, 0),
        )
        for buffer in state.buffers
        if buffer.inside is None
    ]
    return sorted(buffers, key=lambda buffer: buffer.first_step)


def _go_through(state: DieState, order: Sequence[FusedOperators], array: ProductSteps) -> list[int]:
    """Give each operator to what makes its steps; returns the operator's number for each entry of ``state.steps``."""
    numbers = [0] * len(state.steps)
    for number, instances in enumerate(order, 1):
        operator = instances[0].operator
        match operator:
            case Product():
                run_products(state, number, instances, array)
            case VectorRun():
                run_vector(state, number, instances[0])
            case Gather():
                gather(state, number, instances[0])
            case Scatter():
                scatter(state, number, instances[0])
            case Reduce():
                reduce_replicas(state, number, instances[0])
            case Move():
                move(state, number, instances[0])
            case _:
                raise TypeError(f"compiler: operator {operator.name} is a {type(operator).__name__}")
        numbers += [number] * (len(state.steps) - len(numbers))
    return numbers


def _memory(
    graph: Graph,
    order: Sequence[FusedOperators],
    place: Callable[[int | None], DiePlace],
    system: SystemSpec,
    places: Places,
    io_die: str,
) -> dict[TensorKey, Storage]:
    """What a die has in memory: what its moves load and store."""
    stored: dict[TensorKey, Storage] = {}
    for instance in (instance for fused in order for instance in fused):
        operator = instance.operator
        if not isinstance(operator, Move):
            continue
        for name in operator.tensors:
            key = graph.key(name, instance)
            if key not in stored:
                layout = layout_of(graph.tensors[name], place(key.tile), system.memory.word_bytes)
                stored[key] = layout.at(places.take(io_die, layout.taken(layout.rows)))
    return stored

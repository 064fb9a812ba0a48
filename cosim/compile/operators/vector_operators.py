"""Vector programs and moves of the graph on a die."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from chiplet.graph.graph import Instance, TensorKey
from chiplet.graph.operators import Move, VectorRun
from chiplet.graph.sharding import DiePlace
from chiplet.graph.vector_program import Tensor
from chiplet.layout.operator_parts import Part, parts
from chiplet.layout.program_part import ProgramPart
from chiplet.layout.storage import RowRun, Storage, value_storage
from cosim.compile.operators.die_state import DieState
from cosim.compile.operators.vector_steps import ProgramRun, program_steps
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.compile.places.held import Held, held_in
from cosim.program.command import Command
from cosim.program.scratchpad_copies import words_from_scratchpad, words_to_scratchpad

__all__ = ["copied_words", "label_of", "move", "run_vector"]


def label_of(instance: Instance) -> str:
    """Name of an operator with its layer and token tile."""
    layer = "" if instance.layer is None else f" layer {instance.layer}"
    return f"{instance.operator.name}{layer}{'' if instance.tile is None else f' tile {instance.tile}'}"


def run_vector(state: DieState, number: int, instance: Instance) -> None:
    """A vector program: one run for each part."""
    operator = instance.operator
    assert isinstance(operator, VectorRun)
    die, graph = state.place(instance.tile), state.graph
    held: dict[str, Held] = {name: state.get(number, name, instance) for name in operator.reads}
    fresh = [name for name in operator.writes if name not in held]
    for name in fresh:
        held[name] = state.new(number, name, instance, clears=True)
    runs = [
        run
        for part in parts(operator, graph.tensors, die)
        if (run := _Run(state, operator, held, die, part, label_of(instance))).there
    ]
    scratch = _scratch(state, number, runs, instance)
    if not runs:
        for name in fresh:
            state.steps.append(partial(_cleared, state, held[name], name))
    for name in operator.uses_up:
        del state.held[state.graph.key(name, instance)]
    for run in runs:
        state.steps.append(lambda run=run: program_steps(run.placed(scratch)))  # type: ignore[misc]


def _cleared(state: DieState, held: Held, label: str) -> Iterable[DieStep]:
    return state.clear_behind(held, 0, held.layout.taken(held.rows), label)


class _Run:
    """A vector program on a part of what a die holds."""

    def __init__(
        self,
        state: DieState,
        operator: VectorRun,
        held: dict[str, Held],
        die: DiePlace,
        part: Part,
        label: str,
    ) -> None:
        self._state, self._operator, self._held, self._die, self._label = state, operator, held, die, label
        layouts = {name: _unplaced(of) for name, of in held.items()}
        self._part = ProgramPart(operator, state.graph.tensors, die, part, layouts)

    @property
    def there(self) -> bool:
        """Whether the die has anything of the part."""
        return self._part.there

    def placed(self, scratch: dict[str, Held]) -> ProgramRun:
        """The run, now that buffers have their words."""
        part, program, state = self._part, self._operator.program, self._state
        storages = {
            name: part.bound(bound, self._held[bound.tensor].storage)
            for name, bound in self._operator.bind.items()
        }
        for name, tensor in program.tensors.items():
            if name in storages:
                continue
            if name in program.inputs:
                word = state.constant((program.name, name))
                storages[name] = value_storage("fp32", state.word_bytes, 1, word)
            else:
                layout = self.scratch_layout(tensor)
                (run,) = scratch[name].storage.runs
                storages[name] = layout.at(run.word)
        offset = self._operator.offset
        return ProgramRun(
            program=program,
            rows=part.rows,
            cols=part.cols,
            storages=storages,
            causal=self._operator.causal,
            offset=0 if offset is None else offset.part(self._die).start,
            label=self._label,
        )

    def scratch_layout(self, tensor: Tensor) -> Storage:
        """Layout of a tensor that only the program knows."""
        return self._part.scratch_layout(tensor, self._state.word_bytes)


def _unplaced(held: Held) -> Storage:
    """What is held, before buffers are placed: its words say nothing."""
    runs = tuple(RowRun(run.row, run.rows, 0) for run in held.runs)
    return replace(held.layout, runs=runs)


def _scratch(state: DieState, number: int, runs: list[_Run], instance: Instance) -> dict[str, Held]:
    """Buffers of what only the program knows; its runs follow each other and use the same ones."""
    held: dict[str, Held] = {}
    operator = instance.operator
    assert isinstance(operator, VectorRun)
    for name, tensor in operator.program.tensors.items():
        if name in operator.bind or name in operator.program.inputs or not runs:
            continue
        layouts = [run.scratch_layout(tensor) for run in runs]
        largest = max(layouts, key=lambda layout: layout.taken(layout.rows))
        key = TensorKey(f"{operator.name}.{name}", instance.layer, instance.tile)
        held[name] = held_in(state.buffer(key, largest.taken(largest.rows), number), largest)
    return held


# ---- moves ----


def move(state: DieState, number: int, instance: Instance) -> None:
    """LOAD of tensors that the die does not hold yet, or STORE."""
    operator = instance.operator
    assert isinstance(operator, Move)
    for name in operator.tensors:
        key = state.graph.key(name, instance)
        source = state.memory.get(key) or state.memory[key._replace(tile=None)]
        if operator.direction == "store":
            held = state.get(number, name, instance)
        elif key in state.held:
            continue
        else:
            held = state.new(number, name, instance)
        if source.rows and source.cols:
            state.steps.append(
                lambda held=held, source=source: _copied(operator, held, source, label_of(instance))  # type: ignore[misc]
            )


def _copied(operator: Move, held: Held, source: Storage, label: str) -> Iterator[DieStep]:
    words, base = source.taken(source.rows), held.storage.run.word
    copies = words_to_scratchpad if operator.direction == "load" else words_from_scratchpad
    yield from copied_words(copies(address=source.run.word, base=base, words=words), label)


def copied_words(commands: Iterable[Command], label: str) -> Iterator[DieStep]:
    """Steps of LOADs or STOREs of one row."""
    for command in commands:
        field = command.fields
        loads = command.opcode.name == "LOAD"
        touches = (
            Touch("memory", field["address"], field["words"], writes=not loads),
            Touch("scratchpad", field["base"], field["words"], writes=loads),
        )
        yield DieStep(command.opcode, field, touches, label)

"""Collectives of the graph on a die: where chunks lie, what fills them up, and the commands of the line."""

from __future__ import annotations

from collections.abc import Iterator

from chiplet.graph.graph import Instance, TensorKey
from chiplet.graph.operators import Carried, Gather, Reduce, Scatter
from chiplet.graph.sharding import DiePlace, KvHeads
from chiplet.layout.line_layouts import HeadSum, head_sums, slot_runs
from chiplet.layout.storage import Storage
from chiplet.layout.words_to_clear import WordBlock
from chiplet.machine.chunks import chunk_flits
from cosim.compile.operators.die_state import DieState
from cosim.compile.operators.line_steps import DieCollective, collective_steps
from cosim.compile.operators.vector_operators import label_of
from cosim.compile.operators.vector_steps import copy_steps, pack_steps, unpack_steps
from cosim.compile.ordering.die_steps import DieStep
from cosim.compile.places.buffers import Buffer
from cosim.compile.places.held import Held, HeldRun, held_in
from cosim.program.line_commands import LineCollective
from nop.collectives import LineOp
from nop.forwarding import slots

__all__ = ["gather", "reduce_replicas", "scatter"]


def gather(state: DieState, number: int, instance: Instance) -> None:
    """All-gather: the chunks of others come into a buffer of the target; the die's own stays where it is."""
    operator = instance.operator
    assert isinstance(operator, Gather)
    for carried in operator.carries:
        _gather(state, number, instance, carried)


def _gather(state: DieState, number: int, instance: Instance, carried: Carried) -> None:
    operator, die = instance.operator, state.place(instance.tile)
    assert isinstance(operator, Gather)
    source, target = state.get(number, carried.source, instance), state.graph.key(carried.target, instance)
    nodes, place = die.line(operator.axis)
    if nodes == 1:
        state.held[target] = source
        return
    rows = state.graph.tensors[carried.source].rows
    chunk, slot = rows.chunk(die), slots(die.algorithm, nodes)
    stride = state.whole_flits(source.layout.taken(chunk))
    words = nodes * stride
    if source.layout.values:
        words = max(words, source.layout.taken(state.uses.capacity(carried.target, die)))
    buffer = state.buffer(target, words, number)
    runs = []
    for other in range(nodes):
        part = rows.part(die.at(operator.axis, other))
        run = HeldRun(part.start, len(part), buffer, slot[other] * stride)
        if other == place:
            (own,) = source.runs
            run = own._replace(row=part.start)
        runs.append(run)
    state.held[target] = Held(source.layout, tuple(sorted(runs, key=lambda run: run.row)))
    if source.layout.values and own.offset == 0 and own.buffer.inside is None:
        # What is scattered next has to lie in one place.
        own.buffer.put_inside(buffer, slot[place] * stride)
    if not stride:  # no die of the line has anything
        return
    state.steps.append(lambda: state.clear_behind(source, source.rows, stride, carried.source))
    _collective(state, instance, "all-gather", buffer, stride, own=source)


def _collective(
    state: DieState,
    instance: Instance,
    op: LineOp,
    buffer: Buffer,
    stride: int,
    *,
    offset: int = 0,
    own: Held | None = None,
    line: tuple[int, int, int] | None = None,
) -> None:
    """The commands of a collective on chunks of ``stride`` words from ``offset`` of ``buffer`` on.

    ``line``: dies, the place of this one, and that of the first one on the axis, if it is not the whole of it.
    """
    operator, die = instance.operator, state.place(instance.tile)
    axis = operator.axis if isinstance(operator, (Gather, Scatter)) else "row"
    nodes, place, first = line or (*die.line(axis), 0)
    state.groups += 1
    group = state.groups

    def steps() -> Iterator[DieStep]:
        work = LineCollective(
            op=op,
            algorithm=die.algorithm,
            nodes=nodes,
            flits=chunk_flits(stride, state.system.nop, state.system.memory),
            base=buffer.start + offset,
            pitch=stride,
        )
        collective = DieCollective(
            work=work,
            axis=axis,
            place=place,
            first=first,
            own=None if own is None else own.storage.run.word,
            group=group,
            label=label_of(instance),
        )
        yield from collective_steps(collective, state.system)

    state.steps.append(steps)


def scatter(state: DieState, number: int, instance: Instance) -> None:
    """Reduce-scatter: the die's sums end up in its chunk of the source."""
    operator = instance.operator
    assert isinstance(operator, Scatter)
    for carried in operator.carries:
        source = state.get(number, carried.source, instance)
        if source.layout.values:
            _scatter_values(state, number, instance, carried, source)
        else:
            _scatter_rows(state, number, instance, carried, source)


def _scatter_rows(state: DieState, number: int, instance: Instance, carried: Carried, source: Held) -> None:
    operator, die, key = (
        instance.operator,
        state.place(instance.tile),
        state.graph.key(carried.target, instance),
    )
    assert isinstance(operator, Scatter)
    nodes, place = die.line(operator.axis)
    if nodes == 1:
        state.held[key] = source
        return
    target = state.graph.tensors[carried.target].rows
    chunk, slot = target.chunk(die), slots(die.algorithm, nodes)[place]
    stride = chunk * source.layout.pitch
    (run,) = source.runs
    state.steps.append(lambda: state.clear_behind(source, source.rows, nodes * stride, carried.source))
    _collective(state, instance, "reduce-scatter", run.buffer, stride, offset=run.offset)
    own = HeldRun(0, len(target.part(die)), run.buffer, run.offset + slot * stride)
    held = Held(source.layout, (own,))
    state.held[key] = held
    if state.uses.crosses_sections(carried.target):
        # It stays for long: the partial sums of the other dies' rows need not.
        kept = state.new(number, carried.target, instance)
        if held.rows:
            state.steps.append(lambda: [copy_steps(held.storage, kept.storage, label_of(instance))])


def _scatter_values(state: DieState, number: int, instance: Instance, carried: Carried, source: Held) -> None:
    operator, die, key = (
        instance.operator,
        state.place(instance.tile),
        state.graph.key(carried.target, instance),
    )
    assert isinstance(operator, Scatter)
    nodes, place = die.line(operator.axis)
    target, layout = state.graph.tensors[carried.target].rows, source.layout
    chunk, order = target.chunk(die), slots(die.algorithm, nodes)
    stride = state.whole_flits(layout.words_of(chunk))
    joined = source.joined()
    fits = False
    if joined is not None:
        (run,) = joined.runs
        behind = run.root[0].words - run.root[1]
        exact = chunk * layout.element_bytes == stride * layout.word_bytes
        fits = nodes == 1 or (exact and nodes * stride <= behind)
    if joined is None or not fits:
        joined = _in_slots(state, number, instance, source, carried, chunk, stride)
    (run,) = joined.runs
    buffer, offset = run.root
    if nodes == 1:
        state.held[key] = joined
        return
    if fits:
        state.steps.append(lambda: state.clear_behind(joined, joined.rows, nodes * stride, carried.source))
    _collective(state, instance, "reduce-scatter", buffer, stride, offset=offset)
    state.held[key] = Held(
        layout, (HeldRun(0, len(target.part(die)), buffer, offset + order[place] * stride),)
    )


def _in_slots(
    state: DieState, number: int, instance: Instance, source: Held, carried: Carried, chunk: int, stride: int
) -> Held:
    """The values of ``source`` again, so that each chunk begins a word.

    A pass can begin with a word only, so each value gets a word of its own in between.
    """
    operator, die, label = instance.operator, state.place(instance.tile), label_of(instance)
    assert isinstance(operator, Scatter)
    nodes, _ = die.line(operator.axis)
    name = carried.source
    key = TensorKey(f"{name}.slots", instance.layer, instance.tile)
    apart = state.buffer(key._replace(name=f"{name}.apart"), source.rows, number)
    buffer = state.buffer(key, nodes * stride, number)
    runs = slot_runs(source.rows, nodes, chunk, stride)
    in_slots = Held(source.layout, tuple(HeldRun(run.row, run.rows, buffer, run.word) for run in runs))
    state.steps.append(lambda: [state.clear(WordBlock(buffer.start, nodes * stride), label)])
    state.steps.append(lambda: unpack_steps(source.storage, apart.start, label))
    state.steps.append(lambda: pack_steps(apart.start, in_slots.storage, label))
    return Held(source.layout, (HeldRun(0, source.rows, buffer),))


def reduce_replicas(state: DieState, number: int, instance: Instance) -> None:
    """All-reduce of each key/value head that several dies of the row hold, in a buffer of its own."""
    operator, die = instance.operator, state.place(instance.tile)
    assert isinstance(operator, Reduce)
    for name in operator.tensors:
        heads = state.graph.tensors[name].cols
        assert isinstance(heads, KvHeads)
        held = state.get(number, name, instance)
        for share in head_sums(heads, die, held.layout, held.rows, state.whole_flits):
            _all_reduce(state, number, instance, held, share, die)


def _all_reduce(
    state: DieState, number: int, instance: Instance, held: Held, share: HeadSum, die: DiePlace
) -> None:
    owners, columns, label = share.owners, share.columns, label_of(instance)
    key = TensorKey(f"{instance.operator.name}.head", instance.layer, instance.tile)
    copy = held_in(state.buffer(key, share.words, number), share.copy)

    def part() -> Storage:
        return held.storage.cols_of(columns.start, columns.stop - columns.start)

    def there() -> Iterator[DieStep]:
        storage = copy.storage
        yield from (state.clear(block, label) for block in share.to_clear(storage.run.word))
        yield copy_steps(part(), storage, label)

    state.steps.append(there)
    _collective(
        state,
        instance,
        "all-reduce",
        copy.runs[0].buffer,
        share.stride,
        line=(len(owners), die.col - owners.start, owners.start),
    )
    state.steps.append(lambda: [copy_steps(copy.storage, part(), label)])

"""Timeline of a program: when each unit of a die works on what, predicted without simulating the hardware.

Every unit is a process that takes its commands in order; semaphores are queues of times. The cost of a command follows
from its sizes (words, rows, tiles) and from the few constants in :class:`chiplet.machine.terms.DieTerms`, which a
calibration fits to measured runs. The model leaves out the sharing of the memory port, random stalls, and full queues.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import DieTerms
from cosim.program.command import UNIT_OPCODES, Command
from cosim.program.gemm import GemmProgram
from rtl.interface.isa import SEMAPHORES, Opcode, Target

__all__ = ["Timeline", "predict"]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Predicted times of a program, in cycles from its start.

    Attributes
    ----------
    cycles
        Start to done.
    array_cycles
        First operand row into the array to last row of sums out of the accumulator adders.
    load_end, array_end
        When the last word is in the operand buffers, and the last row of sums in the accumulator buffer.
    """

    cycles: float
    array_cycles: float
    load_end: float
    array_end: float


@dataclass
class _Panel:
    """When the array reads sums of a panel: ``tiles`` times ``rows`` addresses, every ``period`` cycles."""

    start: int
    tiles: int
    rows: int
    period: int
    base: int
    reads_first: bool


@dataclass
class _Machine:
    """State that the units share.

    A unit is a generator that yields True after each piece of work, and False while it waits for a semaphore.
    """

    die: DieSpec
    memory: MemorySpec
    terms: DieTerms
    interval: int
    tokens: list[deque[float]] = field(default_factory=lambda: [deque() for _ in range(SEMAPHORES)])
    panels: list[_Panel] = field(default_factory=list)
    array_first: float | None = None
    load_end: float = 0.0
    array_end: float = 0.0
    store_end: float = 0.0

    def post(self, mask: int, time: float) -> None:
        for semaphore in _bits(mask):
            self.tokens[semaphore].append(time)

    def take(self, mask: int) -> Generator[bool, None, float]:
        """Wait until every semaphore of ``mask`` has a token; return the time of the last of these tokens."""
        while any(not self.tokens[semaphore] for semaphore in _bits(mask)):
            yield False
        return max((self.tokens[semaphore].popleft() for semaphore in _bits(mask)), default=0.0)

    def reads_sums(self, time: int, address: int) -> bool:
        """Whether column 0 of the array reads a sum of the parity of ``address`` in cycle ``time``."""
        for panel in reversed(self.panels):
            if time >= panel.start:
                tile, slot = divmod(time - panel.start, panel.period)
                reads = tile < panel.tiles and slot < panel.rows and (tile > 0 or panel.reads_first)
                return reads and (panel.base + slot - address) % 2 == 0
        return False


def _bits(mask: int) -> Iterator[int]:
    return (bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def predict(
    program: GemmProgram, die: DieSpec, memory: MemorySpec, terms: DieTerms, *, interval: int = 1
) -> Timeline:
    """Return the timeline of ``program`` on ``die``, with ``interval`` cycles between memory requests."""
    machine = _Machine(die=die, memory=memory, terms=terms, interval=interval)
    by_unit: dict[Opcode, list[tuple[float, Command]]] = {opcode: [] for opcode in UNIT_OPCODES}
    for index, command in enumerate(program.commands):
        # The first command takes the latency of the memory; the words of the others follow one a cycle.
        handed_out = terms.fetch + memory.latency_cycles + (index + 1) * memory.command_words
        if command.opcode == Opcode.SET:
            for semaphore in _bits(command.all_fields["mask"]):
                machine.tokens[semaphore].extend([handed_out] * command.all_fields[f"value_{semaphore}"])
        else:
            by_unit[command.opcode].append((handed_out, command))
    # Load and array advance as far as they can before the store unit does a panel: it waits where the array reads.
    load, array, store = (
        _load_unit(machine, by_unit[Opcode.LOAD]),
        _array_unit(machine, by_unit[Opcode.GEMM]),
        _store_unit(machine, by_unit[Opcode.STORE]),
    )
    progress = True
    while progress:
        while any([next(load, False), next(array, False)]):
            pass
        progress = next(store, False)
    assert machine.array_first is not None
    return Timeline(
        cycles=machine.store_end + terms.finish,
        array_cycles=machine.array_end - machine.array_first,
        load_end=machine.load_end,
        array_end=machine.array_end,
    )


def _load_unit(machine: _Machine, commands: list[tuple[float, Command]]) -> Iterator[bool]:
    die, memory, terms = machine.die, machine.memory, machine.terms
    word_elements = memory.word_bytes // die.element_bytes
    free = 0.0  # when the next request may leave
    written = 0.0  # when the last word so far is in the banks
    in_flight: deque[float] = deque(maxlen=memory.outstanding)
    for handed_out, command in commands:
        fields = command.all_fields
        ready = yield from machine.take(fields["wait"])
        free = max(handed_out, ready, free)
        group = min(word_elements, die.cols if fields["target"] == Target.WEIGHT else die.rows)
        # A word takes a cycle for each group of elements that the banks write at once.
        row = [
            -(-min(word_elements, fields["cols"] - first) // group)
            for first in range(0, fields["cols"], word_elements)
        ]
        written += terms.load_command
        for groups in row * fields["rows"]:
            # With too few reads in flight, a request waits until the oldest word is written.
            request = max(free, in_flight[0] + 1) if len(in_flight) == memory.outstanding else free
            written = max(request + memory.latency_cycles + terms.round_trip, written + 1) + groups - 1
            in_flight.append(written)
            free = request + machine.interval
        free += terms.load_command
        machine.load_end = written + terms.load_latency
        machine.post(fields["post"], machine.load_end)
        yield True


def _array_unit(machine: _Machine, commands: list[tuple[float, Command]]) -> Iterator[bool]:
    die, terms = machine.die, machine.terms
    stream_end = 0.0  # when the last slot of the tile before is over
    weights_free = 0.0  # when the shadow registers may be loaded again
    for handed_out, command in commands:
        fields = command.all_fields
        period = terms.gemm.tile_cycles(rows=die.rows, stages=die.stages, m=fields["m"])
        base = fields["accumulator_base"]
        for panel in range(fields["panels"]):
            mask = fields["panel_wait"] | (fields["wait"] if panel == 0 else 0)
            ready = yield from machine.take(mask)
            load = max(ready, weights_free, handed_out + terms.gemm_command)
            if machine.array_first is None:
                machine.array_first = load + terms.operand_read
            fill = max(terms.gemm.fill_per_row * die.rows, terms.handover if panel == 0 else 0.0)
            start = max(stream_end, load + fill)
            tiles = fields["k_tiles"]
            # The weights of the next panel follow as soon as the last tile of this one has begun.
            weights_free = start + (tiles - 1) * period
            stream_end = start + tiles * period
            down = terms.operand_read + terms.gemm.drain_per_row * die.rows * die.stages
            machine.panels.append(
                _Panel(
                    round(start + down),
                    tiles,
                    fields["m"],
                    max(1, round(period)),
                    base,
                    bool(fields["accumulate"]),
                )
            )
            last_row = start + terms.operand_read + (tiles - 1) * period + terms.gemm.per_row * fields["m"]
            machine.array_end = last_row + terms.gemm.drain_cycles(
                rows=die.rows, cols=die.cols, stages=die.stages
            )
            machine.post(fields["panel_post"], machine.array_end + terms.panel_post)
            if panel == fields["panels"] - 1:
                machine.post(fields["post"], machine.array_end + terms.panel_post)
            base += fields["accumulator_step"]
            if base == fields["accumulator_wrap"]:
                base = 0
            yield True


def _store_unit(machine: _Machine, commands: list[tuple[float, Command]]) -> Iterator[bool]:
    die, terms = machine.die, machine.terms
    word_sums = machine.memory.word_bytes // 4
    free = 0.0
    for handed_out, command in commands:
        fields = command.all_fields
        base = fields["base"]
        for panel in range(fields["panels"]):
            last = panel == fields["panels"] - 1
            cols = fields["last_cols"] if last else die.cols
            ready = yield from machine.take(fields["panel_wait"] | (fields["wait"] if panel == 0 else 0))
            start = max(handed_out, ready, free) + terms.store_panel
            offset = panel * die.cols % word_sums
            words = -(-(offset + cols) // word_sums) * machine.interval
            sent = 0.0
            for row in range(fields["rows"]):
                read = _row_read(machine, start, base + row) + terms.store_row
                taken = max(read, sent)
                sent = taken + words
                start = taken
            free = sent + terms.store_next
            machine.store_end = sent
            machine.post(fields["panel_post"] | (fields["post"] if last else 0), sent + terms.store_post)
            base += fields["step"]
            if base == fields["wrap"]:
                base = 0
            yield True


def _row_read(machine: _Machine, start: float, address: int) -> float:
    """Cycle in which the last column gives its sum of a row to the store unit, which asks for it in cycle ``start``."""
    first = int(start)
    latest = first
    for column in range(machine.die.cols):
        time = first
        while machine.reads_sums(time - column, address):
            time += 1
        latest = max(latest, time)
    # Fractions of a cycle, which fitted terms have, are kept: a fit could not see them otherwise.
    return start + latest - first

"""Timeline of a program: when each unit of a die works on what, predicted without simulating the hardware.

Every unit is a process that takes its commands in order from a queue; semaphores, the memory port and the banks of the
scratchpad order the units. The costs are those of single words and rows, with the few constants in
:class:`chiplet.machine.terms.DieTerms`, which a calibration fits to measured runs. The model leaves out random stalls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.queue_depths import (
    COMMAND_READS,
    COMMANDS_AHEAD,
    COMMANDS_SPARE,
    COMMANDS_SUMMED,
    ROWS_SPARE,
    WORDS_SPARE,
)
from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_banks
from chiplet.machine.terms import DieTerms
from cosim.predict.clock import BoundedQueue, Clock, SemaphoreTokens, Stage, Unit
from cosim.predict.ports import (
    MemoryPortTimes,
    ScratchpadBanks,
    ScratchpadReader,
    ScratchpadWriter,
    bench_memory_port,
)
from cosim.predict.sum_reads import PanelReads, SumReads
from cosim.program.command import UNIT_OPCODES, Command
from cosim.program.gemm import GemmProgram
from rtl.interface.isa import SEMAPHORES, SET_PLACES, Opcode

__all__ = ["DieTimes", "Timeline", "predict"]

LOADS_UNDER_WAY = 4
"""Commands of the load unit whose words have not all come."""
DRAINS_UNDER_WAY = 3
"""Commands of the drain unit whose rows have been asked for, or some of them."""


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


def predict(
    program: GemmProgram, die: DieSpec, memory: MemorySpec, terms: DieTerms, *, interval: int = 1
) -> Timeline:
    """Return the timeline of ``program`` on ``die``, with ``interval`` cycles between memory requests."""
    clock = Clock()
    machine = DieTimes(
        program.commands, die, memory, terms, clock, bench_memory_port(clock, memory, terms, interval)
    )
    clock.run()
    assert machine.array_first is not None, "the program blocks"
    return Timeline(
        cycles=machine.end,
        array_cycles=machine.array_end - machine.array_first,
        load_end=machine.feed_end,
        array_end=machine.array_end,
    )


class DieTimes:
    """The units of a die and what they share, at work on a program from the start of the clock.

    Attributes
    ----------
    array_first
        When the first operand row enters the array; None if none does.
    array_end
        When the last row of sums is in the accumulator buffer.
    feed_end
        When the last word is in the operand buffers.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        die: DieSpec,
        memory: MemorySpec,
        terms: DieTerms,
        clock: Clock,
        port: MemoryPortTimes,
    ) -> None:
        self.die, self.memory, self.terms = die, memory, terms
        self.clock = clock
        self.semaphores = SemaphoreTokens(clock, SEMAPHORES)
        self.port = port
        self.banks = ScratchpadBanks(clock, scratchpad_banks(memory))
        self.queues: dict[object, BoundedQueue] = {
            opcode: BoundedQueue(clock, die.queue_depth) for opcode in UNIT_OPCODES
        }
        self.fetched = BoundedQueue(clock, COMMANDS_AHEAD)
        self.reads_in_flight = BoundedQueue(clock, COMMAND_READS)
        self.load_under_way = BoundedQueue(clock, LOADS_UNDER_WAY)
        self.loads_in_flight = BoundedQueue(clock, memory.outstanding)
        self.drained_rows = BoundedQueue(clock, die.sram_latency + ROWS_SPARE, terms.drain_read)
        self.sum_reads = SumReads(die.cols)
        self.array_first: float | None = None
        self.array_end = self.feed_end = self.last_end = 0.0
        self._asked = BoundedQueue(clock, COMMANDS_AHEAD)
        clock.start(self._fetch(commands), terms.fetch)
        clock.start(self._fetched_words(commands))
        clock.start(self._dispatch())
        asking = Stage(clock)
        clock.start(self._load(asking))
        clock.start(self._load_requests(asking))
        clock.start(self._load_writer())
        for opcode, lanes in ((Opcode.FEED_ACTIVATION, die.rows), (Opcode.FEED_WEIGHT, die.cols)):
            clock.start(self._feed_writer(lanes, *self._reader(opcode, "source", "source_pitch")))
        clock.start(self._array())
        drains = BoundedQueue(clock, DRAINS_UNDER_WAY)
        clock.start(self._drain(drains))
        clock.start(self._drain_writer(drains))
        clock.start(self._store_writer(*self._reader(Opcode.STORE, "base", "pitch")))

    def _fetch(self, commands: Sequence[Command]) -> Unit:
        for command in commands:
            yield from self._asked.put(command)
            for _ in range(self.memory.command_words):
                yield from self.reads_in_flight.put(None)
                yield from self.port.ask("fetch")
                yield self.clock.now + 1

    def _fetched_words(self, commands: Sequence[Command]) -> Unit:
        for command in commands:
            for _ in range(self.memory.command_words):
                yield from self.port.word("fetch")
                self.port.take_word()
                yield from self.reads_in_flight.get()
            yield from self.fetched.put(command)

    def _dispatch(self) -> Unit:
        clock = self.clock
        while True:
            command: Command = yield from self.fetched.get()
            fields = command.all_fields
            if command.opcode == Opcode.SET:
                places = [place for place in range(SET_PLACES) if fields[f"semaphore_{place}"]]
                for number, place in enumerate(places):
                    # One a cycle.
                    yield clock.now + int(number > 0)
                    semaphore, value = fields[f"semaphore_{place}"], fields[f"value_{place}"]
                    clock.at(clock.now + 1, partial(self.semaphores.give, semaphore, value))
            else:
                yield from self.queues[self._unit(command)].put(fields)
            yield from self._asked.get()
            yield clock.now + 1

    def _unit(self, command: Command) -> object:
        """The key of the queue that the command goes to."""
        return command.opcode

    @property
    def end(self) -> float:
        """When the program has ended, if the clock has run to the end."""
        return max(self.port.last_write, self.last_end) + self.terms.finish

    def _load(self, asking: Stage) -> Unit:
        while True:
            fields: dict[str, int] = yield from self.queues[Opcode.LOAD].get()
            yield self.clock.now + self.terms.load_command
            # A command begins while the last word of the one before is asked for.
            yield from asking.room()
            yield from self.load_under_way.room()
            yield from self.semaphores.take((fields["wait_0"], fields["wait_1"]))
            yield from self.load_under_way.put(fields)
            yield from asking.put(fields["rows"] * fields["words"])

    def _load_requests(self, asking: Stage) -> Unit:
        while True:
            words: int = yield from asking.get()
            for word in range(words):
                yield from self.loads_in_flight.put(None)
                yield from self.port.ask("load")
                if word == words - 1:
                    asking.free(self.clock.now)
                yield self.clock.now + 1

    def _load_writer(self) -> Unit:
        while True:
            fields: dict[str, int] = yield from self.load_under_way.get()
            for row in range(fields["rows"]):
                for word in range(fields["words"]):
                    yield from self.port.word("load")
                    place = fields["base"] + row * fields["pitch"] + word
                    yield from self.banks.access(ScratchpadWriter.LOAD, place)
                    self.port.take_word()
                    yield from self.loads_in_flight.get()
                self.semaphores.post((fields["row_post"],), self.clock.now + self.terms.load_post)
            self._end(fields, self.terms.load_post)

    def _end(self, fields: dict[str, int], delay: float) -> None:
        """Post what a command posts at its end."""
        self.semaphores.post((fields["post_0"], fields["post_1"]), self.clock.now + delay)
        self.last_end = max(self.last_end, self.clock.now)

    def _reader(self, opcode: Opcode, base: str, pitch: str) -> tuple[BoundedQueue, BoundedQueue]:
        """Start the half of a unit that reads words of the scratchpad; return its commands and its words."""
        begun = BoundedQueue(self.clock, self.die.sram_latency + COMMANDS_SPARE)
        words = BoundedQueue(self.clock, self.die.sram_latency + WORDS_SPARE, self.terms.scratchpad_read)
        reading = Stage(self.clock)
        self.clock.start(self._read_commands(opcode, begun, reading))
        self.clock.start(self._read_words(ScratchpadReader[opcode.name], base, pitch, reading, words))
        return begun, words

    def _read_commands(self, opcode: Opcode, begun: BoundedQueue, reading: Stage) -> Unit:
        while True:
            fields: dict[str, int] = yield from self.queues[opcode].get()
            yield self.clock.now + self.terms.read_command
            yield from reading.room()
            yield from begun.room()
            yield from self.semaphores.take((fields["wait_0"], fields["wait_1"]))
            yield from begun.put(fields)
            yield from reading.put(fields)

    def _read_words(
        self, port: ScratchpadReader, base: str, pitch: str, reading: Stage, words: BoundedQueue
    ) -> Unit:
        while True:
            fields: dict[str, int] = yield from reading.get()
            rows, row_words, row_wait = fields["rows"], fields["words"], fields["row_wait"]
            for row in range(rows):
                for word in range(row_words):
                    yield from words.room()
                    if word == 0:
                        yield from self.semaphores.take((row_wait,))
                    yield from self.banks.access(port, fields[base] + row * fields[pitch] + word)
                    yield from words.put(None)
                    if row == rows - 1 and word == row_words - 1:
                        # The semaphores of a row and those of the next command are not taken in one cycle.
                        reading.free(self.clock.now + int(row_wait > 0 and row_words == 1))
                    yield self.clock.now + 1

    def _feed_writer(self, lanes: int, begun: BoundedQueue, words: BoundedQueue) -> Unit:
        word_elements = self.memory.word_bytes // self.die.element_bytes
        group = min(word_elements, lanes)
        while True:
            fields: dict[str, int] = yield from begun.get()
            yield self.clock.now + 1
            # A word takes a cycle for each group of elements that the banks write at once.
            steps = [
                -(-min(word_elements, fields["cols"] - first) // group)
                for first in range(0, fields["cols"], word_elements)
            ]
            for row in range(fields["rows"]):
                for word, cycles in enumerate(steps):
                    yield self.clock.now + int(row + word > 0)
                    yield from words.see()
                    yield self.clock.now + cycles - 1
                    yield from words.get()
            self.feed_end = self.clock.now + self.terms.feed_post
            self.semaphores.post((fields["post_0"], fields["post_1"]), self.feed_end)

    def _array(self) -> Unit:
        die, terms, clock = self.die, self.terms, self.clock
        stream_end = 0.0  # when the last slot of the tile before is over
        weights_free = 0.0  # when the shadow registers may be loaded again
        summed = COMMANDS_SUMMED + die.sram_latency - SRAM_LATENCY + die.multiplier_stages - MULTIPLIER_STAGES
        ends = deque([-inf] * summed, summed)  # of the sums of the commands before
        while True:
            fields: dict[str, int] = yield from self.queues[Opcode.GEMM].get()
            yield clock.now + terms.gemm_command
            period = terms.gemm.tile_cycles(rows=die.rows, stages=die.stages, m=fields["m"])
            base = fields["accumulator_base"]
            for panel in range(fields["panels"]):
                yield weights_free
                wanted = {fields["panel_wait"]}
                if panel == 0:
                    wanted |= {fields["wait_0"], fields["wait_1"]}
                yield from self.semaphores.take(wanted)
                load = clock.now
                if self.array_first is None:
                    self.array_first = load + terms.operand_read
                fill = max(terms.gemm.fill_per_row * die.rows, terms.handover if panel == 0 else 0.0)
                start = max(stream_end, load + fill)
                if panel == 0:
                    start = max(start, ends[0] + terms.handover)
                tiles = fields["k_tiles"]
                # The weights of the next panel follow as soon as the last tile of this one has begun.
                weights_free = start + (tiles - 1) * period
                stream_end = start + tiles * period
                down = terms.operand_read + die.multiplier_stages - die.sram_latency
                down += terms.gemm.drain_per_row * die.rows * die.stages
                self.sum_reads.panels.append(
                    PanelReads(
                        start=round(start + down),
                        tiles=tiles,
                        rows=fields["m"],
                        period=max(1, round(period)),
                        base=base,
                        reads_first=bool(fields["accumulate"]),
                    )
                )
                last_row = (
                    start + terms.operand_read + (tiles - 1) * period + terms.gemm.per_row * fields["m"]
                )
                self.array_end = last_row + terms.gemm.drain_cycles(
                    rows=die.rows, cols=die.cols, stages=die.stages
                )
                posted = self.array_end + terms.panel_post
                posts = {fields["panel_post"]}
                if panel == fields["panels"] - 1:
                    posts |= {fields["post_0"], fields["post_1"]}
                self.semaphores.post(posts, posted)
                self.last_end = max(self.last_end, self.array_end)
                base += fields["accumulator_step"]
                if base == fields["accumulator_wrap"]:
                    base = 0
            ends.append(self.array_end)
            # The next command is taken with the last weights of this one.
            last_load = load if tiles == 1 else start + (tiles - 2) * period
            yield last_load + terms.gemm.fill_per_row * die.rows - 1

    def _drain(self, drains: BoundedQueue) -> Unit:
        clock = self.clock
        read = 0.0  # when the last column gives its sum of the row before
        while True:
            fields: dict[str, int] = yield from self.queues[Opcode.DRAIN].get()
            base = fields["base"]
            for panel in range(fields["panels"]):
                yield clock.now + self.terms.drain_command
                wanted = {fields["panel_wait"]}
                if panel == 0:
                    yield from drains.room()
                    wanted |= {fields["wait_0"], fields["wait_1"]}
                yield from self.semaphores.take(wanted)
                if panel == 0:
                    yield from drains.put(fields)
                for row in range(fields["rows"]):
                    yield max(clock.now, read) + 1
                    yield from self.drained_rows.room()
                    read = self.sum_reads.row_read(clock.now, base + row)
                    yield from self.drained_rows.put(None, wait=read - clock.now)
                base += fields["step"]
                if base == fields["wrap"]:
                    base = 0

    def _drain_writer(self, drains: BoundedQueue) -> Unit:
        terms, clock = self.terms, self.clock
        while True:
            fields: dict[str, int] = yield from drains.see()
            per_word = self.memory.word_bytes // (2 if fields["cast"] else 4)
            for panel in range(fields["panels"]):
                last_panel = panel == fields["panels"] - 1
                cols = fields["last_cols"] if last_panel else self.die.cols
                first = panel * self.die.cols // per_word
                words = -(-(panel * self.die.cols + cols) // per_word) - first
                for row in range(fields["rows"]):
                    yield from self.drained_rows.get()
                    if last_panel and row == fields["rows"] - 1:
                        yield from drains.get()
                    place = fields["target"] + row * fields["target_pitch"] + first
                    for word in range(words):
                        yield clock.now + 1
                        yield from self.banks.access(ScratchpadWriter.DRAIN, place + word)
                    posts = {fields["row_post"]} if last_panel else set()
                    if row == fields["rows"] - 1:
                        posts |= {fields["panel_post"]}
                        if last_panel:
                            posts |= {fields["post_0"], fields["post_1"]}
                    self.semaphores.post(posts, clock.now + terms.drain_post)
                    self.last_end = max(self.last_end, clock.now)

    def _store_writer(self, begun: BoundedQueue, words: BoundedQueue) -> Unit:
        while True:
            fields: dict[str, int] = yield from begun.get()
            yield self.clock.now + 1
            for word in range(fields["rows"] * fields["words"]):
                yield self.clock.now + int(word > 0)
                yield from words.see()
                yield from self.port.ask("store")
                yield from words.get()
            self.semaphores.post((fields["post_0"], fields["post_1"]), self.clock.now + self.terms.store_post)

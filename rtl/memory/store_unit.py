"""Store unit: copies sums from the accumulator buffer to memory, panel after panel, or words of the exchange buffer.

A memory row holds the panels side by side without gaps, so a panel of C columns may start in the middle of a word:
its sums are shifted into place and only their part of the word is written. A panel of the exchange buffer is a row of
whole words.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out
from amaranth.utils import ceil_log2, exact_log2

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.block import Block
from rtl.interface.isa import COUNT_BITS, MEMORY_ADDRESS_BITS, STORE
from rtl.interface.memory_port import request_layout
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.interface.semaphore_port import SemaphorePort

__all__ = ["StoreUnit"]


class StoreUnit(Block):
    """From the accumulator buffer and the exchange buffer to memory.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        Accumulator buffer and memory port.
    exchange_depth : int, optional
        Words of the exchange buffer; without one, everything comes from the accumulator buffer.

    Members
    -------
    command : In(stream)
        STORE commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    start, address : Out; busy, sums : In
        Read port of the accumulator buffer: one row of ``cols`` sums.
    exchange : Out(ScratchpadReadPort)
        Read port of the exchange buffer; only if there is one.
    request : Out(stream)
        Write requests.
    idle : Out(1)
        No command is here.
    active, stall_semaphore, stall_request, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a request is not taken; a word leaves.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec, exchange_depth: int | None = None) -> None:
        self._die, self._memory, self._exchange_depth = die, memory, exchange_depth
        exchange: dict[str, Member] = {}
        if exchange_depth is not None:
            exchange["exchange"] = Out(ScratchpadReadPort(depth=exchange_depth, word_bytes=memory.word_bytes))
        super().__init__(
            {
                "command": In(stream.Signature(STORE.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "start": Out(1),
                "address": Out(ceil_log2(die.accumulator_depth)),
                "busy": In(1),
                "sums": In(die.cols * 32),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "idle": Out(1),
                "active": Out(1),
                "stall_semaphore": Out(1),
                "stall_request": Out(1),
                "words": Out(1),
                **exchange,
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        name = f"store_unit_{self._die.cols}_{self._die.accumulator_depth}_{self._memory.word_bytes}"
        return f"{name}_{self._exchange_depth}" if self._exchange_depth else name

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cols = self._die.cols
        word_sums = self._memory.word_bytes // 4
        offset_bits = exact_log2(word_sums)
        row_words = -(-(cols + word_sums - 1) // word_sums)

        command = Signal(STORE)
        active = Signal()
        in_panel = Signal()  # the semaphores of the panel are taken
        reading = Signal()  # a row is on its way from its buffer
        panel = Signal(COUNT_BITS)
        row = Signal(COUNT_BITS)
        accumulator = Signal(len(command.base))  # of the panel
        sum_index = Signal(
            MEMORY_ADDRESS_BITS + offset_bits
        )  # memory place of the panel's first sum, in sums
        row_word = Signal(MEMORY_ADDRESS_BITS)  # first word of the row

        # Words of the row that is being written.
        row_sums = Signal(row_words * word_sums * 32)
        strobe = Signal(row_words * word_sums)
        word = Signal(MEMORY_ADDRESS_BITS)
        sent = Signal()
        last_word = Signal()
        take_row = Signal()
        request = Signal(request_layout(self._memory.word_bytes))
        m.d.comb += [
            request.write.eq(1),
            request.address.eq(word),
            request.strobe.eq(strobe),
            request.data.eq(row_sums),
            self.request.payload.eq(request),
            self.request.valid.eq(strobe.any()),
            sent.eq(self.request.valid & self.request.ready),
            last_word.eq(~strobe[word_sums:].any()),
        ]

        last_row = Signal()
        last_panel = Signal()
        panel_over = Signal()
        go = Signal()
        more = Signal()  # rows of the panel are still to be read
        following = Signal(len(command.base))
        offset = Signal(max(1, offset_bits))
        columns = Signal(range(cols + 1))
        has_exchange = self._exchange_depth is not None

        def either(exchange: Any, sums: Any) -> Any:
            return Mux(command.exchange, exchange, sums) if has_exchange else sums

        m.d.comb += [
            last_panel.eq(panel == command.panels - 1),
            last_row.eq(row == command.rows - 1),
            self.semaphores.wait.eq(Mux(panel == 0, command.wait, 0) | command.panel_wait),
            go.eq(active & ~in_panel & self.semaphores.ok),
            self.semaphores.take.eq(go),
            take_row.eq(reading & either(1, ~self.busy & (~strobe.any() | (sent & last_word)))),
            self.start.eq(in_panel & more & either(0, ~reading | take_row)),
            panel_over.eq(in_panel & ~more & ~reading & sent & last_word),
            self.command.ready.eq(~active | (panel_over & last_panel)),
            self.semaphores.post.eq(
                Mux(panel_over, command.panel_post | Mux(last_panel, command.post, 0), 0)
            ),
            following.eq(accumulator + command.step),
            offset.eq(sum_index[:offset_bits] if offset_bits else 0),
            columns.eq(Mux(last_panel, command.last_cols, cols)),
            self.idle.eq(~active),
            self.active.eq(active),
            self.stall_semaphore.eq(active & ~in_panel & ~self.semaphores.ok),
            self.stall_request.eq(self.request.valid & ~self.request.ready),
            self.words.eq(sent),
        ]

        # The address holds until the row is there: it moves on with the start of the next row.
        next_address = Signal(len(command.base))
        held = Signal.like(self.address)
        m.d.comb += self.address.eq(Mux(self.start, next_address, held))
        m.d.sync += held.eq(self.address)
        begun = self.start
        if has_exchange:
            # A word is only asked for when there is room for it, so it never waits at the exchange buffer.
            word_taken = Signal()
            m.d.comb += [
                self.exchange.valid.eq(
                    in_panel & more & command.exchange & ~reading & (~strobe.any() | (sent & last_word))
                ),
                self.exchange.address.eq(next_address),
                word_taken.eq(self.exchange.valid & self.exchange.ready),
            ]
            begun = self.start | word_taken
        with m.If(begun):
            m.d.sync += [next_address.eq(next_address + 1), row.eq(row + 1), more.eq(~last_row)]
        m.d.sync += reading.eq(begun | (reading & ~take_row))

        with m.If(go):
            m.d.sync += [
                in_panel.eq(1),
                more.eq(1),
                row.eq(0),
                next_address.eq(accumulator),
                row_word.eq(sum_index[offset_bits:]),
            ]
        with m.If(sent):
            m.d.sync += [
                row_sums.eq(row_sums[word_sums * 32 :]),
                strobe.eq(strobe[word_sums:]),
                word.eq(word + 1),
            ]
        # Shifted to its place step by step: a shift by any number of bits would tie every bit to every other.
        placed = Signal.like(row_sums)
        m.d.comb += placed.eq(self.sums)
        for bit in range(offset_bits):
            shifted = Signal.like(row_sums, name=f"shifted_{bit}")
            m.d.comb += shifted.eq(Mux(offset[bit], Cat(Const(0, 32 << bit), placed)[: len(placed)], placed))
            placed = shifted
        with m.If(take_row):
            m.d.sync += [
                row_sums.eq(either(self.exchange.data if has_exchange else 0, placed)),
                strobe.eq(
                    either((1 << word_sums) - 1, ((Const(1, cols + 1) << columns) - 1)[:cols] << offset)
                ),
                word.eq(row_word),
                row_word.eq(row_word + either(1, command.memory_pitch)),
            ]
        with m.If(panel_over):
            m.d.sync += [
                in_panel.eq(0),
                panel.eq(panel + 1),
                sum_index.eq(sum_index + either(command.memory_pitch << offset_bits, cols)),
                accumulator.eq(Mux(following == command.wrap, 0, following)),
            ]
            with m.If(last_panel):
                m.d.sync += active.eq(0)
        with m.If(self.command.valid & self.command.ready):
            incoming = STORE(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                panel.eq(0),
                accumulator.eq(incoming.base),
                sum_index.eq(Cat(Const(0, offset_bits), incoming.address)),
            ]
        return m

"""Load unit: copies blocks of operands from memory into the operand buffers, or words into the exchange buffer.

The issuer asks for the words of a block row after row and goes on to the next command while words are still on
their way; the writer spreads each word that comes over the banks, up to B elements in a cycle. A word for the exchange
buffer is written whole, when its bank has a turn for it.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.block import Block, place
from rtl.compute.operand_buffer import OperandWritePort
from rtl.interface.isa import COUNT_BITS, LOAD, MEMORY_ADDRESS_BITS, SEMAPHORES, Target
from rtl.interface.memory_port import request_layout
from rtl.interface.scratchpad_port import ScratchpadWritePort
from rtl.interface.semaphore_port import SemaphorePort
from rtl.lib.queue import Queue

__all__ = ["LoadUnit"]


class LoadUnit(Block):
    """From memory to the operand buffers and the exchange buffer.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        Operand buffers and memory port.
    exchange_depth : int, optional
        Words of the exchange buffer; without one, all blocks go to the operand buffers.

    Members
    -------
    command : In(stream)
        LOAD commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    request : Out(stream), response : In(stream)
        Read requests, and the words read (data only).
    activation, weight : Out(OperandWritePort)
        Write ports of the operand buffers.
    exchange : Out(ScratchpadWritePort)
        Write port of the exchange buffer, for whole words; only if there is one.
    idle : Out(1)
        No command is here.
    busy, stall_semaphore, stall_request, words : Out(1)
        For the counters: a command is here; it waits for semaphores; a request is not taken; a word comes.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec, exchange_depth: int | None = None) -> None:
        self._die, self._memory, self._exchange_depth = die, memory, exchange_depth
        word_bits = 8 * memory.word_bytes
        exchange: dict[str, Member] = {}
        if exchange_depth is not None:
            exchange["exchange"] = Out(
                ScratchpadWritePort(depth=exchange_depth, word_bytes=memory.word_bytes)
            )
        width = die.element_bits
        super().__init__(
            {
                "command": In(stream.Signature(LOAD.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "response": In(stream.Signature(word_bits)),
                "activation": Out(OperandWritePort(lanes=die.rows, depth=die.activation_depth, width=width)),
                "weight": Out(OperandWritePort(lanes=die.cols, depth=die.weight_depth, width=width)),
                **exchange,
                "idle": Out(1),
                "busy": Out(1),
                "stall_semaphore": Out(1),
                "stall_request": Out(1),
                "words": Out(1),
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        die, memory = self._die, self._memory
        return (
            f"load_unit_{die.rows}x{die.cols}_{die.dtype}_{die.activation_depth}_{die.weight_depth}"
            f"_{memory.word_bytes}_{memory.outstanding}"
            + (f"_{self._exchange_depth}" if self._exchange_depth else "")
        )

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        writes = Queue(width=LOAD.size, depth=2)
        place(m, platform, "writes", writes)
        in_flight = Signal(range(self._memory.outstanding + 1))
        word_done = Signal()

        issuing = self._elaborate_issuer(m, writes, in_flight, word_done)
        writing = self._elaborate_writer(m, writes, word_done)
        m.d.sync += in_flight.eq(in_flight + (self.request.valid & self.request.ready) - word_done)
        m.d.comb += [
            self.idle.eq(~(issuing | writing)),
            self.busy.eq(issuing | writing),
            self.words.eq(word_done),
        ]
        return m

    def _elaborate_issuer(self, m: Module, writes: Queue, in_flight: Signal, word_done: Signal) -> Signal:
        command = Signal(LOAD)
        active = Signal()
        started = Signal()
        row = Signal(COUNT_BITS)
        word = Signal(COUNT_BITS)
        address = Signal(MEMORY_ADDRESS_BITS)
        row_address = Signal(MEMORY_ADDRESS_BITS)
        next_row = Signal(MEMORY_ADDRESS_BITS)
        go = Signal()
        sent = Signal()
        last_word = Signal()
        last_row = Signal()
        request = Signal(request_layout(self._memory.word_bytes))
        m.d.comb += [
            self.semaphores.wait.eq(command.wait),
            go.eq(active & ~started & self.semaphores.ok & writes.i.ready),
            self.semaphores.take.eq(go),
            writes.i.valid.eq(go),
            writes.i.payload.eq(command),
            request.address.eq(address),
            self.request.payload.eq(request),
            self.request.valid.eq(started & (in_flight != self._memory.outstanding)),
            sent.eq(self.request.valid & self.request.ready),
            last_word.eq(word == command.words - 1),
            last_row.eq(row == command.rows - 1),
            next_row.eq(row_address + command.memory_pitch),
            self.command.ready.eq(~active | (sent & last_word & last_row)),
            self.stall_semaphore.eq(active & ~started & ~self.semaphores.ok),
            self.stall_request.eq(self.request.valid & ~self.request.ready),
        ]
        with m.If(go):
            m.d.sync += started.eq(1)
        with m.If(sent):
            m.d.sync += [word.eq(word + 1), address.eq(address + 1)]
            with m.If(last_word):
                m.d.sync += [word.eq(0), row.eq(row + 1), address.eq(next_row), row_address.eq(next_row)]
                with m.If(last_row):
                    m.d.sync += [active.eq(0), started.eq(0)]
        with m.If(self.command.valid & self.command.ready):
            incoming = LOAD(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                row.eq(0),
                word.eq(0),
                address.eq(incoming.address),
                row_address.eq(incoming.address),
            ]
        return active

    def _elaborate_writer(self, m: Module, writes: Queue, word_done: Signal) -> Signal:
        element = self._die.element_bits
        word_elements = 8 * self._memory.word_bytes // element
        rows, cols = self._die.rows, self._die.cols
        most = max(rows, cols)
        command = LOAD(writes.o.payload)
        to_weight = Signal()
        has_exchange = self._exchange_depth is not None
        to_exchange = Signal()

        def either(exchange: Any, operands: Any) -> Any:
            return Mux(to_exchange, exchange, operands) if has_exchange else operands

        def choose(activation: int, weight: int) -> Value:
            return Const(activation) if activation == weight else Mux(to_weight, weight, activation)

        # A word wider than the banks is written in steps of up to B elements.
        lanes = choose(rows, cols)
        groups = [min(word_elements, target) for target in (rows, cols)]
        steps = [-(-word_elements // group) for group in groups]
        tails = [word_elements - (count - 1) * group for count, group in zip(steps, groups, strict=True)]
        step = Signal(range(max(*steps, 2)))
        last_step = Signal()

        begun = Signal()  # the command at the head of the queue is being carried out
        left = Signal(COUNT_BITS)  # elements of the row that are still to come
        row = Signal(COUNT_BITS, name="write_row")
        row_lane = Signal(range(most))  # i mod B
        col_lane = Signal(range(most))  # j mod B
        row_address = Signal(len(command.base), name="write_row_address")
        address = Signal(len(command.base), name="write_address")

        count = Signal(range(most + 1))
        taken = Signal(range(most + 1))
        rotate = Signal(range(2 * most))
        advance = Signal(range(2 * most))
        write = Signal()
        last_of_row = Signal()
        last_of_block = Signal()
        may_write = Signal()
        m.d.comb += may_write.eq(1)
        if has_exchange:
            m.d.comb += [
                to_exchange.eq(command.exchange),
                may_write.eq(~to_exchange | self.exchange.ready),
                self.exchange.valid.eq(begun & self.response.valid & to_exchange),
                self.exchange.address.eq(address),
                self.exchange.strobe.eq(~0),
                self.exchange.data.eq(self.response.payload),
            ]
        m.d.comb += [
            to_weight.eq(command.target == Target.WEIGHT),
            last_step.eq(either(1, step == choose(steps[0] - 1, steps[1] - 1))),
            taken.eq(Mux(last_step, choose(*tails), choose(*groups))),
            last_of_row.eq(left <= either(word_elements, taken)),
            count.eq(Mux(last_of_row, left, taken)),
            rotate.eq(row_lane + col_lane),
            advance.eq(col_lane + taken),
            write.eq(begun & self.response.valid & may_write),
            last_of_block.eq(write & last_of_row & (row == command.rows - 1)),
            word_done.eq(write & (last_step | last_of_row)),
            self.response.ready.eq(begun & (last_step | last_of_row) & may_write),
            writes.o.ready.eq(last_of_block),
        ]

        m.d.sync += begun.eq(writes.o.valid & ~last_of_block)
        with m.If(~begun):
            m.d.sync += [
                left.eq(command.cols),
                row.eq(0),
                step.eq(0),
                row_lane.eq(0),
                col_lane.eq(0),
                row_address.eq(command.base),
                address.eq(command.base),
            ]
        with m.Elif(write):
            m.d.sync += [
                step.eq(Mux(last_step, 0, step + 1)),
                left.eq(left - either(word_elements, taken)),
                col_lane.eq(advance),
            ]
            if has_exchange:
                with m.If(to_exchange):
                    m.d.sync += address.eq(address + 1)
            with m.If(either(0, advance >= lanes)):
                m.d.sync += [col_lane.eq(advance - lanes), address.eq(address + command.pitch)]
            with m.If(last_of_row):
                m.d.sync += [
                    left.eq(command.cols),
                    row.eq(row + 1),
                    step.eq(0),
                    row_lane.eq(Mux(row_lane == lanes - 1, 0, row_lane + 1)),
                    col_lane.eq(0),
                    row_address.eq(row_address + either(command.pitch, 1)),
                    address.eq(row_address + either(command.pitch, 1)),
                ]

        # The writes are registered on their way to the banks: a cycle more before they can be read.
        posted = Signal()
        m.d.sync += posted.eq(last_of_block)
        post_mask = Signal(SEMAPHORES)
        with m.If(last_of_block):
            m.d.sync += post_mask.eq(command.post)
        m.d.comb += self.semaphores.post.eq(Mux(posted, post_mask, 0))
        word = self.response.payload
        ports = (self.activation, self.weight)
        for target, (port, target_lanes, group) in enumerate(zip(ports, (rows, cols), groups, strict=True)):
            chosen = write & (to_weight == target) & either(0, 1)
            padded = Cat(word, Const(0, (steps[target] * group - word_elements) * element))
            elements = padded.word_select(step, group * element) if steps[target] > 1 else padded
            m.d.sync += port.enable.eq(chosen)
            with m.If(chosen):
                m.d.sync += [
                    port.address.eq(address),
                    port.next.eq(address + command.pitch),
                    port.rotate.eq(Mux(rotate >= target_lanes, rotate - target_lanes, rotate)),
                    port.split.eq(target_lanes - col_lane),
                    port.count.eq(count),
                    port.data.eq(elements),
                ]
        return writes.o.valid | posted

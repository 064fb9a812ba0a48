"""Weight loader: sends the weight vectors of each stationary tile down the array, a tile ahead of its activations."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec
from rtl.block import Block, place
from rtl.compute.operand_buffer import OperandReadPort, last_address, vector_latency
from rtl.interface.isa import COUNT_BITS, GEMM, SEMAPHORES
from rtl.interface.semaphore_port import semaphore_mask
from rtl.lib.delay import Delay
from rtl.lib.sram import with_latency
from rtl.lib.widths import index_bits

__all__ = ["WeightLoader"]


class WeightLoader(Block):
    """First half of the array unit: takes GEMM commands, waits for their semaphores, reads the weights.

    A tile is R vectors in consecutive cycles. Rows beyond K are loaded as zeros: they add +0, which no sum shows.

    Parameters
    ----------
    die : DieSpec
        Array and buffers.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    command : In(stream)
        GEMM commands.
    needs, needs_ok, take
        Semaphores that it waits for, whether all are above zero, and that they are taken in this cycle.
    read : Out(OperandReadPort)
        Read port of the weight buffer.
    load, count : Out
        Control of the array, in step with the vectors.
    loaded : Out(1), free : In(1)
        The shadow registers hold a whole tile; they are free from this cycle on, because its activations begin.
    following : Out(stream)
        The command for the activation streamer, as soon as its first weights have been read.
    available : In(SEMAPHORES)
        Semaphores above zero.
    buffer_beyond : Out(1)
        An element that is read lies beyond the buffer.
    stall_semaphore, stall_panel, idle : Out(1)
        Weights could be read, but a semaphore is missing; that of a panel is; the loader has no command.
    """

    def __init__(self, *, die: DieSpec, sram_latency: int = SRAM_LATENCY) -> None:
        self._die, self._latency = die, sram_latency
        super().__init__(
            {
                "command": In(stream.Signature(GEMM.size)),
                "needs": Out(SEMAPHORES),
                "needs_ok": In(1),
                "take": Out(1),
                "read": Out(OperandReadPort(lanes=die.cols, depth=die.weight_depth)),
                "load": Out(1),
                "count": Out(index_bits(die.rows)),
                "loaded": Out(1),
                "free": In(1),
                "following": Out(stream.Signature(GEMM.size)),
                "available": In(SEMAPHORES),
                "stall_semaphore": Out(1),
                "stall_panel": Out(1),
                "buffer_beyond": Out(1),
                "idle": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        die = self._die
        depths = f"{die.activation_depth}_{die.weight_depth}_{die.accumulator_depth}"
        return with_latency(f"weight_loader_{die.rows}x{die.cols}_{depths}", self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self._die.rows, self._die.cols
        command = Signal(GEMM)
        active = Signal()
        panel = Signal(COUNT_BITS)
        tile = Signal(COUNT_BITS)
        row = Signal(range(rows))
        vector_address = Signal(
            BUFFER_ADDRESS_BITS + 1
        )  # one bit more than any pitch: the end does not wrap around
        rotate = Signal.like(self.read.rotate)
        panel_address = Signal.like(vector_address)

        loading = Signal()  # inside a tile
        first_of_panel = Signal()
        first_of_command = Signal()
        room = Signal()  # for a tile in the shadow registers, and for its command in ``following``
        start = Signal()
        send = Signal()
        last_row = Signal()
        last_tile = Signal()
        last_panel = Signal()
        finish = Signal()
        m.d.comb += [
            first_of_panel.eq((tile == 0) & ~loading),
            first_of_command.eq(first_of_panel & (panel == 0)),
            self.needs.eq(
                Mux(first_of_command, semaphore_mask(command.wait_0, command.wait_1), 0)
                | Mux(first_of_panel, semaphore_mask(command.panel_wait), 0)
            ),
            room.eq(
                ~loading
                & (~self.loaded | self.free)
                & (~first_of_command | ~self.following.valid | self.following.ready)
            ),
            start.eq(active & room & self.needs_ok),
            self.take.eq(start),
            send.eq(start | loading),
            last_row.eq(row == rows - 1),
            last_tile.eq(tile == command.k_tiles - 1),
            last_panel.eq(panel == command.panels - 1),
            finish.eq(send & last_row & last_tile & last_panel),
            self.command.ready.eq(~active | finish),
            self.stall_semaphore.eq(active & room & ~self.needs_ok),
            self.buffer_beyond.eq(
                send
                & (self.read.count != 0)
                & (last_address(self.read, vector_address) >= self._die.weight_depth)
            ),
            self.stall_panel.eq(
                self.stall_semaphore & (semaphore_mask(command.panel_wait) & ~self.available).any()
            ),
            self.idle.eq(~active & ~self.following.valid),
        ]
        m.d.sync += loading.eq(send & ~last_row)
        with m.If(send & last_row):
            m.d.sync += self.loaded.eq(1)
        with m.Elif(self.free):
            m.d.sync += self.loaded.eq(0)

        step = Signal.like(vector_address)
        next_panel = Signal.like(vector_address)
        m.d.comb += [
            step.eq(Mux(command.weight_column, cols, command.weight_pitch)),
            next_panel.eq(panel_address + step),
        ]
        with m.If(send):
            m.d.sync += [
                row.eq(Mux(last_row, 0, row + 1)),
                rotate.eq(Mux(rotate == cols - 1, 0, rotate + 1)),
            ]
            with m.If(~command.weight_column):
                m.d.sync += vector_address.eq(vector_address + 1)
            with m.Elif(rotate == cols - 1):
                m.d.sync += vector_address.eq(vector_address + command.weight_pitch)
            with m.If(last_row):
                m.d.sync += tile.eq(tile + 1)
                with m.If(last_tile):
                    m.d.sync += [
                        tile.eq(0),
                        panel.eq(panel + 1),
                        rotate.eq(0),
                        vector_address.eq(next_panel),
                        panel_address.eq(next_panel),
                    ]
        with m.If(finish):
            m.d.sync += active.eq(0)
        with m.If(self.command.valid & self.command.ready):
            incoming = GEMM(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                panel.eq(0),
                tile.eq(0),
                rotate.eq(0),
                vector_address.eq(incoming.weight_base),
                panel_address.eq(incoming.weight_base),
            ]

        with m.If(start & first_of_command):
            m.d.sync += [self.following.payload.eq(command), self.following.valid.eq(1)]
        with m.Elif(self.following.ready):
            m.d.sync += self.following.valid.eq(0)

        m.d.comb += [
            self.read.enable.eq(send),
            self.read.address.eq(vector_address),
            self.read.rotate.eq(rotate),
            self.read.column.eq(command.weight_column),
            self.read.count.eq(
                Mux(last_tile & (row >= command.last_k), 0, Mux(last_panel, command.last_cols, cols))
            ),
        ]
        to_follow = Signal.like(self.count)
        arrive = Delay(width=1 + len(to_follow), cycles=vector_latency(self._latency), reset_less=False)
        place(m, platform, "load_delay", arrive)
        m.d.comb += [
            to_follow.eq(rows - 1 - row),
            arrive.i.eq(Cat(send, to_follow)),
            Cat(self.load, self.count).eq(arrive.o),
        ]
        return m

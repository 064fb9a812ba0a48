"""Activation streamer: sends the activation vectors of each tile into the array, and controls where their sums go."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.queue_depths import COMMANDS_SUMMED
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec
from rtl.block import Block, place
from rtl.compute.accumulator import accumulate_layout
from rtl.compute.mac import with_multiplier
from rtl.compute.operand_buffer import OperandReadPort, last_address, vector_latency
from rtl.interface.isa import COUNT_BITS, GEMM, SEMAPHORES
from rtl.interface.semaphore_port import semaphore_mask
from rtl.lib.delay import Delay
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["ActivationStreamer"]

_POSTS = data.StructLayout({name: GEMM[name].width for name in ("panel_post", "post_0", "post_1")})


class ActivationStreamer(Block):
    """Second half of the array unit: begins a tile when its weights are loaded and the previous tile is over.

    A tile takes max(m, R, P) cycles: m for its activations, at least R so that the next weights can follow, at
    least P so that two sums for one address never overtake each other in the adder.

    Parameters
    ----------
    die : DieSpec
        Array and buffers.
    sram_latency : int
        Cycles from a read of an SRAM to its word.
    multiplier_stages : int
        Pipeline stages of the array's multipliers.

    Members
    -------
    command : In(stream)
        GEMM commands, in step with their weights.
    loaded : In(1), starts : Out(1)
        The weights of the next tile are in the shadow registers; the tile begins in this cycle.
    read : Out(OperandReadPort)
        Read port of the activation buffer.
    swap : Out(1)
        Control of the array, in step with the vectors.
    control : Out; panel_end, command_end : In(1)
        To and from the accumulator buffer.
    post : Out(SEMAPHORES)
        Semaphores posted in this cycle.
    pads : Out(1), padding_k, padding_n : Out
        A tile is under way, and its vectors are over; multiply-adds of a vector on rows beyond K, on columns beyond N.
    busy, macs, waits, idle : Out
        A vector is read, and the multiply-adds that it makes; the streamer waits for the weights of the next tile;
        it has no command.
    buffer_beyond : Out(1)
        An element that is read lies beyond the activation buffer, or its sums beyond the accumulator buffer.
    """

    def __init__(
        self,
        *,
        die: DieSpec,
        sram_latency: int = SRAM_LATENCY,
        multiplier_stages: int = MULTIPLIER_STAGES,
    ) -> None:
        self._die, self._latency, self._multiplier_stages = die, sram_latency, multiplier_stages
        self._layout = accumulate_layout(die.accumulator_depth, sram_latency)
        super().__init__(
            {
                "command": In(stream.Signature(GEMM.size)),
                "loaded": In(1),
                "starts": Out(1),
                "read": Out(OperandReadPort(lanes=die.rows, depth=die.activation_depth)),
                "swap": Out(1),
                "control": Out(self._layout.size),
                "panel_end": In(1),
                "command_end": In(1),
                "post": Out(SEMAPHORES),
                "busy": Out(1),
                "macs": Out(ceil_log2(die.macs_per_cycle + 1)),
                "padding_k": Out(ceil_log2(die.macs_per_cycle + 1)),
                "padding_n": Out(ceil_log2(die.macs_per_cycle + 1)),
                "pads": Out(1),
                "waits": Out(1),
                "idle": Out(1),
                "buffer_beyond": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        die = self._die
        depths = f"{die.activation_depth}_{die.accumulator_depth}"
        name = f"activation_streamer_{die.rows}x{die.cols}_p{die.stages}_{depths}"
        return with_latency(with_multiplier(name, self._multiplier_stages), self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols, stages = self._die.rows, self._die.cols, self._die.stages
        incoming = GEMM(self.command.payload)
        taken = Signal()  # a command is taken in this cycle
        command = Signal(GEMM)
        active = Signal()
        panel = Signal(COUNT_BITS)
        tile = Signal(COUNT_BITS)
        slot = Signal(COUNT_BITS + 1)
        vector_address = Signal(
            BUFFER_ADDRESS_BITS + 1
        )  # one bit more than any pitch: the end does not wrap around
        tile_address = Signal.like(vector_address)
        rotate = Signal.like(self.read.rotate)
        accumulator = Signal.like(vector_address)  # of the panel

        running = Signal()  # inside a tile
        now = Signal.like(slot)
        valid = Signal()
        last_slot = Signal()
        last_vector = Signal()
        last_tile = Signal()
        last_panel = Signal()
        finish = Signal()
        m.d.comb += [
            self.starts.eq(active & self.loaded & ~running),
            now.eq(Mux(running, slot, 0)),
            valid.eq((self.starts | running) & (now < command.m)),
            last_vector.eq(now == command.m - 1),
            last_slot.eq((self.starts | running) & (now + 1 >= command.m) & (now + 1 >= max(rows, stages))),
            last_tile.eq(tile == command.k_tiles - 1),
            last_panel.eq(panel == command.panels - 1),
            finish.eq(last_slot & last_tile & last_panel),
            self.waits.eq(active & ~self.loaded & ~running),
        ]
        m.d.sync += running.eq((self.starts | running) & ~last_slot)
        with m.If(self.starts | running):
            m.d.sync += slot.eq(now + 1)

        next_tile = Signal.like(tile_address)
        next_accumulator = Signal.like(accumulator)
        following = Signal.like(accumulator)
        m.d.comb += [
            next_tile.eq(tile_address + Mux(command.activation_column, rows, command.activation_pitch)),
            following.eq(accumulator + command.accumulator_step),
            next_accumulator.eq(Mux(following == command.accumulator_wrap, 0, following)),
        ]
        with m.If(valid):
            m.d.sync += rotate.eq(Mux(rotate == rows - 1, 0, rotate + 1))
            with m.If(~command.activation_column):
                m.d.sync += vector_address.eq(vector_address + 1)
            with m.Elif(rotate == rows - 1):
                m.d.sync += vector_address.eq(vector_address + command.activation_pitch)
        with m.If(last_slot):
            m.d.sync += [
                rotate.eq(0),
                tile.eq(tile + 1),
                vector_address.eq(next_tile),
                tile_address.eq(next_tile),
            ]
            with m.If(last_tile):
                m.d.sync += [
                    tile.eq(0),
                    panel.eq(panel + 1),
                    vector_address.eq(command.activation_base),
                    tile_address.eq(command.activation_base),
                    accumulator.eq(next_accumulator),
                ]
        with m.If(finish):
            m.d.sync += active.eq(0)
        with m.If(taken):
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                panel.eq(0),
                tile.eq(0),
                rotate.eq(0),
                vector_address.eq(incoming.activation_base),
                tile_address.eq(incoming.activation_base),
                accumulator.eq(incoming.accumulator_base),
            ]

        # What a command posts waits until its sums have passed the last column.
        more = self._latency - SRAM_LATENCY + self._multiplier_stages - MULTIPLIER_STAGES
        posts = Queue(width=_POSTS.size, depth=COMMANDS_SUMMED + more)
        place(m, platform, "posts", posts)
        oldest = _POSTS(posts.o.payload)
        m.d.comb += [
            self.command.ready.eq((~active | finish) & posts.i.ready),
            taken.eq(self.command.valid & self.command.ready),
            posts.i.valid.eq(taken),
            posts.i.payload.eq(Cat(incoming[name] for name in _POSTS.members)),
            posts.o.ready.eq(self.command_end),
            self.post.eq(
                Mux(self.panel_end, semaphore_mask(oldest.panel_post), 0)
                | Mux(self.command_end, semaphore_mask(oldest.post_0, oldest.post_1), 0)
            ),
            self.idle.eq(~active & ~posts.o.valid),
        ]

        columns = Signal(range(cols + 1))
        m.d.comb += [
            columns.eq(Mux(last_panel, command.last_cols, cols)),
            self.read.enable.eq(valid),
            self.read.address.eq(vector_address),
            self.read.rotate.eq(rotate),
            self.read.column.eq(command.activation_column),
            self.read.count.eq(Mux(last_tile, command.last_k, rows)),
            self.busy.eq(valid),
            self.macs.eq(self.read.count * columns),
            self.padding_k.eq((rows - self.read.count) * cols),
            self.padding_n.eq(self.read.count * (cols - columns)),
            self.pads.eq((self.starts | running) & ~valid),
        ]
        swap = Delay(width=1, cycles=vector_latency(self._latency), reset_less=False)
        place(m, platform, "swap_delay", swap)
        m.d.comb += [swap.i.eq(self.starts), self.swap.eq(swap.o)]

        sum_address = Signal(self._layout.members["address"])
        row = Signal(self._layout)
        # Cycles from a read to the accumulator buffer, whose own reads begin before the sums are there.
        away = vector_latency(self._latency) + self._multiplier_stages + rows * stages - self._latency
        travel = Delay(width=self._layout.size, cycles=away, reset_less=False)
        place(m, platform, "control_delay", travel)
        control = Signal(self._layout)
        m.d.comb += [
            sum_address.eq(accumulator + now),
            self.buffer_beyond.eq(
                valid
                & (
                    (last_address(self.read, vector_address) >= self._die.activation_depth)
                    | (accumulator + now >= self._die.accumulator_depth)
                )
            ),
            row.valid.eq(valid),
            row.first.eq((tile == 0) & ~command.accumulate),
            row.panel_end.eq(last_vector & last_tile),
            row.command_end.eq(last_vector & last_tile & last_panel),
            row.address.eq(sum_address),
            travel.i.eq(row),
            control.eq(travel.o),
            self.control.eq(control),
        ]
        if rows <= stages + self._latency:
            # Only tiles this short come back to an address before its sum can be read again.
            sums_before = [
                Signal(1 + len(sum_address), name=f"sum_before_{n + 1}")
                for n in range(stages + self._latency)
            ]
            m.d.sync += [
                later.eq(sooner)
                for later, sooner in zip(
                    sums_before, [Cat(valid, sum_address), *sums_before[:-1]], strict=True
                )
            ]
            near, *far = (before[0] & (before[1:] == sum_address) for before in sums_before[stages - 1 :])
            # A delay of their own, not in one vector with the address that they are made from.
            flags = Delay(width=1 + len(far), cycles=away, reset_less=False)
            place(m, platform, "flags_delay", flags)
            m.d.comb += [flags.i.eq(Cat(near, *far)), Cat(control.near, control.far).eq(flags.o)]
        return m

"""Array unit: carries out GEMM commands, one stationary tile after the other without a bubble.

Two engines share the work. The loader sends the weights of a tile down the array while the streamer still sends
the activations of the tile before; the streamer starts a tile as soon as its weights stand and the last slot of
the tile before is over. A tile takes max(m, R, P) cycles: m for its activations, at least R so that the next
weights can follow, at least P so that two sums for one address never overtake each other in the adder.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.specs import DieSpec
from rtl import array, buffer
from rtl.accumulator import accumulate_layout
from rtl.block import Block, place
from rtl.delay import Delay
from rtl.isa import COUNT_BITS, GEMM, SEMAPHORES
from rtl.queue import Queue

__all__ = ["ArrayUnit"]

READ_LATENCY = 2
"""Cycles from a read of an operand buffer to its vector."""


class ArrayUnit(Block):
    """Sequencer of array, operand buffers and accumulator buffer.

    Members
    -------
    command : In(stream)
        GEMM commands.
    needs, needs_ok, take
        Semaphores wanted, whether all are there, and that they are taken in this cycle.
    post : Out(SEMAPHORES)
        Semaphores posted in this cycle.
    activation_*, weight_* : Out
        Read ports of the operand buffers.
    swap, load, count : Out
        Control of the array, in step with the vectors.
    control, result, panel_end, command_end
        To and from the accumulator buffer.
    idle : Out(1)
        No command is here.
    weight_row, busy, macs, stall_* : Out
        For the counters: a weight vector enters the array; an activation vector is read, and the multiply-adds
        that it makes; no vector is read because of semaphores, or because weights are still on their way.
    """

    def __init__(self, *, die: DieSpec) -> None:
        self._die = die
        rows, cols = die.rows, die.cols
        self._layout = accumulate_layout(die.accumulator_depth)

        def read_port(lanes: int, depth: int) -> dict[str, Out]:
            return {
                "enable": Out(1),
                "address": Out(max(1, ceil_log2(depth))),
                "rotate": Out(buffer.lane_bits(lanes)),
                "column": Out(1),
                "count": Out(buffer.count_bits(lanes)),
            }

        super().__init__(
            {
                "command": In(stream.Signature(GEMM.size)),
                "needs": Out(SEMAPHORES),
                "needs_ok": In(1),
                "take": Out(1),
                "post": Out(SEMAPHORES),
                **{f"activation_{k}": v for k, v in read_port(rows, die.activation_depth).items()},
                **{f"weight_{k}": v for k, v in read_port(cols, die.weight_depth).items()},
                "swap": Out(1),
                "load": Out(1),
                "count": Out(array.count_bits(rows)),
                "control": Out(self._layout.size),
                "panel_end": In(1),
                "command_end": In(1),
                "idle": Out(1),
                "weight_row": Out(1),
                "busy": Out(1),
                "macs": Out(ceil_log2(rows * cols + 1)),
                "stall_semaphore": Out(1),
                "stall_weights": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        die = self._die
        return (
            f"array_unit_{die.rows}x{die.cols}_p{die.stages}"
            f"_{die.activation_depth}_{die.weight_depth}_{die.accumulator_depth}"
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        loaded = Signal()  # the shadow registers hold a whole tile
        starts = Signal()  # the streamer begins a tile: the shadow registers are free
        handover = Signal(GEMM)  # the command whose weights are loaded next or now, for the streamer
        handover_valid = Signal()
        handover_taken = Signal()

        load_idle = self._elaborate_loader(m, platform, loaded, starts, handover, handover_valid, handover_taken)
        stream_idle = self._elaborate_streamer(m, platform, loaded, starts, handover, handover_valid, handover_taken)
        m.d.comb += self.idle.eq(load_idle & ~handover_valid & stream_idle)
        return m

    def _elaborate_loader(
        self,
        m: Module,
        platform: object,
        loaded: Signal,
        starts: Signal,
        handover: Signal,
        handover_valid: Signal,
        handover_taken: Signal,
    ) -> Signal:
        rows, cols = self._die.rows, self._die.cols
        command = Signal(GEMM)
        active = Signal()
        panel = Signal(COUNT_BITS)
        tile = Signal(COUNT_BITS)
        row = Signal(range(rows))
        address = Signal.like(self.weight_address)
        rotate = Signal.like(self.weight_rotate)
        panel_address = Signal.like(self.weight_address)

        loading = Signal()  # inside a tile
        first_of_panel, first_of_command = Signal(), Signal()
        start = Signal()
        send = Signal()
        last_row, last_tile, last_panel = Signal(), Signal(), Signal()
        finish = Signal()
        room = Signal()
        m.d.comb += [
            first_of_panel.eq((tile == 0) & ~loading),
            first_of_command.eq(first_of_panel & (panel == 0)),
            self.needs.eq(
                Mux(first_of_command, command.wait, 0) | Mux(first_of_panel, command.panel_wait, 0)
            ),
            room.eq(~loading & (~loaded | starts) & (~first_of_command | ~handover_valid | handover_taken)),
            start.eq(active & room & self.needs_ok),
            self.take.eq(start),
            send.eq(start | loading),
            last_row.eq(row == rows - 1),
            last_tile.eq(tile == command.k_tiles - 1),
            last_panel.eq(panel == command.panels - 1),
            finish.eq(send & last_row & last_tile & last_panel),
            self.command.ready.eq(~active | finish),
            self.stall_semaphore.eq(active & room & ~self.needs_ok),
        ]
        m.d.sync += loading.eq(send & ~last_row)
        with m.If(send & last_row):
            m.d.sync += loaded.eq(1)
        with m.Elif(starts):
            m.d.sync += loaded.eq(0)

        step = Signal.like(self.weight_address)
        next_panel = Signal.like(self.weight_address)
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
                m.d.sync += address.eq(address + 1)
            with m.Elif(rotate == cols - 1):
                m.d.sync += address.eq(address + command.weight_pitch)
            with m.If(last_row):
                m.d.sync += tile.eq(tile + 1)
                with m.If(last_tile):
                    m.d.sync += [
                        tile.eq(0),
                        panel.eq(panel + 1),
                        rotate.eq(0),
                        address.eq(next_panel),
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
                address.eq(incoming.weight_base),
                panel_address.eq(incoming.weight_base),
            ]

        with m.If(start & first_of_command):
            m.d.sync += [handover.eq(command), handover_valid.eq(1)]
        with m.Elif(handover_taken):
            m.d.sync += handover_valid.eq(0)

        # Rows beyond K are loaded as zeros: they add +0, which no sum shows.
        m.d.comb += [
            self.weight_enable.eq(send),
            self.weight_address.eq(address),
            self.weight_rotate.eq(rotate),
            self.weight_column.eq(command.weight_column),
            self.weight_count.eq(
                Mux(last_tile & (row >= command.last_k), 0, Mux(last_panel, command.last_cols, cols))
            ),
        ]
        count = Signal.like(self.count)
        arrive = Delay(width=1 + len(count), cycles=READ_LATENCY, reset_less=False)
        place(m, platform, "load_delay", arrive)
        m.d.comb += [
            count.eq(rows - 1 - row),
            arrive.i.eq(Cat(send, count)),
            Cat(self.load, self.count).eq(arrive.o),
            self.weight_row.eq(self.load),
        ]
        idle = Signal(name="load_idle")
        m.d.comb += idle.eq(~active)
        return idle

    def _elaborate_streamer(
        self,
        m: Module,
        platform: object,
        loaded: Signal,
        starts: Signal,
        handover: Signal,
        handover_valid: Signal,
        handover_taken: Signal,
    ) -> Signal:
        rows, cols, stages = self._die.rows, self._die.cols, self._die.stages
        command = Signal(GEMM, name="stream_command")
        active = Signal(name="stream_active")
        panel = Signal(COUNT_BITS, name="stream_panel")
        tile = Signal(COUNT_BITS, name="stream_tile")
        slot = Signal(COUNT_BITS + 1)
        address = Signal.like(self.activation_address, name="stream_address")
        tile_address = Signal.like(self.activation_address)
        rotate = Signal.like(self.activation_rotate, name="stream_rotate")
        accumulator = Signal(self._layout.members["address"])

        running = Signal()  # inside a tile
        now = Signal.like(slot)
        valid = Signal()
        last_slot, last_vector = Signal(), Signal()
        last_tile, last_panel = Signal(name="stream_last_tile"), Signal(name="stream_last_panel")
        finish = Signal(name="stream_finish")
        m.d.comb += [
            starts.eq(active & loaded & ~running),
            now.eq(Mux(running, slot, 0)),
            valid.eq((starts | running) & (now < command.m)),
            last_vector.eq(now == command.m - 1),
            last_slot.eq((starts | running) & (now + 1 >= command.m) & (now + 1 >= max(rows, stages))),
            last_tile.eq(tile == command.k_tiles - 1),
            last_panel.eq(panel == command.panels - 1),
            finish.eq(last_slot & last_tile & last_panel),
            self.stall_weights.eq(active & ~loaded & ~running & ~self.stall_semaphore),
        ]
        m.d.sync += running.eq((starts | running) & ~last_slot)
        with m.If(starts | running):
            m.d.sync += slot.eq(now + 1)

        next_tile = Signal.like(tile_address)
        next_accumulator = Signal.like(accumulator)
        following = Signal(GEMM["accumulator_base"].width)
        m.d.comb += [
            next_tile.eq(tile_address + Mux(command.activation_column, rows, command.activation_pitch)),
            following.eq(accumulator + command.accumulator_step),
            next_accumulator.eq(Mux(following == command.accumulator_wrap, 0, following)),
        ]
        with m.If(valid):
            m.d.sync += rotate.eq(Mux(rotate == rows - 1, 0, rotate + 1))
            with m.If(~command.activation_column):
                m.d.sync += address.eq(address + 1)
            with m.Elif(rotate == rows - 1):
                m.d.sync += address.eq(address + command.activation_pitch)
        with m.If(last_slot):
            m.d.sync += [rotate.eq(0), tile.eq(tile + 1), address.eq(next_tile), tile_address.eq(next_tile)]
            with m.If(last_tile):
                m.d.sync += [
                    tile.eq(0),
                    panel.eq(panel + 1),
                    address.eq(command.activation_base),
                    tile_address.eq(command.activation_base),
                    accumulator.eq(next_accumulator),
                ]
        with m.If(finish):
            m.d.sync += active.eq(0)

        # What a command posts waits until its sums have passed the last column.
        posts = Queue(width=2 * SEMAPHORES, depth=4)
        place(m, platform, "posts", posts)
        m.d.comb += [
            handover_taken.eq(handover_valid & (~active | finish) & posts.i.ready),
            posts.i.valid.eq(handover_taken),
            posts.i.payload.eq(Cat(handover.panel_post, handover.post)),
            posts.o.ready.eq(self.command_end),
            self.post.eq(
                Mux(self.panel_end, posts.o.payload[:SEMAPHORES], 0)
                | Mux(self.command_end, posts.o.payload[SEMAPHORES:], 0)
            ),
        ]
        with m.If(handover_taken):
            m.d.sync += [
                command.eq(handover),
                active.eq(1),
                panel.eq(0),
                tile.eq(0),
                rotate.eq(0),
                address.eq(handover.activation_base),
                tile_address.eq(handover.activation_base),
                accumulator.eq(handover.accumulator_base),
            ]

        count = Signal.like(self.activation_count)
        m.d.comb += [
            count.eq(Mux(last_tile, command.last_k, rows)),
            self.activation_enable.eq(valid),
            self.activation_address.eq(address),
            self.activation_rotate.eq(rotate),
            self.activation_column.eq(command.activation_column),
            self.activation_count.eq(count),
            self.busy.eq(valid),
            self.macs.eq(count * Mux(last_panel, command.last_cols, cols)),
        ]
        swap = Delay(width=1, cycles=READ_LATENCY, reset_less=False)
        place(m, platform, "swap_delay", swap)
        m.d.comb += [swap.i.eq(starts), self.swap.eq(swap.o)]

        control = Signal(self._layout)
        m.d.comb += [
            control.valid.eq(valid),
            control.first.eq((tile == 0) & ~command.accumulate),
            control.panel_end.eq(last_vector & last_tile),
            control.command_end.eq(last_vector & last_tile & last_panel),
            control.address.eq(accumulator + now),
        ]
        if rows <= stages + 1:
            # Only tiles this short come back to an address before its sum can be read again.
            history = [Signal(self._layout, name=f"history_{n}") for n in range(stages + 1)]
            m.d.sync += [after.eq(before) for before, after in zip([control, *history], history, strict=False)]
            for flag, earlier in ((control.near, history[stages - 1]), (control.far, history[stages])):
                m.d.comb += flag.eq(earlier.valid & (earlier.address == control.address))
        travel = Delay(width=self._layout.size, cycles=READ_LATENCY + rows * stages, reset_less=False)
        place(m, platform, "control_delay", travel)
        m.d.comb += [travel.i.eq(control), self.control.eq(travel.o)]

        idle = Signal(name="stream_idle")
        m.d.comb += idle.eq(~active & ~posts.o.valid)
        return idle

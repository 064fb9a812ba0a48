"""Array unit: carries out GEMM commands, one stationary tile after the other without a bubble.

It has two halves. The weight loader sends the weights of a tile down the array while the activation streamer still
sends the activations of the previous tile; the streamer starts a tile as soon as its weights are loaded and the
previous tile is over.
"""

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.specs import DieSpec
from rtl.block import Block, place
from rtl.compute.accumulator import accumulate_layout
from rtl.compute.activation_streamer import ActivationStreamer
from rtl.compute.mac import with_multiplier
from rtl.compute.operand_buffer import OperandReadPort
from rtl.compute.weight_loader import WeightLoader
from rtl.interface.isa import GEMM, SEMAPHORES
from rtl.interface.semaphore_port import SemaphorePort
from rtl.lib.sram import with_latency
from rtl.lib.widths import index_bits

__all__ = ["ArrayUnit"]


class ArrayUnit(Block):
    """Sequencer of array, operand buffers and accumulator buffer.

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
        GEMM commands.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    activation, weight : Out(OperandReadPort)
        Read ports of the operand buffers.
    swap, load, count : Out
        Control of the array, in step with the vectors.
    control : Out; panel_end, command_end : In(1)
        To and from the accumulator buffer.
    idle : Out(1)
        The unit has no command.
    available : In(SEMAPHORES)
        Semaphores above zero.
    padding_k, padding_n, pads : Out
        For the counters, as those of the activation streamer.
    buffer_beyond : Out(1)
        A command reads beyond an operand buffer, or its sums lie beyond the accumulator buffer.
    weight_row, busy, macs, stall_* : Out
        For the counters: a weight vector enters the array; an activation vector is read, and the multiply-adds
        that it makes; no vector is read because of semaphores, because of that of a panel, or because weights are still
        on their way.
    """

    def __init__(
        self,
        *,
        die: DieSpec,
        sram_latency: int = SRAM_LATENCY,
        multiplier_stages: int = MULTIPLIER_STAGES,
    ) -> None:
        self._die, self._latency, self._multiplier_stages = die, sram_latency, multiplier_stages
        super().__init__(
            {
                "command": In(stream.Signature(GEMM.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "weight": Out(OperandReadPort(lanes=die.cols, depth=die.weight_depth)),
                "activation": Out(OperandReadPort(lanes=die.rows, depth=die.activation_depth)),
                "swap": Out(1),
                "load": Out(1),
                "count": Out(index_bits(die.rows)),
                "control": Out(accumulate_layout(die.accumulator_depth, sram_latency).size),
                "panel_end": In(1),
                "command_end": In(1),
                "idle": Out(1),
                "weight_row": Out(1),
                "busy": Out(1),
                "macs": Out(ceil_log2(die.macs_per_cycle + 1)),
                "padding_k": Out(ceil_log2(die.macs_per_cycle + 1)),
                "padding_n": Out(ceil_log2(die.macs_per_cycle + 1)),
                "pads": Out(1),
                "available": In(SEMAPHORES),
                "stall_semaphore": Out(1),
                "stall_panel": Out(1),
                "buffer_beyond": Out(1),
                "stall_weights": Out(1),
            },
            names={"semaphores": ""},
        )

    @property
    def block_name(self) -> str:
        die = self._die
        depths = f"{die.activation_depth}_{die.weight_depth}_{die.accumulator_depth}"
        name = f"array_unit_{die.rows}x{die.cols}_p{die.stages}_{depths}"
        return with_latency(with_multiplier(name, self._multiplier_stages), self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        loader = WeightLoader(die=self._die, sram_latency=self._latency)
        streamer = ActivationStreamer(
            die=self._die, sram_latency=self._latency, multiplier_stages=self._multiplier_stages
        )
        place(m, platform, "weight_loader", loader)
        place(m, platform, "activation_streamer", streamer)
        connect(m, loader.read, flipped(self.weight))
        connect(m, streamer.read, flipped(self.activation))
        connect(m, flipped(self.command), loader.command)
        connect(m, loader.following, streamer.command)
        m.d.comb += [
            self.semaphores.wait.eq(loader.needs),
            loader.needs_ok.eq(self.semaphores.ok),
            self.semaphores.take.eq(loader.take),
            self.semaphores.post.eq(streamer.post),
            self.load.eq(loader.load),
            self.count.eq(loader.count),
            loader.free.eq(streamer.starts),
            streamer.loaded.eq(loader.loaded),
            self.swap.eq(streamer.swap),
            self.control.eq(streamer.control),
            streamer.panel_end.eq(self.panel_end),
            streamer.command_end.eq(self.command_end),
            self.idle.eq(loader.idle & streamer.idle),
            self.weight_row.eq(loader.load),
            self.busy.eq(streamer.busy),
            self.macs.eq(streamer.macs),
            self.padding_k.eq(streamer.padding_k),
            self.padding_n.eq(streamer.padding_n),
            self.pads.eq(streamer.pads),
            loader.available.eq(self.available),
            self.buffer_beyond.eq(loader.buffer_beyond | streamer.buffer_beyond),
            self.stall_semaphore.eq(loader.stall_semaphore & ~streamer.busy),
            self.stall_panel.eq(loader.stall_panel & ~streamer.busy),
            self.stall_weights.eq(streamer.waits & ~loader.stall_semaphore),
        ]
        return m

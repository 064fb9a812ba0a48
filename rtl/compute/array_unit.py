"""Array unit: carries out GEMM commands, one stationary tile after the other without a bubble.

Two engines share the work. The weight loader sends the weights of a tile down the array while the activation
streamer still sends the activations of the tile before; the streamer starts a tile as soon as its weights stand
and the last slot of the tile before is over.
"""

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.specs import DieSpec
from rtl.block import Block, place
from rtl.compute import array
from rtl.compute.accumulator import accumulate_layout
from rtl.compute.activation_streamer import ActivationStreamer
from rtl.compute.operand_buffer import read_port
from rtl.compute.weight_loader import WeightLoader
from rtl.interface.isa import GEMM, SEMAPHORES

__all__ = ["ArrayUnit"]


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
    control : Out; panel_end, command_end : In(1)
        To and from the accumulator buffer.
    idle : Out(1)
        No command is here.
    weight_row, busy, macs, stall_* : Out
        For the counters: a weight vector enters the array; an activation vector is read, and the multiply-adds
        that it makes; no vector is read because of semaphores, or because weights are still on their way.
    """

    def __init__(self, *, die: DieSpec) -> None:
        self._die = die
        self._ports = {
            "weight": read_port(die.cols, die.weight_depth),
            "activation": read_port(die.rows, die.activation_depth),
        }
        super().__init__(
            {
                "command": In(stream.Signature(GEMM.size)),
                "needs": Out(SEMAPHORES),
                "needs_ok": In(1),
                "take": Out(1),
                "post": Out(SEMAPHORES),
                **{
                    f"{name}_{port}": member
                    for name, ports in self._ports.items()
                    for port, member in ports.items()
                },
                "swap": Out(1),
                "load": Out(1),
                "count": Out(array.count_bits(die.rows)),
                "control": Out(accumulate_layout(die.accumulator_depth).size),
                "panel_end": In(1),
                "command_end": In(1),
                "idle": Out(1),
                "weight_row": Out(1),
                "busy": Out(1),
                "macs": Out(ceil_log2(die.macs_per_cycle + 1)),
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

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        loader = WeightLoader(die=self._die)
        streamer = ActivationStreamer(die=self._die)
        place(m, platform, "weight_loader", loader)
        place(m, platform, "activation_streamer", streamer)
        for name, engine in (("weight", loader), ("activation", streamer)):
            for port in self._ports[name]:
                m.d.comb += getattr(self, f"{name}_{port}").eq(getattr(engine, f"read_{port}"))
        m.d.comb += [
            loader.command.payload.eq(self.command.payload),
            loader.command.valid.eq(self.command.valid),
            self.command.ready.eq(loader.command.ready),
            self.needs.eq(loader.needs),
            loader.needs_ok.eq(self.needs_ok),
            self.take.eq(loader.take),
            self.load.eq(loader.load),
            self.count.eq(loader.count),
            loader.free.eq(streamer.starts),
            streamer.loaded.eq(loader.loaded),
            streamer.command.payload.eq(loader.following.payload),
            streamer.command.valid.eq(loader.following.valid),
            loader.following.ready.eq(streamer.command.ready),
            self.swap.eq(streamer.swap),
            self.control.eq(streamer.control),
            streamer.panel_end.eq(self.panel_end),
            streamer.command_end.eq(self.command_end),
            self.post.eq(streamer.post),
            self.idle.eq(loader.idle & streamer.idle),
            self.weight_row.eq(loader.load),
            self.busy.eq(streamer.busy),
            self.macs.eq(streamer.macs),
            self.stall_semaphore.eq(loader.stall_semaphore),
            self.stall_weights.eq(streamer.waits & ~loader.stall_semaphore),
        ]
        return m

"""Compute die: command processor, units, scratchpad, buffers, array, registers; in a package, an engine."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any, ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, scratchpad_banks, scratchpad_depth
from chiplet.machine.vector_specs import VectorSpec
from rtl.block import Block, place
from rtl.compute.accumulator import AccumulatorBuffer
from rtl.compute.array import Array
from rtl.compute.mac import with_multiplier
from rtl.compute.operand_buffer import OperandBuffer
from rtl.control.command_processor import CommandProcessor
from rtl.control.counters import Registers
from rtl.control.error_monitor import ErrorMonitor
from rtl.control.lost_cycles import LOSSES, LostCycles
from rtl.control.memory_guard import MemoryGuard
from rtl.die.engine_side import EngineSide
from rtl.die.units import die_units
from rtl.engine.engine import ENGINE_UNITS, Engine
from rtl.interface.error_codes import ERROR_UNITS, ErrorCode
from rtl.interface.flit import SIDES
from rtl.interface.host_port import HostPort
from rtl.interface.link_status import LINK_STATUS
from rtl.interface.memory_port import MemoryPort, MemoryRefusals
from rtl.interface.register_map import COUNTERS
from rtl.lib.sram import with_latency
from rtl.memory.arbiter import Arbiter
from rtl.memory.scratchpad import Scratchpad

__all__ = ["Die"]


class Die(Block):
    """A whole compute die.

    Parameters
    ----------
    die : DieSpec
        Array, buffers, scratchpad and queues.
    memory : MemorySpec
        Width of the memory port, and reads in flight.
    nop : NopSpec, optional
        Flits of the network-on-package: the die has an engine. Without it, the die stands alone.
    vector : VectorSpec, optional
        Lanes of the vector unit. Without it the die has no vector unit; a die of integers never has one.

    Members
    -------
    memory : Out(MemoryPort)
        Memory port, see :mod:`rtl.memory.arbiter`.
    host : In(HostPort)
        Registers, see :mod:`rtl.control.counters`.
    done, error : Out(1)
        The program has ended; it met a word that is not a command, or a link has failed.
    memory_idle : In(1)
        Only with an engine: all writes that were taken are in memory. The program ends when they are.
    memory_refused : In(MemoryRefusals)
        Only with an engine: requests that memory refuses. They end the program with an error.
    row, col : In(nop.coordinate_bits)
        Only with an engine: place of the die.
    sides : Out(EngineSide).array(4)
        Only with an engine: flits to and from the router on each side, and what the link of the side reports.
    memory_links : In(LINK_STATUS).array(4)
        Only with an engine: what the links of the memory plane report.
    """

    port_names: ClassVar[Mapping[str, str]] = {
        f"engine_{side.text}_{name}": f"{name}_{side.text}"
        for side in SIDES
        for name in ("link_replayed", "link_error", "link_status")
    }

    def __init__(
        self,
        *,
        die: DieSpec,
        memory: MemorySpec,
        nop: NopSpec | None = None,
        vector: VectorSpec | None = None,
    ) -> None:
        self._die, self._memory, self._nop = die, memory, nop
        self._vector = vector if die.dtype == "bf16" else None
        self._scratchpad_depth = scratchpad_depth(die, memory, nop)
        engine: dict[str, Any] = {}
        if nop is not None:
            engine = {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "memory_idle": In(1, init=1),
                "memory_refused": In(MemoryRefusals()),
                "sides": Out(EngineSide(nop)).array(len(SIDES)),
                "memory_links": In(LINK_STATUS).array(len(SIDES)),
            }
        super().__init__(
            {
                "memory": Out(MemoryPort(memory.word_bytes)),
                "host": In(HostPort()),
                "done": Out(1),
                "error": Out(1),
                **engine,
            },
            names={
                "memory": "",
                "sides": lambda n: f"engine_{SIDES[n].text}",
                "memory_links": lambda n: f"memory_link_status_{SIDES[n].text}",
            },
        )

    @property
    def block_name(self) -> str:
        name = f"die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"
        name = f"{name}_engine" if self._nop else name
        name = with_multiplier(name, self._die.multiplier_stages)
        return with_latency(name, self._die.sram_latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die, memory, latency = self._die, self._memory, self._die.sram_latency
        units = die_units(
            die=die,
            memory=memory,
            vector=self._vector,
            depth=self._scratchpad_depth,
        )
        engine = Engine(die=die, nop=self._nop, memory=memory, sram_latency=latency) if self._nop else None
        processor = CommandProcessor(
            memory=memory,
            queue_depth=die.queue_depth,
            units=tuple(units),
            engine_units=ENGINE_UNITS if engine else (),
            macro=die.sram == "macro",
            sram_latency=latency,
        )
        registers = Registers(macs_bits=ceil_log2(die.macs_per_cycle + 1), engine=engine is not None)
        arbiter = Arbiter(word_bytes=memory.word_bytes)
        for name, block in {
            "command_processor": processor,
            **{f"{name}_unit": unit for name, unit in units.items()},
            "arbiter": arbiter,
            "registers": registers,
            **({"engine": engine} if engine else {}),
        }.items():
            place(m, platform, name, block)

        # Commands and semaphores.
        for name, unit in units.items():
            connect(m, getattr(processor, name), unit.command)
        with_semaphores = [*units.values(), *(engine.units if engine else ())]
        for semaphores, unit in zip(processor.semaphores, with_semaphores, strict=True):
            connect(m, semaphores, unit.semaphores)

        # Memory.
        connect(m, processor.request, arbiter.fetch)
        connect(m, units["load"].request, arbiter.load)
        connect(m, units["store"].request, arbiter.store)
        connect(m, arbiter.fetched, processor.response)
        connect(m, arbiter.loaded, units["load"].response)
        guard = MemoryGuard(word_bytes=memory.word_bytes)
        place(m, platform, "memory_guard", guard)
        connect(m, arbiter.memory, guard.units)
        connect(m, guard.memory, flipped(self.memory))

        self._elaborate_scratchpad(m, platform, units, engine)
        self._elaborate_compute(m, platform, units, registers)
        if engine:
            self._elaborate_engine(m, processor, registers, engine)

        # Software.
        connect(m, flipped(self.host), registers.host)
        idle = Cat(unit.idle for unit in units.values()).all() & arbiter.idle & self._engine_idle(engine)
        m.d.comb += [
            processor.start.eq(registers.start),
            processor.address.eq(registers.program_address),
            processor.commands.eq(registers.commands),
            registers.running.eq(processor.running),
            registers.done.eq(processor.done),
            self.done.eq(processor.done),
            self.error.eq(registers.error | registers.link_failed),
        ]
        all_units = {**units, **(dict(zip(ENGINE_UNITS, engine.units, strict=True)) if engine else {})}
        self._elaborate_errors(m, platform, processor, registers, guard, all_units, idle)
        self._elaborate_losses(m, platform, processor, registers, units)
        waiting = {name: unit.stall_semaphore for name, unit in all_units.items()}
        m.d.comb += registers.waiting.eq(Cat(waiting.get(name, Const(0, 1)) for name in ERROR_UNITS))
        for name, unit in units.items():
            for event in unit.signature.members:
                if f"{name}_{event}" in COUNTERS:
                    m.d.comb += getattr(registers, f"{name}_{event}").eq(getattr(unit, event))
        return m

    def _elaborate_scratchpad(
        self, m: Module, platform: object, units: dict[str, Any], engine: Engine | None
    ) -> None:
        """Place the scratchpad and connect a port of it to each port of the units and of the engine."""
        readers = [units[name].read for name in ("feed_activation", "feed_weight", "feed_sums", "store")]
        writers = [units[name].write for name in ("load", "drain")]
        if self._vector:
            readers += units["vector"].read
            writers.append(units["vector"].write)
        if engine:
            readers += [lane for unit in engine.units for lane in unit.read]
            writers += [lane for side in engine.sides for lane in side.write]
        scratchpad = Scratchpad(
            word_bytes=self._memory.word_bytes,
            depth=self._scratchpad_depth,
            banks=scratchpad_banks(self._memory, self._nop),
            readers=len(readers),
            writers=len(writers),
            macro=self._die.sram == "macro",
            sram_latency=self._die.sram_latency,
        )
        place(m, platform, "scratchpad", scratchpad)
        for reader, read in zip(readers, scratchpad.read, strict=True):
            connect(m, reader, read)
        for writer, write in zip(writers, scratchpad.write, strict=True):
            connect(m, writer, write)

    def _elaborate_compute(
        self, m: Module, platform: object, units: dict[str, Any], registers: Registers
    ) -> None:
        """Place array and buffers between the units that fill and empty them."""
        die = self._die
        srams: dict[str, Any] = {"macro": die.sram == "macro", "sram_latency": self._die.sram_latency}
        array_unit = units["array"]
        activation = OperandBuffer(
            lanes=die.rows, width=die.element_bits, depth=die.activation_depth, **srams
        )
        weight = OperandBuffer(lanes=die.cols, width=die.element_bits, depth=die.weight_depth, **srams)
        array = Array(
            rows=die.rows,
            cols=die.cols,
            dtype=die.dtype,
            stages=die.stages,
            multiplier_stages=self._die.multiplier_stages,
        )
        accumulator = AccumulatorBuffer(
            cols=die.cols, dtype=die.dtype, stages=die.stages, depth=die.accumulator_depth, **srams
        )
        for name, block in {
            "activation_buffer": activation,
            "weight_buffer": weight,
            "array": array,
            "accumulator_buffer": accumulator,
        }.items():
            place(m, platform, name, block)
        connect(m, units["feed_activation"].write, activation.write)
        connect(m, units["feed_weight"].write, weight.write)
        connect(m, array_unit.activation, activation.read)
        connect(m, array_unit.weight, weight.read)
        connect(m, units["feed_sums"].write, accumulator.write)
        connect(m, units["drain"].read, accumulator.read)
        m.d.comb += [
            array.a.eq(activation.read_data),
            array.w.eq(weight.read_data),
            array.swap.eq(array_unit.swap),
            array.load.eq(array_unit.load),
            array.count.eq(array_unit.count),
            accumulator.psum.eq(array.psum),
            accumulator.control.eq(array_unit.control),
            array_unit.panel_end.eq(accumulator.panel_end),
            array_unit.command_end.eq(accumulator.command_end),
            registers.array_first.eq(array_unit.weight_row),
            registers.array_last.eq(accumulator.result),
            *(
                getattr(registers, name).eq(Mux(array_unit.busy, getattr(array_unit, name), 0))
                for name in ("macs", "padding_k", "padding_n")
            ),
            registers.weight_reads.eq(array_unit.weight.enable),
            registers.sums.eq(accumulator.result),
        ]

    def _elaborate_engine(
        self, m: Module, processor: CommandProcessor, registers: Registers, engine: Engine
    ) -> None:
        """Connect the engine to its commands, the sides of the die and the counters."""
        connect(m, processor.send, engine.send)
        connect(m, processor.receive, engine.receive)
        for side, inner in zip(self.sides, engine.sides, strict=True):
            connect(m, inner.o, flipped(side.o))
            connect(m, flipped(side.i), inner.i)
        senders, receivers = engine.units[: len(SIDES)], engine.units[len(SIDES) :]
        for n, side in enumerate(self.sides):
            m.d.comb += [
                registers.flits_sent[n].eq(senders[n].flits),
                registers.flits_received[n].eq(receivers[n].flits),
                registers.link_replays[n].eq(side.replayed),
                registers.link_errors[n].eq(side.error),
                registers.links[n].eq(side.status),
                registers.memory_links[n].eq(self.memory_links[n]),
            ]
        m.d.comb += [
            engine.row.eq(self.row),
            engine.col.eq(self.col),
            processor.host_post.eq(registers.post),
            registers.nop_first.eq(Cat(unit.flits for unit in senders).any()),
            registers.nop_last.eq(Cat(unit.flits for unit in receivers).any()),
            registers.send_stall_semaphore.eq(_sum(unit.stall_semaphore for unit in senders)),
            registers.send_stall_link.eq(_sum(side.stall_link for side in engine.sides)),
            registers.receive_stall_semaphore.eq(_sum(unit.stall_semaphore for unit in receivers)),
        ]

    def _elaborate_errors(
        self,
        m: Module,
        platform: object,
        processor: CommandProcessor,
        registers: Registers,
        guard: MemoryGuard,
        units: dict[str, Any],
        idle: Value,
    ) -> None:
        """Place the error monitor and connect it to those that report errors; the first one stops the program."""
        reports = {
            ("command_processor", ErrorCode.COMMAND): processor.unknown,
            ("command_processor", ErrorCode.MEMORY): guard.fetch_beyond,
            ("load", ErrorCode.MEMORY): guard.load_beyond,
            ("store", ErrorCode.MEMORY): guard.store_beyond,
        }
        bad_command: Value = Const(0, 1)
        if self._nop:
            refused = self.memory_refused
            for name, unit in {"command_processor": "fetch", "load": "load", "store": "store"}.items():
                reports[name, ErrorCode.FAULTY] = getattr(refused, f"{unit}_faulty")
                reports[name, ErrorCode.MISSING] = getattr(refused, f"{unit}_missing")
            bad_command = refused.fetch_faulty | refused.fetch_missing
        for name, unit in units.items():
            if "beyond" in unit.signature.members:
                reports[name, ErrorCode.SCRATCHPAD] = unit.beyond
            if "buffer_beyond" in unit.signature.members:
                reports[name, ErrorCode.BUFFER] = unit.buffer_beyond
        reports["command_processor", ErrorCode.SEMAPHORE] = processor.overflow
        reports["command_processor", ErrorCode.WATCHDOG] = registers.expired
        monitor = ErrorMonitor(tuple(reports))
        place(m, platform, "error_monitor", monitor)
        m.d.comb += [
            *(
                getattr(monitor, f"{name}_{code.name.lower()}").eq(report)
                for (name, code), report in reports.items()
            ),
            guard.last.eq(registers.memory_last),
            # What comes for a refused word of the program is not carried out: the monitor shows it too late.
            processor.stop.eq(monitor.error | bad_command),
            # Nor does a program end well while an error is on its way to the monitor.
            processor.units_idle.eq(idle & ~processor.overflow & ~monitor.reported),
            registers.error.eq(monitor.error),
            registers.error_code.eq(monitor.code),
            registers.error_unit.eq(monitor.unit),
            registers.error_count.eq(monitor.count),
        ]

    def _elaborate_losses(
        self,
        m: Module,
        platform: object,
        processor: CommandProcessor,
        registers: Registers,
        units: dict[str, Any],
    ) -> None:
        """Connect the counters of the command processor, and of what cycles are lost to."""
        array = units["array"]
        lost = LostCycles()
        place(m, platform, "lost_cycles", lost)
        m.d.comb += [
            array.available.eq(processor.available),
            lost.array_busy.eq(array.busy),
            lost.array_idle.eq(array.idle),
            lost.array_stall_semaphore.eq(array.stall_semaphore),
            lost.array_stall_panel.eq(array.stall_panel),
            lost.array_pads.eq(array.pads),
            lost.array_over.eq(processor.array_over),
            lost.starved.eq(processor.stall_fetch),
            lost.operands_busy.eq(
                Cat(units[name].busy for name in ("load", "feed_activation", "feed_weight")).any()
            ),
            *(getattr(registers, name).eq(getattr(lost, name)) for name in LOSSES),
            registers.commands_out.eq(processor.commands_out),
            registers.fetch_words.eq(processor.fetch_words),
            registers.fetch_stall_request.eq(processor.stall_request),
            registers.dispatch_stall_fetch.eq(processor.stall_fetch),
            registers.dispatch_stall_queue.eq(processor.stall_queue),
        ]

    def _engine_idle(self, engine: Engine | None) -> Value:
        """Whether the engine has no command and all writes are in memory."""
        return engine.idle & self.memory_idle if engine else Const(1, 1)


def _sum(bits: Iterable[Value]) -> Value:
    return reduce(add, bits)

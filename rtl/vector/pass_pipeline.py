"""Carries out passes: reads operands, computes beat after beat, writes results."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.block import Block, place
from rtl.interface.isa import COUNT_BITS, VECTOR
from rtl.interface.scratchpad_port import ScratchpadReadPort, ScratchpadWritePort
from rtl.interface.vector_operations import FirstOp, Function, Reduction, SecondOp
from rtl.vector.function_stage import FunctionStage
from rtl.vector.lane_operation import LaneOperation
from rtl.vector.operand_reader import OperandReader
from rtl.vector.result_writer import ResultWriter
from rtl.vector.row_reducer import RowReducer
from rtl.vector.vector_shape import VectorShape

__all__ = ["PASS_OPERANDS", "PassPipeline"]

PASS_OPERANDS = ("a", "b", "d")
"""Operands of a pass, in the order of their read ports."""

_MINUS_ZERO = 0x8000_0000
_MINUS_INF = 0xFF80_0000


class PassPipeline(Block):
    """One pass at a time. All registers on the way of a beat change together, unless a result finds no room or the last
    operand is late; so no beat overtakes another, and the results of earlier beats need no queues.

    Parameters
    ----------
    shape : VectorShape
        Sizes.

    Members
    -------
    start : In(1), command : In(VECTOR.size)
        Begin; allowed when no pass is under way. The command holds until ``over``.
    over : Out(1)
        The pass ends in this cycle: all of its results are written.
    read : array of Out(ScratchpadReadPort), write : Out(ScratchpadWritePort)
        Read ports of a, b and d; write port.
    beyond : Out(1)
        A word beyond the scratchpad is to be read or written; it is not, and the pass does not end.
    stall_read, stall_write : Out(1)
        For the counters: a beat waits for an operand; for room for results.
    """

    def __init__(self, *, shape: VectorShape) -> None:
        self._shape = shape
        size = {"depth": shape.depth, "word_bytes": shape.word_bytes}
        super().__init__(
            {
                "start": In(1),
                "command": In(VECTOR.size),
                "over": Out(1),
                "read": Out(ScratchpadReadPort(**size)).array(len(PASS_OPERANDS)),
                "write": Out(ScratchpadWritePort(**size)),
                "beyond": Out(1),
                "stall_read": Out(1),
                "stall_write": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"pass_pipeline_{self._shape.text}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._shape.lanes
        command = VECTOR(self.command)
        enable = Signal()
        running = Signal()
        with m.If(self.start):
            m.d.sync += running.eq(1)
        with m.Elif(self.over):
            m.d.sync += running.eq(0)
        uses = {"a": C(1, 1), "b": command.op1 != FirstOp.NONE, "d": command.op2 != SecondOp.NONE}
        # What decides whether registers change is in registers of its own: those of the command have much to drive.
        joins = Signal()
        waits_for_d = Signal()
        multiplies_first = Signal()
        evaluates = Signal()
        with m.If(self.start):
            m.d.sync += [
                joins.eq(uses["b"]),
                waits_for_d.eq(uses["d"]),
                multiplies_first.eq(command.op1 == FirstOp.MUL),
                evaluates.eq(command.function != Function.NONE),
            ]
        readers = {}
        for n, name in enumerate(PASS_OPERANDS):
            reader = OperandReader(
                depth=self._shape.depth,
                word_bytes=self._shape.word_bytes,
                lanes=lanes,
                sram_latency=self._shape.sram_latency,
            )
            place(m, platform, f"read_{name}", reader)
            connect(m, reader.read, flipped(self.read[n]))
            m.d.comb += [
                reader.load.eq(self.start & uses[name]),
                reader.base.eq(command[name]),
                reader.pitch.eq(command[f"{name}_pitch"]),
                reader.rows.eq(command.rows),
                reader.cols.eq(command.cols),
                reader.spread.eq(command[f"{name}_spread"]),
                reader.bf16.eq(command[f"{name}_bf16"]),
            ]
            readers[name] = reader

        def later(name: str, tags: Value, stages: int) -> list[Value]:
            """``tags`` of 0, 1, 2, ... ``stages`` enabled cycles ago; none of the pass before."""
            values = [tags]
            for n in range(stages):
                register = Signal(len(tags), name=f"{name}_{n}")
                with m.If(self.start):
                    m.d.sync += register.eq(0)
                with m.Elif(enable):
                    m.d.sync += register.eq(values[-1])
                values.append(register)
            return values

        def after_operation(name: str, tags: Value, multiply: Value) -> Value:
            adder, multiplier = self._shape.adder_stages, self._shape.multiplier_stages
            values = later(name, tags, max(adder, multiplier))
            return Mux(multiply, values[multiplier], values[adder])

        issue, starved, entering = self._elaborate_issue(m, command, readers, enable, joins)
        first = [Signal(64, name=f"first_{lane}", reset_less=True) for lane in range(lanes)]  # what op1 joins
        self._elaborate_first(m, command, readers, enable, issue, first)

        # op1
        multiply = command.op1 == FirstOp.MUL
        joined = self._operations(m, platform, "op1", enable, multiply, command.op1 == FirstOp.MAX, first)
        tags = after_operation("op1_tags", later("entering", entering, 1)[1], multiplies_first)
        negated = [value ^ (command.negate << 31) for value in joined]

        # Function
        function = FunctionStage(
            lanes=lanes, function_lanes=self._shape.function_lanes, stages=self._shape.function_stages
        )
        place(m, platform, "functions", function)
        has_function = command.function != Function.NONE
        m.d.comb += [
            function.enable.eq(enable & evaluates),
            function.which.eq(command.function),
            function.valid.eq(tags[0]),
            function.values.eq(Cat(negated)),
        ]
        turns = lanes // self._shape.function_lanes
        inside = later(
            "function_tags", Cat(tags[0] & evaluates, tags[1:]), self._shape.function_stages + turns - 1
        )
        evaluated = Signal(len(tags))
        m.d.comb += evaluated.eq(Mux(evaluates, inside[-1], tags))

        # op2: its operand is taken here, so that it need not come along.
        late = Signal()
        d = readers["d"]
        m.d.comb += [
            late.eq(evaluated[0] & waits_for_d & ~d.valid),
            d.take.eq(evaluated[0] & waits_for_d & enable),
            d.row_end.eq(evaluated[1]),
            d.pass_end.eq(evaluated[2]),
        ]
        second = [Signal(64, name=f"second_{lane}", reset_less=True) for lane in range(lanes)]
        for lane in range(lanes):
            f = Mux(has_function, function.o.word_select(lane, 32), negated[lane])
            value = Mux(uses["d"], d.values.word_select(lane, 32), _MINUS_ZERO)
            with m.If(enable):
                m.d.sync += second[lane].eq(
                    Cat(
                        f ^ ((command.op2 == SecondOp.RSUB) << 31),
                        value ^ ((command.op2 == SecondOp.SUB) << 31),
                    )
                )
        multiply = command.op2 == SecondOp.MUL
        y = self._operations(m, platform, "op2", enable, multiply, C(0, 1), second)
        tags = after_operation("op2_tags", later("evaluated", evaluated, 1)[1], multiply)
        self._elaborate_results(m, platform, command, enable, readers, y, tags, late, running)
        m.d.comb += self.stall_read.eq(running & (late | starved))
        return m

    def _elaborate_issue(
        self, m: Module, command: Value, readers: dict[str, OperandReader], enable: Value, joins: Value
    ) -> tuple[Signal, Signal, Value]:
        """Count beats; return whether one enters, whether one waits for an operand, and the tags of the one that
        enters: that it does, the last one of a row, the last one of the pass.
        """
        lanes = self._shape.lanes
        issue = Signal()
        waits = Signal()
        running = Signal()
        rows = Signal(COUNT_BITS)
        left = Signal(COUNT_BITS)
        turns = lanes // self._shape.function_lanes
        turn = Signal(range(max(turns, 2)))
        row_end = Signal()
        pass_end = Signal()
        m.d.comb += [
            waits.eq(running & (turn == 0)),
            issue.eq(waits & enable & readers["a"].valid & (readers["b"].valid | ~joins)),
            row_end.eq(left <= lanes),
            pass_end.eq(row_end & (rows == 1)),
        ]
        starved = Signal()
        m.d.comb += starved.eq(waits & ~(readers["a"].valid & (readers["b"].valid | ~joins)))
        for name in ("a", "b"):
            m.d.comb += [
                readers[name].take.eq(issue & (joins if name == "b" else 1)),
                readers[name].row_end.eq(row_end),
                readers[name].pass_end.eq(pass_end),
            ]
        with m.If(self.start):
            m.d.sync += [running.eq(1), rows.eq(command.rows), left.eq(command.cols), turn.eq(0)]
        with m.Elif(issue):
            m.d.sync += [
                left.eq(Mux(row_end, command.cols, left - lanes)),
                rows.eq(rows - row_end),
                running.eq(~pass_end),
            ]
            if turns > 1:
                m.d.sync += turn.eq(Mux(command.function == Function.NONE, 0, turns - 1))
        with m.Elif(enable & (turn != 0)):
            m.d.sync += turn.eq(turn - 1)
        return issue, starved, Cat(issue, row_end, pass_end)

    def _elaborate_first(
        self,
        m: Module,
        command: Value,
        readers: dict[str, OperandReader],
        enable: Value,
        issue: Value,
        first: list[Signal],
    ) -> None:
        """What op1 joins: causal elements and labels are chosen on the way there."""
        offset = command.offset.as_signed()
        col = Signal(COUNT_BITS)
        diagonal = Signal(signed(COUNT_BITS + 2))
        with m.If(self.start):
            m.d.sync += [col.eq(0), diagonal.eq(offset)]
        with m.Elif(issue):
            m.d.sync += col.eq(col + self._shape.lanes)
            with m.If(readers["a"].row_end):
                m.d.sync += [col.eq(0), diagonal.eq(diagonal + 1)]
        reach = Signal(signed(COUNT_BITS + 3))  # of the lanes, those up to here are not causal
        label = Signal(32)  # of lane 0
        m.d.comb += [reach.eq(diagonal - col), label.eq(offset + col)]
        picks = command.op1 == FirstOp.PICK
        for lane, pair in enumerate(first):
            a = readers["a"].values.word_select(lane, 32)
            b = readers["b"].values.word_select(lane, 32)
            hidden = command.causal & (reach < lane)
            picked = Mux(~picks | (b == (label + lane)[:32]), Mux(hidden, _MINUS_INF, a), 0)
            joined = Mux(
                picks | (command.op1 == FirstOp.NONE),
                _MINUS_ZERO,
                b ^ ((command.op1 == FirstOp.SUB) << 31),
            )
            with m.If(enable):
                m.d.sync += pair.eq(Cat(picked, joined))

    def _operations(
        self,
        m: Module,
        platform: object,
        name: str,
        enable: Value,
        multiply: Value,
        maximum: Value,
        pairs: list[Signal],
    ) -> list[Value]:
        """An operation of each lane on its pair of values."""
        results = []
        for lane, pair in enumerate(pairs):
            operation = LaneOperation(
                adder_stages=self._shape.adder_stages, multiplier_stages=self._shape.multiplier_stages
            )
            place(m, platform, f"{name}_{lane}", operation)
            m.d.comb += [
                operation.enable.eq(enable),
                operation.multiply.eq(multiply),
                operation.maximum.eq(maximum),
                Cat(operation.a, operation.b).eq(pair),
            ]
            results.append(operation.o)
        return results

    def _elaborate_results(
        self,
        m: Module,
        platform: object,
        command: Value,
        enable: Signal,
        readers: dict[str, OperandReader],
        y: list[Value],
        tags: Value,
        late: Value,
        running: Value,
    ) -> None:
        """Reduce and write; the room for results decides whether registers change."""
        lanes = self._shape.lanes
        valid, row_end, pass_end = tags[0], tags[1], tags[2]
        left = Signal(COUNT_BITS)  # elements of the row from this beat on
        with m.If(self.start):
            m.d.sync += left.eq(command.cols)
        with m.Elif(enable & valid):
            m.d.sync += left.eq(Mux(row_end, command.cols, left - lanes))
        mask = Cat(left > lane for lane in range(lanes))
        reduces = command.reduction != Reduction.NONE
        reducer = RowReducer(lanes=lanes, stages=self._shape.adder_stages)
        writer = ResultWriter(depth=self._shape.depth, word_bytes=self._shape.word_bytes, lanes=lanes)
        place(m, platform, "reducer", reducer)
        place(m, platform, "writer", writer)
        connect(m, writer.write, flipped(self.write))
        m.d.comb += [
            reducer.enable.eq(enable & reduces),
            reducer.maximum.eq(command.reduction == Reduction.MAX),
            writer.load.eq(self.start),
            writer.y.eq(command.y),
            writer.y_pitch.eq(command.y_pitch),
            writer.row.eq(command.row),
            writer.result.eq(command.result),
            writer.reduces.eq(reduces),
            writer.enable.eq(enable),
            writer.row_valid.eq(reducer.row_valid),
            writer.row_last.eq(reducer.last),
            writer.row_value.eq(reducer.o),
            enable.eq(running & writer.room & ~late),
            self.over.eq(running & writer.written),
            self.stall_write.eq(running & ~writer.room),
            self.beyond.eq(writer.beyond | Cat(reader.beyond for reader in readers.values()).any()),
        ]
        for block in (reducer, writer):
            m.d.comb += [
                block.valid.eq(valid),
                block.row_end.eq(row_end),
                block.pass_end.eq(pass_end),
                block.mask.eq(mask),
                block.values.eq(Cat(y)),
            ]

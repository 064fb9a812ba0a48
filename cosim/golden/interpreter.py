"""Functional model of a die for tests, not for production: runs a program on numpy buffers, without a clock.

It has the semantics of :mod:`rtl.interface.isa` and nothing of the hardware behind it: units that each take their
commands in order, buffers, semaphores and a memory. What the units do at the same time in hardware is one order of
their steps here, see :mod:`cosim.golden.interleaving`. The model refuses whatever a correct program never does:
addresses outside a buffer or the memory, reads of words that were never written, waits for semaphores that nobody will
post.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth, vector_lanes
from chiplet.machine.vector_specs import VectorSpec
from cosim.golden.gemm import bf16_sums
from cosim.golden.interleaving import Order, UnitStep, in_program_order, steps_of
from cosim.golden.numerics import float32_to_bf16, fp32_patterns, fp32_values
from cosim.golden.vector_command import carry_out
from cosim.golden.written_store import WrittenStore, check_range
from cosim.jobs.folder import ResultWords
from cosim.program.command import UNIT_OPCODES, Command
from cosim.program.gemm import GemmProgram
from cosim.program.layout import OPERAND_TYPE, pack, unpack
from rtl.interface.isa import SEMAPHORE_BITS, SEMAPHORES, SET_PLACES, Opcode, decode

__all__ = ["Interpreter", "ProgramError", "interpret_gemm"]


class ProgramError(ValueError):
    """A program does what no program may do; the message names the command."""


_FEEDS = {"activation": Opcode.FEED_ACTIVATION, "weight": Opcode.FEED_WEIGHT}


class Interpreter:
    """A die and its memory.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        The die, and the width of its memory.
    words : int
        Words of the memory; undefined until written.
    vector : VectorSpec, optional
        The vector unit, whose lanes decide the order of its sums.

    Attributes
    ----------
    counters : Counter[str]
        What the program has done so far, under the names of :data:`rtl.interface.register_map.COUNTERS` that do not
        depend on time: ``load_words``, ``store_words``, ``weight_reads``, ``array_busy``, ``sums`` and ``macs``.
    semaphores : list[int]
        Their values, by number.
    scratchpad : WrittenStore
        Bytes of the scratchpad by word.
    """

    def __init__(
        self, *, die: DieSpec, memory: MemorySpec, words: int, vector: VectorSpec | None = None
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.semaphores = [0] * SEMAPHORES
        self._die, self._word_bytes = die, memory.word_bytes
        self._command_words = memory.command_words
        self._element = np.dtype(OPERAND_TYPE[die.dtype]).newbyteorder("<")
        self._lanes = vector_lanes(vector or VectorSpec(), memory)
        self._memory = WrittenStore("memory", (words, memory.word_bytes), np.uint8)
        self.scratchpad = WrittenStore(
            "scratchpad", (scratchpad_depth(die, memory), memory.word_bytes), np.uint8
        )
        self._buffers = {
            "activation": WrittenStore("activation buffer", (die.rows, die.activation_depth), self._element),
            "weight": WrittenStore("weight buffer", (die.cols, die.weight_depth), self._element),
        }
        self._sums = WrittenStore("accumulator buffer", (die.accumulator_depth, die.cols), np.uint32)

    def write_memory(self, address: int, content: bytes) -> None:
        """Write whole words from word ``address`` on. Raises ValueError outside the memory."""
        words = np.frombuffer(content, np.uint8).reshape(-1, self._word_bytes)
        self._memory.write(self._memory.range(address, len(words)), words)

    def read_memory(self, address: int, words: int) -> bytes:
        """Read words; bytes never written are 0. Raises ValueError outside the memory."""
        return self._memory.values[self._memory.range(address, words)].tobytes()

    def result(self, address: int, words: int) -> ResultWords:
        """Words at the end of a run, and which of their bits are undefined. Raises ValueError outside the memory."""
        place = self._memory.range(address, words)
        undefined = np.where(self._memory.written[place], np.uint8(0), np.uint8(255))
        return ResultWords(self._memory.values[place].tobytes(), undefined.tobytes())

    def clear(self) -> None:
        """Forget all but the memory: what a program finds that must not use anything of the one before."""
        self.semaphores = [0] * SEMAPHORES
        for store in (self.scratchpad, *self._buffers.values(), self._sums):
            store.forget(slice(None))

    def fetch(self, address: int, commands: int) -> list[Command]:
        """Decode a program from memory. Raises ValueError for words that are no command."""
        size = self._command_words * self._word_bytes
        content = self.read_memory(address, commands * self._command_words)
        return [
            Command(*decode(int.from_bytes(content[start : start + size], "little")))
            for start in range(0, len(content), size)
        ]

    def run(self, commands: Iterable[Command], *, order: Order = in_program_order) -> None:
        """Run a program.

        Commands are handed out in order into queues as deep as those of the die; ``order`` chooses among the steps
        at the heads of the queues whose semaphores are all above zero.

        Raises
        ------
        ProgramError
            If all units wait for semaphores, or a command reaches outside a buffer or the memory, reads what was never
            written, or posts a semaphore beyond its width.
        """
        waiting = deque(enumerate(commands))
        queues: dict[Opcode, deque[deque[UnitStep]]] = {
            opcode: deque() for opcode in (*UNIT_OPCODES, Opcode.VECTOR)
        }
        while True:
            while waiting and self._hand_out(queues, *waiting[0]):
                waiting.popleft()
            heads = [queue[0][0] for queue in queues.values() if queue]
            if not heads:
                return
            ready = [step for step in heads if all(self.semaphores[s] for s in step.needs)]
            if not ready:
                stuck = ", ".join(
                    f"{_name(step)} for {sorted(s for s in step.needs if not self.semaphores[s])}"
                    for step in heads
                )
                raise ProgramError(f"the program blocks: these commands wait for semaphores: {stuck}")
            step = order(ready)
            queue = queues[step.opcode]
            queue[0].popleft()
            if not queue[0]:
                queue.popleft()
            self._take(step)

    def _hand_out(self, queues: dict[Opcode, deque[deque[UnitStep]]], index: int, command: Command) -> bool:
        if command.opcode == Opcode.SET:
            fields = command.all_fields
            for place in range(SET_PLACES):
                if fields[f"semaphore_{place}"]:
                    self.semaphores[fields[f"semaphore_{place}"]] = fields[f"value_{place}"]
            return True
        queue = queues[command.opcode]
        if len(queue) == self._die.queue_depth:
            return False
        queue.append(deque(steps_of(index, command)))
        return True

    def _take(self, step: UnitStep) -> None:
        for s in step.needs:
            self.semaphores[s] -= 1
        try:
            {
                Opcode.LOAD: self._load,
                Opcode.FEED_ACTIVATION: self._feed,
                Opcode.FEED_WEIGHT: self._feed,
                Opcode.FEED_SUMS: self._feed_sums,
                Opcode.GEMM: self._gemm,
                Opcode.DRAIN: self._drain,
                Opcode.STORE: self._store,
                Opcode.VECTOR: self._vector,
            }[step.opcode](step)
            for s in step.posts:
                self.semaphores[s] += 1
                if self.semaphores[s] >> SEMAPHORE_BITS:
                    raise ValueError(f"semaphore {s} is posted beyond {(1 << SEMAPHORE_BITS) - 1}")
        except ValueError as error:
            raise ProgramError(f"{_name(step)}: {error}") from error

    def _rows_of_words(self, step: UnitStep) -> tuple[slice, slice]:
        """Words in memory, and in the scratchpad, of a row of a LOAD or STORE."""
        field = step.fields
        return (
            self._memory.range(field["address"] + step.row * field["memory_pitch"], field["words"]),
            self.scratchpad.range(field["base"] + step.row * field["pitch"], field["words"]),
        )

    def _load(self, step: UnitStep) -> None:
        memory, scratchpad = self._rows_of_words(step)
        self.scratchpad.copy(scratchpad, self._memory, memory)
        self.counters["load_words"] += step.fields["words"]

    def _store(self, step: UnitStep) -> None:
        memory, scratchpad = self._rows_of_words(step)
        self._memory.copy(memory, self.scratchpad, scratchpad)
        self.counters["store_words"] += step.fields["words"]

    def _feed(self, step: UnitStep) -> None:
        field = step.fields
        cols, words, size = field["cols"], field["words"], self._element.itemsize
        if words != -(-cols * size // self._word_bytes):
            raise ValueError(f"{words} words are not those of {cols} elements")
        row = self._part_of_row(field["source"] + step.row * field["source_pitch"], 0, cols * size)
        name = next(name for name, opcode in _FEEDS.items() if opcode == step.opcode)
        first = field["lane"] + step.row
        banks, addresses = self._place(name, first, 1, cols, field["base"] + step.row, field["pitch"])
        self._buffers[name].write((banks, addresses), self.scratchpad.read(row).view(self._element))

    def _place(self, name: str, first: int, rows: int, cols: int, base: int, pitch: int) -> tuple[Any, Any]:
        """Bank and address of each element of a rows x cols block whose first element lies in bank ``first`` modulo B.

        See :mod:`rtl.compute.operand_buffer`.
        """
        banks, depth = self._buffers[name].values.shape
        i, j = np.arange(rows)[:, None], np.arange(cols)
        address = base + j // banks * pitch + i
        check_range(f"{name} buffer", address.min(), address.max(), depth)
        return (first + i + j) % banks, address

    def _block(self, name: str, fields: dict[str, int], shape: tuple[int, int]) -> NDArray[Any]:
        """Logical block in a buffer, of that shape: stored transposed if its vectors are stored columns."""
        stored = shape[::-1] if fields[f"{name}_column"] else shape
        place = self._place(name, 0, *stored, fields[f"{name}_base"], fields[f"{name}_pitch"])
        block = self._buffers[name].read(place)
        return block.T if fields[f"{name}_column"] else block

    def _gemm(self, step: UnitStep) -> None:
        die, field = self._die, step.fields
        m, k = field["m"], (field["k_tiles"] - 1) * die.rows + field["last_k"]
        width = field["last_cols"] if step.last_panel else die.cols
        # Only this panel of the weights need be there yet.
        moved = step.panel * (die.cols if field["weight_column"] else field["weight_pitch"])
        weights = {**field, "weight_base": field["weight_base"] + moved}
        a = self._block("activation", field, (m, k))
        b = self._block("weight", weights, (k, width))
        rows = self._sums.range(step.accumulator, m)
        total = self._sums.read((rows, slice(width))) if field["accumulate"] else None
        self._sums.forget(rows)
        self._sums.write((rows, slice(width)), self._accumulate(a, b, total))
        self.counters["weight_reads"] += field["k_tiles"] * die.rows
        self.counters["array_busy"] += field["k_tiles"] * m
        self.counters["sums"] += field["k_tiles"] * m
        self.counters["macs"] += m * k * width

    def _accumulate(self, a: NDArray[Any], b: NDArray[Any], total: NDArray[Any] | None) -> NDArray[Any]:
        """Sums of a panel, as patterns."""
        if self._die.dtype == "int8":
            product = a.astype(np.uint32) @ b.astype(np.uint32)
            return product if total is None else total + product
        start = np.zeros((len(a), b.shape[1]), np.float32) if total is None else fp32_values(total)
        return fp32_patterns(bf16_sums(a, b, self._die.rows, start))

    def _row_of_sums(self, step: UnitStep, name: str, size: int) -> tuple[Any, tuple[slice, slice]]:
        """Elements of ``size`` bytes in the scratchpad, and the sums in the accumulator buffer, of a row of a panel."""
        field, cols = step.fields, self._die.cols
        width = field["last_cols"] if step.last_panel else cols
        first, last = step.panel * cols * size, (step.panel * cols + width) * size
        word = field[name] + step.row * field[f"{name}_pitch"]
        rows = self._sums.range(step.accumulator + step.row, 1)
        return self._part_of_row(word, first, last), (rows, slice(width))

    def _part_of_row(self, word: int, first: int, last: int) -> tuple[Any, Any]:
        """Bytes ``first`` to before ``last`` of the row that begins scratchpad word ``word``, as words and bytes."""
        self.scratchpad.range(word, -(-last // self._word_bytes))
        byte = np.arange(first, last)
        return word + byte // self._word_bytes, byte % self._word_bytes

    def _drain(self, step: UnitStep) -> None:
        cast = step.fields["cast"]
        row, place = self._row_of_sums(step, "target", 2 if cast else 4)
        sums = self._sums.read(place)
        values = float32_to_bf16(fp32_values(sums)).astype("<u2") if cast else sums.astype("<u4")
        self.scratchpad.write(row, values.reshape(-1).view(np.uint8))
        if step.last_panel:
            self._clear_rest(step, 2 if cast else 4)

    def _clear_rest(self, step: UnitStep, size: int) -> None:
        """What the last panel of a DRAIN leaves of its last word becomes 0."""
        field = step.fields
        last = ((field["panels"] - 1) * self._die.cols + field["last_cols"]) * size
        word = field["target"] + step.row * field["target_pitch"] + last // self._word_bytes
        if last % self._word_bytes:
            self.scratchpad.write((self.scratchpad.range(word, 1), slice(last % self._word_bytes, None)), 0)

    def _feed_sums(self, step: UnitStep) -> None:
        row, place = self._row_of_sums(step, "source", 4)
        self._sums.write(place, self.scratchpad.read(row).view("<u4").astype(np.uint32)[None])

    def _vector(self, step: UnitStep) -> None:
        carry_out(step.fields, self.scratchpad, lanes=self._lanes)


def interpret_gemm(
    program: GemmProgram,
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    die: DieSpec,
    memory: MemorySpec,
    order: Order = in_program_order,
) -> tuple[NDArray[Any], Interpreter]:
    """Run the program of a GEMM on operands as they are stored.

    Parameters
    ----------
    program
        From :func:`cosim.program.gemm.schedule_gemm` for this die and memory.
    a, b
        Stored operands: ``program.shape.stored_a`` and ``stored_b``.
    order
        Chooses the order of the units' steps.

    Returns
    -------
    The (M, N) result as 32-bit patterns of :data:`cosim.program.layout.RESULT_TYPE`, and the interpreter after the run.

    Raises
    ------
    ProgramError
        If the program does what no program may do.
    """
    interpreter = Interpreter(die=die, memory=memory, words=program.memory_words)
    word = memory.word_bytes
    interpreter.write_memory(program.a.address, pack(a, program.a, word_bytes=word))
    interpreter.write_memory(program.b.address, pack(b, program.b, word_bytes=word))
    interpreter.run(program.commands, order=order)
    y = program.y
    return unpack(interpreter.read_memory(y.address, y.rows * y.pitch), y, dtype=die.dtype), interpreter


def _name(step: UnitStep) -> str:
    return f"command {step.index} ({step.opcode.name}, panel {step.panel}, row {step.row})"

"""Functional model of a die for tests, not for production: runs a program on numpy buffers, without a clock.

It has the semantics of :mod:`rtl.interface.isa` and nothing of the hardware behind it: three units that each take their
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

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.golden.gemm import bf16_sums
from cosim.golden.interleaving import Order, UnitStep, in_program_order, members
from cosim.golden.numerics import fp32_patterns, fp32_values
from cosim.program.command import UNIT_OPCODES, Command
from cosim.program.gemm import GemmProgram
from cosim.program.layout import OPERAND_TYPE, pack, unpack
from rtl.interface.isa import SEMAPHORE_BITS, SEMAPHORES, Opcode, Target, decode
from rtl.interface.memory_port import EXCHANGE_ADDRESS

__all__ = ["Interpreter", "ProgramError", "interpret_gemm"]


class ProgramError(ValueError):
    """A program does what no program may do; the message names the command."""


class Interpreter:
    """A die and its memory.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        The die, and the width of its memory.
    words : int
        Words of the memory; undefined until written.
    exchange_words : int
        Words of the exchange buffer, which LOAD also reads as memory from
        :data:`rtl.interface.memory_port.EXCHANGE_ADDRESS` on; 0 for a die without an engine.

    Attributes
    ----------
    counters : Counter[str]
        What the program has done so far, under the names of :data:`rtl.interface.register_map.COUNTERS` that do not
        depend on time: ``load_words``, ``store_words``, ``weight_reads``, ``array_busy``, ``sums`` and ``macs``.
    semaphores : list[int]
        Their values.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec, words: int, exchange_words: int = 0) -> None:
        self.counters: Counter[str] = Counter()
        self.semaphores = [0] * SEMAPHORES
        self._die, self._word_bytes = die, memory.word_bytes
        self._command_words = memory.command_words
        self._element = np.dtype(OPERAND_TYPE[die.dtype]).newbyteorder("<")
        self._memory = _never_written((words, memory.word_bytes), np.uint8)
        self._exchange = _never_written((exchange_words, memory.word_bytes), np.uint8)
        self._buffers = {
            Target.ACTIVATION: _never_written((die.rows, die.activation_depth), self._element),
            Target.WEIGHT: _never_written((die.cols, die.weight_depth), self._element),
        }
        self._sums = _never_written((die.accumulator_depth, die.cols), np.uint32)

    def write_memory(self, address: int, content: bytes) -> None:
        """Write whole words from word ``address`` on. Raises ValueError outside the memory."""
        words = np.frombuffer(content, np.uint8).reshape(-1, self._word_bytes)
        memory, places = self._words(address + np.arange(len(words)))
        memory[places] = words

    def read_memory(self, address: int, words: int) -> bytes:
        """Read words; bytes never written are 0. Raises ValueError outside the memory."""
        memory, places = self._words(address + np.arange(words))
        content: bytes = memory[places].filled(0).tobytes()
        return content

    def _words(self, addresses: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """The memory or exchange buffer that holds these addresses, and the words in it."""
        if len(self._exchange) and addresses.min() >= EXCHANGE_ADDRESS:
            places = addresses - EXCHANGE_ADDRESS
            _check_range("exchange buffer", places.min(), places.max(), len(self._exchange))
            return self._exchange, places
        _check_range("memory", addresses.min(), addresses.max(), len(self._memory))
        return self._memory, addresses

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
        waiting = deque(
            UnitStep(index, command.opcode, command.all_fields, 0) for index, command in enumerate(commands)
        )
        queues: dict[Opcode, deque[UnitStep]] = {opcode: deque() for opcode in UNIT_OPCODES}
        while True:
            while waiting and self._hand_out(queues, waiting[0]):
                waiting.popleft()
            heads = [queue[0] for queue in queues.values() if queue]
            if not heads:
                return
            ready = [step for step in heads if all(self.semaphores[s] for s in members(step.needs))]
            if not ready:
                stuck = ", ".join(
                    f"{_name(step)} for {[s for s in members(step.needs) if not self.semaphores[s]]}"
                    for step in heads
                )
                raise ProgramError(f"the program blocks: these commands wait for semaphores: {stuck}")
            step = order(ready)
            queue = queues[step.opcode]
            queue.popleft()
            if not step.last:
                queue.appendleft(UnitStep(step.index, step.opcode, step.fields, step.panel + 1))
            self._take(step)

    def _hand_out(self, queues: dict[Opcode, deque[UnitStep]], step: UnitStep) -> bool:
        if step.opcode == Opcode.SET:
            for s in members(step.fields["mask"]):
                self.semaphores[s] = step.fields[f"value_{s}"]
            return True
        queue = queues[step.opcode]
        if len(queue) == self._die.queue_depth:
            return False
        queue.append(step)
        return True

    def _take(self, step: UnitStep) -> None:
        for s in members(step.needs):
            self.semaphores[s] -= 1
        try:
            {Opcode.LOAD: self._load, Opcode.GEMM: self._gemm, Opcode.STORE: self._store}[step.opcode](step)
            for s in members(step.posts):
                self.semaphores[s] += 1
                if self.semaphores[s] >> SEMAPHORE_BITS:
                    raise ValueError(f"semaphore {s} is posted beyond {(1 << SEMAPHORE_BITS) - 1}")
        except ValueError as error:
            raise ProgramError(f"{_name(step)}: {error}") from error

    def _load(self, step: UnitStep) -> None:
        field = step.fields
        rows, cols, words = field["rows"], field["cols"], field["words"]
        first = field["address"] + np.arange(rows)[:, None] * field["memory_pitch"]
        memory, places = self._words(first + np.arange(words))
        if words != -(-cols * self._element.itemsize // self._word_bytes):
            raise ValueError(f"{words} words are not those of {cols} elements")
        self.counters["load_words"] += rows * words
        if field["exchange"]:
            self._exchange[self._rows_of_words(rows, words, field["base"], field["pitch"])] = memory[places]
            return
        block = memory[places].reshape(rows, -1)[:, : cols * self._element.itemsize]
        elements = _written("memory", block).view(self._element)
        target = Target(field["target"])
        bank, address = self._place(target, rows, cols, field["base"], field["pitch"])
        self._buffers[target][bank, address] = elements

    def _rows_of_words(self, rows: int, words: int, base: int, pitch: int) -> NDArray[Any]:
        """Words of the exchange buffer that a LOAD writes, or a panel of a STORE reads."""
        places = base + np.arange(rows)[:, None] * pitch + np.arange(words)
        _check_range("exchange buffer", places.min(), places.max(), len(self._exchange))
        return places

    def _place(self, target: Target, rows: int, cols: int, base: int, pitch: int) -> tuple[Any, Any]:
        """Bank and address of each element of a rows x cols block, see :mod:`rtl.compute.operand_buffer`."""
        banks, depth = self._buffers[target].shape
        i, j = np.arange(rows)[:, None], np.arange(cols)
        address = base + j // banks * pitch + i
        _check_range(f"{target.name.lower()} buffer", address.min(), address.max(), depth)
        return (i + j) % banks, address

    def _block(self, target: Target, fields: dict[str, int], shape: tuple[int, int]) -> NDArray[Any]:
        """Logical block in a buffer, of that shape: stored transposed if its vectors are stored columns."""
        name = target.name.lower()
        stored = shape[::-1] if fields[f"{name}_column"] else shape
        place = self._place(target, *stored, fields[f"{name}_base"], fields[f"{name}_pitch"])
        block = _written(f"{name} buffer", self._buffers[target][place])
        return block.T if fields[f"{name}_column"] else block

    def _gemm(self, step: UnitStep) -> None:
        die, field = self._die, step.fields
        m, k = field["m"], (field["k_tiles"] - 1) * die.rows + field["last_k"]
        columns = (field["panels"] - 1) * die.cols + field["last_cols"]
        panel = slice(step.panel * die.cols, columns if step.last else (step.panel + 1) * die.cols)
        a = self._block(Target.ACTIVATION, field, (m, k))
        b = self._block(Target.WEIGHT, field, (k, columns))[:, panel]
        rows, width = self._accumulator_rows(step, m), b.shape[1]
        total = None
        if field["accumulate"]:
            total = _written("accumulator buffer", self._sums[rows, :width])
        self._sums[rows] = np.ma.masked
        self._sums[rows, :width] = self._accumulate(a, b, total)
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

    def _store(self, step: UnitStep) -> None:
        field, cols, word_sums = step.fields, self._die.cols, self._word_bytes // 4
        if field["exchange"]:
            words = self._rows_of_words(1, field["rows"], step.accumulator, 0)
            first = field["address"] + step.panel * field["memory_pitch"]
            memory, places = self._words(first + np.arange(field["rows"])[None])
            memory[places] = self._exchange[words]
            self.counters["store_words"] += field["rows"]
            return
        width = field["last_cols"] if step.last else cols
        sums = _written("accumulator buffer", self._sums[self._accumulator_rows(step, field["rows"]), :width])
        first = field["address"] * word_sums + step.panel * cols
        rows = np.arange(field["rows"])[:, None]
        place = first + rows * field["memory_pitch"] * word_sums + np.arange(width)
        words = place // word_sums
        memory, places = self._words(words)
        patterns = memory.reshape(-1, 4)
        patterns[places * word_sums + place % word_sums] = sums.astype("<u4")[..., None].view(np.uint8)
        memory[...] = patterns.reshape(memory.shape)
        self.counters["store_words"] += field["rows"] * int(words[0, -1] - words[0, 0] + 1)

    def _accumulator_rows(self, step: UnitStep, rows: int) -> slice:
        first = step.accumulator
        _check_range("accumulator buffer", first, first + rows - 1, len(self._sums))
        return slice(first, first + rows)


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
    return f"command {step.index} ({step.opcode.name}, panel {step.panel})"


def _check_range(what: str, first: int, last: int, size: int) -> None:
    if first < 0 or last >= size:
        has = f"0 to {size - 1}" if size else "none"
        raise ValueError(f"{what} has no address {last if last >= size else first}: has {has}")


def _never_written(shape: tuple[int, int], dtype: Any) -> Any:
    """A masked array; what is masked was never written."""
    return np.ma.MaskedArray(np.zeros(shape, dtype), mask=True)


def _written(what: str, block: Any) -> NDArray[Any]:
    """The values of a masked array, all of which must have been written."""
    if np.ma.getmaskarray(block).any():
        raise ValueError(f"reads a part of the {what} that was never written")
    return np.ascontiguousarray(np.ma.getdata(block))

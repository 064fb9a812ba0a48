# amaranth: UnusedElaboratable=no
"""Die: random programs against the functional model, and the Verilog of a whole die under other tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from chiplet.machine.queue_depths import COMMANDS_AHEAD
from chiplet.machine.specs import DieSpec, Dtype, MemorySpec, NopSpec
from cosim.golden.interpreter import Interpreter
from cosim.program.command import Command
from rtl.control.command_processor import UNITS
from rtl.die.die import Die
from rtl.die.die_map import die_map
from rtl.emit.conversions import Conversions
from rtl.emit.emitter import Emitted, emit
from rtl.interface.isa import COMMAND_BITS, LAYOUTS, decode
from rtl.interface.register_map import COMMANDS, CONTROL, COUNTERS, PROGRAM, STATUS, counter_address
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register
from tests.rtl.programs import Programmer

DATA_WORDS = 200
Sram = Literal["inferred", "macro"]


def die_spec(rows: int, cols: int, dtype: Dtype, stages: int, *, queue_depth: int = 2) -> DieSpec:
    """A die whose buffers hold a few small blocks."""
    element = 1 if dtype == "int8" else 2
    return DieSpec(
        rows=rows,
        cols=cols,
        dtype=dtype,
        stages=stages,
        queue_depth=queue_depth,
        activation_bytes=60 * rows * element,
        weight_bytes=60 * cols * element,
        accumulator_bytes=40 * cols * 4,
    )


class Host:
    """Software that runs programs on a die, one after the other, and keeps the functional model in step."""

    def __init__(
        self,
        die: DieSpec,
        memory: MemorySpec,
        *,
        stall: float,
        latency: int,
        seed: int,
        nop: NopSpec | None = None,
    ) -> None:
        self.die, self.memory, self.coin = die, memory, Random(seed)
        self.dut = Die(die=die, memory=memory, nop=nop)
        word = memory.word_bytes
        self.words = {address: self.coin.getrandbits(8 * word) for address in range(DATA_WORDS)}
        self.model = Interpreter(die=die, memory=memory, words=DATA_WORDS)
        for address, value in self.words.items():
            self.model.write_memory(address, value.to_bytes(word, "little"))
        self.port = PythonMemory(self.words, word_bytes=word, stall=stall, latency=latency, seed=seed)

    def place(self, program: list[int]) -> None:
        """Put a program behind the data in memory."""
        word_bits = 8 * self.memory.word_bytes
        words = self.memory.command_words
        for n, command in enumerate(program):
            for part in range(words):
                value = command >> part * word_bits & (1 << word_bits) - 1
                self.words[DATA_WORDS + n * words + part] = value

    async def write(self, ctx: Any, address: int, value: int) -> None:
        await write_register(ctx, self.dut.host, address, value)

    async def read(self, ctx: Any, address: int) -> int:
        return await read_register(ctx, self.dut.host, address)

    async def start(self, ctx: Any, program: list[int]) -> None:
        self.place(program)
        await self.write(ctx, PROGRAM, DATA_WORDS)
        await self.write(ctx, COMMANDS, len(program))
        await self.write(ctx, CONTROL, 1)

    async def counters(self, ctx: Any) -> dict[str, int]:
        return {
            name: await self.read(ctx, counter_address(name))
            | await self.read(ctx, counter_address(name) + 1) << 32
            for name in COUNTERS
        }

    def check(self, counters: dict[str, int]) -> None:
        """Compare memory and counters with the functional model."""
        for address in range(DATA_WORDS):
            expected = int.from_bytes(self.model.read_memory(address, 1), "little")
            assert self.words[address] == expected, f"word {address}"
        assert {name: counters[name] for name in self.model.counters} == dict(self.model.counters)
        assert counters["array_first"] <= counters["array_last"] < counters["cycles"]
        for unit in ("array", "load", "store"):
            assert counters[f"{unit}_stall_semaphore"] <= counters["cycles"]

    def run(self, bench: Any, *, cycles: int = 60_000) -> None:
        dut = self.dut
        simulate(
            dut, bench, background=[self.port.serve(dut.memory.request, dut.memory.response)], cycles=cycles
        )


DIES = [
    (1, 1, "int8", 1, 0, False),
    (1, 3, "bf16", 4, 1, False),
    (3, 1, "int8", 2, 2, True),
    (2, 2, "bf16", 3, 3, False),
    pytest.param(5, 3, "bf16", 3, 3, False, marks=pytest.mark.slow),
    pytest.param(2, 3, "int8", 1, 0, True, marks=pytest.mark.slow),
    pytest.param(3, 2, "bf16", 1, 1, True, marks=pytest.mark.slow),
    pytest.param(4, 4, "bf16", 2, 2, False, marks=pytest.mark.slow),
]
"""Rows, columns, dtype, stages, number of the ports, and whether there is an engine: seconds each, so that the quick
ones have every number of stages and all ports between them.
"""

PORTS = [(4, 0.0, 2, 4, 2), (8, 0.3, 5, 1, 2), (32, 0.0, 20, 32, 4), (64, 0.5, 2, 3, 3)]
"""Word bytes, chance of a stall, latency, reads in flight, and depth of the command queues."""


@pytest.mark.parametrize(("rows", "cols", "dtype", "stages", "ports", "engine"), DIES)
def test_random_programs(rows: int, cols: int, dtype: Dtype, stages: int, ports: int, engine: bool) -> None:
    word_bytes, stall, latency, outstanding, queue_depth = PORTS[ports]
    die = die_spec(rows, cols, dtype, stages, queue_depth=queue_depth)
    die = die.model_copy(update={"scratchpad_bytes": 64 * word_bytes})
    memory = MemorySpec(word_bytes=word_bytes, outstanding=outstanding)
    nop = NopSpec(flit_bits=32) if engine else None
    seed = rows * 100 + cols * 10 + word_bytes
    host = Host(die, memory, stall=stall, latency=latency, seed=seed, nop=nop)

    async def bench(ctx: Any) -> None:
        # The second program finds the die as the first one left it.
        for _ in range(2):
            programmer = Programmer(die, memory, DATA_WORDS, host.coin)
            programmer.write(20)
            program = programmer.program()
            host.model.counters.clear()
            await host.start(ctx, program)
            await ctx.tick().until(host.dut.done)
            assert await host.read(ctx, STATUS) == 2
            host.model.run([Command(*decode(command)) for command in program])
            host.check(await host.counters(ctx))

    host.run(bench)


def test_a_word_that_is_no_command_stops_the_die() -> None:
    host = Host(die_spec(2, 2, "int8", 1), MemorySpec(word_bytes=32), stall=0.0, latency=2, seed=1)

    async def bench(ctx: Any) -> None:
        await host.start(ctx, [0])
        await ctx.tick().until(host.dut.error)
        assert await host.read(ctx, STATUS) == 4
        assert not ctx.get(host.dut.done)

    host.run(bench, cycles=100)


def test_a_program_without_commands_is_done() -> None:
    host = Host(die_spec(2, 2, "int8", 1), MemorySpec(word_bytes=4), stall=0.0, latency=2, seed=1)

    async def bench(ctx: Any) -> None:
        await host.start(ctx, [])
        await ctx.tick().until(host.dut.done)
        assert await host.read(ctx, STATUS) == 2
        assert await host.read(ctx, counter_address("cycles")) <= 2

    host.run(bench, cycles=20)


@cache
def verilog(rows: int, cols: int, dtype: Dtype, sram: Sram = "inferred", stages: int = 1) -> Emitted:
    die = DieSpec(rows=rows, cols=cols, dtype=dtype, sram=sram, stages=stages)
    return emit(Die(die=die, memory=MemorySpec()), None)


@pytest.mark.parametrize(("size", "most"), [pytest.param(16, 430_000, marks=pytest.mark.slow), (32, 490_000)])
def test_the_verilog_does_not_grow_with_the_array(size: int, most: int) -> None:
    emitted = verilog(size, size, "bf16")
    assert emitted.bytes <= most
    assert emitted.top == f"die_{size}x{size}_bf16"
    assert len(emitted.modules) < 76  # a module more each time that the rows double
    assert len(re.findall(r"^module pe_", emitted.text, re.MULTILINE)) == 1


SHAPES = [
    (1, 1, "int8", 1),
    (5, 3, "bf16", 4),
    pytest.param(4, 4, "bf16", 1, marks=pytest.mark.slow),
    pytest.param(1, 7, "int8", 2, marks=pytest.mark.slow),
]
"""Rows, columns, dtype and stages."""


@pytest.mark.parametrize(("rows", "cols", "dtype", "stages"), SHAPES)
def test_the_text_is_plain_verilog_with_names(rows: int, cols: int, dtype: Dtype, stages: int) -> None:
    text = verilog(rows, cols, dtype, stages=stages).text
    assert "always @*" not in text
    assert "always_comb" not in text
    assert "[-1:0]" not in text
    assert "\\" not in text
    assert not re.search(r"\bsignal(_\d+)?\b", text)


@pytest.mark.parametrize(("rows", "cols", "dtype", "stages"), SHAPES)
def test_icarus_has_nothing_to_say(rows: int, cols: int, dtype: Dtype, stages: int, tmp_path: Path) -> None:
    source = tmp_path / "die.v"
    source.write_text(verilog(rows, cols, dtype, stages=stages).text)
    run = _tool("iverilog", "-g2012", "-Wall", "-o", str(tmp_path / "die"), str(source))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize(("rows", "cols", "dtype", "stages"), SHAPES[1:3])
def test_yosys_reads_it_without_a_warning(
    rows: int, cols: int, dtype: Dtype, stages: int, tmp_path: Path
) -> None:
    source = tmp_path / "die.v"
    emitted = verilog(rows, cols, dtype, stages=stages)
    source.write_text(emitted.text)
    script = f"read_verilog {source}; hierarchy -check -top {emitted.top}; proc; check -assert"
    run = _tool("yosys", "-q", "-p", script)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_macros_are_black_boxes() -> None:
    emitted = verilog(5, 3, "bf16", "macro", stages=4)
    macros = [name for name in emitted.modules if re.match(r"sram_\d", name)]
    die = DieSpec(rows=5, cols=3, sram="macro")
    banks = {
        f"sram_{die.activation_depth}x16",
        f"sram_{die.weight_depth}x16",
        f"sram_{die.accumulator_depth // 2}x32",
        "sram_256x256_w16",  # one of eight banks of the scratchpad, which is written in parts of 16 bits
    }
    commands = {LAYOUTS[code].size for unit, code in UNITS.items() if unit != "vector"}
    queues = {f"sram_{die.queue_depth - 1}x{bits}" for bits in commands}
    queues.add(f"sram_{COMMANDS_AHEAD - 1}x{COMMAND_BITS}")
    assert set(macros) == banks | queues
    for name in macros:
        body = re.search(
            rf"\(\* blackbox \*\)\nmodule {name} .*?^endmodule", emitted.text, re.MULTILINE | re.DOTALL
        )
        assert body is not None
        assert "assign" not in body[0]
        assert "reg" not in body[0]
    assert " mem [" not in emitted.text
    assert [name for name in verilog(5, 3, "bf16", stages=4).modules if name not in macros] == [
        name for name in emitted.modules if name not in macros
    ]


def test_equal_specifications_give_equal_bytes() -> None:
    die = Die(die=DieSpec(rows=1, cols=1, dtype="int8"), memory=MemorySpec())
    assert emit(die, None, conversions=Conversions()).text == verilog(1, 1, "int8").text


def test_the_map_names_what_is_in_the_verilog() -> None:
    die = DieSpec(rows=5, cols=3, stages=4)
    names = json.loads(json.dumps(die_map(die, MemorySpec())))
    text = verilog(5, 3, "bf16", stages=4).text
    assert set(names["counters"]) == set(COUNTERS)
    assert len({entry["address"] for entry in names["counters"].values()}) == len(COUNTERS)
    for path in names["signals"].values():
        for one in [path] if isinstance(path, str) else path:
            module = "die_5x3_bf16"
            *instances, last = one.split(".")
            for instance in instances:
                module = _module_of(text, module, instance)
            assert re.search(rf"\b{last}\b", _body(text, module)), one


def _body(text: str, module: str) -> str:
    found = re.search(rf"^module {module} .*?^endmodule", text, re.MULTILINE | re.DOTALL)
    assert found is not None, module
    return found[0]


def _module_of(text: str, module: str, instance: str) -> str:
    found = re.search(rf"^  (\w+) {instance} \(", _body(text, module), re.MULTILINE)
    assert found is not None, f"{module}: {instance}"
    return found[1]


def _tool(*command: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, check=False)

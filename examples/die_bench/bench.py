"""A bench of a die from its Verilog and its map alone: a memory in Python, a program, a product that is compared.

The map (the JSON file beside the Verilog) has the bits of commands, requests and answers, and the addresses of the
registers. docs/instruction_set.md says how elements lie in memory words.
"""

import json
import os
from collections import deque
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer

MAP = json.loads(Path(os.environ["DIE_MAP"]).read_text())
DIE, WORD_BYTES = MAP["configuration"]["die"], MAP["configuration"]["memory"]["word_bytes"]
LATENCY = 9  # cycles from a read to its word
M, K, N = 5, 7, 6


def fields_of(bits, layout):
    """The fields of a request. Those that are not defined, as the data of a read, are left out."""
    values = {}
    for name, field in layout.items():
        part = bits[field["bit"] + field["width"] - 1 : field["bit"]]
        if part.is_resolvable:
            values[name] = part.to_unsigned()
    return values


def joined(layout, **values):
    """A number with ``values`` in their fields; the others are 0."""
    return sum(value << layout[name]["bit"] for name, value in values.items())


def command(name, **values):
    entry = MAP["commands"][name]
    return joined(entry["fields"], opcode=entry["opcode"], **values)


async def memory(dut, words):
    """Memory of whole words by address: takes a request in every cycle, answers reads in their order."""
    request = MAP["memory_port"]["request__payload"]
    response = MAP["memory_port"]["response__payload"]
    cycle, coming = 0, deque()
    dut.request__ready.value = 1
    while True:
        await RisingEdge(dut.clk)  # what is read here is what was there before the edge
        cycle += 1
        if dut.response__valid.value and dut.response__ready.value:
            coming.popleft()
        if dut.request__valid.value:
            asked = fields_of(dut.request__payload.value, request)
            address = asked["address"]
            if asked["write"]:
                parts = range(WORD_BYTES // 4)
                mask = sum(0xFFFF_FFFF << 32 * n for n in parts if asked["strobe"] >> n & 1)
                words[address] = words.get(address, 0) & ~mask | asked["data"] & mask
            else:
                # Tag and epoch come back as they were sent.
                answer = joined(response, tag=asked["tag"], epoch=asked["epoch"], data=words.get(address, 0))
                coming.append((cycle + LATENCY - 1, answer))
        due = bool(coming) and coming[0][0] <= cycle
        dut.response__valid.value = due
        if due:
            dut.response__payload.value = coming[0][1]


async def write_register(dut, name, value):
    dut.host_address.value = MAP["registers"][name]["address"]
    dut.host_write_data.value = value
    dut.host_write.value = 1
    await RisingEdge(dut.clk)
    dut.host_write.value = 0


class Matrix:
    """Where a matrix lies: rows of whole words one after the other, from the same word on in memory and scratchpad."""

    def __init__(self, rows, cols, element_bytes, first):
        self.rows, self.cols, self.first = rows, cols, first
        self.words = -(-cols * element_bytes // WORD_BYTES)  # a row is filled up to whole words
        self.end = first + rows * self.words

    def copy(self):
        """Fields of a LOAD or STORE of all of it."""
        block = {"rows": self.rows, "words": self.words, "pitch": self.words, "memory_pitch": self.words}
        return block | {"address": self.first, "base": self.first}

    def feed(self):
        """Fields of a FEED of all of it to the beginning of a buffer."""
        block = {"rows": self.rows, "cols": self.cols, "words": self.words, "pitch": self.rows}
        return block | {"source": self.first, "source_pitch": self.words}

    def put(self, memory, values):
        for row, line in enumerate(values):
            image = line.tobytes().ljust(self.words * WORD_BYTES, b"\0")
            for n in range(self.words):
                word = image[n * WORD_BYTES : (n + 1) * WORD_BYTES]
                memory[self.first + row * self.words + n] = int.from_bytes(word, "little")

    def get(self, memory, dtype):
        image = b"".join(
            memory[address].to_bytes(WORD_BYTES, "little") for address in range(self.first, self.end)
        )
        return np.frombuffer(image, dtype).reshape(self.rows, -1)[:, : self.cols]


@cocotb.test()
async def multiplies(dut):
    """Y = X W with small integers, which any order of additions sums without an error."""
    bf16 = DIE["dtype"] == "bf16"
    rng = np.random.default_rng(1)
    x, w = (rng.integers(-9, 10, size) for size in ((M, K), (K, N)))

    def elements(values):
        if not bf16:
            return values.astype("i1")
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2")  # the upper half of fp32

    size = 2 if bf16 else 1
    a = Matrix(M, K, size, 0)
    b = Matrix(K, N, size, a.end)
    y = Matrix(M, N, 4, b.end)
    words = {}
    a.put(words, elements(x))
    b.put(words, elements(w))

    rows, cols = DIE["rows"], DIE["cols"]
    k_tiles, panels = -(-K // rows), -(-N // cols)
    last_cols = N - (panels - 1) * cols
    sums = {"step": M, "rows": M, "panels": panels, "last_cols": last_cols}
    program = [
        command("load", **a.copy(), post_0=1),
        command("load", **b.copy(), post_0=2),
        command("feed_activation", **a.feed(), wait_0=1, post_0=3),
        command("feed_weight", **b.feed(), wait_0=2, post_0=4),
        command(
            "gemm",
            wait_0=3,
            wait_1=4,
            post_0=5,
            activation_pitch=M,
            weight_pitch=K,
            accumulator_step=M,
            m=M,
            k_tiles=k_tiles,
            last_k=K - (k_tiles - 1) * rows,
            panels=panels,
            last_cols=last_cols,
        ),
        command("drain", **sums, target=y.first, target_pitch=y.words, wait_0=5, post_0=6),
        command("store", **y.copy(), wait_0=6),
    ]
    command_words = max(1, 32 // WORD_BYTES)
    for number, bits in enumerate(program):
        for n in range(command_words):
            word = bits >> 8 * WORD_BYTES * n & (1 << 8 * WORD_BYTES) - 1
            words[y.end + number * command_words + n] = word

    for name in ("request__ready", "response__valid", "response__payload"):
        getattr(dut, name).value = 0
    for name in ("host_address", "host_write", "host_write_data", "host_read"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    await Timer(10, unit="ns")  # the first edge has to see the reset
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    cocotb.start_soon(memory(dut, words))
    await write_register(dut, "program_address", y.end)
    await write_register(dut, "commands", len(program))
    await write_register(dut, "control", 1)
    for _ in range(5000):
        await RisingEdge(dut.clk)
        if dut.done.value or dut.error.value:
            break
    assert dut.done.value == 1, "the die is not done"
    got = y.get(words, "<f4" if bf16 else "<i4")
    assert (got == x @ w).all(), f"{got} is not {x @ w}"

"""Interpreter: every program gives the golden result in every order, and what is wrong with a program is seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.golden.gemm import gemm
from cosim.golden.interleaving import at_random, in_program_order, loads_first
from cosim.golden.interpreter import Interpreter, ProgramError, interpret_gemm
from cosim.program.command import Command, program_image
from cosim.program.shape import Shape, gemm_forms
from rtl.interface.isa import Opcode
from tests.cosim.machines import Case, case, cases

SMALL = DieSpec(rows=4, cols=4, weight_bytes=1024, activation_bytes=4096, accumulator_bytes=4096)
"""Needs several blocks in all dimensions of :data:`BLOCKS`, in an order that uses some of them twice."""
BLOCKS = Shape(m=128, k=32, n=32)


def expected(case: Case, a: Any, b: Any) -> Any:
    logical = gemm_forms(a, b, form=case.shape.form)
    return gemm(*logical, rows=case.die.rows, dtype=case.die.dtype)


@settings(max_examples=60)
@given(cases(), st.integers(0, 1 << 32))
def test_every_order_gives_the_golden_result(case: Case, seed: int) -> None:
    a, b = case.operands(seed)
    for order in (in_program_order, loads_first, at_random(np.random.default_rng(seed))):
        result, _ = interpret_gemm(case.program, a, b, die=case.die, memory=case.memory, order=order)
        assert np.array_equal(result, expected(case, a, b))


@pytest.mark.parametrize("form", ["nn", "nt", "tn"])
def test_blocks_that_are_used_twice_are_not_overwritten(form: Any) -> None:
    blocks = case(SMALL, MemorySpec(), Shape(m=BLOCKS.m, k=BLOCKS.k, n=BLOCKS.n, form=form))
    a, b = blocks.operands()
    result, _ = interpret_gemm(blocks.program, a, b, die=SMALL, memory=blocks.memory, order=loads_first)
    assert np.array_equal(result, expected(blocks, a, b))


@settings(max_examples=50)
@given(cases())
def test_counters(case: Case) -> None:
    a, b = case.operands()
    _, interpreter = interpret_gemm(case.program, a, b, die=case.die, memory=case.memory)
    shape, counters = case.shape, interpreter.counters
    assert counters["macs"] == shape.m * shape.k * shape.n
    assert counters["load_words"] == sum(
        command.fields["rows"] * command.fields["words"]
        for command in case.program.commands
        if command.opcode == Opcode.LOAD
    )
    assert counters["store_words"] == case.program.y.rows * case.program.y.pitch
    assert counters["array_busy"] == counters["sums"]


def changed(program: Sequence[Command], opcode: Opcode, **change: int) -> list[Command]:
    """The program with other fields in its first command of that opcode."""
    commands = list(program)
    index = next(number for number, command in enumerate(commands) if command.opcode == opcode)
    commands[index] = replace(commands[index], fields={**commands[index].fields, **change})
    return commands


def loaded(case: Case) -> Interpreter:
    """An interpreter whose memory holds all-zero operands."""
    interpreter = Interpreter(die=case.die, memory=case.memory, words=case.program.memory_words)
    interpreter.write_memory(0, bytes(case.program.b.end * case.memory.word_bytes))
    return interpreter


@pytest.fixture
def small() -> Case:
    die = DieSpec(rows=4, cols=4, weight_bytes=256, activation_bytes=256, accumulator_bytes=256)
    return case(die, MemorySpec(), Shape(m=4, k=8, n=8))


@pytest.mark.parametrize(
    ("opcode", "change", "message"),
    [
        (
            Opcode.LOAD,
            {"base": 5000},
            "command 0 (LOAD, panel 0, row 0): scratchpad has no address 5000: has 0 to 2047",
        ),
        (
            Opcode.LOAD,
            {"address": 1 << 20},
            "command 0 (LOAD, panel 0, row 0): memory has no address 1048576: has 0 to ",
        ),
        (
            Opcode.LOAD,
            {"wait_0": 63},
            "the program blocks: these commands wait for semaphores: command 0 (LOAD, panel 0, row 0) for [63]",
        ),
        (
            Opcode.FEED_ACTIVATION,
            {"base": 1000},
            "command 1 (FEED_ACTIVATION, panel 0, row 0): activation buffer has no address 1004: has 0 to 31",
        ),
        (
            Opcode.FEED_ACTIVATION,
            {"words": 2},
            "command 1 (FEED_ACTIVATION, panel 0, row 0): 2 words are not those of 8 elements",
        ),
        (
            Opcode.FEED_ACTIVATION,
            {"source": 100},
            "command 1 (FEED_ACTIVATION, panel 0, row 0): reads a part of the scratchpad that was never",
        ),
        (
            Opcode.GEMM,
            {"weight_base": 5},
            "command 4 (GEMM, panel 1, row 0): reads a part of the weight buffer that was never",
        ),
        (
            Opcode.GEMM,
            {"accumulate": 1},
            "command 4 (GEMM, panel 0, row 0): reads a part of the accumulator buffer that was",
        ),
        (
            Opcode.GEMM,
            {"accumulator_base": 20},
            "command 4 (GEMM, panel 0, row 0): accumulator buffer has no address 23: has",
        ),
        (
            Opcode.DRAIN,
            {"base": 8},
            "command 5 (DRAIN, panel 0, row 0): reads a part of the accumulator buffer that was",
        ),
        (Opcode.STORE, {"address": 1 << 30}, "command 6 (STORE, panel 0, row 0): memory has no address "),
    ],
)
def test_what_no_program_may_do_is_refused(
    small: Case, opcode: Opcode, change: dict[str, int], message: str
) -> None:
    program = changed(small.program.commands, opcode, **change)
    with pytest.raises(ProgramError) as caught:
        loaded(small).run(program)
    assert str(caught.value).startswith(message)


def test_undefined_memory_is_not_fed(small: Case) -> None:
    interpreter = Interpreter(die=small.die, memory=small.memory, words=small.program.memory_words)
    with pytest.raises(ProgramError, match="reads a part of the scratchpad that was never written"):
        interpreter.run(small.program.commands)


def test_a_semaphore_does_not_overflow(small: Case) -> None:
    setting = Command(Opcode.SET, {"semaphore_0": 63, "value_0": 65535})
    program = [setting, *changed(small.program.commands, Opcode.LOAD, post_1=63)]
    with pytest.raises(ProgramError, match="semaphore 63 is posted beyond 65535$"):
        loaded(small).run(program)


def test_a_missing_wait_is_seen_in_some_order() -> None:
    """The check can fail: without its wait, a feed comes too early as soon as the order lets it."""
    blocks = case(SMALL, MemorySpec(), BLOCKS)
    a, b = blocks.operands(operands="normal")
    commands = tuple(
        replace(command, fields={**command.fields, "wait_0": 0})
        if command.opcode == Opcode.FEED_ACTIVATION
        else command
        for command in blocks.program.commands
    )
    program = replace(blocks.program, commands=commands)
    right = expected(blocks, a, b)
    serial, _ = interpret_gemm(program, a, b, die=SMALL, memory=blocks.memory)
    assert np.array_equal(serial, right)
    eager, _ = interpret_gemm(program, a, b, die=SMALL, memory=blocks.memory, order=loads_first)
    assert not np.array_equal(eager, right)


def test_memory_outside_is_refused() -> None:
    interpreter = Interpreter(die=SMALL, memory=MemorySpec(word_bytes=4), words=2)
    interpreter.write_memory(1, b"abcd")
    assert interpreter.read_memory(0, 2) == b"\0\0\0\0abcd"
    with pytest.raises(ValueError, match=re.escape("memory has no address 2: has 0 to 1")):
        interpreter.write_memory(1, b"abcdefgh")
    with pytest.raises(ValueError, match=re.escape("memory has no address 2: has 0 to 1")):
        interpreter.read_memory(2, 1)


def test_a_word_that_is_no_command_is_refused() -> None:
    interpreter = Interpreter(die=SMALL, memory=MemorySpec(), words=2)
    with pytest.raises(ValueError, match="no command: opcode 0"):
        interpreter.fetch(0, 1)


def test_a_program_is_fetched_from_memory(small: Case) -> None:
    program = small.program
    interpreter = Interpreter(die=small.die, memory=small.memory, words=program.memory_words)
    interpreter.write_memory(program.program_address, program_image(program.commands, small.memory))
    fetched = interpreter.fetch(program.program_address, len(program.commands))
    assert [(command.opcode, command.all_fields) for command in fetched] == [
        (command.opcode, command.all_fields) for command in program.commands
    ]


def _command(opcode: Opcode, **fields: int) -> Command:
    return Command(opcode, fields)


def test_words_go_through_the_scratchpad_as_they_are() -> None:
    """Memory to scratchpad, and rows of it to memory, other rows apart."""
    die, memory = SMALL, MemorySpec(word_bytes=8)
    interpreter = Interpreter(die=die, memory=memory, words=64)
    content = np.random.default_rng(1).integers(0, 256, 6 * 8, np.uint8).tobytes()
    interpreter.write_memory(0, content)
    interpreter.run(
        [
            # Rows of 2 words, 2 apart in memory, 3 apart in the scratchpad.
            _command(Opcode.LOAD, base=1, pitch=3, rows=3, words=2, memory_pitch=2, row_post=5),
            # Rows 0 and 2 of these, to word 20 and 24.
            _command(Opcode.STORE, base=1, pitch=6, rows=2, words=2, address=20, memory_pitch=4, row_wait=5),
        ],
        order=loads_first,
    )
    assert interpreter.read_memory(20, 2) == content[:16]
    assert interpreter.read_memory(24, 2) == content[32:48]
    assert interpreter.counters == {"load_words": 6, "store_words": 4}
    assert interpreter.semaphores[5] == 1


@pytest.mark.parametrize(("cast", "bits"), [(0, 0x3F81_8000), (1, 0x3F82)])
def test_sums_go_through_the_scratchpad(cast: int, bits: int) -> None:
    """Sums from memory to the accumulator buffer and back, as they are or rounded to bf16: to even in a tie."""
    memory = MemorySpec(word_bytes=8)
    interpreter = Interpreter(die=SMALL, memory=memory, words=8)
    sums = np.full(4, 0x3F81_8000, "<u4")
    interpreter.write_memory(0, sums.tobytes())
    panel = {"step": 4, "wrap": 8, "rows": 1, "panels": 1, "last_cols": 3}
    interpreter.run(
        [
            _command(Opcode.LOAD, rows=1, words=2, post_0=1),
            _command(Opcode.FEED_SUMS, wait_0=1, post_0=2, **panel),
            _command(Opcode.DRAIN, wait_0=2, post_0=3, target=4, cast=cast, **panel),
            _command(Opcode.STORE, wait_0=3, base=4, rows=1, words=1 if cast else 2, address=4),
        ]
    )
    words = np.frombuffer(interpreter.read_memory(4, 2), "<u2" if cast else "<u4")
    assert list(words[:3]) == [bits] * 3

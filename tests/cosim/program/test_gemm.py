"""Scheduler: what programs load, feed, compute, drain, store and count, read off their commands."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings

from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from cosim.golden.interleaving import steps_of
from cosim.program.command import program_image
from cosim.program.gemm import Semaphore, schedule_gemm
from cosim.program.layout import Matrix
from cosim.program.shape import Shape
from rtl.interface.isa import Opcode, decode
from tests.cosim.machines import Case, case, cases

many = settings(max_examples=40)

FEEDS = {"a": Opcode.FEED_ACTIVATION, "b": Opcode.FEED_WEIGHT}


def of(case: Case, opcode: Opcode) -> list[dict[str, int]]:
    """Fields of the commands of one opcode."""
    return [command.all_fields for command in case.program.commands if command.opcode == opcode]


def place(matrix: Matrix, per_word: int, fields: dict[str, int]) -> tuple[int, int]:
    """Row and column of the first element that a command reads or writes."""
    word = fields["address"] - matrix.address
    return word // matrix.pitch, word % matrix.pitch * per_word


def feeds(case: Case) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    """Operand, LOAD and feed of each part: the LOAD stands before its feed."""
    commands = case.program.commands
    return [
        (name, commands[number - 1].all_fields, command.all_fields)
        for number, command in enumerate(commands)
        for name, opcode in FEEDS.items()
        if command.opcode == opcode
    ]


@many
@given(cases())
def test_programs_survive_encoding(case: Case) -> None:
    image = program_image(case.program.commands, case.memory)
    size = case.memory.command_words * case.memory.word_bytes
    assert len(image) == size * len(case.program.commands)
    for index, command in enumerate(case.program.commands):
        bits = int.from_bytes(image[index * size : (index + 1) * size], "little")
        assert decode(bits) == (command.opcode, command.all_fields)


@many
@given(cases())
def test_matrices_and_program_lie_apart(case: Case) -> None:
    program = case.program
    assert program.a.address == 0
    assert program.a.end == program.b.address
    assert program.b.end == program.y.address
    assert program.y.end == program.program_address
    assert program.memory_words == program.y.end + len(program.commands) * case.memory.command_words
    assert (program.a.rows, program.a.cols) == case.shape.stored_a
    assert (program.b.rows, program.b.cols) == case.shape.stored_b
    assert (program.y.rows, program.y.cols) == (case.shape.m, case.shape.n)


@many
@given(cases())
def test_every_element_is_loaded_and_fed_equally_often(case: Case) -> None:
    """Parts do not overlap within a block: an element comes as often as its block is loaded."""
    per_word = case.memory.word_bytes // case.die.element_bytes
    for name, matrix in (("a", case.program.a), ("b", case.program.b)):
        count = np.zeros((matrix.rows, matrix.cols), int)
        for operand, load, feed in feeds(case):
            if operand == name:
                row, col = place(matrix, per_word, load)
                assert row + load["rows"] <= matrix.rows
                assert col + feed["cols"] <= matrix.cols
                assert load["memory_pitch"] == matrix.pitch
                assert (load["rows"], load["words"], load["base"]) == (
                    feed["rows"],
                    feed["words"],
                    feed["source"],
                )
                count[row : row + feed["rows"], col : col + feed["cols"]] += 1
        assert count.min() >= 1
        if case.program.tiling.blocks_of(case.shape) == (1, 1, 1):
            assert count.max() == 1


@many
@given(cases())
def test_gemms_cover_all_products_and_stores_all_results(case: Case) -> None:
    die, shape = case.die, case.shape
    products = 0
    for fields in of(case, Opcode.GEMM):
        k = (fields["k_tiles"] - 1) * die.rows + fields["last_k"]
        products += fields["m"] * k * ((fields["panels"] - 1) * die.cols + fields["last_cols"])
    assert products == shape.m * shape.k * shape.n
    y = case.program.y
    stored = np.zeros((shape.m, y.pitch), int)
    for fields in of(case, Opcode.STORE):
        row, word = divmod(fields["address"] - y.address, y.pitch)
        stored[row : row + fields["rows"], word : word + fields["words"]] += 1
    assert stored.min() == stored.max() == 1
    assert len(of(case, Opcode.DRAIN)) == len(of(case, Opcode.STORE))


@many
@given(cases())
def test_parts_stay_in_the_scratchpad(case: Case) -> None:
    depth = scratchpad_depth(case.die, case.memory)
    for fields in (*of(case, Opcode.LOAD), *of(case, Opcode.STORE)):
        assert fields["base"] + (fields["rows"] - 1) * fields["pitch"] + fields["words"] <= depth


@many
@given(cases())
def test_semaphores_have_one_waiter_and_are_posted_before_they_are_taken(case: Case) -> None:
    """One command after the other, a GEMM interleaved with its drains, never waits for what comes later."""
    waiters: dict[int, set[Opcode]] = defaultdict(set)
    posters: dict[int, set[Opcode]] = defaultdict(set)
    takes: Counter[int] = Counter()
    posts: Counter[int] = Counter()
    for index, command in enumerate(case.program.commands):
        if command.opcode == Opcode.SET:
            assert index == 0
            posts[command.fields["semaphore_0"]] += command.fields["value_0"]
            assert command.fields["semaphore_0"] == Semaphore.SLOT_FREE
            continue
        for step in steps_of(index, command):
            for semaphore in step.needs:
                waiters[semaphore].add(command.opcode)
                takes[semaphore] += 1
            for semaphore in step.posts:
                posters[semaphore].add(command.opcode)
                posts[semaphore] += 1
    assert set(waiters) <= set(Semaphore)
    assert all(len(opcodes) == 1 for opcodes in waiters.values())
    assert all(len(opcodes) == 1 for opcodes in posters.values())
    assert all(posts[semaphore] >= count for semaphore, count in takes.items())


def test_a_block_that_is_used_again_is_kept() -> None:
    """Two K blocks of A serve two N blocks each before the next two are loaded: four blocks, two of them wait."""
    blocks = case(
        DieSpec(rows=4, cols=4, weight_bytes=1024, activation_bytes=4096, accumulator_bytes=4096),
        MemorySpec(latency_cycles=2),
        Shape(m=128, k=32, n=32),
    )
    waits = [feed["wait_0"] for name, _, feed in feeds(blocks) if name == "a" and feed["wait_0"]]
    assert waits == [Semaphore.ACTIVATION_FREE] * 2
    frees = [fields["post_0"] for fields in of(blocks, Opcode.GEMM) if fields["post_0"]]
    assert frees == [Semaphore.ACTIVATION_FREE] * 2


def test_the_array_starts_with_the_first_tile_and_the_last_rows_leave_in_parts() -> None:
    program = case(DieSpec(rows=16, cols=16), MemorySpec(), Shape(m=128, k=256, n=256))
    gemms = of(program, Opcode.GEMM)
    assert (gemms[0]["k_tiles"], gemms[0]["m"] < 128) == (1, True)
    assert gemms[-1]["m"] == 16
    assert gemms[-1]["k_tiles"] == 16
    assert program.program.commands[0].opcode == Opcode.LOAD  # no SET: places are taken once or handed back
    assert len(program.program.commands) < 150


def test_a_tiny_gemm_takes_seven_commands() -> None:
    program = case(DieSpec(), MemorySpec(), Shape(m=1, k=1, n=1)).program
    assert [command.opcode.name for command in program.commands] == [
        "LOAD",
        "FEED_ACTIVATION",
        "LOAD",
        "FEED_WEIGHT",
        "GEMM",
        "DRAIN",
        "STORE",
    ]


@pytest.mark.parametrize("size", [(70_000, 70_000, 1)])
def test_a_program_that_is_too_long_is_refused(size: tuple[int, int, int]) -> None:
    m, k, n = size
    message = (
        rf"^{m}x{k}x{n} \(nn\) in blocks of [^\n]+ takes more commands than a program can have, 65535: make "
    )
    with pytest.raises(ValueError, match=message):
        schedule_gemm(DieSpec(), MemorySpec(), Shape(m=m, k=k, n=n))


def test_a_scratchpad_that_holds_no_row_is_refused() -> None:
    die = DieSpec(rows=4, cols=5, scratchpad_bytes=1024)
    message = r"fit: die\.scratchpad_bytes must be at least \d+, has 1024 in use$"
    with pytest.raises(ValueError, match=message):
        schedule_gemm(die, MemorySpec(word_bytes=128), Shape(m=9, k=200, n=600))

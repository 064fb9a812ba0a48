"""Scheduler: what programs load, compute, store and count, read off their commands."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.command import program_image
from cosim.program.gemm import Semaphore, schedule_gemm
from cosim.program.layout import Matrix
from cosim.program.shape import Shape
from cosim.program.tiling import activation_addresses, weight_addresses
from rtl.interface.isa import SEMAPHORES, Opcode, Target, decode
from tests.cosim.machines import Case, case, cases

many = settings(max_examples=60)


def of(case: Case, opcode: Opcode) -> list[dict[str, int]]:
    """Fields of the commands of one kind."""
    return [command.all_fields for command in case.program.commands if command.opcode == opcode]


def place(matrix: Matrix, per_word: int, fields: dict[str, int]) -> tuple[int, int]:
    """Row and column of the first element that a command reads or writes."""
    word = fields["address"] - matrix.address
    return word // matrix.pitch, word % matrix.pitch * per_word


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
def test_every_element_is_loaded_once_for_its_uses(case: Case) -> None:
    per_word = case.memory.word_bytes // case.die.element_bytes
    for target, matrix in ((Target.ACTIVATION, case.program.a), (Target.WEIGHT, case.program.b)):
        loads = np.zeros((matrix.rows, matrix.cols), int)
        blocks: Counter[tuple[int, int]] = Counter()
        for fields in of(case, Opcode.LOAD):
            if fields["target"] == target:
                row, col = place(matrix, per_word, fields)
                assert row + fields["rows"] <= matrix.rows
                assert col + fields["cols"] <= matrix.cols
                assert fields["memory_pitch"] == matrix.pitch
                loads[row : row + fields["rows"], col : col + fields["cols"]] += 1
                blocks[row, col] += 1
        assert loads.min() >= 1
        # A block is never loaded in part, and blocks do not overlap.
        assert set(blocks.values()) >= set(np.unique(loads).tolist())
        assert loads.sum() == sum(
            fields["rows"] * fields["cols"] for fields in of(case, Opcode.LOAD) if fields["target"] == target
        )
        assert len(of(case, Opcode.GEMM)) > 1 or loads.max() == 1


@many
@given(cases())
def test_gemms_cover_all_products_and_stores_all_results(case: Case) -> None:
    die, shape = case.die, case.shape
    products = 0
    for fields in of(case, Opcode.GEMM):
        k = (fields["k_tiles"] - 1) * die.rows + fields["last_k"]
        products += fields["m"] * k * ((fields["panels"] - 1) * die.cols + fields["last_cols"])
    assert products == shape.m * shape.k * shape.n
    stored = np.zeros((shape.m, shape.n), int)
    for fields in of(case, Opcode.STORE):
        row, col = place(case.program.y, case.memory.word_bytes // 4, fields)
        width = (fields["panels"] - 1) * die.cols + fields["last_cols"]
        assert row + fields["rows"] <= shape.m
        assert col + width <= shape.n
        stored[row : row + fields["rows"], col : col + width] += 1
    assert stored.min() == stored.max() == 1


@many
@given(cases())
def test_a_load_never_overwrites_a_block_that_is_used_again(case: Case) -> None:
    die, shape, tiling = case.die, case.shape, case.program.tiling
    sizes = {
        Target.ACTIVATION: activation_addresses(die, shape, tiling.m, tiling.k),
        Target.WEIGHT: weight_addresses(die, shape, tiling.k, tiling.n),
    }
    depths = {Target.ACTIVATION: die.activation_depth, Target.WEIGHT: die.weight_depth}
    held: dict[Target, dict[int, tuple[int, int]]] = {target: {} for target in Target}
    for opcode, fields in ((command.opcode, command.all_fields) for command in case.program.commands):
        if opcode == Opcode.LOAD:
            target, base = Target(fields["target"]), fields["base"]
            assert base % sizes[target] == 0
            assert base + sizes[target] <= depths[target]
            held[target][base] = (fields["address"], fields["cols"])
        elif opcode == Opcode.GEMM:
            assert fields["activation_base"] in held[Target.ACTIVATION]
            assert fields["weight_base"] in held[Target.WEIGHT]
    # A place is handed back as often as it is taken, and by the last GEMM that uses what lies there.
    for target, free in (
        (Target.ACTIVATION, Semaphore.ACTIVATION_FREE),
        (Target.WEIGHT, Semaphore.WEIGHT_FREE),
    ):
        in_use: dict[int, bool] = {}
        for command in case.program.commands:
            fields = command.all_fields
            if command.opcode == Opcode.LOAD and fields["target"] == target:
                assert not in_use.get(fields["base"])
                in_use[fields["base"]] = True
            elif command.opcode == Opcode.GEMM:
                base = fields[f"{target.name.lower()}_base"]
                assert in_use[base]
                in_use[base] = not fields["post"] >> free & 1
        assert not any(in_use.values())


@many
@given(cases())
def test_semaphores_have_one_waiter_and_end_as_they_began(case: Case) -> None:
    waiters: dict[int, set[Opcode]] = {semaphore: set() for semaphore in range(SEMAPHORES)}
    start = [0] * SEMAPHORES
    change = [0] * SEMAPHORES
    for command in case.program.commands:
        fields = command.all_fields
        if command.opcode == Opcode.SET:
            assert start == [0] * SEMAPHORES
            start = [fields[f"value_{semaphore}"] for semaphore in range(SEMAPHORES)]
            assert fields["mask"] >> len(Semaphore) == 0
            continue
        for semaphore in range(SEMAPHORES):
            panels = fields.get("panels", 1)
            # Taken once if a first panel asks for it twice: no program does that.
            assert not (fields["wait"] & fields.get("panel_wait", 0)) >> semaphore & 1
            takes = (fields["wait"] >> semaphore & 1) + panels * (
                fields.get("panel_wait", 0) >> semaphore & 1
            )
            posts = (fields["post"] >> semaphore & 1) + panels * (
                fields.get("panel_post", 0) >> semaphore & 1
            )
            change[semaphore] += posts - takes
            if takes:
                waiters[semaphore].add(command.opcode)
    assert all(len(opcodes) <= 1 for opcodes in waiters.values())
    assert change == [0] * SEMAPHORES


def test_a_block_that_is_used_again_is_kept() -> None:
    """Two K blocks of A serve two N blocks each before the next two are loaded: four loads, four hand-backs."""
    blocks = case(
        DieSpec(rows=4, cols=4, weight_bytes=1024, activation_bytes=4096, accumulator_bytes=4096),
        MemorySpec(latency_cycles=2),
        Shape(m=128, k=32, n=32),
    )
    gemms = of(blocks, Opcode.GEMM)
    loads = [fields for fields in of(blocks, Opcode.LOAD) if fields["target"] == Target.ACTIVATION]
    assert (len(gemms), len(loads)) == (8, 4)
    hand_back = [fields["post"] >> Semaphore.ACTIVATION_FREE & 1 for fields in gemms]
    assert hand_back == [0, 0, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("size", [(1 << 24, 1 << 24, 1 << 24), (70_000, 70_000, 1)])
def test_a_program_that_is_too_long_is_refused(size: tuple[int, int, int]) -> None:
    m, k, n = size
    with pytest.raises(
        ValueError, match=rf"^{m}x{k}x{n} \(nn\) takes \d+ steps of [^\n]+: must be at most 16383,"
    ):
        schedule_gemm(DieSpec(), MemorySpec(), Shape(m=m, k=k, n=n))

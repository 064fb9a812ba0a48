"""Checker of all dies together: accepts all programs that dies get, and sees what they do not agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chiplet.machine.chunks import flits_per_word
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.golden.interpreter import Interpreter, ProgramError
from cosim.golden.operands import random_operands
from cosim.golden.package_interpreter import run_package
from cosim.program.checker.die_checker import CheckedDie
from cosim.program.checker.package_checker import check_package, memory_violations, package_violations
from cosim.program.checker.package_run import Grid
from cosim.program.collective import mesh_programs
from cosim.program.command import Command
from cosim.program.layout import Places
from cosim.program.line_commands import PACKAGE_ORIGIN, LineCollective
from cosim.program.package import DiePart
from cosim.program.package_gemm import gemm_parts
from cosim.program.shape import FORMS, Shape
from nop.collectives import ALGORITHMS, OPS
from rtl.interface.isa import SEMAPHORES, Opcode
from tests.cosim.program.test_package_gemm import systems

MEMORY, NOP = MemorySpec(), NopSpec()
DIE = DieSpec(rows=4, cols=4)


def parts_of(system: SystemSpec, shape: Shape, algorithm: Any) -> tuple[list[DiePart], Places]:
    a, b = random_operands(np.random.default_rng(0), shape, dtype=system.die.dtype, operands="special")
    places = Places()
    return gemm_parts(system, shape, a, b, algorithm=algorithm, places=places), places


def checked(system: SystemSpec, parts: Sequence[DiePart]) -> list[CheckedDie]:
    word = system.memory.word_bytes
    return [
        CheckedDie(
            die=system.die,
            memory=system.memory,
            nop=system.nop,
            inputs=[range(first, first + len(image) // word) for first, image in part.work.image.items()],
        )
        for part in parts
    ]


def grid(system: SystemSpec) -> Grid:
    return Grid(system.package.rows, system.package.cols, PACKAGE_ORIGIN)


def broken(system: SystemSpec, parts: Sequence[DiePart], programs: Sequence[Sequence[Command]]) -> list[str]:
    return package_violations(grid(system), checked(system, parts), programs)


def programs_of(parts: Sequence[DiePart]) -> list[list[Command]]:
    return [list(part.work.programs[0]) for part in parts]


@settings(max_examples=20)
@given(
    systems(),
    st.integers(1, 13),
    st.integers(1, 13),
    st.integers(1, 60),
    st.sampled_from(FORMS),
    st.sampled_from(ALGORITHMS),
)
def test_programs_of_a_gemm_keep_all_of_it(
    system: SystemSpec, n: int, k: int, m: int, form: Any, algorithm: Any
) -> None:
    try:
        parts, _ = parts_of(system, Shape(m=m, k=k, n=n, form=form), algorithm)
    except ValueError:  # tiles do not fit
        assume(False)
        raise
    programs = programs_of(parts)
    assert broken(system, parts, programs) == []
    lies = [range(1 << 30, (1 << 30) + 1) for _ in parts]
    assert memory_violations([part.work.io_die for part in parts], programs, lies) == []


def mesh(
    op: Any, algorithm: Any, rows: int, cols: int, words: int
) -> tuple[Grid, list[CheckedDie], list[list[Command]]]:
    lines, base = {}, 0
    for axis, nodes in (("row", cols), ("column", rows)):
        if nodes > 1:
            flits = words * flits_per_word(NOP, MEMORY)
            lines[axis] = LineCollective(op, algorithm, nodes, flits, base, words)
            base += nodes * words
    programs, gates = mesh_programs(lines, rows, cols)
    posts = [number for number in range(SEMAPHORES) if gates >> number & 1]
    die = CheckedDie(die=DIE, memory=MEMORY, nop=NOP, host_posts=posts, scratchpad_written=True)
    return Grid(rows, cols), [die] * len(programs), programs


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("rows", "cols"), [(1, 2), (3, 1), (2, 4), (5, 1)])
@pytest.mark.parametrize("words", [1, 20])
def test_programs_of_collectives_keep_all_of_it(
    op: Any, algorithm: Any, rows: int, cols: int, words: int
) -> None:
    """Chunks that fit the queue of a receive unit, and longer ones."""
    assert package_violations(*mesh(op, algorithm, rows, cols, words)) == []


def test_a_copy_may_take_the_place_of_what_it_was_made_of_and_no_other() -> None:
    """It comes back behind the read of the same words, but not of the ones behind them."""
    places, dies, programs = mesh("all-reduce", "chain", 1, 2, 2)
    copies = programs[0][-1]
    assert copies.opcode == Opcode.RECEIVE
    moved = Command(copies.opcode, {**copies.fields, "base": copies.fields["base"] + 1})
    lines = package_violations(places, dies, [[*programs[0][:-1], moved], programs[1]])
    assert any(
        "writes scratchpad word 1, which command 0 (SEND, send east unit) reads" in line for line in lines
    )


SYSTEM = SystemSpec(die=DIE, package=PackageSpec(rows=1, cols=3), memory=MEMORY)
SHAPE = Shape(m=70, k=12, n=12)


@pytest.fixture(scope="module")
def parts() -> list[DiePart]:
    """Three dies on a line that gather, multiply and sum tiles."""
    return parts_of(SYSTEM, SHAPE, "ring")[0]


def first(program: Sequence[Command], opcode: Opcode) -> int:
    return next(index for index, command in enumerate(program) if command.opcode == opcode)


@pytest.mark.parametrize(
    ("opcode", "change", "line"),
    [
        (Opcode.SEND, {"target": 9}, "target is 9: there is no such die on this side"),
        (Opcode.SEND, {"own": 100}, "own is 100: must be at most the "),
        (Opcode.SEND, {"flits": 4}, "a chunk of 4 flits comes"),
        (Opcode.SEND, {"base": 2047}, "reads the scratchpad to "),
        (Opcode.RECEIVE, {"wait_1": 63}, "the program blocks: command "),
        (Opcode.RECEIVE, {"forwarded": 9}, "forwarded is 9: must be at most the 2 chunks"),
        (Opcode.RECEIVE, {"keep": 3}, "keep is 3: must be 0 to 2"),
        (Opcode.RECEIVE, {"add": 1, "by_source": 1}, "by_source and add are 1: must be one of them at most"),
        (
            Opcode.RECEIVE,
            {"by_source": 1, "word_post": 9},
            "by_source is 1 and word_post 9: must be one of them",
        ),
        (Opcode.RECEIVE, {"hand": 1}, "hand is 1: must be 0 without add"),
        (Opcode.RECEIVE, {"join": 1}, "join is 1: must be 0 without add"),
        (
            Opcode.RECEIVE,
            {"add": 1, "hand": 1, "join": 1},
            "hand and join are 1: must be one of them at most",
        ),
        (Opcode.RECEIVE, {"post_0": 0}, "waits for ever for semaphore "),
    ],
)
def test_what_dies_do_not_agree_on(
    parts: list[DiePart], opcode: Opcode, change: dict[str, int], line: str
) -> None:
    programs = programs_of(parts)
    index = first(programs[0], opcode)
    fields = {**programs[0][index].fields, **change}
    programs[0][index] = replace(programs[0][index], fields=fields)
    lines = broken(SYSTEM, parts, programs)
    assert any(line in told for told in lines), lines
    with pytest.raises(ValueError, match="the program breaks what it must keep"):
        check_package(grid(SYSTEM), checked(SYSTEM, parts), programs)


def mutated(programs: Sequence[Sequence[Command]], random: Random) -> list[list[Command]]:
    """The programs with one wait or post left out, or one place moved."""
    changed = [list(program) for program in programs]
    while True:
        program = random.choice(changed)
        index = random.randrange(len(program))
        fields = program[index].all_fields
        names: list[str] = [name for name in fields if fields[name] and ("wait" in name or "post" in name)]
        moves: list[str] = [name for name in fields if name in ("base", "source", "target")]
        if program[index].opcode == Opcode.SET or not names + moves:
            continue
        if moves and random.random() < 0.3 and program[index].opcode != Opcode.SEND:
            name = random.choice(moves)
            value = fields[name] + 1
        elif names:
            name, value = random.choice(names), 0
        else:
            continue
        program[index] = replace(program[index], fields={**program[index].fields, name: value})
        return changed


@settings(max_examples=15)
@given(st.sampled_from(FORMS), st.integers(0, 1 << 32))
def test_what_is_accepted_gives_one_result_in_every_order(form: Any, seed: int) -> None:
    random = Random(seed)
    built, places = parts_of(SYSTEM, Shape(m=50, k=9, n=12, form=form), random.choice(ALGORITHMS))
    programs = mutated(programs_of(built), random)
    if broken(SYSTEM, built, programs):
        return
    results: list[list[bytes]] = []
    for order in range(3):
        dies = [Interpreter(die=DIE, memory=MEMORY, words=max(places.used.values())) for _ in built]
        for die, part in zip(dies, built, strict=True):
            for address, content in part.work.image.items():
                die.write_memory(address, content)
        rng = np.random.default_rng([seed, order])
        try:
            run_package(SYSTEM, dies, programs, order=lambda steps, rng=rng: int(rng.integers(steps)))  # type: ignore[misc]
        except ProgramError as error:
            # A bank that was not written, of which the checker knows nothing.
            assert "never written" in str(error)  # noqa: PT017
            results.append([])
            continue
        results.append(
            [
                die.read_memory(result.address, result.words)
                for die, part in zip(dies, built, strict=True)
                for (result,) in part.work.reads
            ]
        )
    assert results == results[:1] * 3


def chunks(side: int, base: int, count: int, **fields: int) -> dict[str, int]:
    return {"side": side, "base": base, "chunks": count, "flits": 16, "pitch": 4, **fields}


EAST, WEST = 1, 3
ROOM = CheckedDie(die=DIE, memory=MEMORY, nop=NOP, scratchpad_written=True)


def test_chunks_of_two_dies_come_in_any_order() -> None:
    """Unless their places do not depend on it."""
    sends = [
        [Command(Opcode.SEND, chunks(EAST, 0, 1, own=1, target=2))],
        [Command(Opcode.SEND, chunks(EAST, 0, 1, own=1, target=2))],
    ]
    taken = [Command(Opcode.RECEIVE, chunks(WEST, 0, 1)), Command(Opcode.RECEIVE, chunks(WEST, 8, 1))]
    lines = package_violations(Grid(1, 3), [ROOM] * 3, [*sends, taken])
    assert any("may come before one of die " in line for line in lines), lines
    by_source = [Command(Opcode.RECEIVE, chunks(WEST, 0, 2, by_source=1))]
    assert package_violations(Grid(1, 3), [ROOM] * 3, [*sends, by_source]) == []


def test_a_chunk_stops_on_a_link_that_another_one_needs() -> None:
    """Die 3 takes the chunk of die 1 only behind that of die 0, which comes by the same links."""
    far = [Command(Opcode.SEND, chunks(EAST, 0, 1, own=1, target=2))]
    near = [Command(Opcode.SEND, chunks(EAST, 0, 1, own=1, target=3))]
    passed_on = [
        Command(Opcode.RECEIVE, chunks(WEST, 16, 1, post_0=1)),
        Command(Opcode.SEND, chunks(EAST, 8, 1, own=1, target=3, wait_0=1)),
    ]
    taken = [Command(Opcode.RECEIVE, chunks(WEST, 0, 2, by_source=1))]
    programs = [far, near, passed_on, taken]
    assert package_violations(Grid(1, 4), [ROOM] * 4, programs) == []
    # Of two RECEIVEs the second one waits for the chunk of die 0, which the one of die 1 may hold up.
    late = [
        Command(Opcode.RECEIVE, chunks(WEST, 0, 1)),
        Command(Opcode.SEND, chunks(WEST, 0, 1, own=1, target=1)),
        Command(Opcode.RECEIVE, chunks(WEST, 8, 1, wait_0=1)),
    ]
    die_1 = [*near, Command(Opcode.RECEIVE, chunks(EAST, 16, 1))]
    lines = package_violations(Grid(1, 4), [replace(ROOM, host_posts=[1])] * 4, [far, die_1, passed_on, late])
    assert any("may come before one of die " in line for line in lines), lines


def test_a_chunk_that_waits_at_its_receive_unit_holds_up_the_link() -> None:
    """Die 1 has its chunk for die 2 taken when die 2 has that of die 0 for die 3 behind it."""
    far = [Command(Opcode.SEND, chunks(EAST, 0, 1, own=1, target=3))]
    near = [Command(Opcode.SEND, chunks(EAST, 0, 1, own=1, target=2))]
    # Die 2 takes the chunk of die 1 when die 3, which has that of die 0, tells it.
    third = [
        Command(Opcode.RECEIVE, chunks(EAST, 24, 1, post_0=1)),
        Command(Opcode.RECEIVE, chunks(WEST, 8, 1, wait_0=1)),
    ]
    fourth = [
        Command(Opcode.RECEIVE, chunks(WEST, 0, 1, post_0=1)),
        Command(Opcode.SEND, chunks(WEST, 8, 1, own=1, target=2, wait_0=1)),
    ]
    lines = package_violations(Grid(1, 4), [ROOM] * 4, [far, near, third, fourth])
    send = "command 0 (SEND, send east unit)"
    text = "chunk 0 may stop on a link that chunk 0 of die 0 needs first"
    assert lines == [f"die 1: {send}: {text}, {send}"]


def test_what_a_send_unit_reads_ahead() -> None:
    """With `ahead` the words of its own chunks are read before its semaphores are taken."""
    load = Command(Opcode.LOAD, {"rows": 1, "words": 4, "post_0": 1})
    send = chunks(EAST, 0, 1, own=1, target=1, wait_0=1)
    taken = [Command(Opcode.RECEIVE, chunks(WEST, 0, 1))]
    for ahead in (0, 1):
        programs = [[load, Command(Opcode.SEND, {**send, "ahead": ahead})], taken]
        lines = package_violations(Grid(1, 2), [ROOM] * 2, programs)
        assert len(lines) == ahead
        assert all("no semaphore keeps them in order" in line for line in lines)


def test_a_receive_unit_reads_ahead_of_its_writes() -> None:
    """A second sum in the same place waits until the first one has been written."""
    sends = [Command(Opcode.SEND, chunks(EAST, 0, 2, own=2, target=1))]
    add = chunks(WEST, 0, 1, add=1)
    for wait in (0, 1):
        receives = [
            Command(Opcode.RECEIVE, {**add, "post_0": 1}),
            Command(Opcode.RECEIVE, {**add, "wait_0": wait}),
        ]
        lines = package_violations(Grid(1, 2), [ROOM] * 2, [sends, receives])
        assert len(lines) == 1 - wait
        assert all("no semaphore keeps them in order" in line for line in lines)


def test_memory_of_two_dies() -> None:
    store = [Command(Opcode.STORE, {"rows": 2, "words": 1, "address": 4, "memory_pitch": 4})]
    load = [Command(Opcode.LOAD, {"rows": 1, "words": 1, "address": 8})]
    lies = [range(20, 21), range(21, 22)]
    assert memory_violations(["a", "a"], [store, load], lies) == [
        "die 0: writes words 8 to 8 of the memory behind a, which die 1 uses"
    ]
    assert memory_violations(["a", "b"], [store, load], lies) == []
    assert memory_violations(["a", "a"], [store, []], [range(20, 21), range(4, 5)]) == [
        "die 0: writes words 4 to 4 of the memory behind a, which die 1 uses"
    ]

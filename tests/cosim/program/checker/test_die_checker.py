"""Checker of one die: accepts all programs of the schedulers, and sees what a change of one breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from cosim.golden.interleaving import Order, at_random, in_program_order, loads_first
from cosim.golden.interpreter import Interpreter, ProgramError
from cosim.program.checker.die_checker import CheckedDie, check_program, die_violations
from cosim.program.command import Command
from cosim.program.layout import pack
from cosim.program.shape import Shape
from cosim.program.vector.row_blocks import schedule_vector
from rtl.interface.isa import Opcode
from tests.cosim.machines import Case, case, cases

DIE = DieSpec(
    rows=4, cols=4, weight_bytes=1024, activation_bytes=1024, accumulator_bytes=1024, scratchpad_bytes=1024
)
MEMORY = MemorySpec()
WAITS = ("wait_0", "wait_1", "panel_wait", "row_wait")
POSTS = ("post_0", "post_1", "panel_post", "row_post")
BASES = ("base", "source", "target", "address", "activation_base", "weight_base", "accumulator_base")
SIZES = ("rows", "words", "m", "k_tiles", "panels")


def checked(case: Case) -> CheckedDie:
    program = case.program
    return CheckedDie(
        die=case.die,
        memory=case.memory,
        memory_words=program.memory_words,
        program_words=range(program.program_address, program.memory_words),
        inputs=[range(program.b.end)],
    )


def broken(case: Case, commands: Sequence[Command], **more: Any) -> list[str]:
    return die_violations(replace(checked(case), **more), commands)


def changed(commands: Sequence[Command], index: int, **change: int) -> list[Command]:
    """The program with other fields in the command with that number."""
    return [
        replace(command, fields={**command.fields, **change}) if number == index else command
        for number, command in enumerate(commands)
    ]


def first(case: Case, opcode: Opcode, number: int = 0) -> int:
    """Number of one of the commands of an opcode."""
    return [index for index, command in enumerate(case.program.commands) if command.opcode == opcode][number]


@settings(max_examples=30)
@given(cases())
def test_programs_of_gemms_keep_all_of_it(case: Case) -> None:
    assert broken(case, case.program.commands) == []


@pytest.mark.parametrize("form", ["nn", "nt", "tn"])
def test_a_program_of_many_blocks_keeps_all_of_it(form: Any) -> None:
    many = case(DIE, MEMORY, Shape(m=40, k=24, n=24, form=form))
    assert len(many.program.commands) > 100
    check_program(checked(many), many.program.commands)
    assert broken(many, many.program.commands) == []


@pytest.mark.parametrize("m", [25, 35, 40])
def test_the_last_rows_of_a_stored_column_leave_in_parts_and_come_in_whole_vectors(m: int) -> None:
    die = DieSpec(
        rows=3,
        cols=4,
        dtype="int8",
        stages=2,
        weight_bytes=22,
        activation_bytes=98,
        accumulator_bytes=758,
        scratchpad_bytes=384,
    )
    column = case(die, MemorySpec(word_bytes=16), Shape(m=m, k=1, n=4, form="tn"))
    assert broken(column, column.program.commands) == []


@pytest.mark.parametrize("name", PROGRAM_NAMES)
def test_vector_programs_keep_all_of_it(name: str) -> None:
    program = schedule_vector(DieSpec(), MEMORY, vector_program(name), rows=5, cols=18)
    die = CheckedDie(die=DieSpec(), memory=MEMORY, memory_words=program.memory_words)
    assert die_violations(die, program.commands) == []


def mutated(commands: Sequence[Command], random: Random) -> list[Command]:
    """The program with one thing changed: a wait or post left out, two commands swapped, a place moved or smaller."""
    program = list(commands)
    while True:
        index, other = random.randrange(len(program)), random.randrange(len(program))
        fields = program[index].all_fields
        kind = random.choice([WAITS, POSTS, BASES, SIZES, ()])
        names = [name for name in kind if fields.get(name, 0) > (kind == SIZES)]
        if kind == () and index != other:
            program[index], program[other] = program[other], program[index]
            return program
        if names and program[index].opcode != Opcode.SET:
            name = random.choice(names)
            value = (
                0
                if kind in (WAITS, POSTS)
                else fields[name] + random.choice([-1, 1] if kind == BASES else [-1])
            )
            return changed(program, index, **{name: value})


def outcome(case: Case, commands: Sequence[Command], order: Order) -> bytes | None:
    """The result of a program, or None if it reads a bank that was not written, of which the checker knows nothing."""
    program, word = case.program, case.memory.word_bytes
    interpreter = Interpreter(die=case.die, memory=case.memory, words=program.memory_words)
    for matrix, values in zip((program.a, program.b), case.operands(), strict=True):
        interpreter.write_memory(matrix.address, pack(values, matrix, word_bytes=word))
    try:
        interpreter.run(commands, order=order)
    except ProgramError as error:
        assert "was never written" in str(error)  # noqa: PT017
        return None
    return interpreter.read_memory(program.y.address, program.y.rows * program.y.pitch)


@settings(max_examples=40)
@given(cases(), st.integers(0, 1 << 32))
def test_what_is_accepted_gives_one_result_in_every_order(case: Case, seed: int) -> None:
    """A change is seen, or does no harm that depends on time."""
    if len(case.program.commands) > 100:
        return
    commands = mutated(case.program.commands, Random(seed))
    if broken(case, commands):
        return
    orders = (in_program_order, loads_first, *(at_random(np.random.default_rng([seed, n])) for n in range(2)))
    results = [outcome(case, commands, order) for order in orders]
    assert results == results[:1] * len(orders)


@pytest.fixture(scope="module")
def small() -> Case:
    """Several blocks, with every semaphore that a program of a GEMM has."""
    return case(DIE, MEMORY, Shape(m=40, k=24, n=24))


def test_every_kind_of_wait_and_post_counts(small: Case) -> None:
    commands = small.program.commands
    kinds = {
        (command.opcode, name)
        for command in commands
        for name in (*WAITS, *POSTS)
        if command.fields.get(name)
    }
    assert len(kinds) == 22
    for opcode, name in kinds:
        without = [
            replace(command, fields={**command.fields, name: 0}) if command.opcode == opcode else command
            for command in commands
        ]
        assert broken(small, without), (opcode, name)


@pytest.mark.parametrize(
    ("opcode", "change", "line"),
    [
        (Opcode.LOAD, {"base": 31}, "command 1 (LOAD, load unit): writes the scratchpad to "),
        (Opcode.LOAD, {"address": 3000}, "command 1 (LOAD, load unit): reads the memory to 300"),
        (Opcode.LOAD, {"address": 252}, "command 1 (LOAD, load unit) reads memory words 252 to "),
        (Opcode.FEED_ACTIVATION, {"words": 9}, "words is 9: must be the 1 of"),
        (Opcode.FEED_ACTIVATION, {"lane": 4}, "lane is 4: must be at most 3"),
        (Opcode.FEED_ACTIVATION, {"pitch": 0}, "pitch is 0: must be at least the "),
        (Opcode.FEED_ACTIVATION, {"wait_0": 1}, "row_wait and wait_0 are both 1: must be two semaphores"),
        (Opcode.FEED_WEIGHT, {"base": 127}, "feed weight unit): writes the weight buffer to "),
        (Opcode.GEMM, {"last_cols": 5}, "last_cols is 5: must be 1 to 4"),
        (Opcode.GEMM, {"last_k": 5}, "last_k is 5: must be 1 to 4"),
        (Opcode.GEMM, {"accumulator_base": 63}, "array unit): writes the accumulator buffer to "),
        (Opcode.DRAIN, {"base": 63}, "drain unit): reads the accumulator buffer to "),
        (Opcode.DRAIN, {"last_cols": 5}, "last_cols is 5: must be 1 to 4"),
        (
            Opcode.DRAIN,
            {"panel_wait": 1},
            "semaphore 1: drain and feed activation unit wait on it: must be one unit",
        ),
        (Opcode.STORE, {"address": 10_000}, "writes the memory to "),
    ],
)
def test_limits_of_commands(small: Case, opcode: Opcode, change: dict[str, int], line: str) -> None:
    lines = broken(small, changed(small.program.commands, first(small, opcode), **change))
    assert any(line in told for told in lines), lines


def test_the_program_is_not_overwritten(small: Case) -> None:
    index = first(small, Opcode.STORE)
    address = small.program.program_address
    lines = broken(small, changed(small.program.commands, index, address=address))
    assert lines[0].startswith(f"command {index} (STORE, store unit) writes memory words {address} to ")
    assert ": the program lies in " in lines[0]


def test_no_word_is_read_that_nothing_has_written(small: Case) -> None:
    die = CheckedDie(die=DIE, memory=MEMORY)
    assert die_violations(die, changed(STORED, 1, base=1)) == [
        "command 1 (STORE, store unit) reads scratchpad word 1, which nothing has written"
    ]
    # Word 200 is part of the result, which no STORE has written yet.
    lines = broken(small, changed(small.program.commands, first(small, Opcode.LOAD), address=200))
    assert "command 1 (LOAD, load unit) reads memory word 200, which nothing has written" in lines


def test_what_blocks_is_named(small: Case) -> None:
    index = first(small, Opcode.GEMM)
    lines = broken(small, changed(small.program.commands, index, wait_0=63))
    name = f"the program blocks: command {index} (GEMM, array unit): step 0 of "
    assert any(line.startswith(name) and line.endswith("waits for ever for semaphore 63") for line in lines)


def test_a_full_queue_holds_up_what_comes_behind() -> None:
    """Two loads wait for a feed that comes third: right with room for both, and blocked without."""
    load = {"rows": 1, "words": 1, "wait_0": 1}
    feed = {"rows": 1, "cols": 1, "words": 1, "post_0": 1}
    commands = [
        Command(Opcode.LOAD, {"rows": 1, "words": 1, "post_0": 2}),
        Command(Opcode.LOAD, {**load, "base": 1}),
        Command(Opcode.LOAD, {**load, "base": 2, "wait_0": 3}),
        Command(Opcode.FEED_ACTIVATION, {**feed, "wait_0": 2, "post_1": 3}),
    ]
    roomy = CheckedDie(die=DIE.model_copy(update={"queue_depth": 3}), memory=MEMORY)
    assert die_violations(roomy, commands) == []
    tight = CheckedDie(die=DIE.model_copy(update={"queue_depth": 2}), memory=MEMORY)
    assert die_violations(tight, [commands[1], commands[2], commands[0], commands[3]]) == [
        "the program blocks: command 0 (LOAD, load unit): step 0 of 1 waits for ever for semaphore 1",
        "the program blocks: command 2: the queue of the load unit stays full",
    ]


STORED = [
    Command(Opcode.LOAD, {"rows": 1, "words": 1, "post_0": 1}),
    Command(Opcode.STORE, {"rows": 1, "words": 1, "address": 9, "wait_0": 1}),
]


def test_set() -> None:
    die = CheckedDie(die=DIE, memory=MEMORY)

    def set_first(**fields: int) -> list[str]:
        return die_violations(die, [Command(Opcode.SET, fields), *STORED])

    assert set_first(semaphore_0=2, value_0=7) == []
    assert set_first(semaphore_0=2, value_0=7, post_0=1) == [
        "command 0 (SET, command processor): post_0 is 1, which a SET neither takes nor posts: must be 0"
    ]
    assert "must name them in its first places" in set_first(semaphore_1=2)[0]
    assert "must name them in its first places" in set_first()[0]
    late = [*STORED, Command(Opcode.SET, {"semaphore_0": 1, "value_0": 1})]
    assert die_violations(die, late) == [
        "command 2 (SET, command processor): gives semaphore 1 a value, which an earlier command uses: must come before"
    ]
    # A value in place of a post: the store no longer waits for the load.
    _, line = set_first(semaphore_0=1, value_0=1)
    assert line == (
        "command 1 (LOAD, load unit) writes scratchpad word 0, which command 2 (STORE, store unit) reads: no semaphore "
        "keeps them in order"
    )


def test_a_semaphore_that_may_count_too_far() -> None:
    """A semaphore at its largest value is posted once more, unless that waits for the unit that takes it."""
    start = Command(Opcode.SET, {"semaphore_0": 1, "value_0": (1 << 16) - 1})
    store = Command(Opcode.STORE, {"rows": 1, "words": 1, "address": 1, "wait_0": 1, "post_0": 2})
    load = Command(Opcode.LOAD, {"rows": 1, "words": 1, "base": 1, "post_0": 1})
    die = CheckedDie(die=DIE, memory=MEMORY, scratchpad_written=True)
    assert die_violations(die, [start, store, load]) == [
        "semaphore 1: may count to 65536: must be at most 65535"
    ]
    behind = replace(load, fields={**load.fields, "wait_0": 2})
    assert die_violations(die, [start, store, behind]) == []


def test_units_that_a_die_has_not() -> None:
    send = Command(Opcode.SEND, {"chunks": 1, "flits": 1, "own": 1})
    vector = Command(Opcode.VECTOR, {"rows": 1, "cols": 1, "result": 1})
    int8 = CheckedDie(die=DIE.model_copy(update={"dtype": "int8"}), memory=MEMORY)
    assert die_violations(int8, [send]) == [
        "command 0 (SEND, send north unit): needs an engine, which the die does not have"
    ]
    assert die_violations(int8, [vector]) == [
        "command 0 (VECTOR, vector unit): needs a vector unit, which a die with int8 operands does not have"
    ]
    with_engine = CheckedDie(die=DIE, memory=MEMORY, nop=NopSpec(), scratchpad_written=True)
    assert die_violations(with_engine, [send]) == []


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"op1": 6}, "op1 is 6: must be 0 to 5"),
        ({"function": 7}, "function is 7: must be 0 to 5"),
        ({"op2": 5}, "op2 is 5: must be 0 to 4"),
        ({"reduction": 3}, "reduction is 3: must be 0 to 2"),
        ({"result": 3}, "result is 3: must be 0 to 2"),
        ({"result": 0}, "result and reduction are 0: must write something"),
        ({"y": 1}, "writes scratchpad words 1 to 2 while it reads 0 to 1: must lie apart"),
        ({"reduction": 1}, "writes scratchpad words 0 to 0 while it reads 0 to 1: must lie apart"),
    ],
)
def test_limits_of_vector_passes(fields: dict[str, int], line: str) -> None:
    """A pass may write over its operand, element by element, and nothing else of it."""
    in_place = {"rows": 2, "cols": 8, "a_spread": 3, "a_pitch": 1, "result": 1, "y_pitch": 1}
    die = CheckedDie(die=DIE, memory=MEMORY, scratchpad_written=True)
    assert die_violations(die, [Command(Opcode.VECTOR, in_place)]) == []
    (told,) = die_violations(die, [Command(Opcode.VECTOR, {**in_place, **fields})])
    assert told.endswith(line)


def test_sums_stay_out_of_the_adders() -> None:
    """A panel that adds to sums right behind the one that made them begins at their first address."""
    one = {
        "m": 8,
        "activation_pitch": 8,
        "weight_pitch": 4,
        "k_tiles": 1,
        "last_k": 4,
        "panels": 1,
        "last_cols": 4,
    }
    fed = [
        Command(Opcode.LOAD, {"rows": 12, "words": 1, "pitch": 1, "post_0": 1, "post_1": 2}),
        Command(
            Opcode.FEED_ACTIVATION,
            {"rows": 8, "cols": 4, "words": 1, "pitch": 8, "source_pitch": 1, "wait_0": 1, "post_0": 3},
        ),
        Command(
            Opcode.FEED_WEIGHT,
            {
                "rows": 4,
                "cols": 4,
                "words": 1,
                "pitch": 4,
                "source": 8,
                "source_pitch": 1,
                "wait_0": 2,
                "post_0": 4,
            },
        ),
        Command(Opcode.GEMM, {**one, "wait_0": 3, "wait_1": 4}),
    ]
    die = CheckedDie(die=DIE.model_copy(update={"accumulator_bytes": 1024}), memory=MEMORY)
    for base, lines in ((0, 0), (4, 0), (5, 1)):
        second = Command(Opcode.GEMM, {**one, "m": 3, "accumulate": 1, "accumulator_base": base})
        told = die_violations(die, [*fed, second])
        assert len(told) == lines
        assert all("they may still be in the adders" in line for line in told)


def test_memory_that_is_stored_and_loaded_again() -> None:
    die = CheckedDie(die=DIE, memory=MEMORY, inputs=[range(1)])
    again = Command(Opcode.LOAD, {"rows": 1, "words": 1, "address": 9, "base": 1})
    lines = die_violations(die, [*STORED, again])
    name = "command 1 (STORE, store unit)"
    assert (
        f"{name} writes memory word 9, which command 2 (LOAD, load unit) reads: no semaphore keeps them in order"
        in (lines)
    )
    waits = [STORED[0], changed(STORED, 1, post_0=2)[1], replace(again, fields={**again.fields, "wait_0": 2})]
    assert die_violations(die, waits) == []


def test_posts_of_several_units_stand_in_for_each_other() -> None:
    """Two units post a semaphore: after one take nobody knows which one has ended, after two both have."""
    commands = [
        Command(Opcode.LOAD, {"rows": 1, "words": 1, "post_0": 1, "post_1": 2}),
        Command(Opcode.FEED_ACTIVATION, {"rows": 1, "cols": 1, "words": 1, "wait_0": 1, "post_0": 3}),
        Command(Opcode.FEED_WEIGHT, {"rows": 1, "cols": 1, "words": 1, "wait_0": 2, "post_0": 3}),
    ]
    die = CheckedDie(die=DIE, memory=MEMORY)
    gemm = {"m": 1, "k_tiles": 1, "last_k": 1, "panels": 1, "last_cols": 1}
    second = Command(Opcode.GEMM, {**gemm, "wait_0": 3})
    wait = Command(Opcode.LOAD, {"rows": 1, "words": 1, "base": 5})
    lines = die_violations(die, [*commands, second, wait])
    assert len(lines) == 2
    assert "activation address 0" in lines[0]
    twice = Command(Opcode.GEMM, {**gemm, "panels": 1, "wait_0": 3, "accumulator_base": 8})
    # The first of these reads what the second one waits for, as well.
    assert len(die_violations(die, [*commands, second, twice])) == 2


def test_the_first_violation_is_told_and_the_others_are_counted(small: Case) -> None:
    commands = [
        replace(command, fields={**command.fields, "base": 4000})
        if command.opcode == Opcode.LOAD
        else command
        for command in small.program.commands
    ]
    lines = die_violations(checked(small), commands)
    assert len(lines) > 2
    with pytest.raises(ValueError, match="the program breaks what it must keep: ") as error:
        check_program(checked(small), commands)
    told = f"the program breaks what it must keep: {lines[0]}; and {len(lines) - 1} more"
    assert str(error.value) == told


def test_of_a_long_program_the_first_commands_are_ordered(small: Case) -> None:
    commands = small.program.commands
    index = first(small, Opcode.FEED_ACTIVATION, -1)
    late = changed(commands, index, row_wait=0)
    assert die_violations(checked(small), late)
    assert die_violations(checked(small), late, ordered=20) == []

"""Semaphores of steps: programs that the checker accepts, with the same result in every order; and no wait too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import NopSpec, PackageSpec, SystemSpec
from cosim.compile.operators.line_steps import DieCollective, collective_steps
from cosim.compile.ordering.die_steps import DieStep, Unit
from cosim.compile.ordering.semaphores import Relay, semaphore_table, with_semaphores
from cosim.golden.interpreter import Interpreter
from cosim.golden.package_interpreter import run_package
from cosim.program.checker.die_checker import CheckedDie, die_violations
from cosim.program.checker.package_checker import check_package
from cosim.program.checker.package_run import Grid
from cosim.program.command import Command
from cosim.program.line_commands import PACKAGE_ORIGIN, LineCollective
from nop.collectives import OPS
from rtl.interface.isa import Opcode, Side
from rtl.interface.vector_operations import Spread
from tests.cosim.compile.model import places_after
from tests.cosim.compile.ordering.random_steps import (
    ACCESSES,
    DIE,
    MEMORY,
    MEMORY_WORDS,
    RELAY_WORD,
    SLOT_WORDS,
    RandomSteps,
    step,
)

CHECKED = CheckedDie(die=DIE, memory=MEMORY, nop=NopSpec(), memory_words=MEMORY_WORDS)
RELAY = Relay(RELAY_WORD, 0)


def program(steps: Sequence[DieStep], relay: Relay | None = RELAY) -> list[Command]:
    return with_semaphores(steps, relay=relay)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 60), st.booleans(), st.sampled_from([63, 40]))
def test_the_checker_accepts_and_every_order_gives_the_same(
    seed: int, count: int, engine: bool, numbers: int
) -> None:
    commands = with_semaphores(RandomSteps(seed, engine=engine).steps(count), relay=RELAY, numbers=numbers)
    assert die_violations(CHECKED, commands) == []
    assert max(semaphore_table(commands), default=0) <= numbers
    right, tokens = places_after(commands, DIE, ACCESSES)
    assert not any(tokens)
    for number in range(3):
        assert places_after(commands, DIE, ACCESSES, Random(seed + number)) == (right, tokens)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_every_order_of_the_interpreter_leaves_the_same_bits(seed: int) -> None:
    commands = program(RandomSteps(seed).steps(40))
    values = np.random.default_rng(seed).normal(size=MEMORY_WORDS * 2).astype("<f4")
    left = []
    for number in range(4):
        die = Interpreter(die=DIE, memory=MEMORY, words=MEMORY_WORDS)
        die.write_memory(0, values.tobytes())
        run_package(package(1), [die], [commands], order=Random(number).randrange)
        left.append((die.read_memory(0, MEMORY_WORDS), die.scratchpad.values.tobytes()))
        assert not any(die.semaphores)
    assert left == left[:1] * len(left)


def package(cols: int) -> SystemSpec:
    return SystemSpec(die=DIE, memory=MEMORY, nop=NopSpec(), package=PackageSpec(rows=1, cols=cols))


def line_of_collectives(place: int, random: Random, count: int) -> list[DieStep]:
    """Collectives of three dies on chunks of 4 words, which are loaded before and stored behind."""
    steps: list[DieStep] = []
    for group in range(count):
        slot = random.randrange(3)
        op = random.choice(OPS)
        if random.random() < 0.7 or not any(step.fields.get("base") == slot * SLOT_WORDS for step in steps):
            steps.append(copy(Opcode.LOAD, slot, random.randrange(3) * SLOT_WORDS))
        work = LineCollective(op, "chain", 3, 4, slot * SLOT_WORDS, 4)
        collective = DieCollective(
            work=work, axis="row", place=place, first=0, own=None, group=group, label=op
        )
        steps += collective_steps(collective, package(3))
        steps.append(copy(Opcode.STORE, slot, (3 + group) * SLOT_WORDS))
    return steps


@pytest.mark.parametrize("seed", range(6))
def test_collectives_behind_each_other_do_not_block_and_leave_the_same_bits(seed: int) -> None:
    programs = [program(line_of_collectives(place, Random(seed), 5)) for place in range(3)]
    checked = CheckedDie(die=DIE, memory=MEMORY, nop=NopSpec())
    check_package(Grid(1, 3, PACKAGE_ORIGIN), [checked] * 3, programs)
    left = []
    for number in range(4):
        dies = [Interpreter(die=DIE, memory=MEMORY, words=MEMORY_WORDS) for _ in range(3)]
        for place, die in enumerate(dies):
            values = np.random.default_rng([seed, place]).normal(size=3 * SLOT_WORDS * 2).astype("<f4")
            die.write_memory(0, values.tobytes())
        run_package(package(3), dies, programs, order=Random(number).randrange)
        left.append([die.read_memory(0, MEMORY_WORDS) for die in dies])
        assert not any(any(die.semaphores) for die in dies)
    assert left == left[:1] * len(left)


def test_hardly_a_wait_is_too_many() -> None:
    """Without one of them the checker finds accesses that are not in order, or a program that blocks.

    A wait that was given to a command before may tell more than later ones count on: then another one is too many.
    """
    missed = []
    total = 0
    for seed in range(6):
        commands = program(RandomSteps(seed, engine=True).steps(20))
        for number, command in enumerate(commands):
            for name in waits_of(command):
                changed = list(commands)
                changed[number] = replace(command, fields={**command.fields, name: 0})
                total += 1
                if not die_violations(CHECKED, changed):
                    missed.append((seed, number, name))
    assert total > 100
    assert len(missed) <= total // 50, missed


def copy(opcode: Opcode, slot: int, address: int = 0) -> DieStep:
    fields = {"base": slot * SLOT_WORDS, "pitch": SLOT_WORDS, "rows": 1, "words": SLOT_WORDS}
    return step(opcode, **fields, address=address, memory_pitch=SLOT_WORDS)


def send(slot: int, side: Side, **fields: int) -> DieStep:
    place = {"base": slot * SLOT_WORDS, "pitch": 4, "chunks": 3, "flits": 4}
    return step(Opcode.SEND, side=side, **place, own=3, target=1, **fields)


def waits_of(command: Command) -> list[str]:
    return [name for name, value in command.fields.items() if "wait" in name and value]


def test_a_read_waits_for_the_write_and_a_write_for_the_reads() -> None:
    commands = program([copy(Opcode.LOAD, 0), copy(Opcode.STORE, 0, 40), copy(Opcode.LOAD, 0, 20)])
    assert [waits_of(command) for command in commands] == [[], ["wait_0"], ["wait_0"]]
    load, store = Unit(Opcode.LOAD), Unit(Opcode.STORE)
    assert set(semaphore_table(commands).values()) == {((load,), store), ((store,), load)}


def test_memory_words_are_places_too() -> None:
    commands = program([copy(Opcode.LOAD, 0), copy(Opcode.STORE, 0, 40), copy(Opcode.LOAD, 1, 45)])
    assert [waits_of(command) for command in commands] == [[], ["wait_0"], ["wait_0"]]
    apart = program([copy(Opcode.LOAD, 0), copy(Opcode.STORE, 0, 40), copy(Opcode.LOAD, 1, 52)])
    assert waits_of(apart[2]) == []


def test_what_is_known_is_not_waited_for_again() -> None:
    stores = [copy(Opcode.STORE, slot, 40) for slot in (2, 1, 0)]
    commands = program([*(copy(Opcode.LOAD, slot) for slot in range(3)), *stores])
    assert [waits_of(command) for command in commands[3:]] == [["wait_0"], [], []]


def test_panels_are_taken_one_by_one() -> None:
    made = (RandomSteps(seed) for seed in range(100))
    steps = next(steps for of in made if (steps := [*of.copy_in(), *of.multiply()])[-1].panels > 1)
    gemm, drain = program(steps)[-2:]
    assert gemm.fields["panel_post"] == drain.fields["panel_wait"] > 0
    assert waits_of(drain) == ["panel_wait"]
    assert die_violations(CHECKED, program(steps)) == []
    with pytest.raises(ValueError, match=r"DRAIN of a step: its \d panels must be all of a GEMM"):
        program([*steps[:-2], steps[-1]])
    with pytest.raises(ValueError, match=r"GEMM of a step: its \d panels must be all of a GEMM"):
        program([*steps[:-1], *RandomSteps(0).copy_in(), steps[-1]])


def test_a_relay_waits_for_more_than_a_command_can() -> None:
    """Four send units read a block: a LOAD to its place waits for one of them, and the vector unit for the rest."""
    reads = [send(0, side) for side in Side]
    steps = [copy(Opcode.LOAD, 0), *reads, copy(Opcode.LOAD, 0, 20)]
    commands = program(steps)
    assert (
        [command.opcode for command in commands].count(Opcode.VECTOR) == len(commands) - len(steps) - 1 == 1
    )
    assert die_violations(CHECKED, commands) == []
    with pytest.raises(ValueError, match="^LOAD of a step waits for SEND, SEND, SEND: there is no field"):
        program(steps, relay=None)
    with pytest.raises(ValueError, match="^LOAD of a step uses word 5 of the relay"):
        program(steps, relay=Relay(5, 0))


def test_words_that_a_send_reads_ahead_are_waited_for_before() -> None:
    """It keeps ``ahead`` where a command before it can wait, and loses it otherwise."""
    steps = [
        copy(Opcode.LOAD, 0),
        send(0, Side.EAST, ahead=1),
        copy(Opcode.LOAD, 1),
        send(1, Side.EAST, ahead=1),
    ]
    alone = program(steps)
    assert [command.fields["ahead"] for command in alone if command.opcode == Opcode.SEND] == [0, 0]
    together = program([steps[0], steps[2], steps[1], steps[3]])
    assert [command.fields["ahead"] for command in together[2:]] == [0, 1]
    assert die_violations(CHECKED, alone) == die_violations(CHECKED, together) == []


def test_numbers_that_do_not_suffice_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs of units wait for each other: there are 3 semaphores$"):
        with_semaphores(RandomSteps(1).steps(40), numbers=3)


def grouped(group: int, *, posts: Side = Side.WEST) -> list[DieStep]:
    """A RECEIVE that hands words to a SEND, as a group."""
    place = {"base": group * SLOT_WORDS, "pitch": 4, "chunks": 1, "flits": 4}
    taken = step(Opcode.RECEIVE, side=posts, **place)
    sent = step(Opcode.SEND, side=Side.EAST, target=1, **place)
    return [
        replace(taken, group=group, local={"word_post": "words"}),
        replace(sent, group=group, local={"word_wait": "words"}),
    ]


def test_a_group_orders_itself_and_later_groups_share_its_numbers() -> None:
    commands = program([*grouped(0), *grouped(1), copy(Opcode.STORE, 0, 40)][:4])
    assert [waits_of(command) for command in commands] == [[], ["word_wait"]] * 2
    assert len(semaphore_table(commands)) == 1
    other = program([*grouped(0), *grouped(1, posts=Side.NORTH)])
    assert len(semaphore_table(other)) == 2
    alone = grouped(0)[:1]
    with pytest.raises(ValueError, match="^local semaphore words: 1 units post it and 0 wait on it: must be"):
        program(alone)


def test_what_a_group_covers_is_waited_for_by_all_of_it() -> None:
    """The group's SEND reads words behind a SEND of the same side that is not of it: its RECEIVE waits for that one."""
    first = send(0, Side.EAST)
    place = {"base": 0, "pitch": 4, "chunks": 3, "flits": 4}
    sent = replace(send(0, Side.EAST), group=1, local={"post_0": "sent"})
    taken = step(Opcode.RECEIVE, side=Side.WEST, **place)
    taken = replace(taken, group=1, local={"wait_0": "sent"})
    commands = program([copy(Opcode.LOAD, 0), first, sent, taken])
    send_east, receive_west = Unit(Opcode.SEND, Side.EAST), Unit(Opcode.RECEIVE, Side.WEST)
    assert commands[1].fields["post_0"] == commands[3].fields["wait_1"]
    assert semaphore_table(commands)[commands[1].fields["post_0"]] == ((send_east,), receive_west)


def posters_of(commands: Sequence[Command], opcode: Opcode) -> set[Opcode]:
    """Who posts what commands of an opcode wait for."""
    table = semaphore_table(commands)
    return {unit.opcode for of in table.values() if of.waits.opcode == opcode for unit in of.posts}


def test_units_of_a_group_do_not_wait_for_each_other() -> None:
    """A LOAD has two posts, and no send unit is to wait for another one: relays in front of the group tell them."""
    sends = [replace(send(0, side), group=1) for side in Side]
    steps = [copy(Opcode.LOAD, 0), *sends]
    commands = program(steps)
    assert posters_of(commands, Opcode.SEND) == {Opcode.VECTOR}
    assert [command.opcode for command in commands[-4:]] == [Opcode.SEND] * 4
    assert die_violations(CHECKED, commands) == []
    with pytest.raises(ValueError, match="^SEND of a step waits for LOAD: there is no field"):
        program(steps, relay=None)


def test_a_relay_behind_a_pass_tells_those_that_it_has_no_post_for() -> None:
    fields = {
        "a": 0,
        "a_pitch": 2,
        "a_spread": int(Spread.MATRIX),
        "a_bf16": 1,
        "y": SLOT_WORDS,
        "y_pitch": 2,
    }
    made = step(Opcode.VECTOR, **fields, result=2, rows=6, cols=8)
    sends = [send(1, side) for side in Side]
    commands = program([copy(Opcode.LOAD, 0), made, *sends])
    assert posters_of(commands, Opcode.SEND) == {Opcode.VECTOR}
    assert [command.opcode for command in commands].count(Opcode.VECTOR) == 2
    assert Opcode.SEND in posters_of(program([copy(Opcode.LOAD, 0), made, *sends], relay=None), Opcode.SEND)


def test_groups_are_not_interrupted() -> None:
    first, second = grouped(0)
    with pytest.raises(
        ValueError, match="^group 0: other steps are between its steps: must be one behind the other"
    ):
        program([first, copy(Opcode.LOAD, 1), second])

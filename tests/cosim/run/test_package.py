"""Phases of a package: fetch at the rate of docs/network.md, and what the host writes and reads between phases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.backends.registry import backend
from cosim.jobs.package import Region
from cosim.observe.observation import NOTHING
from cosim.program.command import Command
from cosim.program.layout import Places
from cosim.program.package import DieWork
from cosim.program.scratchpad_copies import words_from_scratchpad, words_to_scratchpad
from cosim.run.package import prepare
from rtl.interface.io_dies import io_die_of
from rtl.interface.isa import Opcode
from tests.simulators import is_installed

DOCS = Path(__file__).parents[3] / "docs/network.md"
FEW, MANY = 8, 136
"""Commands of two programs: the difference of their cycles is that of 128 commands, without start and end."""

NO_WORK = Command(Opcode.SET, {"semaphore_0": 1})
"""A command that no unit gets: it gives a semaphore the value that it has."""


def cycles_of_commands(flit_bits: int, *, dies: tuple[int, ...]) -> float:
    """Cycles of a command, fetched by each of ``dies`` of 1x2."""
    system = SystemSpec(
        die=DieSpec(rows=1, cols=1, dtype="int8", scratchpad_bytes=1024),
        nop=NopSpec(flit_bits=flit_bits),
        memory=MemorySpec(word_bytes=32, latency_cycles=20),
        package=PackageSpec(rows=1, cols=2, io="west"),
    )

    work = [
        DieWork(
            io_die=io_die_of(system, 0, die),
            image={},
            programs=[[NO_WORK] * count if die in dies else [] for count in (FEW, MANY)],
        )
        for die in range(2)
    ]
    assert {die.io_die for die in work} == {io_die_of(system, 0, 0)}
    prepared = prepare(
        system,
        ["few", "many"],
        work,
        Places(),
        backend("icarus"),
        NOTHING,
        direct=False,
        stall=0.0,
        interval=1,
        seed=1,
        title="fetch",
    )
    phases = prepared.run().phases
    few, many = (max(phases[name].counters[die]["cycles"] for die in dies) for name in ("few", "many"))
    return (many - few) / (MANY - FEW)


def test_a_program_is_fetched_at_the_documented_rate_where_it_is_quickest() -> None:
    check(256)


@pytest.mark.slow
@pytest.mark.parametrize("flit_bits", [64, 128])
def test_a_program_is_fetched_at_the_documented_rate(flit_bits: int) -> None:
    check(flit_bits)


def check(flit_bits: int) -> None:
    """Compare with the row of the table, to the last digit that it shows."""
    row = re.search(
        rf"^\| {flit_bits} \| (\d+) \| (\d+\.\d+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert row is not None
    assert int(row[1]) * flit_bits == 8 * MemorySpec(word_bytes=32).command_words * 32
    assert cycles_of_commands(flit_bits, dies=(1,)) == float(row[2])


@pytest.mark.slow
def test_dies_that_share_an_io_die_share_its_flits() -> None:
    stated = re.search(
        r"both dies of that row fetch in (\d+\.\d+) cycles\s+each with flits of 64 bits",
        DOCS.read_text(encoding="utf-8"),
    )
    assert stated is not None
    assert cycles_of_commands(64, dies=(0, 1)) == float(stated[1])


COPIED = 3
"""Words that a program copies: from ``SOURCE`` to ``TARGET``."""
SOURCE, TARGET = 5, 8


def copying_program() -> list[Command]:
    (load,) = words_to_scratchpad(address=SOURCE, base=0, words=COPIED)
    (store,) = words_from_scratchpad(address=TARGET, base=0, words=COPIED)
    return [
        Command(load.opcode, {**load.fields, "post_0": 1}),
        Command(store.opcode, {**store.fields, "wait_0": 1}),
    ]


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("cxxrtl", marks=pytest.mark.slow, id="cxxrtl")])
def test_the_host_writes_and_reads_between_phases_of_one_program(simulator: str) -> None:
    """The memory keeps what a phase stored, the host changes one word, and both can be seen in the next phase."""
    if not is_installed(simulator):
        pytest.skip(f"{simulator} is not installed")
    system = SystemSpec(
        die=DieSpec(rows=1, cols=1, dtype="int8", scratchpad_bytes=1024),
        nop=NopSpec(flit_bits=256),
        memory=MemorySpec(word_bytes=32, latency_cycles=20),
        package=PackageSpec(rows=1, cols=2, io="west"),
    )
    io_die = io_die_of(system, 0, 0)
    places = Places()
    places.take(io_die, TARGET + COPIED)
    program, initial = copying_program(), bytes(range(32 * COPIED))
    region = Region(io_die=io_die, address=TARGET, words=COPIED)
    work = [
        DieWork(
            io_die=io_die,
            image={SOURCE: initial},
            programs=[program] * 3,
            writes=[{}, {SOURCE + 1: b"\xaa" * 32}],
            reads=[[region], [], [region, Region(io_die=io_die, address=SOURCE, words=1)]],
        ),
        DieWork(io_die=io_die, image={}, programs=[[]] * 3),
    ]
    prepared = prepare(
        system,
        ["first", "second", "third"],
        work,
        places,
        backend(simulator),
        NOTHING,
        direct=False,
        stall=0.0,
        interval=1,
        seed=1,
        title="copies",
    )
    assert prepared.memory_words == TARGET + COPIED + len(program) * system.memory.command_words
    assert len({phase.programs[0].address for phase in prepared.phases}) == 1
    reads = prepared.run().reads
    changed = initial[:32] + b"\xaa" * 32 + initial[64:]
    assert [words.values for words in reads["first"][0]] == [initial]
    assert reads["second"] == [[], []]
    assert [words.values for words in reads["third"][0]] == [changed, initial[:32]]
    assert not any(any(words.undefined) for words in (*reads["first"][0], *reads["third"][0]))
    assert reads["third"][1] == []

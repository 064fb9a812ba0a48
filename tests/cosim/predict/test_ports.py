"""Ports that units share: who has a bank of the scratchpad, or the memory port, in which cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chiplet.machine.specs import MemorySpec
from chiplet.machine.terms import DieTerms
from cosim.predict.clock import Clock, Unit
from cosim.predict.ports import (
    MemoryPortTimes,
    ScratchpadBanks,
    ScratchpadReader,
    ScratchpadWriter,
    bench_memory_port,
)

Port = ScratchpadReader | ScratchpadWriter


def cycles_of(wanted: Mapping[Any, Sequence[int]], *, banks: int = 4) -> dict[str, list[int]]:
    """Cycles in which each port has its words, if all begin together."""
    clock = Clock()
    shared = ScratchpadBanks(clock, banks)
    had: dict[str, list[int]] = {port.name: [] for port in wanted}

    def read(port: Port, words: Sequence[int]) -> Unit:
        for word in words:
            yield from shared.access(port, word)
            had[port.name].append(int(clock.now))
            yield clock.now + 1

    for port, words in wanted.items():
        clock.start(read(port, words))
    clock.run()
    return had


def test_ports_take_turns_whoever_asked_first() -> None:
    words = {ScratchpadReader.STORE: [0, 4, 8], ScratchpadReader.FEED_WEIGHT: [4, 8, 12]}
    # Port 0 counts as the last one, so that the feed of weights is next.
    assert cycles_of(words) == {"STORE": [1, 3, 5], "FEED_WEIGHT": [0, 2, 4]}


def test_ascending_addresses_collide_once() -> None:
    words = {ScratchpadReader.FEED_ACTIVATION: [0, 1, 2, 3], ScratchpadReader.STORE: [4, 5, 6, 7]}
    assert cycles_of(words) == {"FEED_ACTIVATION": [1, 2, 3, 4], "STORE": [0, 1, 2, 3]}


def test_readers_of_one_word_get_it_together() -> None:
    words = {ScratchpadReader.FEED_ACTIVATION: [5], ScratchpadReader.STORE: [5]}
    assert cycles_of(words) == {"FEED_ACTIVATION": [0], "STORE": [0]}


def test_writers_of_one_word_do_not() -> None:
    words = {ScratchpadWriter.LOAD: [5], ScratchpadWriter.DRAIN: [5]}
    assert cycles_of(words) == {"LOAD": [1], "DRAIN": [0]}


def test_a_bank_reads_and_writes_in_one_cycle() -> None:
    assert cycles_of({ScratchpadReader.STORE: [0], ScratchpadWriter.LOAD: [0]}) == {"STORE": [0], "LOAD": [0]}


def requests(clock: Clock, port: MemoryPortTimes, taken: dict[str, list[int]], name: str, count: int) -> Unit:
    for _ in range(count):
        yield from port.ask(name)
        taken.setdefault(name, []).append(int(clock.now))
        yield clock.now + 1


def test_fetch_comes_first_then_load_and_store_in_turn() -> None:
    clock = Clock()
    memory = MemorySpec()
    port = bench_memory_port(clock, memory, DieTerms(), 1)
    taken: dict[str, list[int]] = {}
    for name in ("load", "store", "fetch"):
        clock.start(requests(clock, port, taken, name, 2))
    clock.run()
    assert taken == {"fetch": [0, 1], "store": [2, 4], "load": [3, 5]}


def test_a_request_that_memory_does_not_take_yet_is_kept() -> None:
    clock = Clock()
    port = bench_memory_port(clock, MemorySpec(), DieTerms(), 3)
    taken: dict[str, list[int]] = {}
    clock.start(requests(clock, port, taken, "fetch", 3))
    clock.run()
    # The second one leaves its unit in cycle 1 and the die in cycle 3; the third one leaves its unit after it.
    assert taken == {"fetch": [0, 1, 4]}


def test_a_memory_full_of_words_takes_no_write() -> None:
    clock = Clock()
    memory = MemorySpec(latency_cycles=10)
    port = MemoryPortTimes(clock, memory, DieTerms(), 1, places=2)
    taken: dict[str, list[int]] = {}

    def words() -> Unit:
        for _ in range(2):
            yield from port.word("fetch")
            port.take_word()
            yield clock.now + 1

    clock.start(requests(clock, port, taken, "fetch", 2))
    clock.start(requests(clock, port, taken, "store", 1), 2)
    clock.start(words())
    clock.run()
    # The arbiter keeps the write; memory takes it a cycle after its first word has left.
    assert taken == {"fetch": [0, 1], "store": [2]}
    assert port.last_write == 11

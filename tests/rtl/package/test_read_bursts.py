# amaranth: UnusedElaboratable=no
"""Reads that wait become bursts: each read once, those of a die in order, as AXI4 allows them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rtl.package.read_bursts import ReadBursts, burst_layout, read_layout
from tests.rtl.harness import put, receive, simulate

ADDRESS_BITS, ID_BITS = 16, 3
WIDTHS = {"address_bits": ADDRESS_BITS, "id_bits": ID_BITS}


def table(*, entries: int, word_bytes: int, word_cycles: int) -> ReadBursts:
    return ReadBursts(entries=entries, word_bytes=word_bytes, word_cycles=word_cycles, **WIDTHS)


def run(
    dut: ReadBursts, reads: list[tuple[int, int]], *, chance: float, seed: int
) -> list[tuple[int, int, int]]:
    """Put reads, each an id and a word, in; return the bursts: id, first word, words."""
    bursts: list[tuple[int, int, int]] = []

    async def ask(ctx: Any) -> None:
        layout = read_layout(**WIDTHS)
        await put(ctx, dut.i, [layout.const({"id": id_, "address": word}).as_bits() for id_, word in reads])

    async def take(ctx: Any) -> None:
        number = 0
        while sum(words for _, _, words in bursts) < len(reads):
            burst = burst_layout(**WIDTHS).from_bits(
                await receive(ctx, dut.o, chance=chance, seed=seed + number)
            )
            bursts.append((burst.id, burst.address, burst.length + 1))
            number += 1

    simulate(dut, ask, take)
    return bursts


@pytest.mark.parametrize(
    ("entries", "word_bytes", "word_cycles", "chance"), [(1, 32, 4, 1.0), (4, 128, 1, 0.2), (3, 4, 7, 0.1)]
)
def test_each_read_leaves_once_and_those_of_a_die_in_order(
    entries: int, word_bytes: int, word_cycles: int, chance: float
) -> None:
    coin = Random(entries)
    page = 4096 // word_bytes
    words = {id_: coin.randrange(1 << ADDRESS_BITS) for id_ in range(3)}
    reads = []
    for _ in range(300):
        id_ = coin.randrange(3)
        jump = coin.random() < 0.1
        words[id_] = coin.choice([0, page - 2, coin.randrange(1 << ADDRESS_BITS)]) if jump else words[id_] + 1
        words[id_] %= 1 << ADDRESS_BITS
        reads.append((id_, words[id_]))
    bursts = run(
        table(entries=entries, word_bytes=word_bytes, word_cycles=word_cycles), reads, chance=chance, seed=1
    )
    for id_ in range(3):
        single = [word + n for one, word, count in bursts if one == id_ for n in range(count)]
        assert single == [word for one, word in reads if one == id_]
    assert all(word // page == (word + count - 1) // page for _, word, count in bursts)
    assert len(bursts) < len(reads)


def test_a_burst_has_at_most_256_words() -> None:
    bursts = run(
        table(entries=2, word_bytes=4, word_cycles=1), [(1, n) for n in range(700)], chance=0.003, seed=3
    )
    assert max(count for _, _, count in bursts) == 256


def test_a_read_that_comes_when_no_word_is_due_leaves_at_once() -> None:
    """Then as many cycles pass as its word takes, and what has come meanwhile is one burst."""
    dut = table(entries=2, word_bytes=32, word_cycles=3)
    left: list[tuple[int, int]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        for cycle in range(20):
            ctx.set(dut.i.valid, cycle < 6)
            ctx.set(dut.i.payload, read_layout(**WIDTHS).const({"address": cycle}).as_bits())
            assert cycle >= 6 or ctx.get(dut.i.ready)
            if ctx.get(dut.o.valid):
                left.append((cycle, burst_layout(**WIDTHS).from_bits(ctx.get(dut.o.payload)).length + 1))
            await ctx.tick()

    simulate(dut, bench)
    assert left == [(0, 1), (3, 2), (9, 3)]


@pytest.mark.parametrize("word_cycles", [1, 3])
def test_memory_that_takes_an_address_with_the_last_word_delays_no_word(word_cycles: int) -> None:
    """It begins a burst when it is asked, with a word a cycle. So no word is later than the link could carry it."""
    dut = table(entries=2, word_bytes=32, word_cycles=word_cycles)
    words = 24
    begun: list[tuple[int, int]] = []  # cycle and words of each burst

    async def bench(ctx: Any) -> None:
        asked = beats = 0
        for cycle in range((words + 1) * word_cycles):
            ctx.set(dut.i.valid, asked < words)
            ctx.set(dut.i.payload, read_layout(**WIDTHS).const({"address": asked}).as_bits())
            valid, length = (
                ctx.get(dut.o.valid),
                burst_layout(**WIDTHS).from_bits(ctx.get(dut.o.payload)).length,
            )
            if valid and beats == 0:
                begun.append((cycle, length + 1))
            ctx.set(dut.o.ready, valid and beats == length)
            beats = beats + 1 if valid and beats < length else 0
            asked += asked < words and ctx.get(dut.i.ready)
            await ctx.tick()

    simulate(dut, bench)
    before = 0
    for cycle, count in begun:
        assert cycle == before * word_cycles
        before += count
    assert before == words

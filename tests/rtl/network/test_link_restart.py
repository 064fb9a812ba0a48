# amaranth: UnusedElaboratable=no
"""Link adapters that are reset, and links with bad lanes: nothing twice, nothing lost without a report."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from rtl.interface.link_shape import Lanes, LinkShape
from tests.rtl.harness import get, put, simulate
from tests.rtl.links import SIDES, Faults, LinkPair


def shape(phit_bits: int, flight_cycles: int, timeout_cycles: int = 2000) -> LinkShape:
    return LinkShape.fit(
        width=16, phit_bits=phit_bits, flight_cycles=flight_cycles, timeout_cycles=timeout_cycles
    )


class Ledger:
    """What one side sent and the other one received: words are numbered, and the numbers are the words."""

    def __init__(self) -> None:
        self.taken = 0
        self.delivered: list[int] = []
        self.reported: set[int] = set()

    def report(self, flits: int) -> None:
        """The last ``flits`` words taken may be lost."""
        self.reported |= set(range(self.taken - flits, self.taken))

    def check(self) -> None:
        """Each word was delivered once and in order, or is reported; the last ones are still on their way."""
        assert all(
            earlier < later for earlier, later in zip(self.delivered, self.delivered[1:], strict=False)
        )
        assert set(range(self.taken)) - set(self.delivered) <= self.reported
        assert len(self.reported) < self.taken


def run_with_resets(
    sizes: LinkShape, resets: int, faults: Faults, seed: int, longest: int = 40
) -> tuple[LinkPair, list[Ledger]]:
    """Reset one side or both, ``resets`` times, under traffic; check that nothing is wrong, twice or lost unsaid."""
    pair = LinkPair(sizes, sizes.flight_cycles)
    ledgers = [Ledger() for _ in SIDES]
    coin = Random(seed)
    rest = 3 * sizes.settle_cycles + 4 * sizes.round_trip_cycles

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, faults)
        held = [0, 0]
        until = 0
        done = 0
        cycle = 0
        strobes: list[Any] = []
        for side, port in enumerate(pair.ports):
            strobes += [port.i.valid & port.i.ready, port.o.valid & port.o.ready, port.o.payload]
            strobes += [port.pending, port.restarted, port.sent, pair.resets[side]]
        while done < resets or cycle < until:
            if done < resets and cycle >= until:
                done += 1
                both = coin.random() < 0.3
                first = coin.randrange(2)
                for side in SIDES:
                    if both or side == first:
                        held[side] = coin.choice([1, 2, coin.randint(1, longest)])
                until = cycle + (rest if done == resets else coin.choice([3, coin.randint(1, rest), rest]))
            for side, port in enumerate(pair.ports):
                ctx.set(pair.resets[side], held[side] > 0)
                held[side] = max(0, held[side] - 1)
                ctx.set(port.i.valid, not ctx.get(pair.resets[side]) and coin.random() < 0.8)
                ctx.set(port.i.payload, ledgers[side].taken)
                ctx.set(port.o.ready, not ctx.get(pair.resets[side]) and coin.random() < 0.8)
            _, _, *values = await ctx.tick().sample(*strobes)
            for side in SIDES:
                took, gave, word, pending, restarted, sent, reset = values[7 * side : 7 * side + 7]
                ledgers[side].taken += took
                if gave:
                    ledgers[1 - side].delivered.append(word)
                if restarted or reset:
                    ledgers[side].report(pending + sent)
            cycle += 1
        for side, port in enumerate(pair.ports):  # let what is on its way arrive
            ctx.set(port.i.valid, 0)
            ctx.set(port.o.ready, 1)
            ctx.set(pair.channels[side].faults.flip_rate, 0)
        for _ in range(rest + 20 * sizes.depth):
            _, _, *values = await ctx.tick().sample(*strobes)
            for side in SIDES:
                if values[7 * side + 1]:
                    ledgers[1 - side].delivered.append(values[7 * side + 2])
        for port in pair.ports:
            assert ctx.get(port.up)
            assert not ctx.get(port.dead)
            assert not ctx.get(port.pending)

    simulate(pair.module, bench, cycles=10_000_000)
    for ledger in ledgers:
        ledger.check()
    return pair, ledgers


@pytest.mark.parametrize(("phit_bits", "flight_cycles"), [(128, 0), (24, 3)])
def test_either_side_may_be_reset_at_any_moment(phit_bits: int, flight_cycles: int) -> None:
    run_with_resets(shape(phit_bits, flight_cycles), 12, Faults(), seed=phit_bits)


@pytest.mark.slow
@pytest.mark.parametrize("phit_bits", [128, 24])
@pytest.mark.parametrize("flight_cycles", [0, 5])
@pytest.mark.parametrize("flips", [0.0, 0.05])
def test_two_hundred_resets(phit_bits: int, flight_cycles: int, flips: float) -> None:
    sizes = shape(phit_bits, flight_cycles)
    faults = Faults(flips=flips / sizes.frame.longest_cycles, burst=255, seed=phit_bits + flight_cycles)
    run_with_resets(sizes, 200, faults, seed=flight_cycles)


@pytest.mark.parametrize(("phit_bits", "flight_cycles"), [(128, 0), (24, 5)])
def test_both_sides_run_within_the_stated_cycles(phit_bits: int, flight_cycles: int) -> None:
    """Benches of packages start programs after them."""
    sizes = shape(phit_bits, flight_cycles)
    pair = LinkPair(sizes, flight_cycles)

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(sizes.start_cycles)
        assert all(ctx.get(port.up) for port in pair.ports)

    simulate(pair.module, bench)


def test_a_long_reset_does_not_kill_the_link_and_what_was_in_flight_is_reported() -> None:
    sizes = shape(128, 1, timeout_cycles=60)
    pair = LinkPair(sizes, 1)

    async def bench(ctx: Any) -> None:
        ctx.set(pair.resets[1], 1)
        await pair.set_faults(ctx, Faults())
        await ctx.tick().repeat(200)  # from the start on: the time-out does not count before the first frame
        assert not ctx.get(pair.ports[0].dead)
        assert not ctx.get(pair.ports[0].up)
        ctx.set(pair.resets[1], 0)
        ctx.set(pair.ports[0].i.valid, 1)
        await ctx.tick().repeat(60)
        assert ctx.get(pair.ports[0].up)
        assert ctx.get(pair.ports[0].pending) == sizes.depth  # nobody takes what arrives
        ctx.set(pair.resets[1], 1)
        await ctx.tick().repeat(200)
        assert ctx.get(pair.ports[0].dead)
        assert ctx.get(pair.ports[0].lost) == sizes.depth
        assert not ctx.get(pair.ports[0].pending)
        ctx.set(pair.resets[1], 0)
        await ctx.tick().repeat(60)
        assert not ctx.get(pair.ports[0].dead)
        assert ctx.get(pair.ports[0].up)

    async def fresh(ctx: Any) -> None:
        await ctx.tick().repeat(510)
        ctx.set(pair.ports[0].i.valid, 0)
        await get(ctx, pair.ports[1].o, sizes.depth)
        await put(ctx, pair.ports[1].i, range(20))

    async def sink(ctx: Any) -> None:
        assert await get(ctx, pair.ports[0].o, 20) == list(range(20))

    simulate(pair.module, bench, fresh, sink, cycles=1500)


@pytest.mark.parametrize(
    ("phit_bits", "lanes"),
    [(128, {0: 0}), (128, {1: -3}), (24, {0: 2, 1: 20}), pytest.param(24, {0: 24}, marks=pytest.mark.slow)],
)
def test_a_bad_lane_costs_half_of_the_width_and_no_flit(phit_bits: int, lanes: dict[int, int]) -> None:
    sizes = shape(phit_bits, 1)
    pair = LinkPair(sizes, 1)

    def source(side: int) -> Any:
        async def bench(ctx: Any) -> None:
            await put(ctx, pair.ports[side].i, range(200 * side, 200 * side + 150))

        return bench

    def sink(side: int) -> Any:
        async def bench(ctx: Any) -> None:
            found = await get(ctx, pair.ports[1 - side].o, 150)
            assert found == list(range(200 * side, 200 * side + 150))

        return bench

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        await ctx.tick().repeat(40)
        for side, lane in lanes.items():
            ctx.set(pair.stuck[side], 1 << (lane % sizes.frame.lane_bits if lane < 0 else lane))
        await ctx.tick().repeat(30 * sizes.patience_cycles)
        for port in pair.ports:
            assert ctx.get(port.up)
            assert not ctx.get(port.dead)
            assert ctx.get(port.lost) == 0
            assert ctx.get(port.lanes) != Lanes.ALL
        for side, lane in lanes.items():
            if lane % sizes.wires < sizes.frame.lane_bits // 2:
                assert ctx.get(pair.ports[1 - side].lanes) == Lanes.UPPER
            elif lane < sizes.frame.lane_bits:
                assert ctx.get(pair.ports[1 - side].lanes) == Lanes.LOWER

    simulate(pair.module, bench, source(0), source(1), sink(0), sink(1), cycles=80 * sizes.patience_cycles)


@pytest.mark.parametrize(
    "lanes",
    [
        *({0: 2}, {0: 2, 1: 20}, {0: 20, 1: 20}, {1: 23}),
        *(
            pytest.param(lanes, marks=pytest.mark.slow)
            for lanes in ({0: 20}, {0: 2, 1: 2}, {0: 20, 1: 2}, {0: 0, 1: 11})
        ),
    ],
)
def test_a_good_half_is_found_before_a_time_out_that_covers_the_search(lanes: dict[int, int]) -> None:
    """With longer frames and a time-out that did not cover the search, links died while they looked for it."""
    patient = shape(24, 1)
    sizes = replace(patient, timeout_cycles=patient.search_cycles)
    pair = LinkPair(sizes, 1)

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        for port in pair.ports:
            ctx.set(port.i.valid, 1)
            ctx.set(port.o.ready, 1)
        await ctx.tick().repeat(60 + 3 * len(lanes) + sum(lanes.values()))
        for side, lane in lanes.items():
            ctx.set(pair.stuck[side], 1 << lane)
        for _ in range(sizes.search_cycles):
            await ctx.tick()
            for port in pair.ports:
                assert ctx.get(port.up)
                assert not ctx.get(port.dead)
        assert [ctx.get(port.lost) for port in pair.ports] == [0, 0]
        assert all(ctx.get(port.lanes) != Lanes.ALL for port in pair.ports)

    simulate(pair.module, bench, cycles=40 * sizes.patience_cycles)


@pytest.mark.parametrize(
    ("phit_bits", "flight_cycles", "lane", "payload"),
    [
        # The flag of the only flit that came through was always stuck, and the link died again and again.
        (128, 0, 17, (1 << 84) - 1),
        # Bad frames in a rhythm that costs more than half of the rate, but is none of most frames.
        (1024, 2, 9, 0),
        (1024, 0, 115, 0x5555),
        pytest.param(100, 1, 3, 0, marks=pytest.mark.slow),
    ],
)
def test_a_stuck_lane_shows_whatever_flits_repeat(
    phit_bits: int, flight_cycles: int, lane: int, payload: int
) -> None:
    """Flits, replays and inversions may fall into a rhythm in which most frames are good and flits do not come."""
    sizes = LinkShape.fit(width=84, phit_bits=phit_bits, flight_cycles=flight_cycles, timeout_cycles=10_000)
    pair = LinkPair(sizes, flight_cycles)
    measured = 20 * sizes.frame.longest_cycles * sizes.frame.flits

    async def bench(ctx: Any) -> None:
        for port in pair.ports:
            ctx.set(port.i.valid, 1)
            ctx.set(port.i.payload, payload)
            ctx.set(port.o.ready, 1)
        await ctx.tick().repeat(200)
        ctx.set(pair.stuck[0], 1 << lane)
        await ctx.tick().repeat(2 * sizes.search_cycles)
        came = 0
        for _ in range(measured):
            *_, valid = await ctx.tick().sample(pair.ports[1].o.valid)
            came += valid
        assert came >= 0.45 * sizes.frame.flits_per_cycle * measured
        assert [ctx.get(port.lost) for port in pair.ports] == [0, 0]

    simulate(pair.module, bench, cycles=50 * sizes.search_cycles)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_stuck_lane_is_found_within_the_stated_cycles(seed: int) -> None:
    """Random lanes of random links, in one direction or in both, at random moments; no frame is bad afterwards."""
    coin = Random(seed)
    flight_cycles = coin.randrange(4)
    sizes = LinkShape.fit(
        width=coin.choice([16, 84, 100]),
        phit_bits=2 * coin.randrange(12, 70),
        flight_cycles=flight_cycles,
        timeout_cycles=100_000,
    )
    pair = LinkPair(sizes, flight_cycles)
    payloads = [coin.choice([0, (1 << sizes.width) - 1, coin.getrandbits(sizes.width)]) for _ in SIDES]
    stuck = [1 << coin.randrange(sizes.frame.lane_bits) for _ in SIDES]
    if coin.random() < 0.5:
        stuck[coin.randrange(2)] = 0

    async def bench(ctx: Any) -> None:
        for port, payload in zip(pair.ports, payloads, strict=True):
            ctx.set(port.i.valid, 1)
            ctx.set(port.i.payload, payload)
            ctx.set(port.o.ready, 1)
        await ctx.tick().repeat(2 * sizes.start_cycles + coin.randrange(200))
        for side, lanes in enumerate(stuck):
            ctx.set(pair.stuck[side], lanes)
        await ctx.tick().repeat(sizes.search_cycles)
        # A frame under way at the end of the search may still be bad.
        await ctx.tick().repeat(sizes.settle_cycles)
        for _ in range(20 * sizes.frame.longest_cycles):
            *_, bad, other_bad = await ctx.tick().sample(*(port.crc_error for port in pair.ports))
            assert not bad
            assert not other_bad
        assert [ctx.get(port.lost) for port in pair.ports] == [0, 0]

    simulate(pair.module, bench, cycles=50 * sizes.search_cycles)


def test_two_bad_halves_are_a_dead_link() -> None:
    sizes = shape(128, 0, timeout_cycles=400)
    pair = LinkPair(sizes, 0)

    async def bench(ctx: Any) -> None:
        await pair.set_faults(ctx, Faults())
        await ctx.tick().repeat(50)
        # Some wires of the flit, and those of the upper half that carry the same bits at half width. A frame passes
        # only if all of these bits are equal, so the flit never does.
        ctx.set(pair.stuck[0], 0xF << 20 | 0xF << 20 + sizes.frame.lane_bits // 2)
        ctx.set(pair.ports[0].i.valid, 1)
        ctx.set(pair.ports[0].i.payload, 0x5555)
        died = [0, 0]
        for _ in range(2 * sizes.dead_cycles):
            await ctx.tick()
            for side, port in enumerate(pair.ports):
                died[side] |= ctx.get(port.dead)
                assert not ctx.get(port.o.valid)
        assert died == [1, 1]
        assert ctx.get(pair.ports[0].lost)

    simulate(pair.module, bench, cycles=5000)

# amaranth: UnusedElaboratable=no
"""Mesh of routers: random packets arrive whole, in order and where they should, on meshes of any shape."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chiplet.machine.specs import NopSpec
from nop.topology import Mesh
from rtl.bench.router_mesh import MeshLinks, RouterMesh, mesh_links
from rtl.emit.emitter import emit
from rtl.interface.flit import flit_layout
from rtl.interface.link_shape import LinkShape
from tests.rtl.harness import put, receive, simulate

NOP = NopSpec(flit_bits=32, coordinate_bits=4)


def packet(nop: NopSpec, mesh: Mesh, target: int, body: list[int]) -> list[int]:
    """Flits of a packet whose flits carry the numbers of ``body``."""
    row, col = divmod(target, mesh.cols)
    flits = []
    for place, number in enumerate(body):
        fields = {"data": number, "row": row, "col": col, "tail": place == len(body) - 1}
        flits.append(flit_layout(nop).const(fields).as_bits())
    return flits


def run(
    nop: NopSpec, mesh: Mesh, packets: dict[int, list[tuple[int, list[int]]]], *, chance: float, seed: int
) -> None:
    """Send ``packets`` (by source: target and body); every one must arrive as it was sent, those between the same
    two nodes in order. Sources and sinks stall.
    """
    dut = RouterMesh(nop=nop, rows=mesh.rows, cols=mesh.cols)
    expected: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    flits = [0] * mesh.nodes
    for source, sent in packets.items():
        for target, body in sent:
            flow = packet(nop, mesh, target, body)
            expected[source, target].append(flow)
            flits[target] += len(flow)

    def sender(node: int) -> Any:
        async def bench(ctx: Any) -> None:
            for number, (target, body) in enumerate(packets.get(node, [])):
                flow = packet(nop, mesh, target, body)
                await put(ctx, dut.i[node], flow, chance=chance, seed=seed + 7 * number + node)

        return bench

    def sink(node: int) -> Any:
        async def bench(ctx: Any) -> None:
            open_packet: list[int] = []
            port = dut.o[node]
            for number in range(flits[node]):
                flit = await receive(ctx, port, chance=chance, seed=seed + number * mesh.nodes + node)
                open_packet.append(flit)
                if flit_layout(nop).from_bits(flit).tail:
                    whole = [
                        source
                        for source in range(mesh.nodes)
                        if expected[source, node] and expected[source, node][0] == open_packet
                    ]
                    assert whole, f"node {node} got {open_packet}, which nobody sent it next"
                    expected[whole[0], node].pop(0)
                    open_packet = []
            assert not open_packet

        return bench

    nodes = range(mesh.nodes)
    simulate(dut, *(sender(n) for n in nodes), *(sink(n) for n in nodes), cycles=30_000)
    assert not any(expected.values())


def random_packets(
    mesh: Mesh, coin: Random, count: int, most_flits: int
) -> dict[int, list[tuple[int, list[int]]]]:
    """``count`` packets a node to random targets; every flit's number is drawn anew."""
    return {
        node: [
            (
                coin.randrange(mesh.nodes),
                [coin.getrandbits(20) for _ in range(coin.randint(1, most_flits))],
            )
            for _ in range(count)
        ]
        for node in range(mesh.nodes)
    }


QUICK = {(1, 1, 0.6, 1), (1, 3, 1.0, 4), (3, 1, 1.0, 1), (3, 2, 0.6, 4), (3, 2, 0.6, 1)}


@pytest.mark.parametrize(
    ("rows", "cols", "chance", "depth"),
    [
        pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
        for case in (
            (*sides, chance, depth)
            for sides in ((1, 1), (1, 3), (3, 1), (2, 2), (3, 2))
            for chance in (1.0, 0.6)
            for depth in (1, 4)
        )
    ],
)
def test_random_packets_arrive(rows: int, cols: int, chance: float, depth: int) -> None:
    mesh = Mesh(rows, cols)
    nop = NopSpec(flit_bits=32, coordinate_bits=4, buffer_flits=depth)
    run(nop, mesh, random_packets(mesh, Random(rows * 100 + cols), 4, 9), chance=chance, seed=depth)


@hypothesis_settings(max_examples=8)
@given(
    rows=st.integers(1, 3),
    cols=st.integers(1, 3),
    depth=st.integers(1, 5),
    chance=st.sampled_from([1.0, 0.8, 0.4]),
    most_flits=st.integers(1, 12),
    seed=st.integers(0, 1 << 16),
)
def test_random_packets_arrive_on_any_mesh(
    rows: int, cols: int, depth: int, chance: float, most_flits: int, seed: int
) -> None:
    mesh = Mesh(rows, cols)
    nop = NopSpec(flit_bits=32, coordinate_bits=3, buffer_flits=depth)
    run(nop, mesh, random_packets(mesh, Random(seed), 4, most_flits), chance=chance, seed=seed)


def test_64_flit_packets_from_everyone_to_everyone_do_not_deadlock() -> None:
    mesh = Mesh(2, 3)
    coin = Random(5)
    packets = {
        source: [
            ((source + step) % mesh.nodes, [coin.getrandbits(20) for _ in range(64)])
            for step in range(mesh.nodes)
        ]
        for source in range(mesh.nodes)
    }
    run(NOP, mesh, packets, chance=1.0, seed=0)


@pytest.mark.parametrize(
    ("rows", "cols"), [(1, 1), (1, 4), (4, 1), (2, 2), pytest.param(3, 3, marks=pytest.mark.slow)]
)
def test_a_hop_takes_a_cycle_and_a_packet_a_cycle_a_flit(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    dut = RouterMesh(nop=NOP, rows=rows, cols=cols)
    length = 12

    async def bench(ctx: Any) -> None:
        for source in range(mesh.nodes):
            for target in range(mesh.nodes):
                port, out = dut.i[source], dut.o[target]
                flow = packet(NOP, mesh, target, list(range(length)))
                ctx.set(out.ready, 1)
                seen = []
                for cycle in range(length + mesh.hops(source, target) + 1):
                    ctx.set(port.valid, cycle < length)
                    ctx.set(port.payload, flow[min(cycle, length - 1)])
                    if ctx.get(out.valid):
                        seen.append(cycle)
                    await ctx.tick()
                first = mesh.hops(source, target) + 1
                assert seen == list(range(first, first + length))
                ctx.set(port.valid, 0)
                ctx.set(out.ready, 0)

    simulate(dut, bench)


def test_a_blocked_packet_does_not_hold_up_one_behind_it() -> None:
    mesh = Mesh(1, 2)
    dut = RouterMesh(nop=NOP, rows=1, cols=2)

    async def bench(ctx: Any) -> None:
        # Node 1 takes nothing: its packets fill a part of node 0's local buffer, one for node 0 itself passes.
        for flow in [packet(NOP, mesh, 1, [n]) for n in range(6)]:
            await put(ctx, dut.i[0], flow)
        await put(ctx, dut.i[0], packet(NOP, mesh, 0, [99]))
        assert await receive(ctx, dut.o[0]) == packet(NOP, mesh, 0, [99])[0]
        for n in range(6):
            assert await receive(ctx, dut.o[1]) == packet(NOP, mesh, 1, [n])[0]

    simulate(dut, bench, cycles=200)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 3), (4, 1), (3, 2)])
def test_links_join_all_neighbours_there_and_back(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    links = mesh_links(rows, cols)
    expected = {(a, b) for a in range(mesh.nodes) for b in range(mesh.nodes) if mesh.hops(a, b) == 1}
    assert set(links) == expected
    assert len(links) == len(expected)
    assert all(links[n] == links[n ^ 1][::-1] for n in range(len(links)))


def test_the_modules_of_a_mesh_with_adapters_do_not_grow_with_it() -> None:
    shape = LinkShape.fit(width=flit_layout(NOP).size, phit_bits=40, flight_cycles=1, timeout_cycles=1000)
    small, large = (
        emit(RouterMesh(nop=NOP, rows=1, cols=cols, links=MeshLinks(shape=shape, flight_cycles=1)), None)
        for cols in (2, 4)
    )
    assert small.modules[:-1] == large.modules[:-1]
    assert f"link_port_{shape.text}" in small.modules


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"rows": 0, "cols": 1}, "mesh: rows = 0: must be an integer of at least 1"),
        (
            {"rows": 1, "cols": 17},
            "mesh: cols = 17: must be at most 16, which nop.coordinate_bits = 4 can address",
        ),
    ],
)
def test_sides_out_of_range_are_refused(sides: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match="^mesh: ") as caught:
        RouterMesh(nop=NOP, rows=sides["rows"], cols=sides["cols"])
    assert str(caught.value) == message

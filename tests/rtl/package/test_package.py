# amaranth: UnusedElaboratable=no
"""Package: sizes and modules of its Verilog, who serves whom, its host port and its errors."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest

from chiplet.machine.specs import DieSpec, LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from nop.proof.channels import dependency_cycle, hardware_dependencies, request_dependencies
from nop.topology import Mesh
from rtl.emit.emitter import Emitted, emit
from rtl.interface.error_codes import ERROR_UNITS, ErrorCode
from rtl.interface.io_dies import io_die_names, io_die_of
from rtl.interface.isa import Opcode, encode
from rtl.interface.register_map import COMMANDS, CONTROL, ERROR, PROGRAM, STATUS
from rtl.package.package import Package, package_map
from tests.rtl.axi_memory import AxiMemory
from tests.rtl.data_paths import engine_passes, router_turns
from tests.rtl.harness import read_register, simulate, write_register

Io = Literal["west", "east", "both", "all"]

SIZES = [(1, 1), (1, 4), (3, 1), (2, 3), (4, 4)]
EMITTED = [
    (1, 1),
    (2, 3),
    *(pytest.param(*size, marks=pytest.mark.slow) for size in ((1, 4), (3, 1), (4, 4))),
]
"""Sizes of packages that are emitted: seconds each."""


def system(rows: int, cols: int, io: Io = "both", *, die: int = 1, **nop: int) -> SystemSpec:
    return SystemSpec(
        # A die of integers has no vector unit, which is what takes longest.
        die=DieSpec(
            rows=die,
            cols=die,
            dtype="int8",
            weight_bytes=2048,
            activation_bytes=2048,
            accumulator_bytes=2048,
        ),
        package=PackageSpec(rows=rows, cols=cols, io=io),
        nop=NopSpec(flit_bits=32, **nop),
        memory=MemorySpec(word_bytes=4),
    )


@cache
def emitted(rows: int, cols: int, direct: bool = False, io: Io = "both") -> Emitted:
    return emit(Package(system=system(rows, cols, io), direct=direct), None)


def test_a_large_package_is_small() -> None:
    whole = emit(
        Package(system=SystemSpec(die=DieSpec(rows=4, cols=4), package=PackageSpec(rows=4, cols=4))), None
    )
    assert whole.bytes < 1_100_000


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(("rows", "cols"), EMITTED)
def test_every_size_has_the_same_modules_but_the_top(rows: int, cols: int, direct: bool) -> None:
    """Nothing but the instances of the top grows with the package."""
    one, other = emitted(1, 1, direct), emitted(rows, cols, direct)
    assert other.modules[:-1] == one.modules[:-1]
    modules = [
        set(re.findall(r"^module .*?^endmodule$", design.text, re.M | re.S)) for design in (one, other)
    ]
    assert len(modules[0] ^ modules[1]) == (0 if (rows, cols) == (1, 1) else 2)
    top = next(module for module in modules[1] if module.startswith(f"module {other.top} "))
    assert len(re.findall(r"^  package_die_\w+ die_\d+_\d+ \($", top, re.M)) == rows * cols
    assert len(re.findall(r"^  io_die_\w+ io_\w+ \($", top, re.M)) == rows * min(2, cols)


def wires(design: Emitted) -> set[tuple[str, str, str, str, str]]:
    """Links of the emitted top: plane, sender and its side, receiver and its side. IO dies have no side."""
    top = design.text[design.text.index(f"module {design.top} ") :]
    ends: dict[str, dict[str, list[tuple[str, str, str]]]] = {"tx": {}, "rx": {}}
    for instance, ports in re.findall(r"^  (?:package_die|io_die)_\w+ (\w+) \((.*?)\);", top, re.M | re.S):
        for plane, side, way, net in re.findall(r"\.(nop|mem)(_\w+?)?_(tx|rx)\((\w+)\)", ports):
            ends[way].setdefault(net, []).append((plane, instance, side.removeprefix("_")))
    found = set()
    for net, senders in ends["tx"].items():
        for (plane, sender, side), (other, receiver, where) in product(senders, ends["rx"].get(net, [])):
            assert plane == other
            found.add((plane, sender, side, receiver, where))
    return found


@pytest.mark.parametrize(
    ("rows", "cols", "io"),
    [
        (1, 1, "both"),
        (2, 3, "both"),
        (2, 3, "all"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((1, 4, "both"), (3, 1, "both"), (4, 4, "both"), (4, 4, "all"), (3, 1, "all"))
        ),
    ],
)
def test_the_emitted_package_has_no_cycle_of_waits(rows: int, cols: int, io: Io) -> None:
    """The links of its Verilog with the turns that its routers can take, what its engines can pass on, and the memory
    plane.
    """
    links = wires(emitted(rows, cols, False, io))
    collective = {
        (sender, side): (receiver, where) for plane, sender, side, receiver, where in links if plane == "nop"
    }
    mesh = Mesh(rows, cols)
    places = {f"die_{row}_{col}": row * cols + col for row in range(rows) for col in range(cols)}
    assert {(places[sender], places[receiver]) for (sender, _), (receiver, _) in collective.items()} == {
        link
        for source in range(mesh.nodes)
        for target in range(mesh.nodes)
        for link in mesh.route(source, target)
    }
    onward = {(entered, left) for entered, left in engine_passes() if entered != left}
    graph = hardware_dependencies(collective, places, router_turns(), onward)
    assert graph.number_of_nodes() >= 3 * len(collective)
    assert dependency_cycle(graph) == []

    wide = Mesh(rows + 2, cols + 2)  # with the IO dies around
    memory = {
        f"die_{row}_{col}": (row + 1) * wide.cols + col + 1 for row in range(rows) for col in range(cols)
    }
    entries = package_map(system(rows, cols, io))
    for io_die in entries["io_dies"]:
        at = io_die["line"] + 1
        row, col = {"west": (at, 0), "east": (at, cols + 1), "north": (0, at), "south": (rows + 1, at)}[
            io_die["side"]
        ]
        memory[io_die["instance"]] = row * wide.cols + col
    pairs = [(memory[die["instance"]], memory[die["io_die"]]) for die in entries["dies"]]
    there = {(memory[sender], memory[receiver]) for plane, sender, _, receiver, _ in links if plane == "mem"}
    used = {link for pair in pairs for ends in (pair, pair[::-1]) for link in wide.route(*ends)}
    assert used <= there
    assert dependency_cycle(request_dependencies(wide, pairs)) == []


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("io", ["west", "east", "both", "all"])
def test_the_map_says_which_io_die_serves_whom(rows: int, cols: int, io: Io) -> None:
    spec = system(rows, cols, io)
    entries = package_map(spec)
    assert len(entries["dies"]) == rows * cols
    for number, die in enumerate(entries["dies"]):
        assert die["number"] == number == die["row"] * cols + die["col"]
        row, col = die["row"], die["col"]
        links = {"west": col + 1, "east": cols - col, "north": row + 1, "south": rows - row}
        sides = {"both": ["west", "east"], "all": [*links]}.get(io, [io])
        _, side, line = die["io_die"].split("_")
        assert side in sides
        assert int(line) == (row if side in ("west", "east") else col)
        behind = {"west": "east", "east": "west", "north": "south", "south": "north"}[side]
        assert behind not in sides or links[side] <= links[behind]
        if io == "both" and links["west"] == links["east"]:
            assert side == "west"
    for io_die in entries["io_dies"]:
        served = [die["number"] for die in entries["dies"] if die["io_die"] == io_die["instance"]]
        assert io_die["dies"] == served != []
        most = {"both": -(-cols // 2), "all": -(-rows * cols // (2 * (rows + cols)))}.get(io, cols)
        assert len(served) <= most
    assert sorted(number for io_die in entries["io_dies"] for number in io_die["dies"]) == [
        *range(rows * cols)
    ]


def test_names_of_the_map_are_names_of_the_verilog(tmp_path: Path) -> None:
    spec = system(2, 3)
    whole = emit(Package(system=spec), tmp_path, map=package_map(spec))
    description = json.loads((tmp_path / f"{whole.top}.json").read_text())
    top = (tmp_path / f"{whole.top}.v").read_text()
    ports = [port["name"] for port in description["ports"]]
    for die in description["dies"]:
        assert f" {die['instance']} (" in top
        assert die["die"] == f"{die['instance']}.die"
    for io_die in description["io_dies"]:
        assert f" {io_die['instance']} (" in top
        assert {f"{io_die['axi']}{name}" for name in ("awaddr", "wdata", "bresp", "arid", "rlast")} <= {
            *ports
        }


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 3)])
def test_icarus_has_nothing_to_say(rows: int, cols: int, tmp_path: Path) -> None:
    (tmp_path / "package.v").write_text(emitted(rows, cols).text)
    run = subprocess.run(
        ["iverilog", "-g2005", "-Wall", "-o", "/dev/null", "package.v"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_host_port_reaches_one_die_or_all() -> None:
    dut = Package(system=system(1, 3), direct=True)

    async def write(ctx: Any, die: int, address: int, value: int, *, every: bool = False) -> None:
        ctx.set(dut.host.die, die)
        ctx.set(dut.host.all, every)
        await write_register(ctx, dut.host, address, value)

    async def read(ctx: Any, die: int, address: int) -> int:
        ctx.set(dut.host.die, die)
        return await read_register(ctx, dut.host, address)

    async def bench(ctx: Any) -> None:
        for die in range(3):
            await write(ctx, die, PROGRAM, 100 + die)
        assert [await read(ctx, die, PROGRAM) for die in (2, 0, 1, 1)] == [102, 100, 101, 101]
        await write(ctx, 1, COMMANDS, 7, every=True)
        # A read is one of the die that it names, also while host_all is up.
        assert [await read(ctx, die, COMMANDS) for die in range(3)] == [7, 7, 7]
        assert [await read(ctx, die, STATUS) for die in range(3)] == [0, 0, 0]
        await write(ctx, 2, CONTROL, 1)
        assert [await read(ctx, die, STATUS) for die in range(3)] == [0, 0, 1]
        await write(ctx, 0, CONTROL, 1, every=True)
        assert [await read(ctx, die, STATUS) for die in range(3)] == [1, 1, 1]
        assert not ctx.get(dut.done)
        assert not ctx.get(dut.error)

    simulate(dut, bench)


def test_a_refusal_of_memory_ends_the_program_of_one_die_and_no_other() -> None:
    """Two dies run a program, each behind an IO die of its own; memory refuses a word of one."""
    dut = Package(system=system(1, 2, "all"), direct=True)
    store = encode(Opcode.STORE, rows=1, words=1, address=40)
    program = {8 + n: store >> 32 * n & 0xFFFF_FFFF for n in range(8)}
    refusing = AxiMemory(dict(program), memory=MemorySpec(word_bytes=4), refused={160: 3})
    taking = AxiMemory(dict(program), memory=MemorySpec(word_bytes=4))
    bad, good = 1, 0

    async def write(ctx: Any, die: int, address: int, value: int) -> None:
        ctx.set(dut.host.die, die)
        await write_register(ctx, dut.host, address, value)

    async def bench(ctx: Any) -> None:
        for die in (bad, good):
            await write(ctx, die, PROGRAM, 8)
            await write(ctx, die, COMMANDS, 1)
            await write(ctx, die, CONTROL, 1)
        for die, status, error in (
            (bad, 4, 1 << 16 | ERROR_UNITS.index("store") << 8 | ErrorCode.MISSING),
            (good, 2, 0),
        ):
            ctx.set(dut.host.die, die)
            while await read_register(ctx, dut.host, STATUS) & 1:
                pass
            assert await read_register(ctx, dut.host, STATUS) == status
            assert await read_register(ctx, dut.host, ERROR) == error
        assert ctx.get(dut.error)
        assert (40 in taking.words, taking.words[40]) == (True, 0)

    ends = [io_die_of(system(1, 2, "all"), 0, die) for die in (bad, good)]
    memories = zip((refusing, taking), ends, strict=True)
    simulate(dut, bench, background=[memory.serve(dut, f"{end}_m_axi_") for memory, end in memories])


def test_sides_without_neighbour_are_no_dead_links() -> None:
    """Their adapters hear nothing, and are dead after the time-out."""
    spec = system(1, 1).model_copy(update={"link": LinkSpec(timeout_cycles=60)})
    dut = Package(system=spec)

    async def bench(ctx: Any) -> None:
        for _ in range(200):
            await ctx.tick()
            assert not ctx.get(dut.error)

    simulate(dut, bench)


@pytest.mark.parametrize(("rows", "cols", "bits"), [(6, 1, 3), (1, 6, 3), (4, 4, 3), (1, 1, 2), (2, 2, 2)])
def test_coordinates_number_dies_and_io_dies(rows: int, cols: int, bits: int) -> None:
    Package(system=system(rows, cols, coordinate_bits=bits))
    assert len(io_die_names(system(rows, cols))) == rows * min(2, cols)
    message = (
        f"nop.coordinate_bits = {bits - 1} does not number a package of {rows} x {cols} dies and its IO dies: "
        f"must be at least {bits}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Package(system=system(rows, cols, coordinate_bits=bits - 1))


def test_words_without_a_whole_number_of_flits_are_refused() -> None:
    narrow = system(1, 1).model_copy(
        update={"nop": NopSpec(flit_bits=96), "memory": MemorySpec(word_bytes=8)}
    )
    with pytest.raises(
        ValueError, match="nop.flit_bits = 96: must be a multiple of 32 that divides a memory word"
    ):
        Package(system=narrow)


def test_what_an_axi_port_cannot_carry_is_refused() -> None:
    wide = system(1, 1).model_copy(update={"memory": MemorySpec(word_bytes=256)})
    with pytest.raises(ValueError, match="memory.word_bytes = 256 is wider than an AXI4 data bus"):
        Package(system=wide)

"""What the tests of units share: running a block, both ends of a stream, a memory behind a memory port."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator

from rtl.block import Block, port_values
from rtl.interface.memory_port import EPOCH_BITS, request_layout, response_layout

Bench = Callable[[Any], Awaitable[None]]


@cache
def _signals(dut: Block) -> dict[str, Signal]:
    return {name: value for name, (_, value) in port_values(dut).items()}


def signal(dut: Block, name: str) -> Signal:
    """The port of a block that has this name in Verilog."""
    return _signals(dut)[name]


def streams(interface: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Streams that an interface drives, those inside its members included, each with its name."""
    for name, member in interface.signature.members.items():
        if member.is_port:
            continue
        values = getattr(interface, name)
        for value in values if member.dimensions else [values]:
            if not isinstance(member.signature, stream.Signature):
                yield from streams(value, f"{path}{name}.")
            elif member.flow == Out:
                yield f"{path}{name}", value


def simulate(
    dut: Block | Module,
    *benches: Bench,
    background: Iterable[Bench] = (),
    cycles: int = 100_000,
    watched: Block | None = None,
    reset: Signal | None = None,
) -> None:
    """Run ``benches`` side by side until all have ended, while every ``Out`` stream of a block is watched.

    The block is ``dut`` itself, or ``watched`` inside it. What it offers may be taken back in a ``reset``.

    Raises AssertionError if they do not end within ``cycles``.
    """
    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    block = dut if isinstance(dut, Block) else watched
    for name, port in streams(block) if block else ():
        simulator.add_testbench(_watcher(name, port, reset), background=True)

    async def limit(ctx: Any) -> None:
        for _ in range(cycles):
            await ctx.tick()
        raise AssertionError(f"not at its end after {cycles} cycles")

    simulator.add_testbench(limit, background=True)
    simulator.run()


def _watcher(name: str, port: Any, reset: Signal | None = None) -> Bench:
    """Bench that asserts that valid and payload hold until the transfer, or a reset."""
    resetting: Any = Const(0) if reset is None else reset

    async def watch(ctx: Any) -> None:
        offered: int | None = None
        while True:
            _, _, valid, ready, payload, off = await ctx.tick().sample(
                port.valid, port.ready, port.payload, resetting
            )
            if offered is not None:
                assert valid, f"{name}: valid was taken back"
                assert payload == offered, f"{name}: payload changed before the transfer"
            offered = payload if valid and not ready and not off else None

    return watch


def run_commands(dut: Any, commands: Iterable[int], *, background: Sequence[Bench]) -> int:
    """Give a unit its commands; return the cycles until it is idle again."""
    cycles = 0

    async def issue(ctx: Any) -> None:
        await put(ctx, dut.command, commands)
        while not ctx.get(dut.idle):
            await ctx.tick()

    async def count(ctx: Any) -> None:
        nonlocal cycles
        while True:
            await ctx.tick()
            cycles += 1

    simulate(dut, issue, background=(*background, count))
    return cycles


async def put(ctx: Any, port: Any, payloads: Iterable[int], *, chance: float = 1.0, seed: int = 0) -> None:
    """Send ``payloads``; before each, wait until a coin with ``chance`` shows heads."""
    coin = random.Random(seed)
    for payload in payloads:
        while coin.random() >= chance:
            await ctx.tick()
        ctx.set(port.valid, 1)
        ctx.set(port.payload, payload)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)


async def receive(ctx: Any, port: Any, *, chance: float = 1.0, seed: int = 0) -> Any:
    """Take one payload; ready is high in a cycle with ``chance``, and must not change valid or payload."""
    coin = random.Random(seed)
    while True:
        shown = []
        for ready in (0, 1, coin.random() < chance):
            ctx.set(port.ready, ready)
            shown.append((ctx.get(port.valid), ctx.get(port.payload) if ctx.get(port.valid) else None))
        assert shown[0] == shown[1] == shown[2], "valid or payload depends on ready"
        _, _, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, port.payload)
        if valid and ready:
            ctx.set(port.ready, 0)
            return payload


async def get(ctx: Any, port: Any, count: int, *, chance: float = 1.0, seed: int = 0) -> list[int]:
    """Take ``count`` payloads, see :func:`receive`."""
    return [await receive(ctx, port, chance=chance, seed=seed + n) for n in range(count)]


async def write_register(ctx: Any, host: Any, address: int, value: int) -> None:
    """Write a register through a host port."""
    ctx.set(host.address, address)
    ctx.set(host.write_data, value)
    ctx.set(host.write, 1)
    await ctx.tick()
    ctx.set(host.write, 0)


async def read_register(ctx: Any, host: Any, address: int) -> int:
    """Read a register through a host port."""
    ctx.set(host.address, address)
    ctx.set(host.read, 1)
    await ctx.tick()
    ctx.set(host.read, 0)
    value: int = ctx.get(host.read_data)
    return value


class PythonMemory:
    """Memory behind a memory port, in Python: in order, with random latency and random stalls.

    Parameters
    ----------
    words
        Contents by address; words that are missing are 0.
    word_bytes
        Width of the port.
    stall
        Chance that a cycle takes no request, and that a word does not come.
    latency
        Least cycles from a request to its word.
    """

    def __init__(
        self, words: dict[int, int], *, word_bytes: int, stall: float = 0.0, latency: int = 2, seed: int = 0
    ) -> None:
        self.words = words
        self.requests: list[Any] = []
        self.most_in_flight = 0
        self._request = request_layout(word_bytes)
        self._response = response_layout(word_bytes)
        self._word_sums = word_bytes // 4
        self._stall, self._latency = stall, latency
        self._coin = random.Random(seed)

    def _write(self, request: Any) -> None:
        mask = sum(0xFFFF_FFFF << 32 * n for n in range(self._word_sums) if request.strobe >> n & 1)
        self.words[request.address] = self.words.get(request.address, 0) & ~mask | request.data & mask

    def serve(self, request: Any, response: Any = None, *, tagged: bool = True) -> Bench:
        """Bench that answers at the two streams; words carry the tag of their request if ``tagged``.

        Without ``response`` there must be no reads.
        """

        async def bench(ctx: Any) -> None:
            flight: deque[tuple[int, int]] = deque()
            cycle = 0
            shown = False
            while True:
                ctx.set(request.ready, self._coin.random() >= self._stall)
                sampled = [request.valid, request.ready, request.payload]
                if response is not None:
                    due = bool(flight) and flight[0][0] <= cycle
                    shown = due and (shown or self._coin.random() >= self._stall)
                    ctx.set(response.valid, shown)
                    ctx.set(response.payload, flight[0][1] if shown else self._coin.getrandbits(8))
                    sampled.append(response.ready)
                _, _, asked, taking, bits, *taken = await ctx.tick().sample(*sampled)
                cycle += 1
                if shown and taken[0]:
                    flight.popleft()
                    shown = False
                if asked and taking:
                    fields = self._request.from_bits(bits)
                    self.requests.append(fields)
                    if fields.write:
                        self._write(fields)
                    else:
                        assert response is not None
                        word = self.words.get(fields.address, 0)
                        payload = word
                        if tagged:
                            payload = word << 1 + EPOCH_BITS | fields.epoch << 1 | fields.tag
                        flight.append((cycle - 1 + self._latency, payload))
                        self.most_in_flight = max(self.most_in_flight, len(flight))

        return bench


def lanes(values: Iterable[int], width: int) -> int:
    """Pack ``values`` into a vector, lane 0 in the lowest bits."""
    return sum((int(value) & (1 << width) - 1) << width * lane for lane, value in enumerate(values))


def unpack(vector: int, count: int, width: int) -> list[int]:
    """The ``count`` lanes of a vector."""
    return [vector >> width * lane & (1 << width) - 1 for lane in range(count)]


def parts(total: int, coin: random.Random, most: int) -> Iterator[int]:
    """Random positive lengths of at most ``most`` that add up to ``total``."""
    while total:
        part = coin.randint(1, min(most, total))
        yield part
        total -= part

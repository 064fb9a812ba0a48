"""Two link adapters with a channel in each direction, and streams through them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal

from rtl.bench.channel import CHANCE_BITS, Channel
from rtl.interface.link_shape import LinkShape
from rtl.network.link import LinkPort, inversion
from tests.rtl.harness import get, put, simulate

SIDES = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What the channels of both directions do: chances in a cycle, wires of a burst, bits of a stall's length."""

    flips: float = 0.0
    burst: int = 0
    stalls: float = 0.0
    stall_mask: int = 0
    seed: int = 1


@dataclass
class LinkPair:
    """Adapters 0 and 1; ``channels[n]`` leads from adapter n to the other.

    ``flips[n]`` flips wires from adapter n, those of ``stuck[n]`` are stuck at 0, and ``resets[n]`` resets adapter n.
    """

    shape: LinkShape
    flight_cycles: int
    ports: list[LinkPort] = field(init=False)
    channels: list[Channel] = field(init=False)
    flips: list[Signal] = field(init=False)
    stuck: list[Signal] = field(init=False)
    resets: list[Signal] = field(init=False)
    module: Module = field(init=False)

    def __post_init__(self) -> None:
        self.ports = [LinkPort(shape=self.shape) for _ in SIDES]
        self.channels = [Channel(wires=self.shape.wires, cycles=self.flight_cycles) for _ in SIDES]
        self.flips = [Signal(self.shape.wires, name=f"flips_{side}") for side in SIDES]
        self.stuck = [Signal(self.shape.wires, name=f"stuck_{side}") for side in SIDES]
        self.resets = [Signal(name=f"reset_{side}") for side in SIDES]
        m = self.module = Module()
        invert = inversion(m, self.shape)
        for side in SIDES:
            m.d.comb += self.ports[side].invert.eq(invert)
            m.submodules[f"port_{side}"] = ResetInserter(self.resets[side])(self.ports[side])
            m.submodules[f"channel_{side}"] = self.channels[side]
            m.d.comb += [
                self.channels[side].i.eq(self.ports[side].tx.wires),
                self.ports[1 - side].rx.wires.eq(
                    (self.channels[side].o ^ self.flips[side]) & ~self.stuck[side]
                ),
            ]

    async def set_faults(self, ctx: Any, faults: Faults) -> None:
        """Seed and configure the channels."""
        for side, channel in enumerate(self.channels):
            ctx.set(channel.seed, faults.seed + side)
            ctx.set(channel.reseed, 1)
            await ctx.tick()
            ctx.set(channel.reseed, 0)
            ctx.set(channel.faults.flip_rate, min(round(faults.flips * 2**CHANCE_BITS), 2**CHANCE_BITS - 1))
            ctx.set(channel.faults.stall_rate, round(faults.stalls * 2**CHANCE_BITS))
            ctx.set(channel.faults.burst, faults.burst)
            ctx.set(channel.faults.stall_mask, faults.stall_mask)

    def exchange(
        self,
        flits: tuple[int, int],
        faults: Faults,
        *,
        chance: float = 1.0,
        cycles: int = 100_000,
    ) -> dict[str, int]:
        """Send ``flits`` random flits in each direction, with stalls of sources and sinks; all must come as they were
        sent. Returns how often each strobe of the adapters and channels was high.
        """
        coin = Random(faults.seed)
        words = [[coin.getrandbits(self.shape.width) for _ in range(count)] for count in flits]
        names = ("sent", "received", "replayed", "crc_error")
        counts = dict.fromkeys((*names, "flip", "stall", "cycles"), 0)

        def source(side: int) -> Any:
            async def bench(ctx: Any) -> None:
                if side == 0:
                    await self.set_faults(ctx, faults)
                await put(ctx, self.ports[side].i, words[side], chance=chance, seed=faults.seed + side)

            return bench

        def sink(side: int) -> Any:
            async def bench(ctx: Any) -> None:
                seed = faults.seed + 10 + side
                found = await get(ctx, self.ports[1 - side].o, flits[side], chance=chance, seed=seed)
                assert found == words[side]

            return bench

        async def count(ctx: Any) -> None:
            strobes = [(name, getattr(port, name)) for port in self.ports for name in names]
            strobes += [
                (name, getattr(channel, name)) for channel in self.channels for name in ("flip", "stall")
            ]
            while True:
                _, _, *values = await ctx.tick().sample(*(value for _, value in strobes))
                for (name, _), value in zip(strobes, values, strict=True):
                    counts[name] += value
                counts["cycles"] += 1

        benches = [source(0), source(1), sink(0), sink(1)]
        simulate(self.module, *benches, background=[count], cycles=cycles)
        assert counts["sent"] == counts["received"] == sum(flits)
        return counts

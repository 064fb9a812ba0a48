"""Scratchpad: every word that was written can be read, whoever else wants its bank."""

# amaranth: UnusedElaboratable=no

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest

from rtl.memory.scratchpad import Scratchpad
from tests.rtl.harness import signal, simulate

READERS, WRITERS = 3, 3


@pytest.mark.parametrize("banks", [1, 2, 4])
@pytest.mark.parametrize(("seed", "latency"), [(0, 1), (1, 3)])
def test_random_reads_and_writes(banks: int, seed: int, latency: int) -> None:
    depth, word_bytes = 8 * banks, 8
    dut = Scratchpad(
        word_bytes=word_bytes,
        depth=depth,
        banks=banks,
        readers=READERS,
        writers=WRITERS,
        sram_latency=latency,
    )
    coin = Random(seed)
    words = [0] * depth
    wants: dict[str, dict[str, int]] = {}
    waited: dict[str, int] = {}

    async def bench(ctx: Any) -> None:
        coming: deque[list[int | None]] = deque([[None] * READERS] * latency)
        served = 0
        for _ in range(2000):
            for kind, ports in (("read", READERS), ("write", WRITERS)):
                for n in range(ports):
                    name = f"{kind}_{n}"
                    if name not in wants and coin.random() < 0.6:
                        wants[name] = {"address": coin.randrange(depth)}
                        if kind == "write":
                            wants[name] |= {"strobe": coin.getrandbits(4), "data": coin.getrandbits(64)}
                    want = wants.get(name)
                    ctx.set(signal(dut, f"{name}_valid"), want is not None)
                    for field, value in (want or {}).items():
                        ctx.set(signal(dut, f"{name}_{field}"), value)
            names = [f"read_{n}" for n in range(READERS)] + [f"write_{n}" for n in range(WRITERS)]
            taken = {name for name in names if wants.get(name) and ctx.get(signal(dut, f"{name}_ready"))}
            for n, word in enumerate(coming.popleft()):
                assert word is None or ctx.get(signal(dut, f"read_{n}_data")) == word
            await ctx.tick()
            served += len(taken)
            expected: list[int | None] = [None] * READERS
            coming.append(expected)
            for n in range(READERS):
                want = wants.get(f"read_{n}")
                if want and f"read_{n}" in taken:
                    expected[n] = words[want["address"]]
            written: set[int] = set()
            for n in range(WRITERS):
                want = wants.get(f"write_{n}")
                if want and f"write_{n}" in taken:
                    assert want["address"] % banks not in written, "two writes of a bank"
                    written.add(want["address"] % banks)
                    mask = sum(0xFFFF << 16 * part for part in range(4) if want["strobe"] >> part & 1)
                    words[want["address"]] = words[want["address"]] & ~mask | want["data"] & mask
            for name in names:
                waited[name] = 0 if name in taken or not wants.get(name) else waited.get(name, 0) + 1
                assert waited[name] < 40, f"{name} waits for the others again and again"
            for name in taken:
                del wants[name]
        assert served > 1000 * min(banks, 2)

    simulate(dut, bench)


def test_readers_of_one_word_get_it_together() -> None:
    dut = Scratchpad(word_bytes=4, depth=4, banks=2, readers=3, writers=1)

    async def bench(ctx: Any) -> None:
        for name, value in (("valid", 1), ("address", 3), ("strobe", 3), ("data", 77)):
            ctx.set(signal(dut, f"write_0_{name}"), value)
        await ctx.tick()
        ctx.set(dut.write[0].valid, 0)
        for n in range(3):
            ctx.set(signal(dut, f"read_{n}_valid"), 1)
            ctx.set(signal(dut, f"read_{n}_address"), 3)
        assert [ctx.get(signal(dut, f"read_{n}_ready")) for n in range(3)] == [1, 1, 1]
        await ctx.tick()
        assert [ctx.get(signal(dut, f"read_{n}_data")) for n in range(3)] == [77, 77, 77]

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"banks": 3}, "scratchpad: banks = 3: must be a power of two that divides depth = 8"),
        (
            {"depth": 6, "banks": 4},
            "scratchpad: banks = 4: must be a power of two that divides depth = 6",
        ),
        ({"word_bytes": 6}, "scratchpad: word_bytes = 6: must be a multiple of 4"),
    ],
)
def test_sizes_that_do_not_work_are_refused(changes: dict[str, int], message: str) -> None:
    sizes: dict[str, Any] = {"word_bytes": 8, "depth": 8, "banks": 2, "readers": 1, "writers": 1}
    with pytest.raises(ValueError, match=f"^{message}$"):
        Scratchpad(**(sizes | changes))

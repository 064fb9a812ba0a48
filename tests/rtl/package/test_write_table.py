# amaranth: UnusedElaboratable=no
"""Write table against a list."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rtl.package.write_table import WriteTable
from tests.rtl.harness import simulate


@pytest.mark.parametrize(("entries", "ids"), [(1, 1), (2, 4), (3, 2), (8, 4)])
def test_table_is_a_list(entries: int, ids: int) -> None:
    dut = WriteTable(entries=entries, address_bits=3, id_bits=2)
    coin = Random(entries)

    async def bench(ctx: Any) -> None:
        writes: list[tuple[int, int]] = []
        times_full = 0
        for _ in range(600):
            address = coin.randrange(8)
            ctx.set(dut.address, address)
            assert ctx.get(dut.hit) == (address in [write[0] for write in writes])
            assert ctx.get(dut.full) == (len(writes) == entries)
            times_full += len(writes) == entries
            done = coin.random() < 0.4
            done_id = coin.randrange(ids)
            put = len(writes) < entries and coin.random() < 0.6
            new = coin.randrange(8), coin.randrange(ids)
            ctx.set(dut.done, done)
            ctx.set(dut.done_id, done_id)
            ctx.set(dut.put, put)
            ctx.set(dut.put_address, new[0])
            ctx.set(dut.put_id, new[1])
            await ctx.tick()
            if done:
                place = next((n for n, write in enumerate(writes) if write[1] == done_id), None)
                if place is not None:
                    del writes[place]
            if put:
                writes.append(new)
        assert times_full

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["entries", "address_bits", "id_bits"])
def test_sizes_are_checked(name: str) -> None:
    sizes = {"entries": 1, "address_bits": 1, "id_bits": 1, name: 0}
    with pytest.raises(ValueError, match=f"write table: {name} = 0: must be an integer of at least 1"):
        WriteTable(**sizes)

"""Fields of registers: they are those of the hardware, bit by bit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from rtl.control.counters import Registers
from rtl.interface.register_fields import (
    REGISTER_BITS,
    REGISTER_FIELDS,
    Access,
    RegisterField,
    fields_of,
    register_access,
)
from rtl.interface.register_map import LINKS, REGISTERS
from tests.rtl.harness import read_register, simulate, write_register

WHOLE = (1 << REGISTER_BITS) - 1


def test_every_register_has_fields_that_fit_and_do_not_overlap() -> None:
    assert REGISTER_FIELDS.keys() == REGISTERS.keys()
    for fields in REGISTER_FIELDS.values():
        for field, following in pairwise(fields):
            assert field.bit + field.width <= following.bit
        assert fields[-1].bit + fields[-1].width <= REGISTER_BITS
        assert len({field.name for field in fields}) == len(fields)
        assert all(field.reset is None or field.reset <= field.mask >> field.bit for field in fields)


def test_access_of_a_register_follows_from_its_fields() -> None:
    accesses = {name: register_access(fields) for name, fields in REGISTER_FIELDS.items()}
    assert {name for name, access in accesses.items() if access == "write"} == {
        "control",
        "post",
        "post_high",
    }
    assert {name for name, access in accesses.items() if access == "read"} == {"status", "error", "waiting"}
    assert register_access(REGISTER_FIELDS["link_east"]) == "read, write"


def bits(fields: tuple[RegisterField, ...], *accesses: Access) -> int:
    return sum(field.mask for field in fields if field.access in accesses)


@pytest.mark.parametrize("engine", [False, True])
def test_the_hardware_has_these_fields(engine: bool) -> None:
    """Reset values, what writes leave, and zeros wherever there is no field."""
    dut = Registers(macs_bits=3, engine=engine)

    async def bench(ctx: Any) -> None:
        for name, (address, _) in REGISTERS.items():
            fields = fields_of(name, engine=engine)
            reset = sum((field.reset or 0) << field.bit for field in fields)
            assert await read_register(ctx, dut.host, address) == reset, name
            for pattern in (WHOLE, 0x5AA5_C33C, 0):
                if name == "control" and pattern & 1:
                    continue
                await write_register(ctx, dut.host, address, pattern)
                kept = pattern & bits(fields, Access.READ_WRITE)
                assert await read_register(ctx, dut.host, address) == kept, name

    simulate(dut, bench)


@pytest.mark.parametrize("engine", [False, True])
def test_what_the_hardware_shows_is_in_fields_that_can_be_read(engine: bool) -> None:
    dut = Registers(macs_bits=3, engine=engine)

    async def bench(ctx: Any) -> None:
        for name in ("running", "done", "error"):
            ctx.set(getattr(dut, name), 1)
        for name in ("error_code", "error_unit", "error_count"):
            ctx.set(getattr(dut, name), -1)
        ctx.set(dut.waiting, bits(fields_of("waiting", engine=engine), Access.READ))
        for link in (*dut.links, *dut.memory_links) if engine else ():
            ctx.set(link, dict.fromkeys(("up", "dead", "lanes", "pending", "lost"), -1))
        await ctx.tick()
        for name in ("status", "error", "waiting"):
            shown = bits(fields_of(name, engine=engine), Access.READ)
            assert await read_register(ctx, dut.host, REGISTERS[name][0]) == shown, name

    simulate(dut, bench)


def test_a_write_clears_the_events_of_a_link_and_nothing_else() -> None:
    dut = Registers(macs_bits=3, engine=True)
    fields = fields_of("link_north", engine=True)
    shown = {field.name: (1 << field.width) - 1 for field in fields}
    events = [field.name for field in fields if field.access is Access.CLEARED]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.links[0], shown)
        await ctx.tick()
        ctx.set(dut.links[0], {**shown, **dict.fromkeys(events, 0)})
        every = bits(fields, Access.READ, Access.CLEARED)
        assert await read_register(ctx, dut.host, LINKS) == every
        await write_register(ctx, dut.host, LINKS, 0)
        assert await read_register(ctx, dut.host, LINKS) == bits(fields, Access.READ)

    simulate(dut, bench)

"""Error monitor: the first error stays, every source is counted once."""

from __future__ import annotations

from typing import Any

import pytest

from rtl.control.error_monitor import ErrorMonitor
from rtl.interface.error_codes import CAUSES, ERROR_UNITS, ErrorCode, error_text
from tests.rtl.harness import signal, simulate

SOURCES = (("load", ErrorCode.SCRATCHPAD), ("store", ErrorCode.MEMORY), ("drain", ErrorCode.BUFFER))


def test_the_first_error_stays() -> None:
    dut = ErrorMonitor(SOURCES)

    async def bench(ctx: Any) -> None:
        assert [ctx.get(port) for port in (dut.error, dut.code, dut.unit, dut.count)] == [0, 0, 0, 0]
        first = [1, ErrorCode.MEMORY, ERROR_UNITS.index("store")]
        for reports, count in (({"store_memory", "drain_buffer"}, 2), ({"load_scratchpad"}, 3), (set(), 3)):
            for name in ("load_scratchpad", "store_memory", "drain_buffer"):
                ctx.set(signal(dut, name), name in reports)
            await ctx.tick().repeat(2)
            assert [ctx.get(port) for port in (dut.error, dut.code, dut.unit, dut.count)] == [*first, count]

    simulate(dut, bench)


def test_every_code_has_a_text() -> None:
    assert set(CAUSES) == set(ErrorCode)
    assert 0 not in set(ErrorCode)


@pytest.mark.parametrize(
    ("code", "unit", "text"),
    [
        (1, 0, "command processor read a word that is not a command of this die"),
        (2, 8, "store unit wants a memory word beyond the last one"),
        (4, 3, "feed weight unit wants a place beyond the end of its buffer"),
        (9, 1, "load unit reports error code 9"),
        (3, 31, "number 31 unit wants a scratchpad word beyond the last one"),
    ],
)
def test_errors_in_words(code: int, unit: int, text: str) -> None:
    assert error_text(code, unit) == text

"""Commands: what is encoded decodes to the same, and nothing that does not fit is encoded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.interface.isa import COMMAND_BITS, HEADER, LAYOUTS, SEMAPHORES, Opcode, decode, encode

COUNTS: dict[Opcode, tuple[str, ...]] = {
    Opcode.SET: (),
    Opcode.LOAD: ("rows", "cols", "words"),
    Opcode.STORE: ("rows", "panels", "last_cols"),
    Opcode.GEMM: ("m", "k_tiles", "last_k", "panels", "last_cols"),
    Opcode.SEND: ("chunks", "flits"),
    Opcode.RECEIVE: ("chunks", "flits"),
}
"""Fields that cannot be 0."""
ONES = dict.fromkeys(COUNTS[Opcode.GEMM], 1)


@st.composite
def commands(draw: st.DrawFn) -> tuple[Opcode, dict[str, int]]:
    opcode = draw(st.sampled_from(Opcode))
    widths = {name: field.width for name, field in LAYOUTS[opcode] if name != "opcode"}
    return opcode, {
        name: draw(st.integers(int(name in COUNTS[opcode]), (1 << width) - 1))
        for name, width in widths.items()
    }


@given(commands())
def test_decode_undoes_encode(command: tuple[Opcode, dict[str, int]]) -> None:
    opcode, fields = command
    bits = encode(opcode, **fields)
    assert 0 <= bits < 1 << COMMAND_BITS
    assert decode(bits) == (opcode, fields)


@pytest.mark.parametrize("opcode", Opcode)
def test_every_command_fits_and_begins_with_the_header(opcode: Opcode) -> None:
    layout = LAYOUTS[opcode]
    assert layout.size <= COMMAND_BITS
    for name, field in HEADER:
        assert (layout[name].offset, layout[name].width) == (field.offset, field.width)
    least = dict.fromkeys(COUNTS[opcode], 1)
    fields = {str(name): least.get(str(name), 0) for name, _ in layout if name != "opcode"}
    assert decode(encode(opcode, **least)) == (opcode, fields)


def test_every_opcode_has_a_layout_and_zero_is_none() -> None:
    assert set(LAYOUTS) == set(Opcode)
    assert 0 not in set(Opcode)
    assert len(Opcode) < 16
    assert HEADER["wait"].width == HEADER["post"].width == SEMAPHORES


@pytest.mark.parametrize(
    ("opcode", "fields", "message"),
    [
        (Opcode.GEMM, {**ONES, "m": 65_536}, "GEMM.m = 65536 is out of range: must be 1 to 65535"),
        (
            Opcode.LOAD,
            {"rows": -1, "cols": 1, "words": 1},
            "LOAD.rows = -1 is out of range: must be 1 to 65535",
        ),
        (Opcode.GEMM, {**ONES, "k_tiles": 0}, "GEMM.k_tiles = 0 is out of range: must be 1 to 65535"),
        (Opcode.GEMM, {}, "GEMM.m = 0 is out of range: must be 1 to 65535"),
        (
            Opcode.STORE,
            {"rows": 1, "panels": 1, "last_cols": 1, "wait": 256},
            "STORE.wait = 256 is out of range: must be 0 to 255",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(opcode: Opcode, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        encode(opcode, **fields)


@pytest.mark.parametrize("name", ["m", "nonsense"])
def test_unknown_fields_are_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^command LOAD has no field {name}: has wait, post, target, base, "
    ):
        encode(Opcode.LOAD, **{name: 1})


@pytest.mark.parametrize("command", [0, 7, 15, 1 << 255])
def test_numbers_that_are_no_command_are_refused(command: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^no command: opcode {command & 15} is not one of \[1, 2, 3, 4, 5, 6\]$"
    ):
        decode(command)

"""Commands: what is encoded decodes to the same, and nothing that does not fit is encoded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.interface.isa import COMMAND_BITS, FIELDS, HEADER, LAYOUTS, SEMAPHORES, Opcode, decode, encode

BLOCK = ("rows", "words")
FEED = ("rows", "cols", "words")
PANELS = ("rows", "panels", "last_cols")
COUNTS: dict[Opcode, tuple[str, ...]] = {
    Opcode.SET: (),
    Opcode.LOAD: BLOCK,
    Opcode.FEED_ACTIVATION: FEED,
    Opcode.FEED_WEIGHT: FEED,
    Opcode.FEED_SUMS: PANELS,
    Opcode.GEMM: ("m", "k_tiles", "last_k", "panels", "last_cols"),
    Opcode.DRAIN: PANELS,
    Opcode.STORE: BLOCK,
    Opcode.SEND: ("chunks", "flits"),
    Opcode.RECEIVE: ("chunks", "flits"),
    Opcode.VECTOR: ("rows", "cols"),
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


@pytest.mark.parametrize("opcode", Opcode)
def test_semaphores_are_named_by_their_numbers(opcode: Opcode) -> None:
    names = [name for name in FIELDS[opcode] if name.split("_")[-1] in {"wait", "post"}]
    names += [name for name in FIELDS[opcode] if name.split("_")[0] in {"wait", "post", "semaphore"}]
    assert len(names) >= 4
    assert all(1 << LAYOUTS[opcode][name].width == SEMAPHORES for name in names)


def test_every_opcode_has_a_layout_and_zero_is_none() -> None:
    assert set(LAYOUTS) == set(Opcode)
    assert 0 not in set(Opcode)
    assert max(Opcode) < 1 << HEADER["opcode"].width


@pytest.mark.parametrize(
    ("opcode", "fields", "message"),
    [
        (Opcode.GEMM, {**ONES, "m": 65_536}, "GEMM.m = 65536 is out of range: must be 1 to 65535"),
        (
            Opcode.LOAD,
            {"rows": -1, "words": 1},
            "LOAD.rows = -1 is out of range: must be 1 to 65535",
        ),
        (Opcode.GEMM, {**ONES, "k_tiles": 0}, "GEMM.k_tiles = 0 is out of range: must be 1 to 65535"),
        (Opcode.GEMM, {}, "GEMM.m = 0 is out of range: must be 1 to 65535"),
        (
            Opcode.STORE,
            {"rows": 1, "words": 1, "wait_0": 64},
            "STORE.wait_0 = 64 is out of range: must be 0 to 63",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(opcode: Opcode, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        encode(opcode, **fields)


@pytest.mark.parametrize("name", ["m", "nonsense"])
def test_unknown_fields_are_refused(name: str) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^command LOAD has no field {name}: has wait_0, wait_1, post_0, post_1, row_post, ",
    ):
        encode(Opcode.LOAD, **{name: 1})


@pytest.mark.parametrize("command", [0, 12, 31, 1 << 255])
def test_numbers_that_are_no_command_are_refused(command: int) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^no command: opcode {command & 31} is not one of \[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\]$",
    ):
        decode(command)

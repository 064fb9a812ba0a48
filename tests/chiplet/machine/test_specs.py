"""Specifications: what they refuse, and the quantities that they derive."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chiplet.machine.base import StrictModel
from chiplet.machine.cost_specs import EnergySpec
from chiplet.machine.specs import (
    BUFFER_ADDRESS_BITS,
    COMMAND_BYTES,
    DieSpec,
    LinkSpec,
    MemorySpec,
    NopSpec,
    PackageSpec,
    SystemSpec,
    function_lanes,
    scratchpad_banks,
    scratchpad_depth,
    vector_lanes,
)
from chiplet.machine.vector_specs import VectorSpec

dies = st.builds(
    DieSpec,
    rows=st.integers(1, 512),
    cols=st.integers(1, 512),
    dtype=st.sampled_from(["bf16", "int8"]),
    weight_bytes=st.integers(512 * 512 * 2, 2**20),
    activation_bytes=st.integers(512 * 512 * 2, 2**20),
    accumulator_bytes=st.integers(2 * 512 * 4, 2**20),
)


@pytest.mark.parametrize(
    "model", [DieSpec, LinkSpec, MemorySpec, VectorSpec, EnergySpec, PackageSpec, SystemSpec]
)
def test_defaults_are_valid_frozen_and_closed(model: type[StrictModel]) -> None:
    spec = model()
    assert spec == model.model_validate(spec.model_dump())
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec, next(iter(model.model_fields)), 1)
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({"nonsense": 1})


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        (DieSpec, "rows", 0),
        (DieSpec, "rows", -1),
        (DieSpec, "rows", 513),
        (DieSpec, "rows", 8.0),
        (DieSpec, "rows", True),
        (DieSpec, "rows", "8"),
        (DieSpec, "rows", None),
        (DieSpec, "dtype", "fp32"),
        (DieSpec, "stages", 5),
        (DieSpec, "queue_depth", 1),
        (DieSpec, "clock_hz", 0),
        (DieSpec, "clock_hz", -1.0),
        (DieSpec, "clock_hz", True),
        (DieSpec, "clock_hz", float("nan")),
        (DieSpec, "sram", "flipflops"),
        (LinkSpec, "lanes", 0),
        (LinkSpec, "latency_seconds", -1e-9),
        (MemorySpec, "word_bytes", 24),
        (MemorySpec, "word_bytes", 2),
        (MemorySpec, "word_bytes", 512),
        (EnergySpec, "mac_pj", -0.1),
        (PackageSpec, "rows", 0),
        (PackageSpec, "cols", 1.5),
    ],
)
def test_refuses(model: type[StrictModel], key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({key: value})


@pytest.mark.parametrize(
    ("buffer", "need"),
    [("weight_bytes", 5 * 3 * 2), ("activation_bytes", 5 * 5 * 2), ("accumulator_bytes", 24)],
)
def test_a_buffer_holds_one_tile_and_no_less(buffer: str, need: int) -> None:
    DieSpec.model_validate({"rows": 5, "cols": 3, buffer: need})
    with pytest.raises(ValidationError, match=rf"{buffer} = {need - 1} is smaller than .* at least {need}"):
        DieSpec.model_validate({"rows": 5, "cols": 3, buffer: need - 1})


def test_a_bank_is_no_deeper_than_an_address_reaches() -> None:
    words = 1 << BUFFER_ADDRESS_BITS
    assert DieSpec(rows=1, cols=1, weight_bytes=2 * words).weight_depth == words
    with pytest.raises(
        ValidationError, match=f"weight_bytes = {2 * words + 2} makes banks of {words + 1} words"
    ):
        DieSpec(rows=1, cols=1, weight_bytes=2 * words + 2)


@given(dies)
def test_depths_are_the_largest_that_fit(die: DieSpec) -> None:
    element = {"bf16": 2, "int8": 1}[die.dtype]
    assert (die.element_bytes, die.element_bits) == (element, 8 * element)
    for depth, row_bytes, size in (
        (die.weight_depth, die.cols * element, die.weight_bytes),
        (die.activation_depth, die.rows * element, die.activation_bytes),
        (die.accumulator_depth // 2, 2 * die.cols * 4, die.accumulator_bytes),
    ):
        assert depth * row_bytes <= size < (depth + 1) * row_bytes
    assert die.accumulator_depth % 2 == 0
    assert die.macs_per_cycle == die.rows * die.cols


def test_derived_quantities_of_the_other_parts() -> None:
    assert LinkSpec(lanes=16, lane_rate=32.0e9).bytes_per_second == 64.0e9
    assert PackageSpec(rows=3, cols=5).dies == 15
    for width in (4, 8, 16, 32, 64, 128, 256):
        words = MemorySpec(word_bytes=width).command_words
        assert words * width >= COMMAND_BYTES
        assert words == 1 or (words - 1) * width < COMMAND_BYTES


@pytest.mark.parametrize(
    ("word_bytes", "flit_bits", "banks"),
    [(32, None, 8), (32, 64, 8), (32, 256, 16), (4, 32, 16), (256, 64, 8), (32, 1024, 32)],
)
def test_the_scratchpad_has_a_bank_for_each_word_that_is_read_in_a_cycle(
    word_bytes: int, flit_bits: int | None, banks: int
) -> None:
    nop = None if flit_bits is None else NopSpec(flit_bits=flit_bits)
    memory = MemorySpec(word_bytes=word_bytes)
    assert scratchpad_banks(memory, nop) == banks
    assert scratchpad_depth(DieSpec(scratchpad_bytes=5 * banks * word_bytes - 1), memory, nop) == 4 * banks
    with pytest.raises(ValueError, match="must be from 2048 to "):
        scratchpad_depth(
            DieSpec(scratchpad_bytes=max(64, banks * word_bytes - 1)), MemorySpec(word_bytes=256)
        )


@pytest.mark.parametrize(
    ("lanes", "functions", "word_bytes", "expected"),
    [(0, 0, 32, (8, 8)), (0, 2, 128, (32, 2)), (4, 0, 32, (4, 4)), (1, 1, 4, (1, 1)), (0, 0, 4, (1, 1))],
)
def test_lanes_of_the_vector_unit(
    lanes: int, functions: int, word_bytes: int, expected: tuple[int, int]
) -> None:
    vector, memory = VectorSpec(lanes=lanes, function_lanes=functions), MemorySpec(word_bytes=word_bytes)
    assert (vector_lanes(vector, memory), function_lanes(vector, memory)) == expected


def test_function_lanes_are_at_most_the_lanes() -> None:
    with pytest.raises(ValidationError, match="function_lanes = 4 is more than lanes: must be at most 2"):
        VectorSpec(lanes=2, function_lanes=4)

"""The vector unit against the golden model: whole passes of all kinds and sizes."""

from __future__ import annotations

from random import Random

import pytest

from rtl.vector.vector_shape import VectorShape
from rtl.vector.vector_unit import VectorUnit
from tests.rtl.vector.passes import placed_pass, random_pass, run_passes

DEPTH = 4096


@pytest.mark.parametrize(
    ("word_bytes", "lanes", "function_lanes", "stages", "busy"),
    [
        (4, 1, 1, (1, 1, 1, 1), 0.0),
        (4, 1, 1, (3, 2, 4, 1), 0.4),
        (8, 1, 1, (2, 3, 5, 2), 0.4),
        (8, 2, 1, (4, 1, 7, 1), 0.0),
        (16, 2, 2, (3, 1, 3, 3), 0.2),
        (16, 4, 1, (4, 3, 6, 1), 0.4),
        (32, 8, 2, (1, 2, 5, 1), 0.0),
    ],
)
def test_random_passes(
    word_bytes: int, lanes: int, function_lanes: int, stages: tuple[int, int, int, int], busy: float
) -> None:
    adder, multiplier, function, latency = stages
    shape = VectorShape(
        depth=DEPTH,
        word_bytes=word_bytes,
        lanes=lanes,
        function_lanes=function_lanes,
        adder_stages=adder,
        multiplier_stages=multiplier,
        function_stages=function,
        sram_latency=latency,
    )
    dut = VectorUnit(shape=shape)
    coin = Random(f"{word_bytes} {lanes} {stages} {busy}")
    runs = [
        placed_pass(
            random_pass(coin),
            rows=coin.randint(1, 5),
            cols=coin.randint(1, 5 * lanes),
            lanes=lanes,
            word_bytes=word_bytes,
            base=512 * n,
            seed=coin.getrandbits(32),
            post_0=1,
        )
        for n in range(6)
    ]
    written, _ = run_passes(dut, runs, word_bytes=word_bytes, busy=busy, latency=latency)
    for run in runs:
        there = {address: written.pop(address, None) for address in run.after}
        assert there == run.after
    assert written == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lanes": 3}, "lanes = 3: must be a power of two that divides 4"),
        ({"lanes": 8}, "lanes = 8: must be a power of two that divides 4"),
        ({"function_lanes": 4}, "function_lanes = 4: must be a power of two that divides 2"),
        ({"sram_latency": 0}, "sram_latency = 0: must be an integer of at least 1"),
    ],
)
def test_shapes_that_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^vector unit: {message}$"):
        VectorShape(
            **{
                "depth": 16,
                "word_bytes": 16,
                "lanes": 2,
                "function_lanes": 1,
                "adder_stages": 1,
                **fields,
            }
        )

"""The vector unit against the golden model: whole passes of all kinds and sizes."""

from __future__ import annotations

from random import Random

import pytest

from rtl.vector.vector_unit import VectorUnit
from tests.rtl.vector.passes import placed_pass, random_pass, run_passes

DEPTH = 4096


@pytest.mark.parametrize(
    ("word_bytes", "lanes", "function_lanes", "stages"),
    [
        (4, 1, 1, (1, 1, 1, 1)),
        (8, 1, 1, (2, 3, 5, 2)),
        (8, 2, 1, (4, 2, 7, 1)),
        (16, 2, 2, (3, 1, 3, 3)),
        (16, 4, 1, (4, 3, 6, 1)),
        (32, 8, 2, (1, 2, 5, 1)),
    ],
)
@pytest.mark.parametrize("busy", [0.0, 0.4])
def test_random_passes(
    word_bytes: int, lanes: int, function_lanes: int, stages: tuple[int, int, int, int], busy: float
) -> None:
    adder, multiplier, function, latency = stages
    dut = VectorUnit(
        depth=DEPTH,
        word_bytes=word_bytes,
        lanes=lanes,
        function_lanes=function_lanes,
        adder_stages=adder,
        multiplier_stages=multiplier,
        function_stages=function,
        read_latency=latency,
    )
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

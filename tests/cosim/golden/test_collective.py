"""Golden results of collectives: sums of numpy, in the order of the hardware."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.specs import DieSpec, Dtype
from cosim.golden.collective import golden
from cosim.golden.numerics import fp32_add
from cosim.program.line_commands import LineCollective
from cosim.records.collective import collective_request
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, line


def fp32(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32).view(np.uint32)


@given(
    op=st.sampled_from(OPS),
    dtype=st.sampled_from(get_args(Dtype)),
    algorithm=st.sampled_from(ALGORITHMS),
    nodes=st.integers(2, 12),
    flits=st.integers(1, 70),
)
def test_golden_sums_are_those_of_numpy(
    op: LineOp, dtype: Dtype, algorithm: Algorithm, nodes: int, flits: int
) -> None:
    request = collective_request(
        op=op, rows=1, cols=nodes, axis="row", algorithm=algorithm, flits=flits, die=DieSpec(dtype=dtype)
    )
    own = (np.arange(nodes), np.arange(nodes))
    rng = np.random.default_rng(nodes * flits)
    given_chunks = rng.integers(0, 1 << 32, (nodes, nodes, 3), dtype=np.uint32)
    if dtype == "bf16":  # whole numbers: no order of additions rounds
        given_chunks = (given_chunks % 1000).astype(np.float32).view(np.uint32)
    chunks = golden(request, LineCollective(op, algorithm, nodes, flits, 0, flits), given_chunks)
    if op == "all-gather":
        expected = np.broadcast_to(given_chunks[own], chunks.shape)
    else:
        sums = given_chunks if dtype == "int8" else given_chunks.view(np.float32)
        expected = np.broadcast_to(sums.sum(axis=0, dtype=sums.dtype).view(np.uint32), chunks.shape)
    if op == "reduce-scatter":
        chunks, expected = chunks[own], expected[own]
    assert np.array_equal(chunks, expected)


@pytest.mark.parametrize("nodes", range(2, 8))
@pytest.mark.parametrize("chunk", range(8))
def test_order_of_the_additions_of_the_chain(nodes: int, chunk: int) -> None:
    """Each side from its end to the chunk's die; the longer side meets the die's own part first, then the other one."""
    chunk %= nodes
    request = collective_request(
        op="reduce-scatter", rows=1, cols=nodes, axis="row", algorithm="chain", flits=1
    )
    parts = fp32(np.random.default_rng(nodes), nodes, nodes, 50)
    chunks = golden(request, LineCollective("reduce-scatter", "chain", nodes, 1, 0, 1), parts)[chunk, chunk]
    terms = parts[:, chunk]
    lower, upper = list(terms[:chunk]), list(terms[chunk + 1 :][::-1])
    first, second = (lower, upper) if 2 * chunk >= nodes - 1 else (upper, lower)
    total = terms[chunk]
    for side in (first, second):
        if side:
            walking = side[0]
            for term in side[1:]:
                walking = fp32_add(walking, term)
            total = fp32_add(walking, total)
    assert np.array_equal(chunks, total)


@pytest.mark.parametrize("nodes", range(2, 8))
def test_order_of_the_additions_of_the_ring(nodes: int) -> None:
    """Around the ring, from the die behind the chunk's own to that one."""
    request = collective_request(
        op="reduce-scatter", rows=1, cols=nodes, axis="row", algorithm="ring", flits=1
    )
    parts = fp32(np.random.default_rng(nodes), nodes, nodes, 50)
    chunks = golden(request, LineCollective("reduce-scatter", "ring", nodes, 1, 0, 1), parts)
    follows = {t.sender: t.receiver for t in line("reduce-scatter", nodes, "ring").transfers}
    for chunk in range(nodes):
        place = follows[chunk]
        total = parts[place, chunk]
        for _ in range(nodes - 1):
            place = follows[place]
            total = fp32_add(total, parts[place, chunk])
        assert place == chunk
        assert np.array_equal(chunks[chunk, chunk], total)

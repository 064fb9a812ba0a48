"""Closed forms of other tools as special cases of our terms."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.link_rate import link_rate
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Switches
from chiplet.methods.hecaton import Hecaton, HecatonSwitches
from chiplet.step.collective_time import comm_seconds, whole_chunks_seconds
from chiplet.workload.operations import CommStep
from nop.collective_cost import flat_ring_cost, line_cost
from nop.topology import Mesh
from tests.chiplet.machines import package, small_model

SIZE = st.integers(1, 300)


@given(rows=st.integers(1, 64), cols=st.integers(1, 64), m=SIZE, k=SIZE, n=SIZE)
def test_scale_sims_weight_stationary_cycles_are_our_terms_without_shadow_weights(
    rows: int, cols: int, m: int, k: int, n: int
) -> None:
    """SCALE-Sim, stall-free: ceil(K/R) ceil(N/C) (M + 2 R + C - 2) - 1 cycles.

    Without a second weight register nothing of a tile overlaps the next: each tile is a GEMM of its own, with
    its load (R), its M rows, its way through R rows of one stage (R) and C columns. SCALE-Sim has no
    accumulator adder, which is one stage here, one cycle less in its constant, and counts cycles from zero.
    """
    terms = GemmTerms(drain_per_stage=0.0, constant=-2.0)
    one = terms.array_cycles(rows=rows, cols=cols, stages=1, m=m, k=min(k, rows), n=min(n, cols))
    tiles = ceil(k / rows) * ceil(n / cols)
    assert tiles * one - 1 == tiles * (m + 2 * rows + cols - 2) - 1


@given(
    nodes=st.integers(2, 64),
    shard=st.floats(1, 1e9),
    bandwidth=st.floats(1e6, 1e12),
    latency=st.floats(0, 1e-3),
)
def test_astra_sims_ring_all_gather_is_ours_with_one_hop_steps(
    nodes: int, shard: float, bandwidth: float, latency: float
) -> None:
    """ASTRA-sim's analytical backend: (N - 1) (shard / bandwidth + latency), where a step begins when a whole shard has
    come. Dies that pass flits on hide the shorter one of the two in all steps but one.
    """
    whole = (nodes - 1) * (shard / bandwidth + latency)
    hidden = (nodes - 2) * min(shard / bandwidth, latency)
    link = replace(
        link_rate(package()),
        bytes_per_second=bandwidth,
        hop_seconds=latency,
        frame_seconds=(0.0,) * 10,
        drain_seconds=0.0,
        store_seconds=0.0,
        add_seconds=0.0,
    )
    costs = [line_cost(nodes, "chain")]
    if nodes % 2 == 0:
        costs.append(flat_ring_cost(Mesh(2, nodes // 2), False))
    for cost in costs:
        step = CommStep("gather", "all-gather", "row", nodes, 0.0, cost.serial_chunks * shard, 0.0, cost, 1)
        assert whole_chunks_seconds(step, link) == pytest.approx(whole)
        assert comm_seconds(step, link) == pytest.approx(whole - hidden)


@given(nodes=st.integers(2, 32), tokens=st.integers(1, 5000))
def test_a_methods_all_gather_takes_that_time_but_for_flits_that_are_passed_on(
    nodes: int, tokens: int
) -> None:
    """The first linear's all-gather of X on one row of dies, in a single token tile."""
    system, model = package(), small_model()
    switches: Switches = HecatonSwitches(collective="chain")
    method = Hecaton(model, Mesh(1, nodes), switches, system.die.element_bytes)
    step = method.linear_forward(method.blocks()[0].expand, tokens).comms[0]
    shard = tokens * model.hidden / nodes * system.die.element_bytes
    link = link_rate(system)
    expected = (nodes - 1) * (shard / link.bytes_per_second + link.hop_seconds)
    assert whole_chunks_seconds(step, link) == pytest.approx(expected)
    assert comm_seconds(step, link) <= expected * (1 + 1e-12)

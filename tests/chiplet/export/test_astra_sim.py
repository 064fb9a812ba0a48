"""Inputs of ASTRA-sim: its network takes our time, and what it rejects is not written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chiplet.export.astra_sim import (
    CYCLES_PER_NANOSECOND,
    GIGABYTE,
    Cycle,
    input_files,
    network,
    network_yaml,
    parse_cycle,
)
from chiplet.export.layer_graph import layer_trace
from chiplet.machine.link_rate import link_rate
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from chiplet.step.collective_time import data_seconds, whole_chunks_seconds
from chiplet.workload.operations import CommStep
from tests.chiplet.machines import small_model, small_package

MODEL = small_model(hidden=128, heads=8, kv_heads=8, head_dim=16, ffn=256)


@pytest.mark.parametrize(
    ("method", "switches", "mesh", "counts", "wider", "latency"),
    [
        ("hecaton", {}, (2, 4), [4, 2], 1, [2, 1]),
        ("hecaton", {"collective": "chain"}, (3, 4), [4, 3], 1, [1, 1]),
        ("hecaton", {}, (1, 5), [5], 1, [2]),
        ("optimus", {}, (3, 3), [3, 3], 1, [2, 2]),
        ("torus-ring", {"dimensions": "one"}, (4, 4), [4, 4], 1, [2, 2]),
        ("torus-ring", {}, (4, 4), [4, 4], 2, [2, 2]),
        ("torus-ring", {}, (1, 5), [5], 1, [2]),
        ("flat-ring", {"direction": "one"}, (2, 4), [8], 1, [1]),
        ("flat-ring", {"direction": "both"}, (2, 4), [8], 2, [4 / 7]),
        ("flat-ring", {"direction": "one"}, (3, 3), [9], 1, [2]),
    ],
)
def test_the_network_has_our_bandwidth_and_latency(
    method: str,
    switches: dict[str, Any],
    mesh: tuple[int, int],
    counts: list[int],
    wider: int,
    latency: list[float],
) -> None:
    system = small_package()
    found = account(StepRequest(MODEL, system, mesh=mesh, method=method, switches=switches, global_batch=64))
    made = network(found.method, system)
    assert made["npus_count"] == counts
    rate = wider * link_rate(system).bytes_per_second / GIGABYTE
    assert made["bandwidth"] == [rate] * len(counts)
    assert made["latency"] == pytest.approx([hops * link_rate(system).hop_seconds * 1e9 for hops in latency])
    text = network_yaml(made)
    assert text.splitlines()[0] == f"topology: [ {', '.join(['Ring'] * len(counts))} ]"
    names = [name for name, _ in input_files(found.method, system, layer_trace(found))]
    assert names[:4] == ["network.yml", "system.json", "memory.json", "comm_group.json"]
    assert names[4:] == [f"layer.{npu}.et" for npu in range(found.method.mesh.nodes)]


@pytest.mark.parametrize("collective", ["ring", "chain"])
def test_a_ring_of_astra_sim_takes_our_time_of_whole_chunks(collective: str) -> None:
    """(N - 1) (chunk / bandwidth + latency) of each collective is what our terms say of the same one if its dies wait
    for whole chunks, and no less than what they say of it.
    """
    system = small_package()
    found = account(
        StepRequest(
            MODEL, system, mesh=(4, 3), method="hecaton", switches={"collective": collective}, global_batch=8
        )
    )
    made = network(found.method, system)
    for node in layer_trace(found, sequences=8):
        if node.line is not None:
            place = 0 if node.line.axis == "row" else 1
            assert node.line.size == made["npus_count"][place]
            chunk = node.chunk_bytes / (made["bandwidth"][place] * GIGABYTE)
            theirs = (node.line.size - 1) * (chunk + made["latency"][place] * 1e-9)
            assert theirs == pytest.approx(node.whole_seconds)
            assert node.seconds <= theirs


def test_a_single_die_has_no_network() -> None:
    found = account(StepRequest(MODEL, small_package(), mesh=(1, 1), global_batch=8))
    with pytest.raises(ValueError, match="ASTRA-sim has no network of a single die: export chakra"):
        next(iter(input_files(found.method, small_package(), layer_trace(found))))


@pytest.mark.parametrize("mesh", [(4, 4), (2, 8), (8, 2), (3, 5), (5, 2)])
@pytest.mark.parametrize("dimensions", ["one", "both"])
def test_rings_along_both_dimensions_take_our_time_of_whole_chunks(
    mesh: tuple[int, int], dimensions: str
) -> None:
    """Down the columns, then along the rows with as many chunks as there are rows: what our terms say of both."""
    system = small_package()
    switches = {"dimensions": dimensions}
    found = account(
        StepRequest(MODEL, system, mesh=mesh, method="torus-ring", switches=switches, global_batch=64)
    )
    made = network(found.method, system)
    cost, link, chunk = found.method.ring_cost, link_rate(system), 1e6  # type: ignore[attr-defined]
    step = CommStep("gather", "all-gather", "torus", 0, 0.0, cost.serial_chunks * chunk, 0.0, cost, 1)
    seconds = [
        (count - 1) * (data / (rate * GIGABYTE) + latency * 1e-9)
        for count, rate, latency, data in zip(
            made["npus_count"], made["bandwidth"], made["latency"], (mesh[0] * chunk, chunk), strict=True
        )
    ]
    ours = data_seconds(step, link)
    hops = whole_chunks_seconds(step, link) - ours
    if dimensions == "one":  # the hops of the longer dimension, in each
        hops = sum((side - 1) * min(2, side - 1) for side in mesh) * link.hop_seconds
    assert sum(seconds) == pytest.approx(ours + hops, rel=1e-12)


def test_what_aborts_or_slows_astra_sim_is_not_written() -> None:
    """A delay of 0 ends in an assertion; sums must not wait for a memory; splits make odd chunks a third message."""
    found = account(StepRequest(MODEL, small_package(), mesh=(2, 2), method="torus-ring", global_batch=8))
    nodes = layer_trace(found)
    layer = json.loads(dict(input_files(found.method, found.machine.system, nodes))["system.json"])
    assert layer["endpoint-delay"] >= 1
    assert layer["preferred-dataset-splits"] == 1
    largest = max(node.chunk_bytes for node in nodes)
    assert largest / (layer["local-mem-bw"] * 1e9) < 1e-12


def test_a_cycle_can_be_a_picosecond() -> None:
    """Times are a thousandfold, rates a thousandth; endpoint delays are whole cycles and stay one."""
    found = account(StepRequest(MODEL, small_package(), mesh=(2, 3), method="hecaton", global_batch=8))
    coarse, fine = (network(found.method, small_package(), cycle) for cycle in CYCLES_PER_NANOSECOND)
    assert fine["npus_count"] == coarse["npus_count"]
    assert fine["latency"] == pytest.approx([1000 * latency for latency in coarse["latency"]])
    assert fine["bandwidth"] == pytest.approx([rate / 1000 for rate in coarse["bandwidth"]])
    names: list[Cycle] = [parse_cycle(name) for name in CYCLES_PER_NANOSECOND]
    assert names == ["ns", "ps"]
    with pytest.raises(ValueError, match="cycle 'us': must be one of ns, ps"):
        parse_cycle("us")

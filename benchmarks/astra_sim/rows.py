"""One row of the table: our time of a layer, step by step under the restrictions of ASTRA-sim, and ASTRA-sim's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.astra_sim.binary import run
from benchmarks.astra_sim.cases import Case
from benchmarks.astra_sim.cycles import node_cycles
from benchmarks.astra_sim.replay import apart, replay, shared, vector_in_turn
from chiplet.export.astra_sim import CYCLES_PER_NANOSECOND, Cycle, input_files, network
from chiplet.export.layer_graph import Node, is_cut, layer_operations, layer_sequences, layer_trace
from chiplet.projection.project import Accounted
from chiplet.step.overlap import array_of, demand_busy, operation_demand

__all__ = ["row_of", "terms_seconds"]


def terms_seconds(
    accounted: Accounted, nodes: Sequence[Node], sequences: int, *, token_tiles: bool, as_cut: bool = False
) -> float:
    """Time of the layer by the terms of the projection, s: with ``token_tiles`` a pipeline of token tiles, else
    everything in turn. ``as_cut``: everything in turn for operations that the trace does not cut into tiles, too.
    """
    if not token_tiles:
        return sum(node.seconds for node in nodes)
    machine, method = accounted.machine, accounted.method
    die = machine.system.die
    array = array_of(die, machine.terms)
    total = 0.0
    for _, _, operation, tokens, tile in layer_operations(accounted, sequences):
        size = min(tile, tokens)
        demand = operation_demand(operation, array, die.rows, method, tokens, size)
        cut = is_cut(method, operation, tokens, tile) or not as_cut
        total += float(demand_busy(demand, machine, method.switches.overlap and cut).elapsed)
    return total


def _restricted(accounted: Accounted, nodes: Sequence[Node], cycle: Cycle) -> float:
    """Our terms of computation with the resources, delays and rounding of ASTRA-sim, s."""
    method, system = accounted.method, accounted.machine.system
    times = node_cycles(nodes, method.mesh, network(method, system, cycle), cycle)
    return replay(nodes, times, shared) / CYCLES_PER_NANOSECOND[cycle] / 1e9


def row_of(case: Case, unaware: Path, aware: Path | None) -> dict[str, Any]:
    """The row of a case. Errors as :func:`benchmarks.astra_sim.binary.run` and
    :func:`chiplet.projection.project.account`.
    """
    accounted = case.account()
    method, system = accounted.method, accounted.machine.system
    count = layer_sequences(accounted)
    nodes = layer_trace(accounted, sequences=count, token_tiles=case.token_tiles)
    seconds = [node.seconds for node in nodes]
    compute = sum(node.seconds for node in nodes if node.line is None)
    terms, as_cut = (
        terms_seconds(accounted, nodes, count, token_tiles=case.token_tiles, as_cut=as_cut)
        for as_cut in (False, True)
    )
    one_collective = replay(nodes, seconds, shared)
    whole_chunks = [node.seconds if node.line is None else node.whole_seconds for node in nodes]
    restricted = _restricted(accounted, nodes, "ns")
    theirs = run(unaware, input_files(method, system, nodes), method.mesh.nodes)
    finer = run(unaware, input_files(method, system, nodes, "ps"), method.mesh.nodes)
    one_dimension = len(network(method, system)["npus_count"]) == 1
    congested = (
        run(aware, input_files(method, system, nodes), method.mesh.nodes) if aware and one_dimension else None
    )
    switches = [f"{name}={value}" for name, value in case.switches.items()]
    if case.sequence_length:
        switches.append(f"{case.sequence_length:,} tokens")
    return {
        "model": method.model.name,
        "method": case.method,
        "mesh": str(method.mesh),
        "besides": " ".join(switches),
        "token_tiles": "yes" if case.token_tiles else "no",
        "nodes": len(nodes),
        "terms_ms": terms * 1e3,
        "as_cut_ms": as_cut * 1e3,
        "apart_ms": replay(nodes, seconds, apart) * 1e3,
        "vector_in_turn_ms": replay(nodes, seconds, vector_in_turn) * 1e3,
        "one_collective_ms": one_collective * 1e3,
        "whole_chunks_ms": replay(nodes, whole_chunks, shared) * 1e3,
        "in_cycles_ms": restricted * 1e3,
        "astra_sim_ms": theirs.cycles / 1e6,
        "remainder": theirs.cycles / 1e9 / restricted - 1,
        "difference": theirs.cycles / 1e9 / terms - 1,
        "compute_ms": compute * 1e3,
        "astra_sim_compute_ms": (theirs.cycles - theirs.exposed) / 1e6,
        "exposed_ms": (one_collective - compute) * 1e3,
        "astra_sim_exposed_ms": theirs.exposed / 1e6,
        "picoseconds_ms": finer.cycles / 1e9,
        "picoseconds_remainder": finer.cycles / 1e12 / _restricted(accounted, nodes, "ps") - 1,
        "aware_ms": congested.cycles / 1e6 if congested else None,
    }

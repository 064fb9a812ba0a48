"""Energy from counted events."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.machine.link_rate import link_rate
from chiplet.machine.memory_plane import mean_hops
from chiplet.machine.specs import SUM_BYTES, DieSpec, PackageSpec, SystemSpec
from chiplet.step.dram_traffic import DramTraffic
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import Number, ceil_div
from chiplet.workload.operations import CommStep, Operation
from nop.topology import Mesh

PICO = 1e-12


@dataclass(frozen=True)
class Events(Additive):
    """Counted events of all dies: multiply-adds, vector operations, buffer bytes, bits times hops, DRAM bits."""

    macs: Number = 0.0
    vector_operations: Number = 0.0
    sram_bytes: Number = 0.0
    nop_bit_hops: Number = 0.0
    memory_bit_hops: Number = 0.0
    dram_bits: Number = 0.0


def operation_events(operation: Operation, die: DieSpec) -> Events:
    """Events of ``operation`` for one mini-batch, apart from communication and :func:`stationary_bytes`.

    Buffer accesses of an m x k x n GEMM: the streamed rows once for each of ceil(n / C) column tiles, and each sum read
    and written once for each of ceil(k / R) row tiles. Vector work: what its passes read and write.
    """
    element = die.element_bytes
    total = Events()
    for gemm in operation.gemms:
        # For each multiply-add, so that idle dies count nothing.
        per_mac = (
            element * ceil_div(gemm.n, die.cols) / gemm.n
            + 2 * SUM_BYTES * ceil_div(gemm.k, die.rows) / gemm.k
        )
        total += Events(macs=gemm.macs, sram_bytes=gemm.macs * per_mac)
    for vector in operation.vectors:
        total += Events(
            vector_operations=vector.total * vector.work.operations,
            sram_bytes=vector.total * vector.work.scratchpad_bytes,
        )
    return total


def stationary_bytes(operation: Operation, die: DieSpec, tile: Number) -> Number:
    """Bytes of stationary operands that ``operation`` reads from buffers for one mini-batch: all of them once for each
    token tile of ``tile``.
    """
    return sum(
        gemm.macs * die.element_bytes * (ceil_div(gemm.tokens, tile) if gemm.split == "m" else 1) / gemm.m
        for gemm in operation.gemms
    )


def comm_events(step: CommStep, dies: Number) -> Events:
    """Events of one collective: received data is written to a buffer and read from one; every bit counts every hop."""
    received = step.elements * step.element_bytes * dies
    return Events(sram_bytes=2 * received, nop_bit_hops=8 * step.element_hops * step.element_bytes * dies)


def traffic_events(traffic: DramTraffic, package: PackageSpec, mesh: Mesh) -> Events:
    """Events of memory traffic: what each die reads and writes goes all the way between it and its IO die."""
    moved = traffic.per_die * mesh.nodes
    return Events(
        sram_bytes=moved,
        memory_bit_hops=8 * moved * mean_hops(package, mesh),
        dram_bits=8 * traffic.dram,
    )


def joules(events: Events, system: SystemSpec, dies: Number, seconds: Number) -> dict[str, Number]:
    """Energy by part, joules: ``array``, ``vector``, ``sram``, ``nop``, ``memory_nop``, ``dram``, ``static``."""
    energy, pj_per_bit = system.energy, system.link.pj_per_bit * link_rate(system).wire_bits
    return {
        "array": events.macs * energy.mac_pj * PICO,
        "vector": events.vector_operations * energy.vector_pj * PICO,
        "sram": events.sram_bytes * energy.sram_pj_per_byte * PICO,
        "nop": events.nop_bit_hops * pj_per_bit * PICO,
        "memory_nop": events.memory_bit_hops * pj_per_bit * PICO,
        "dram": events.dram_bits * system.memory.pj_per_bit * PICO,
        "static": energy.static_watts * dies * seconds,
    }

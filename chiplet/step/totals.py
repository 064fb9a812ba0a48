"""The totals of a step's account: for one machine, or for many at once."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.methods.base import Method
from chiplet.step.account import StepAccount
from chiplet.step.energy import joules
from chiplet.step.overlap import Busy, Machine
from chiplet.vectorized.elementwise import Number, anywhere, choose


@dataclass(frozen=True)
class Totals:
    """Numbers of one training step, or arrays with one element for each machine.

    ``energy`` and ``breakdown`` have the parts by name: joules, and seconds as
    :class:`chiplet.projection.results.Breakdown` has them.
    """

    step_seconds: Number
    tokens_per_second: Number
    mfu: Number
    energy_joules: Number
    energy: dict[str, Number]
    breakdown: dict[str, Number]
    compute_to_nop: Number


def totals(
    account: StepAccount, method: Method, machine: Machine, global_batch: Number, length: Number
) -> Totals:
    """The totals of ``account``, for ``global_batch`` sequences of ``length`` tokens."""
    mesh, system = method.mesh, machine.system
    tokens = global_batch * length
    busy = sum((one_pass.on_package * one_pass.layers for one_pass in account.passes), Busy())
    step, embedding, rows = account.seconds, account.embedding_seconds, account.embedding_dram
    energy = joules(account.events, system, mesh.nodes, step)
    flops = method.step_flops(tokens, length)
    peak = 2 * system.die.macs_per_cycle * system.die.clock_hz * mesh.nodes
    dram_exposed = sum((one_pass.dram_exposed * one_pass.layers for one_pass in account.passes), 0.0)
    dram_busy = sum((one_pass.memory_seconds * one_pass.layers for one_pass in account.passes), 0.0)
    breakdown: dict[str, Number] = {
        "compute": busy.compute,
        "nop_exposed": busy.nop_exposed + embedding - rows,
        "vector_exposed": busy.vector_exposed,
        "dram_exposed": dram_exposed + rows,
        "optimizer": account.update_seconds,
        "vector_busy": busy.vector + account.update_vector,
        "nop_busy": busy.nop + account.embedding_nop,
        "dram_busy": dram_busy + rows + account.update_dram,
        "forward": account.direction_seconds("forward") + embedding / 3,
        "backward": account.direction_seconds("backward") + embedding * 2 / 3,
        "optimizer_step": account.update_seconds,
        "pipeline_bubble": account.bubble,
        "fabric_exposed": account.fabric,
    }
    # A single die has no communication.
    communicates = mesh.nodes > 1
    ratio = busy.compute / breakdown["nop_busy"] if anywhere(communicates) else 0.0
    return Totals(
        step,
        tokens / step,
        flops / (step * peak),
        sum(energy.values(), 0.0),
        energy,
        breakdown,
        choose(communicates, ratio, 0.0),
    )

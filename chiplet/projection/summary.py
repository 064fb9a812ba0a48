"""The projection that sums up the account of a step."""

from __future__ import annotations

from chiplet.cost.manufacturing import account_cost
from chiplet.cost.sources import cost_inputs
from chiplet.machine.configuration_keys import section_digests
from chiplet.machine.sources import collect_inputs
from chiplet.machine.specs import SystemSpec
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.methods.base import Method
from chiplet.projection.job import ProjectionJob
from chiplet.projection.results import Breakdown, Buffer, Cost, Memory, Projection
from chiplet.schedule.buffers import STATE_BYTES, BufferUse, Optimizer
from chiplet.schedule.schedule import Schedule
from chiplet.step.account import StepAccount
from chiplet.step.totals import totals
from chiplet.workload.uncounted import uncounted_inputs
from nop.topology import Mesh


def summarize(account: StepAccount, job: ProjectionJob, schedule: Schedule) -> Projection:
    """The projection that sums up ``account``."""
    method, machine, optimizer = job.method, job.machine, job.optimizer
    sums = totals(account, method, machine, job.global_batch, job.length)
    measured, assumed = collect_inputs(machine.system, job.calibration, job.silicon)
    tiles: dict[str, dict[str, int]] = {}
    for one_pass in account.passes:
        tiles.setdefault(one_pass.block, {})[one_pass.direction] = int(one_pass.runs[0].tile)
    return Projection(
        model=method.model.name,
        digests=section_digests(job.given),
        silicon_report=None if job.silicon is None else job.silicon.digest,
        parameters=method.model.parameters,
        active_parameters=method.model.active_parameters,
        dies=method.mesh.nodes,
        unused_dies=job.unused_dies,
        mesh=str(method.mesh),
        method=method.name,
        switches=method.switches.model_dump(),
        optimizer=optimizer,
        global_batch=job.global_batch,
        sequence_length=job.length,
        step_seconds=float(sums.step_seconds),
        tokens_per_second=float(sums.tokens_per_second),
        mfu=float(sums.mfu),
        energy_joules=float(sums.energy_joules),
        energy={name: float(part) for name, part in sums.energy.items()},
        breakdown=Breakdown.model_validate(sums.breakdown),
        memory=_memory(method, schedule, optimizer, tiles),
        nop_elements_per_die_per_layer=account.layer_elements,
        compute_to_nop=float(sums.compute_to_nop),
        cost=_cost(machine.system, method.mesh, job.silicon),
        measured_inputs=measured,
        assumed_inputs=assumed + uncounted_inputs(method.model, job.length),
    )


def _cost(system: SystemSpec, mesh: Mesh, silicon: SiliconReport | None) -> Cost:
    """Cost of all packages."""
    account, packages = account_cost(system, mesh), system.parallel.packages
    return Cost(
        dollars=account.dollars * packages,
        parts={name: float(part) * packages for name, part in account.parts.items()},
        die_mm2=account.die_mm2,
        die_area=account.die_parts,
        die_yield=account.die_yield,
        dies_per_wafer=account.dies_per_wafer,
        good_die_dollars=account.good_die,
        substrates=account.substrates * packages,
        assembly_yield=account.assembly_yield,
        inputs=cost_inputs(system, silicon),
    )


def _memory(
    method: Method, schedule: Schedule, optimizer: Optimizer, tiles: dict[str, dict[str, int]]
) -> Memory:
    names = [use.name for use in schedule.blocks[0].buffers]
    fullest: dict[str, BufferUse] = {
        name: max((part.buffers[place] for part in schedule.blocks), key=lambda use: use.needed)
        for place, name in enumerate(names)
    }
    model, dies, element = method.model, method.mesh.nodes, method.element_bytes
    return Memory(
        buffers={
            name.replace(" ", "_"): Buffer(needed_bytes=use.needed, available_bytes=use.available)
            for name, use in fullest.items()
        },
        dram=Buffer(needed_bytes=schedule.dram.needed, available_bytes=schedule.dram.available),
        weight_bytes_per_die=model.parameters * element / dies,
        state_bytes_per_die=model.parameters * (element + STATE_BYTES[optimizer]) / dies,
        mini_batch_tokens={part.block.label: part.batch.tokens for part in schedule.blocks},
        token_tiles=tiles,
        parts={part.block.label: part.parts for part in schedule.blocks},
        slices={part.block.label: part.slices for part in schedule.blocks},
        rounds=schedule.rounds,
        keeps_probabilities=any(part.keeps_probabilities for part in schedule.blocks),
    )

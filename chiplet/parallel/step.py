"""Several packages that train one model: replicas (data parallelism) of a pipeline of packages.

The packages of a stage may share each sequence (:mod:`chiplet.parallel.context`). A replica works on its share of the
global batch. A stage of a pipeline is a package with consecutive layers; the first also has the embedding, the last the
output head. A round of the package's schedule is a micro-batch of the pipeline. Gradients are summed over replicas by a
ring, layer by layer behind the backward pass of the last micro-batch. Packages are joined by a switched network, so
transfers share nothing but the ports of their packages.
"""

from __future__ import annotations

from dataclasses import replace

from chiplet.parallel.replicas import Replicas
from chiplet.parallel.stages import ParallelAccount
from chiplet.step.account import StepAccount
from chiplet.step.dram_traffic import DramTraffic
from chiplet.step.energy import PICO, joules
from chiplet.vectorized.elementwise import Number, choose, one_of


def step_of_all(work: Replicas, whole: StepAccount, account: ParallelAccount) -> StepAccount:
    """The step of the stage that sets the pace, which may differ between machines."""
    pace, last = account.pace_number, account.last_number
    updates = [work.update(stage) for stage in work.stages]
    traffic = DramTraffic(
        *(one_of(numbers, last) for numbers in zip(*(update.numbers for update, _ in updates), strict=True))
    )
    endings = account.endings
    return replace(
        whole,
        passes=work.passes(whole, pace),
        embedding=whole.embedding * choose(pace == 0, 1, 0),
        embedding_dram=choose(pace == 0, whole.embedding_dram, 0.0),
        embedding_nop=choose(pace == 0, whole.embedding_nop, 0.0),
        update=traffic,
        update_dram=traffic.seconds(work.system, work.method.mesh, work.plane),
        update_vector=one_of([vector for _, vector in updates], last),
        update_seconds=one_of([ending.update for ending in endings], last),
        bubble=account.time.bubble - one_of(account.early, last),
        fabric=account.time.transfers
        + account.time.fill
        + account.exchanged(one_of([stage.layers for stage in account.stages], pace))
        + one_of([ending.seconds for ending in endings], last)
        - one_of([ending.update for ending in endings], last),
    )


def energy_of_all(work: Replicas, step: StepAccount, account: ParallelAccount) -> dict[str, Number]:
    """Energy of all packages by part, joules."""
    system = work.system
    energy = joules(step.events, system, work.method.mesh.nodes * work.spec.packages, step.seconds)
    energy["fabric"] = 8 * account.fabric_bytes * system.fabric.pj_per_bit * PICO
    return energy

"""What each rule of the schedule saves: the same step, with one rule off at a time."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.methods.registry import method_type
from chiplet.projection.project import Accounted
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.schedule.schedule import RULES, Rule, step_work
from chiplet.step.quickest import quickest_step
from chiplet.studies.results import AblationRow, LeftOut


def ablate(accounted: Accounted) -> tuple[list[AblationRow], list[LeftOut]]:
    """The step of ``accounted`` with all rules, and with each of :data:`chiplet.schedule.schedule.RULES` off.

    Without ``fusion`` every block is split into its linears. Without ``residence`` weights are loaded, and gradients
    stored and read again, for every mini-batch. Without ``overlap`` GEMMs, vector work and communication take turns,
    and weights and gradients are not moved behind the computation of another block. Each row is the quickest schedule
    under its rules: its DRAM bytes may be fewer than those of the first row, whose schedule is quicker with all rules.
    Rows have DRAM bytes and step time, also relative to the first row. Raises ``ValueError`` for several packages.
    """
    if accounted.parallel is not None:
        raise ValueError(
            "--ablate: rules of the schedule are left out on one package only, and parallel.data, parallel.pipeline or "
            "parallel.context make several"
        )
    rows: list[AblationRow] = []
    left_out: list[LeftOut] = []
    for without in ((), *((rule,) for rule in RULES)):
        label = ", ".join(without) or "nothing"
        try:
            rows.append(_row(accounted, without, label, rows[0] if rows else None))
        except DoesNotFitError as refusal:
            left_out.append(LeftOut(method=f"without {label}", reason=str(refusal)))
    return rows, left_out


def _row(accounted: Accounted, without: Sequence[Rule], label: str, first: AblationRow | None) -> AblationRow:
    result, machine = accounted.projection, accounted.machine
    switches = accounted.method.switches
    if "overlap" in without:
        switches = switches.model_copy(update={"overlap": False})
    method = method_type(result.method)(
        accounted.method.model, accounted.method.mesh, switches, accounted.method.element_bytes
    )
    work = step_work(
        method,
        machine.system,
        global_batch=result.global_batch,
        length=result.sequence_length,
        optimizer=result.optimizer,
        mini_batch=accounted.job.mini_batch,
        without=tuple(without),
    )
    account = quickest_step(method, machine, work, result.optimizer).account
    dram = account.events.dram_bits / 8
    return AblationRow(
        without=label,
        dram_bytes=dram,
        step_seconds=account.seconds,
        dram_ratio=1.0 if first is None else dram / first.dram_bytes,
        step_ratio=1.0 if first is None else account.seconds / first.step_seconds,
    )

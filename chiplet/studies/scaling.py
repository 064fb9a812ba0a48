"""How the methods scale: with model and package together, with more dies for one model, and with machine parameters.

Weak scaling runs over four pairs of model and package: models of the Hecaton paper (arXiv 2407.05784), on numbers of
dies that are inferred, such that hidden size over the root of dies is the same in all. A method that does not fit a
machine is left out and listed with the buffer that is too small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from chiplet.machine.calibration import Calibration
from chiplet.machine.link_rate import LinkRate, link_rate
from chiplet.machine.specs import SystemSpec
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.step.collective_time import data_seconds
from chiplet.studies.published import CLAIMS
from chiplet.studies.results import ClaimBeside, LeftOut, ScalingRow, ScalingTerms, SensitivityRow
from chiplet.workload.llm import Llm, load_model
from chiplet.workload.operations import CommStep, linears
from nop.topology import Mesh, most_square

PAIRS: tuple[tuple[str, int], ...] = (
    ("tinyllama-1.1b", 16),
    ("llama2-7b", 64),
    ("llama2-70b", 256),
    ("llama3.1-405b", 1024),
)
"""Models and numbers of dies that grow together: published models, inferred numbers of dies."""

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Factors for a parameter of the machine."""

BASELINE = "flat-ring"
"""The method with which speed and energy are compared."""

_PARAMETERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "link bandwidth": ("link", ("lane_rate",)),
    "link latency": ("link", ("latency_seconds",)),
    "DRAM bandwidth": ("memory", ("channel_bytes_per_second",)),
    "SRAM size": ("die", ("weight_bytes", "activation_bytes", "accumulator_bytes", "scratchpad_bytes")),
    "array": ("die", ("rows", "cols")),
}


@dataclass(frozen=True)
class Setting:
    """What all projections of a study share."""

    system: SystemSpec
    calibration: Calibration | None = None
    silicon: Sequence[SiliconReport] = ()
    global_batch: int | None = None
    sequence_length: int | None = None

    def request(self, model: Llm, method: str, **values: Any) -> StepRequest:
        """The request for ``model`` by ``method``; ``values`` are further fields: ``dies``, ``mesh``, ``switches``.

        All methods have the same mesh: the most square one of ``dies``.
        """
        if values.get("mesh") is None and values.get("dies") is not None:
            values["mesh"] = most_square(values["dies"])
        return StepRequest(
            model,
            self.system,
            method=method,
            calibration=self.calibration,
            silicon=self.silicon,
            global_batch=self.global_batch,
            sequence_length=self.sequence_length,
            **values,
        )


def weak_scaling(
    setting: Setting,
    *,
    pairs: Sequence[tuple[str, int]] = PAIRS,
    methods: Iterable[str] = tuple(METHODS),
) -> tuple[list[ScalingRow], list[LeftOut]]:
    """All ``methods`` on all ``pairs`` of model and number of dies.

    Raises ``ValueError`` as :func:`chiplet.projection.project.project` does.
    """
    return _rows(setting, [(load_model(model), dies) for model, dies in pairs], tuple(methods))


def strong_scaling(
    model: Llm | str, dies: Sequence[int], setting: Setting, *, methods: Iterable[str] = tuple(METHODS)
) -> tuple[list[ScalingRow], list[LeftOut]]:
    """All ``methods`` for one ``model`` on each number of ``dies``."""
    llm = load_model(model) if isinstance(model, str) else model
    return _rows(setting, [(llm, count) for count in dies], tuple(methods))


def sensitivity(
    model: Llm | str, dies: int, setting: Setting, *, methods: Iterable[str] = tuple(METHODS)
) -> tuple[list[SensitivityRow], list[LeftOut]]:
    """One change at a time: each parameter of the machine times each of :data:`FACTORS`, every switch of every method
    at each of its other values, and every shape of the mesh.

    Speed and energy are compared with the flat ring with default switches on the same machine, and left out if that
    does not fit. A changed die is not the die of the calibration, so it has the terms of the design.
    """
    llm = load_model(model) if isinstance(model, str) else model
    names = tuple(methods)
    rows: list[SensitivityRow] = []
    left_out: list[LeftOut] = []

    def study(parameter: str, value: str, run: Callable[[str], Projection | None]) -> None:
        base = run(BASELINE)
        for name in names:
            result = base if name == BASELINE else run(name)
            if result is not None:
                rows.append(_sensitivity_row(parameter, value, result, base))

    for parameter, (section, keys) in _PARAMETERS.items():
        for factor in FACTORS:
            changed = _scaled(setting.system, section, keys, factor)
            if changed is not None:
                other = Setting(
                    changed,
                    setting.calibration if section != "die" else None,
                    setting.silicon,
                    setting.global_batch,
                    setting.sequence_length,
                )
                label = f"{parameter} x {factor:g}"
                study(parameter, f"{factor:g}", _runner(llm, dies, None, other, left_out, label))
    for mesh_rows in (mesh_rows for mesh_rows in range(1, dies + 1) if dies % mesh_rows == 0):
        mesh = Mesh(mesh_rows, dies // mesh_rows)
        study("mesh", str(mesh), _runner(llm, None, mesh, setting, left_out, f"mesh {mesh}"))
    base = _try(setting.request(llm, BASELINE, dies=dies))
    for name in names:
        for switch, value in _other_values(name):
            label = f"{name} with {switch} = {value}"
            changed_run = _try(setting.request(llm, name, dies=dies, switches={switch: value}))
            if isinstance(changed_run, LeftOut):
                left_out.append(LeftOut(method=label, reason=changed_run.reason))
            else:
                flat = None if isinstance(base, LeftOut) else base
                rows.append(_sensitivity_row(f"switch {switch}", str(value), changed_run, flat))
    return rows, left_out


def published_beside(rows: Sequence[ScalingRow]) -> list[ClaimBeside]:
    """The published claims with our results for the same model and dies, if ``rows`` has them."""
    ours = {(row.model, row.dies): row for row in rows if row.method == "hecaton"}
    return [
        ClaimBeside(
            **claim.model_dump(),
            our_speedup=ours[key].speedup,
            our_energy_ratio=ours[key].energy_ratio,
        )
        for claim in CLAIMS
        if (key := (claim.model, claim.dies)) in ours
    ]


def spread(rows: Sequence[ScalingRow], method: str = "hecaton") -> float:
    """Largest deviation of computation over communication from the middle of its range, relative to that middle."""
    ratios = [row.compute_to_nop for row in rows if row.method == method]
    if not ratios:
        return 0.0
    low, high = min(ratios), max(ratios)
    return (high - low) / (high + low) if high else 0.0


def _rows(
    setting: Setting, cases: Sequence[tuple[Llm, int]], methods: tuple[str, ...]
) -> tuple[list[ScalingRow], list[LeftOut]]:
    for name in methods:
        method_type(name)
    rows: list[ScalingRow] = []
    left_out: list[LeftOut] = []
    for model, dies in cases:
        runs = {
            name: _try(setting.request(model, name, dies=dies))
            for name in dict.fromkeys((*methods, BASELINE))
        }
        base = runs[BASELINE]
        for name in methods:
            run = runs[name]
            if isinstance(run, LeftOut):
                left_out.append(run)
            else:
                rows.append(_scaling_row(model, setting, run, None if isinstance(base, LeftOut) else base))
    return rows, left_out


def _try(request: StepRequest) -> Projection | LeftOut:
    try:
        return project(request)
    except DoesNotFitError as refusal:
        return LeftOut(method=request.method, reason=str(refusal))


def _runner(
    model: Llm,
    dies: int | None,
    mesh: Mesh | None,
    setting: Setting,
    left_out: list[LeftOut],
    label: str,
) -> Callable[[str], Projection | None]:
    def run(method: str) -> Projection | None:
        outcome = _try(setting.request(model, method, dies=dies, mesh=mesh))
        if isinstance(outcome, LeftOut):
            left_out.append(LeftOut(method=f"{method}, {label}", reason=outcome.reason))
            return None
        return outcome

    return run


def _scaled(system: SystemSpec, section: str, keys: tuple[str, ...], factor: float) -> SystemSpec | None:
    """The machine with ``keys`` of ``section`` multiplied; ``None`` if that is not a valid machine."""
    part = getattr(system, section)
    values = part.model_dump()
    for key in keys:
        values[key] = type(values[key])(values[key] * factor)
    try:
        return system.model_copy(update={section: type(part).model_validate(values)})
    except ValueError:
        return None


def _other_values(method: str) -> list[tuple[str, Any]]:
    """Every switch of ``method`` with every value that is not its default."""
    switches = method_type(method).switches_type
    defaults = make_switches(method).model_dump()
    others = []
    for name, field in switches.model_fields.items():
        values = (False, True) if field.annotation is bool else get_args(field.annotation)
        others += [(name, value) for value in values if value != defaults[name]]
    return others


def _gains(result: Projection, base: Projection | None) -> tuple[float | None, float | None]:
    if base is None:
        return None, None
    return base.step_seconds / result.step_seconds, base.energy_joules / result.energy_joules


def _sensitivity_row(
    parameter: str, value: str, result: Projection, base: Projection | None
) -> SensitivityRow:
    speedup, energy_ratio = _gains(result, base)
    return SensitivityRow(
        parameter=parameter,
        value=value,
        model=result.model,
        dies=result.dies,
        mesh=result.mesh,
        method=result.method,
        step_seconds=result.step_seconds,
        energy_joules=result.energy_joules,
        mfu=result.mfu,
        speedup=speedup,
        energy_ratio=energy_ratio,
    )


def _scaling_row(model: Llm, setting: Setting, result: Projection, base: Projection | None) -> ScalingRow:
    speedup, energy_ratio = _gains(result, base)
    tokens = result.global_batch * result.sequence_length
    return ScalingRow(
        model=result.model,
        dies=result.dies,
        mesh=result.mesh,
        method=result.method,
        global_batch=result.global_batch,
        sequence_length=result.sequence_length,
        compute_to_nop=result.compute_to_nop,
        compute_seconds_per_token=result.breakdown.compute / tokens,
        nop_seconds_per_token=result.breakdown.nop_busy / tokens,
        step_seconds=result.step_seconds,
        mfu=result.mfu,
        energy_joules=result.energy_joules,
        speedup=speedup,
        energy_ratio=energy_ratio,
        sram_bytes={name: use.needed_bytes for name, use in result.memory.buffers.items()},
        switches=result.switches,
        breakdown=result.breakdown,
        terms=_terms(model, setting.system, result)
        if result.method == "hecaton" and result.packages == 1
        else None,
    )


def _terms(model: Llm, system: SystemSpec, result: Projection) -> ScalingTerms | None:
    """Computation over communication as a product: its value for the shape of the model on infinitely long lines of
    dies, and the factors to the actual value. ``None`` on a single die, which has no communication.
    """
    rows, cols = (int(side) for side in result.mesh.split("x"))
    mesh = Mesh(rows, cols)
    tokens = result.global_batch * result.sequence_length
    method = method_type(result.method)(
        model, mesh, make_switches(result.method, result.switches), system.die.element_bytes
    )
    link = link_rate(system)
    data = endless = 0.0
    for block in method.blocks():
        if block.contract is None:
            continue
        of_data = of_endless = 0.0
        for linear in linears(block):
            for operation in (method.linear_forward(linear, tokens), method.linear_backward(linear, tokens)):
                of_data += _busiest(operation.comms, link, endless=False)
                of_endless += _busiest(operation.comms, link, endless=True)
        data, endless = data + of_data * block.layers, endless + of_endless * block.layers
    if not data:
        return None
    rate = 2 * system.die.macs_per_cycle * system.die.clock_hz * mesh.nodes
    weights = model.layers * model.attention_weights
    weights += sum(len(kind.numbers) * kind.layer.used_ffn_weights for kind in model.ffn_kinds)
    products = 6 * tokens * weights / rate
    layers = 3 * model.layers_forward_flops(tokens, result.sequence_length) / rate
    whole = 3 * model.forward_flops(tokens, result.sequence_length) / rate
    return ScalingTerms(
        shape=products / endless,
        borders=endless / data,
        attention=layers / products,
        head=whole / layers,
        array=result.breakdown.compute / whole,
        nop_rest=data / result.breakdown.nop_busy,
    )


def _busiest(comms: Iterable[CommStep], link: LinkRate, *, endless: bool) -> float:
    """Data time of the busiest axis; on ``endless`` lines a die receives all of what its line has."""
    axes: dict[str, float] = {}
    for step in comms:
        seconds = data_seconds(step, link)
        if endless and step.group > 1:
            seconds *= step.group / (step.group - 1)
        axes[step.axis] = axes.get(step.axis, 0.0) + seconds
    return max(axes.values(), default=0.0)

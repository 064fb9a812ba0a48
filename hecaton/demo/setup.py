"""What the stages of the demo share: the folder, the work, the machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from chiplet.machine.calibration import Calibration
from chiplet.machine.specs import SystemSpec
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from chiplet.studies.compare import compare as compare_methods
from chiplet.studies.results import Comparison
from cosim.calibrate import die as die_calibration
from cosim.records.gemm import GemmRequest
from hecaton.demo.index import demo_command
from hecaton.demo.plan import Plan
from hecaton.demo.training import DemoTrainingRun
from hecaton.results.records import Run, run_gemms
from hecaton.terminal.output import Output
from nop.topology import most_square


@dataclass(frozen=True)
class Setup:
    """What the stages share: the folder, the work, the machines.

    ``bench`` is the machine of Verilog and co-simulation, which starts from ``bench_preset``, as does ``trained``, that
    of the training; ``package`` is that of calibration and projections, from ``projection_preset``; ``options`` are the
    words of the command that configure all. ``cosimulated`` are the runs of the co-simulation; the calibration is
    checked against them too.
    """

    folder: Path
    out: Output
    plan: Plan
    bench: SystemSpec
    package: SystemSpec
    trained: SystemSpec
    options: tuple[str, ...]
    bench_preset: str
    projection_preset: str
    workers: int | None
    seed: int
    sim: str
    cosimulated: list[Run] = field(default_factory=list)

    @property
    def records(self) -> Path:
        """Folder of the measurement records."""
        return self.folder / "records"

    @property
    def calibration(self) -> Path:
        """File of the calibration."""
        return self.folder / "calibration.json"

    @property
    def command(self) -> str:
        """The command of the whole demo."""
        return demo_command(self.folder, seed=self.seed, sim=self.sim, options=self.options)

    def case_requests(self) -> list[GemmRequest]:
        """The co-simulated GEMMs."""
        return [case.request(self.bench, seed=self.seed, sim=self.sim) for case in self.plan.cases]

    def sample_requests(self) -> list[GemmRequest]:
        """The GEMMs of the calibration."""
        return [
            die_calibration.request_for(sample, self.package, seed=self.seed, sim=self.sim)
            for sample in self.plan.samples
        ]

    def compared(self, measured: Calibration | None) -> Comparison:
        """All methods for the plan's model."""
        return compare_methods(
            StepRequest(self.plan.model, self.package, dies=self.plan.dies, calibration=measured)
        )

    def scaled(self, measured: Calibration | None) -> list[Accounted]:
        """The projections of weak scaling: all methods on the same mesh, the most square one of the dies."""
        return [
            account(
                StepRequest(model, self.package, mesh=most_square(dies), method=method, calibration=measured)
            )
            for model, dies in self.plan.scaling
            for method in self.plan.scaling_methods
        ]

    @cached_property
    def training(self) -> DemoTrainingRun:
        """The training, ready to run."""
        return self.plan.training.prepared(self.trained, seed=self.seed, sim=self.sim)

    def run(self, label: str, requests: Sequence[GemmRequest]) -> list[Run]:
        """Run GEMMs and report each as it ends."""
        with self.out.progress(label, len(requests)) as advance:

            def report(run: Run) -> None:
                record = run.record
                source = "record reused" if run.reused else f"{record.wall_seconds:.1f} s"
                self.out.note(
                    f"      {array_of(run)} {shape_of(run)}: {record.mismatches} mismatches, "
                    f"{record.cycles} cycles ({source})"
                )
                advance()

            return run_gemms(requests, self.records, workers=self.workers, ended=report)


def array_of(run: Run) -> str:
    return f"{run.record.rows}x{run.record.cols} {run.record.dtype}"


def shape_of(run: Run) -> str:
    request = run.record.request
    extra = [f"stall {request.stall:g}"] if request.stall else []
    extra += [f"{request.operands} operands"] if request.operands != "normal" else []
    return ", ".join([f"{request.m}x{request.k}x{request.n} {request.form}", *extra])

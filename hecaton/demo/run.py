"""The demo: Verilog, co-simulation, calibration and projection in one run, with an index of the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chiplet.machine.config import load_system, starting_preset
from cosim.backends.registry import backend
from cosim.run.gemm import prepare
from hecaton.demo.index import DemoPart, DemoStage, demo_command, write_index
from hecaton.demo.plan import Plan
from hecaton.demo.stages import Setup, calibrate, compare, cosimulate, scale, write_verilog
from hecaton.terminal.options import machine_words
from hecaton.terminal.output import Output

STAGES: tuple[tuple[str, Callable[[Setup], DemoPart]], ...] = (
    ("Verilog", write_verilog),
    ("Co-simulation", cosimulate),
    ("Calibration", calibrate),
    ("Comparison", compare),
    ("Weak scaling", scale),
)


@dataclass(frozen=True)
class Demo:
    """The result of a demo: ``data`` is the JSON object (and ``index.json``), ``text`` is ``index.md``."""

    data: dict[str, Any]
    text: str


def run_demo(
    folder: Path,
    out: Output,
    *,
    plan: Plan,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    seed: int = 0,
    sim: str = "icarus",
) -> Demo:
    """Run ``plan`` and write everything into ``folder``; progress goes to ``out``.

    Verilog and co-simulation are of the machine of ``config`` and ``overrides``, or of the preset bench without a
    file; calibration and projections of the same one, or of the preset package. Every file is written whole or not
    at all. A GEMM with a record in ``folder``, on the same Verilog, is not run again. After a mismatch the stages that
    use measurements are left out.

    Raises
    ------
    ValueError
        If something is out of range or does not fit, before anything runs.
    SimulationError
        If the simulator is missing or fails.
    """
    options = machine_words(config, overrides)
    presets = {
        use: starting_preset(config, overrides, preset=preset)
        for use, preset in (("co-simulation", "bench"), ("projection", "package"))
    }
    setup = Setup(
        folder=folder,
        out=out,
        plan=plan,
        bench=load_system(config, overrides, preset=presets["co-simulation"]),
        package=load_system(config, overrides, preset=presets["projection"]),
        options=tuple(options),
        bench_preset=presets["co-simulation"],
        projection_preset=presets["projection"],
        workers=workers,
        seed=seed,
        sim=sim,
    )
    simulator_version = backend(sim).version()
    _check(setup)
    folder.mkdir(parents=True, exist_ok=True)
    stages: list[DemoStage] = []
    for number, (name, run) in enumerate(STAGES, start=1):
        out.note(f"[{number}/{len(STAGES)}] {name}")
        start = time.perf_counter()
        part = run(setup)
        stages.append(DemoStage(name, part, time.perf_counter() - start))
        out.note(f"      {part.summary} ({stages[-1].seconds:.1f} s)")
        if part.mismatches:
            break
    data, text = write_index(
        folder,
        stages,
        made_by=demo_command(folder, seed=seed, sim=sim, options=options),
        versions={
            "sim": sim,
            "simulator_version": simulator_version,
            "hecaton_version": version("hecaton"),
            "seed": seed,
            "presets": presets,
        },
        left_out=[name for name, _ in STAGES[len(stages) :]],
    )
    return Demo(data, text)


def _check(setup: Setup) -> None:
    """Refuse at once what a later stage would refuse. Projections are quick, so they are made here already."""
    for request in [*setup.case_requests(), *setup.sample_requests()]:
        prepare(request)
    setup.compared(None)
    setup.scaled(None)

"""The work of a demo: which GEMMs, collectives and projections."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, Dtype, SystemSpec
from cosim.calibrate.die import Sample, samples
from cosim.calibrate.network import NopSample, nop_samples
from cosim.calibrate.sample_runs import cycle_fields
from cosim.program.shape import Operands
from cosim.records.gemm import GemmRequest, gemm_request


@dataclass(frozen=True)
class DemoCase:
    """One co-simulated GEMM: its shape and, unless it runs on the configured die, the ``array`` (rows, columns) and
    the operand type of a die of the same kind.
    """

    m: int
    k: int
    n: int
    form: Form = "nn"
    array: tuple[int, int] | None = None
    dtype: Dtype = "bf16"
    stall: float = 0.0
    operands: Operands = "normal"

    def request(self, system: SystemSpec, *, seed: int, sim: str) -> GemmRequest:
        """The run of this case on ``system``. Buffers of a die that is not the configured one have their default
        sizes.
        """
        die = system.die
        if self.array is not None:
            rows, cols = self.array
            die = DieSpec(rows=rows, cols=cols, **{**cycle_fields(die), "dtype": self.dtype})
        return gemm_request(
            m=self.m,
            k=self.k,
            n=self.n,
            form=self.form,
            die=die,
            memory=system.memory,
            seed=seed,
            stall=self.stall,
            operands=self.operands,
            sim=sim,
        )


@dataclass(frozen=True)
class Plan:
    """The work of a demo.

    ``cases`` are co-simulated, ``samples`` and ``nop_samples`` calibrated with; ``model`` on ``dies`` dies is compared
    by all methods, and ``scaling`` (models and numbers of dies) by ``scaling_methods``.
    """

    cases: tuple[DemoCase, ...]
    samples: tuple[Sample, ...]
    nop_samples: tuple[NopSample, ...]
    model: str
    dies: int
    scaling: tuple[tuple[str, int], ...]
    scaling_methods: tuple[str, ...]


_FORMS: tuple[Form, ...] = ("nn", "nt", "tn")
_DTYPES: tuple[Dtype, ...] = ("bf16", "int8")

FULL = Plan(
    cases=(
        # The longest run first: the others fill the other cores meanwhile.
        DemoCase(128, 64, 64),
        DemoCase(31, 32, 31, array=(5, 3), stall=0.3),
        *(DemoCase(16, 24, 20, form, (4, 4), dtype) for dtype in _DTYPES for form in _FORMS),
        *(DemoCase(13, 17, 19, form, (5, 3), dtype) for dtype in _DTYPES for form in _FORMS),
        DemoCase(9, 10, 11, array=(4, 4), operands="special"),
    ),
    samples=tuple(samples(quick=True)),
    nop_samples=tuple(nop_samples(quick=True)),
    model="llama3.1-405b",
    dies=1024,
    scaling=(("tinyllama-1.1b", 16), ("llama2-7b", 64), ("llama2-70b", 256), ("llama3.1-405b", 1024)),
    scaling_methods=("hecaton", "flat-ring"),
)
"""The demo of ``hecaton demo``."""

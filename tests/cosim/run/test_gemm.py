"""GEMMs on the generated Verilog: no bit differs, no cycle is lost, and every defect is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.backends.base import SimulationError
from cosim.golden import gemm as golden
from cosim.golden.interpreter import interpret_gemm
from cosim.jobs.folder import save_image
from cosim.program.gemm import Semaphore
from cosim.program.shape import FORMS
from cosim.records.gemm import GemmRecord, GemmRequest, gemm_request
from cosim.regress.cases import everything_fits
from cosim.run import gemm
from cosim.run.designs import emitted_once
from cosim.run.gemm import prepare, run_gemm
from cosim.workers.pool import run_all
from rtl.interface.isa import Opcode, encode
from tests.cosim.machines import Case

DTYPES: tuple[Dtype, ...] = ("bf16", "int8")
TOLERANCE = 8
"""Cycles that a GEMM out of the buffers may take beyond its floor."""


def die(rows: int, cols: int, dtype: Dtype = "bf16", stages: int = 1, scale: int = 1) -> DieSpec:
    """A die with buffers that hold the test shapes, or less."""
    return DieSpec(
        rows=rows,
        cols=cols,
        dtype=dtype,
        stages=stages,
        weight_bytes=8192 // scale,
        activation_bytes=8192 // scale,
        accumulator_bytes=16384 // scale,
    )


@dataclass(frozen=True)
class Run:
    """One GEMM of the set."""

    die: DieSpec
    size: tuple[int, int, int]
    form: Form
    word_bytes: int = 32
    stall: float = 0.0
    interval: int = 1
    latency: int = 20
    outstanding: int = 32
    operands: str = "normal"

    @property
    def request(self) -> GemmRequest:
        m, k, n = self.size
        memory = MemorySpec(
            word_bytes=self.word_bytes, latency_cycles=self.latency, outstanding=self.outstanding
        )
        return gemm_request(
            m=m,
            k=k,
            n=n,
            form=self.form,
            die=self.die,
            memory=memory,
            stall=self.stall,
            interval=self.interval,
            operands=self.operands,
            seed=sum(self.size),
        )

    def __str__(self) -> str:
        die = self.die
        size = "x".join(map(str, self.size))
        return f"{die.rows}x{die.cols}-{die.dtype}-p{die.stages}-w{self.word_bytes}-{size}-{self.form}"


def check(run: Run) -> GemmRecord:
    """Run it; compare result, cycles and counters."""
    request = run.request
    record = run_gemm(request)
    assert record.mismatches == 0
    assert record.cycles > record.array_cycles > 0
    assert record.utilization == record.ideal_cycles / record.array_cycles
    program = prepare(request).program
    if everything_fits(program):
        assert record.array_cycles <= record.floor_cycles + TOLERANCE
    a, b = Case(request.die, request.memory, program).operands(operands="normal")
    _, interpreter = interpret_gemm(program, a, b, die=request.die, memory=request.memory)
    assert {name: record.counters[name] for name in interpreter.counters} == interpreter.counters
    return record


KEEPING = DieSpec(rows=2, cols=2, weight_bytes=64, activation_bytes=512, accumulator_bytes=512)
"""Uses two blocks of A twice each, while the next two would like to come, for 64x8x8 and words of 8 bytes."""

FAST = [
    Run(die(4, 4), (5, 32, 3), "nn"),
    Run(die(4, 4), (31, 32, 31), "nt"),
    Run(die(4, 4), (1, 1, 1), "tn"),
    Run(die(4, 4), (13, 9, 11), "tn", operands="special"),
    Run(die(4, 4, "int8"), (37, 53, 29), "tn", word_bytes=16),
    Run(die(4, 4, "int8"), (5, 32, 3), "nt", word_bytes=16, interval=7, latency=100),
    Run(die(8, 8), (17, 32, 19), "tn", word_bytes=64),
    Run(die(4, 8, stages=2), (13, 17, 19), "nt", stall=0.5, operands="special"),
    Run(die(5, 3, "int8"), (13, 31, 10), "nn", word_bytes=8),
    Run(die(5, 3, "int8"), (13, 31, 10), "tn", word_bytes=8, stall=0.9),
    Run(die(1, 1), (3, 5, 2), "nn", word_bytes=4),
    Run(die(1, 4, stages=4), (2, 9, 6), "nt", word_bytes=64, operands="special"),
    Run(die(3, 1, stages=3), (2, 10, 3), "tn", word_bytes=256, operands="special"),
    Run(die(2, 3, stages=4), (1, 13, 7), "nn", word_bytes=4, operands="special"),
    Run(die(4, 4, scale=64), (9, 19, 35), "nn", word_bytes=8, outstanding=1, stall=0.1),
    Run(die(4, 4, "int8", scale=64), (17, 35, 18), "tn", word_bytes=8),
    Run(KEEPING, (64, 8, 8), "nn", word_bytes=8, latency=2),
    # Fewer slots than panels: results leave while the next panel is summed.
    Run(DieSpec(rows=2, cols=2, accumulator_bytes=128), (7, 5, 12), "nn", stall=0.3),
]


LONGER = [run for run in FAST if (run.die.rows, run.die.cols) in ((8, 8), (4, 8), (3, 1))] + [FAST[14]]
"""Runs with designs that take longest to emit."""


@pytest.mark.parametrize(
    "run", [pytest.param(run, marks=pytest.mark.slow) if run in LONGER else run for run in FAST], ids=str
)
def test_gemm(run: Run) -> None:
    check(run)


def test_the_small_buffers_of_the_set_need_blocks() -> None:
    """Several blocks along M, K and N, kept blocks, and too few slots do occur above."""
    programs = [prepare(run.request).program for run in FAST]
    for dimension in ("m", "k", "n"):
        assert any(getattr(p.tiling, dimension) < getattr(p.shape, dimension) for p in programs)
    assert any(
        command.opcode == Opcode.GEMM and command.fields["panels"] > program.tiling.slots
        for program in programs
        for command in program.commands
    )
    assert any(
        command.opcode == Opcode.GEMM
        and Semaphore.ACTIVATION_FED not in (command.fields["wait_0"], command.fields["wait_1"])
        for command in programs[-2].commands
    )
    assert any(map(everything_fits, programs))


def test_stalls_change_cycles_and_no_bit() -> None:
    runs = [Run(die(4, 4), (13, 9, 11), "nn", stall=stall) for stall in (0.0, 0.5)]
    free, stalled = map(check, runs)
    assert stalled.cycles > free.cycles
    assert stalled.array_cycles == free.array_cycles


@pytest.mark.parametrize("seed", [0, (1 << 32) - 1])
def test_every_seed_is_good(seed: int) -> None:
    request = Run(die(4, 4), (5, 3, 2), "nn", stall=0.2).request.model_copy(update={"seed": seed})
    assert run_gemm(request).mismatches == 0


def test_a_run_can_be_repeated() -> None:
    request = Run(die(4, 4), (5, 3, 2), "nn", stall=0.4).request
    first, second = run_gemm(request), run_gemm(request)
    assert first.model_copy(update={"wall_seconds": second.wall_seconds}) == second


def test_progress_is_told() -> None:
    parts: list[float] = []
    run_gemm(Run(die(4, 4), (31, 32, 31), "nn").request, progress=parts.append)
    assert all(0 <= part <= 1 for part in parts)
    assert parts == sorted(parts)


def test_a_wrong_golden_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped bit of one element is one mismatch."""
    right = golden.gemm

    def wrong(*operands: Any, **options: Any) -> Any:
        result = right(*operands, **options)
        result.view("u4")[2, 1] ^= 1
        return result

    monkeypatch.setattr(gemm, "gemm", wrong)
    assert run_gemm(Run(die(4, 4), (5, 3, 2), "nn").request).mismatches == 1


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_a_byte_that_changes_in_memory_is_seen(monkeypatch: pytest.MonkeyPatch, dtype: Dtype) -> None:
    """One element of A spoils one row of the result, and nothing else."""

    def corrupt(folder: Path, segments: dict[int, bytes]) -> None:
        a = bytearray(segments[0])
        a[1 if dtype == "bf16" else 0] ^= 0x41
        save_image(folder, {**segments, 0: bytes(a)})

    monkeypatch.setattr("cosim.run.die.save_image", corrupt)
    mismatches = run_gemm(Run(die(4, 4, dtype), (5, 3, 7), "nn").request).mismatches
    assert 5 <= mismatches <= 7


def test_undefined_results_are_mismatches(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(folder: Path, segments: dict[int, bytes]) -> None:
        save_image(
            folder,
            {address: content for address, content in segments.items() if address == 0 or address > 10},
        )

    request = Run(die(4, 4), (5, 3, 2), "nn").request
    program = prepare(request).program
    assert program.b.address < 10 < program.program_address
    monkeypatch.setattr("cosim.run.die.save_image", forget)
    assert run_gemm(request).mismatches == 10


def test_a_word_that_is_no_command_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(folder: Path, segments: dict[int, bytes]) -> None:
        save_image(folder, {address: bytes(len(content)) for address, content in segments.items()})

    monkeypatch.setattr("cosim.run.die.save_image", spoil)
    message = "the die: command processor read a word that is not a command of this die"
    with pytest.raises(SimulationError, match=f"^cosim.benches.die on bench_die_4x4_bf16 failed: {message}"):
        run_gemm(Run(die(4, 4), (5, 3, 2), "nn").request)


def test_a_program_that_blocks_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says that the first operand is in the scratchpad."""
    request = Run(die(4, 4), (5, 3, 2), "nn").request
    program = prepare(request).program
    number, load = next(
        (number, command.fields)
        for number, command in enumerate(program.commands)
        if command.opcode == Opcode.LOAD
    )
    silent = {name: 0 if "post" in name else value for name, value in load.items()}

    def block(folder: Path, segments: dict[int, bytes]) -> None:
        content = bytearray(segments[program.program_address])
        content[number * 32 : number * 32 + 32] = encode(Opcode.LOAD, **silent).to_bytes(32, "little")
        save_image(folder, {**segments, program.program_address: bytes(content)})

    monkeypatch.setattr("cosim.run.die.save_image", block)
    with pytest.raises(
        SimulationError, match="saw no progress for as many cycles as the watchdog allows; waiting"
    ):
        run_gemm(request)


def test_a_block_that_is_handed_back_too_early_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The race that the semaphores prevent is real, and the comparison sees it."""
    request = Run(KEEPING, (64, 8, 8), "nn", word_bytes=8, latency=2).request
    prepared = prepare(request)
    program = prepared.program
    commands = list(program.commands)
    gemms = [number for number, command in enumerate(commands) if command.opcode == Opcode.GEMM]
    for early, late in pairwise(gemms):
        fields, before = dict(commands[late].fields), dict(commands[early].fields)
        for name in ("post_0", "post_1"):
            if fields[name] == Semaphore.ACTIVATION_FREE:
                free = next(one for one in ("post_0", "post_1") if not before[one])
                fields[name], before[free] = 0, Semaphore.ACTIVATION_FREE
        commands[late] = replace(commands[late], fields=fields)
        commands[early] = replace(commands[early], fields=before)
    spoiled = replace(prepared, program=replace(program, commands=tuple(commands)))
    with pytest.raises(
        ValueError, match="writes activation address 0, which .* reads: no semaphore keeps them"
    ):
        spoiled.run()
    monkeypatch.setattr("cosim.run.die.check_program", lambda *_: None)
    assert spoiled.run().mismatches > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sim": "vcs"}, r"^--sim vcs is unknown: must be one of .*icarus"),
        ({"m": 0}, "^m = 0 is out of range: must be 1 to 16777216$"),
        ({"k": -3}, "^k = -3 is out of range: must be 1 to 16777216$"),
        ({"n": 1 << 30}, "^n = 1073741824 is out of range: must be 1 to 16777216$"),
        (
            {"m": 1 << 24, "n": 1 << 24},
            r"^16777216x3x16777216 \(nn\) needs \d+ bytes of memory: memory.bench_bytes",
        ),
    ],
)
def test_what_cannot_run_is_refused_first(change: dict[str, Any], message: str) -> None:
    request = gemm_request(**{"m": 2, "k": 3, "n": 4, "die": die(4, 4), "memory": MemorySpec(), **change})
    with pytest.raises(ValueError, match=message):
        run_gemm(request)


def test_buffers_that_are_too_small_are_named() -> None:
    tiny = DieSpec(rows=4, cols=4, weight_bytes=32, activation_bytes=32, accumulator_bytes=32)
    request = gemm_request(m=9, k=9, n=9, die=tiny, memory=MemorySpec())
    with pytest.raises(
        ValueError, match=r"^no blocks of 9x9x9 \(nn\) fit: die\.\w+_bytes must be at least \d+, has 32"
    ):
        run_gemm(request)


def test_two_runs_at_once_share_a_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both find an empty cache."""
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path))
    request = Run(die(2, 2), (5, 3, 2), "nn").request
    records = [record for _, record in run_all(run_gemm, [request, request], workers=2)]
    assert [record.mismatches for record in records] == [0, 0]
    assert records[0].cycles == records[1].cycles
    # The design, and the model of it.
    assert len([path for path in (tmp_path / "builds").iterdir() if path.is_dir()]) == 2


def least_die(rows: int, cols: int, dtype: Dtype, stages: int, word_bytes: int) -> DieSpec:
    """A die whose buffers hold two of the least blocks, which start at words and tiles, in every form."""
    element = 2 if dtype == "bf16" else 1
    m = word_bytes // element
    k, n = math.lcm(rows, m), math.lcm(cols, m)
    return DieSpec(
        rows=rows,
        cols=cols,
        dtype=dtype,
        stages=stages,
        weight_bytes=2 * element * cols * max(-(-n // cols) * k, -(-k // cols) * n),
        activation_bytes=2 * element * rows * max(-(-k // rows) * m, -(-m // rows) * k),
        accumulator_bytes=4 * cols * max(2, -(-n // cols) * m),
    )


MATRIX = [
    Run(machine, size, form, word_bytes=word_bytes, operands="special", stall=stall)
    for (rows, cols), stages, word_bytes in (
        ((4, 4), 1, 8),
        ((8, 8), 1, 32),
        ((4, 8), 2, 16),
        ((5, 3), 3, 8),
        ((1, 1), 1, 4),
        ((1, 4), 4, 64),
        ((3, 1), 2, 32),
    )
    for dtype in DTYPES
    for machine, stall in (
        (die(rows, cols, dtype, stages), 0.0),
        (least_die(rows, cols, dtype, stages, word_bytes), 0.2),
    )
    for form in FORMS
    for size in ((5, 32, 3), (31, 32, 31), (1, 1, 1), (37, 53, 29))
    if rows * cols > 1 or size != (37, 53, 29)
]


@pytest.mark.slow
def test_the_matrix_has_blocks_in_all_dimensions() -> None:
    programs = [prepare(run.request).program for run in MATRIX]
    for dimension in ("m", "k", "n"):
        cut = [p for p in programs if getattr(p.tiling, dimension) < getattr(p.shape, dimension)]
        assert len(cut) > 20
    assert sum(map(everything_fits, programs)) > 20


@pytest.mark.slow
@pytest.mark.parametrize("run", MATRIX, ids=str)
def test_matrix(run: Run) -> None:
    check(run)


def test_size_latency_interval_stall_and_seed_are_not_built_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One design, built once. The second size needs more than 4,096 words of memory."""
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path))
    emitted_once.cache_clear()
    small = Run(die(2, 3, "int8"), (2, 3, 4), "nn", word_bytes=4)
    for run in (
        small,
        replace(small, size=(65, 1, 64)),
        replace(small, latency=31, interval=2, stall=0.2),
    ):
        record = run_gemm(run.request)
        assert record.mismatches == 0
        emitted_once.cache_clear()
    run_gemm(small.request.model_copy(update={"seed": 5}))
    assert len(list((tmp_path / "builds").glob("*/sim.vvp"))) == 1
    assert len(list((tmp_path / "builds").glob("*/design.v"))) == 1

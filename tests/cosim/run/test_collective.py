"""Collectives between generated dies: no bit differs, cycles are near the floor, and nothing holds up anything."""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from cosim.backends.base import SimulationError
from cosim.golden import collective as golden_collective
from cosim.jobs.folder import ResultWords, load_result
from cosim.program import line_commands
from cosim.program.collective import mesh_programs
from cosim.records.collective import CollectiveRecord, collective_request
from cosim.run import collective
from cosim.run.collective import prepare, run_collective
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp

LONG = 64
"""Flits of a chunk that fits no buffer on the way."""
SHORT = [("all-gather", "ring", 1), ("reduce-scatter", "chain", 1)]
"""The quick cases of short packets."""
SLOW_ADDERS = {"die": DieSpec(stages=3)}


@cache
def run(
    op: LineOp, algorithm: Algorithm, mesh: str, axis: str, flits: int, **fields: Any
) -> CollectiveRecord:
    rows, cols = map(int, mesh.split("x"))
    given = {"operands": "special", "sim": "cxxrtl", "seed": flits, **fields}
    request = collective_request(
        op=op, algorithm=algorithm, rows=rows, cols=cols, axis=axis, flits=flits, **given
    )
    return run_collective(request)


def moved(record: CollectiveRecord) -> dict[str, int]:
    assert record.flits_sent.keys() == record.flits_received.keys()
    return record.flits_sent


# An all-reduce is a reduce-scatter and an all-gather, so that the quick tests of it have both.
QUICK_OPS = [op if op == "all-reduce" else pytest.param(op, marks=pytest.mark.slow) for op in OPS]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("op", QUICK_OPS)
def test_lines_of_three_dies_along_rows(op: LineOp, algorithm: Algorithm) -> None:
    record = run(op, algorithm, "2x3", "row", 7)
    assert record.mismatches == 0
    assert moved(record)["north"] == moved(record)["south"] == 0 < moved(record)["east"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_lines_of_two_dies_along_columns(algorithm: Algorithm) -> None:
    record = run("all-reduce", algorithm, "2x3", "column", 1)
    assert record.mismatches == 0
    assert moved(record)["east"] == moved(record)["west"] == 0 < moved(record)["south"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("op", QUICK_OPS)
def test_rows_and_columns_at_once_with_long_packets(op: LineOp, algorithm: Algorithm) -> None:
    """Everything that the network and the engines can do at the same time: what could be a deadlock would be one."""
    record = run(op, algorithm, "2x3", "both", LONG)
    assert record.mismatches == 0
    # What rows take alone: columns do not hold them up.
    assert abs(record.cycles - record.predicted_cycles) <= 0.03 * record.predicted_cycles


@pytest.mark.parametrize(
    ("op", "algorithm", "flits"),
    [
        case if case in SHORT else pytest.param(*case, marks=pytest.mark.slow)
        for case in product(("all-gather", "reduce-scatter"), ALGORITHMS, (1, 2, 3))
    ],
)
def test_rows_and_columns_at_once_with_short_packets(op: LineOp, algorithm: Algorithm, flits: int) -> None:
    """Each flit has a word of its own, or half of one: banks have the most to do, and nobody waits for them."""
    record = run(op, algorithm, "2x3", "both", flits)
    assert record.mismatches == 0
    assert record.cycles == record.predicted_cycles == record.floor_cycles


@pytest.mark.parametrize(
    ("op", "algorithm", "flits"),
    [
        case
        if case[2] == LONG or case[::2] == ("all-reduce", 1)
        else pytest.param(*case, marks=pytest.mark.slow)
        for case in product(OPS, ALGORITHMS, (1, 4, QUEUED_FLITS, QUEUED_FLITS + 1, LONG))
    ],
)
def test_lines_of_five_dies(op: LineOp, algorithm: Algorithm, flits: int) -> None:
    # A reduce-scatter by the chain with 64 flits stood still as long as every die handed over its own chunk.
    record = run(op, algorithm, "1x5", "row", flits, **SLOW_ADDERS)
    assert record.mismatches == 0
    assert abs(record.cycles - record.predicted_cycles) <= 0.03 * record.cycles
    assert record.utilization == record.floor_cycles / record.cycles
    if op != "all-reduce":
        assert record.floor_cycles <= record.cycles <= 1.05 * record.floor_cycles


@pytest.mark.parametrize("op", [pytest.param("all-gather", marks=pytest.mark.slow), "reduce-scatter"])
def test_long_chunks_that_go_straight_on_around_a_ring_would_stand_still(
    op: LineOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule of :func:`nop.forwarding.forwarding`: what fits no queue goes through the scratchpad."""
    request = run(op, "ring", "1x5", "row", LONG, **SLOW_ADDERS).request
    monkeypatch.setattr(line_commands, "QUEUED_FLITS", LONG)
    with pytest.raises(ValueError, match="the program blocks: .* chunk 0 waits for ever for another die"):
        run_collective(request)
    monkeypatch.setattr(collective, "check_package", lambda *_: None)
    with pytest.raises(SimulationError, match=r"^collective: the dies are stuck after \d+ cycles"):
        run_collective(request)


@pytest.mark.parametrize("op", QUICK_OPS)
def test_a_line_of_one_die_has_nothing_to_do(op: LineOp) -> None:
    record = run(op, "chain", "1x5", "column", 3, **SLOW_ADDERS)
    assert (record.mismatches, record.cycles, record.floor_cycles, record.utilization) == (0, 0, 0, 1.0)
    assert not any(moved(record).values())


@pytest.mark.parametrize(
    ("flit_bits", "word_bytes", "flits", "algorithm"),
    [
        (256, 32, 5, "ring"),
        (64, 4, 18, "chain"),
        # Other tests have flits that are parts of a word.
        pytest.param(32, 32, 70, "chain", marks=pytest.mark.slow),
        pytest.param(32, 32, 70, "ring", marks=pytest.mark.slow),
        pytest.param(256, 32, 5, "chain", marks=pytest.mark.slow),
        pytest.param(64, 4, 18, "ring", marks=pytest.mark.slow),
    ],
)
def test_flits_of_any_part_or_number_of_words_and_integer_sums(
    flit_bits: int, word_bytes: int, flits: int, algorithm: Algorithm
) -> None:
    specs = {
        "die": DieSpec(dtype="int8"),
        "nop": NopSpec(flit_bits=flit_bits),
        "memory": MemorySpec(word_bytes=word_bytes),
    }
    assert run("all-reduce", algorithm, "1x3", "row", flits, sim="icarus", **specs).mismatches == 0


@pytest.mark.parametrize(
    ("mesh", "stages", "flits", "seed", "algorithm"),
    [
        ("1x5", 3, 2, 7, "ring"),
        ("1x5", 3, QUEUED_FLITS, 2, "chain"),
        *(
            pytest.param(*mesh, *work, algorithm, marks=pytest.mark.slow)
            for mesh, work, algorithm in product(
                (("1x5", 3), ("1x8", 4)), ((1, 1), (2, 7), (QUEUED_FLITS, 2), (LONG, 3)), ALGORITHMS
            )
            if (mesh[0], *work, algorithm) not in (("1x5", 2, 7, "ring"), ("1x5", QUEUED_FLITS, 2, "chain"))
        ),
    ],
)
def test_dies_that_begin_late_and_slow_adders(
    mesh: str, stages: int, flits: int, seed: int, algorithm: Algorithm
) -> None:
    """Copies of the all-gather must not come before sums of the reduce-scatter that are still in an adder."""
    late = {"die": DieSpec(stages=stages), "stall": 0.7, "seed": seed}
    record = run("all-reduce", algorithm, mesh, "row", flits, **late)
    assert record.mismatches == 0
    begins = [die["nop_first"] for die in record.counters]
    assert max(begins) > min(begins)


@pytest.mark.slow
def test_simulators_agree_where_dies_begin_late() -> None:
    """Without that, the traces of tests.cosim.observe.test_observation_collective agree."""
    found = [
        run("all-reduce", "ring", "2x3", "both", 5, sim=sim, stall=0.3).model_dump(
            exclude={"request", "sim", "simulator_version", "wall_seconds"}
        )
        for sim in ("icarus", "cxxrtl")
    ]
    assert found[0] == found[1]
    assert found[0]["mismatches"] == 0


def test_every_wrong_word_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    request = run("reduce-scatter", "chain", "2x3", "row", LONG).request
    golden = golden_collective.golden

    def wrong(*arguments: Any) -> Any:
        found = golden(*arguments)
        found[1, 1, 2] ^= 1 << 31
        found[2, 2, :2] += np.uint32(1)
        return found

    monkeypatch.setattr(golden_collective, "golden", wrong)
    assert run_collective(request).mismatches == 2 * 3


def test_an_undefined_word_is_a_mismatch_whatever_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words without a value once read as 0xFFFFFFFF: where that was expected, they counted as right."""

    def partly_undefined(folder: Path, node: int) -> ResultWords:
        values, undefined = load_result(folder, node)
        # Die 0 holds chunk 1 behind its own one, a word of 8 sums each: the last two of these lost their value.
        if node:
            return ResultWords(values, undefined)
        return ResultWords(values[: 4 * 14] + b"\xff" * 8, undefined[: 4 * 14] + b"\xff" * 8)

    def all_ones(*arguments: Any) -> Any:
        chunks = np.array(golden(*arguments))
        chunks[0, 1, 6:] = 0xFFFFFFFF
        return chunks

    golden = golden_collective.golden
    request = collective_request(op="all-gather", rows=1, cols=2, axis="row", algorithm="chain", flits=4)
    assert run_collective(request).mismatches == 0
    monkeypatch.setattr(golden_collective, "golden", all_ones)
    monkeypatch.setattr(collective, "load_result", partly_undefined)
    assert run_collective(request).mismatches == 2


def test_dies_that_do_not_end_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    request = run("reduce-scatter", "chain", "2x3", "row", LONG).request
    programs = mesh_programs

    def shorter(*arguments: Any) -> Any:
        all_programs, gates = programs(*arguments)
        all_programs[1].pop()  # nobody takes what arrives
        return all_programs, gates

    monkeypatch.setattr(collective, "mesh_programs", shorter)
    with pytest.raises(ValueError, match="^the program breaks what it must keep:"):
        run_collective(request)
    monkeypatch.setattr(collective, "check_package", lambda *_: None)
    with pytest.raises(SimulationError, match=r"^collective: the dies are stuck after \d+ cycles"):
        run_collective(request)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flits": 1 << 16}, "flits = 65536: input should be less than or equal to 65535"),
        ({"seed": -1}, "seed = -1: input should be greater than or equal to 0"),
        ({"rows": 0}, "rows = 0: input should be greater than or equal to 1"),
        ({"rows": 20, "cols": 20}, "mesh: 20 x 20 dies: must be at most 256 for a simulation"),
        (
            {"cols": 3, "nop": NopSpec(coordinate_bits=1)},
            "mesh: cols = 3: must be at most 2, which nop.coordinate_bits = 1 can address",
        ),
        (
            {"cols": 3, "flits": 15, "die": DieSpec(scratchpad_bytes=256)},
            "collective: 12 words for the chunks: must be at most the 8 of die.scratchpad_bytes = 256",
        ),
    ],
)
def test_what_cannot_run_is_refused(fields: dict[str, Any], message: str) -> None:
    asked = {"op": "all-gather", "rows": 1, "cols": 1, "axis": "row", "algorithm": "chain", "flits": 1}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        prepare(collective_request(**(asked | fields)))

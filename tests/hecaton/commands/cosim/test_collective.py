"""``hecaton cosim collective``: its JSON, its table and record, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosim.records.collective import CollectiveRecord
from tests.hecaton.command import called, documented_keys, refused

NARROW = ("-P", "die.dtype=int8", "-P", "nop.flit_bits=32", "-P", "memory.word_bytes=8")


def test_a_collective_as_json_and_as_record(tmp_path: Path) -> None:
    records = tmp_path / "records"
    done = called(
        *(
            "cosim",
            "collective",
            "--op",
            "all-reduce",
            "--mesh",
            "1x2",
            "--axis",
            "row",
            "--algorithm",
            "chain",
        ),
        *("--flits", "5", "--seed", "3", "--stall", "0.2", "--records", str(records), "--json"),
        *NARROW,
    )
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim collective")
    shown = ("op", "mesh", "axis", "algorithm", "flits", "dtype", "seed", "sim", "mismatches")
    assert [data[key] for key in shown] == ["all-reduce", "1x2", "row", "chain", 5, "int8", 3, "icarus", 0]
    assert data["nop"]["flit_bits"] == 32
    assert data["floor_cycles"] == 10 <= data["cycles"]
    assert data["utilization"] == pytest.approx(10 / data["cycles"])
    assert data["flits_sent"] == data["flits_received"] == {"north": 0, "east": 10, "south": 0, "west": 10}
    assert len(data["counters"]) == 2
    (path,) = records.iterdir()
    assert data["record"] == str(path)
    record = CollectiveRecord.model_validate_json(path.read_bytes(), strict=False)
    assert path.name == record.file_name
    assert record.cycles == data["cycles"]


def test_one_die_has_nothing_to_do_and_a_table(tmp_path: Path) -> None:
    done = called(
        *("cosim", "collective", "--op", "all-gather", "--mesh", "1x1", "--flits", "3"),
        *("--records", str(tmp_path), *NARROW),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("all-gather, chain, 3 flits a die, int8, seed 0")
    assert "0 (floor 0, predicted 0)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--op gather --flits 1",
            "op = 'gather': input should be 'all-gather', 'reduce-scatter' or 'all-reduce'",
        ),
        (
            "--op all-gather --flits 1 --axis diagonal",
            "axis = 'diagonal': input should be 'row', 'column' or 'both'",
        ),
        (
            "--op all-gather --flits 1 --algorithm tree",
            "algorithm = 'tree': input should be 'ring' or 'chain'",
        ),
        ("--op all-gather --flits 1 --mesh 1x65", "cols = 65: input should be less than or equal to 64"),
        ("--op all-gather --flits 1 --stall 1", "stall = 1.0: input should be less than or equal to 0.9"),
        (
            "--op all-gather --flits 1 --sim spice",
            "--sim spice is unknown: must be one of icarus, cxxrtl, verilator",
        ),
        (
            "--op all-gather --flits 1 --mesh 17x17",
            "mesh: 17 x 17 dies: must be at most 256 for a simulation",
        ),
        (
            "--op all-gather --flits 1 --mesh 1x5 -P nop.coordinate_bits=2",
            "mesh: cols = 5: must be at most 4, which nop.coordinate_bits = 2 can address",
        ),
        (
            "--op all-gather --flits 9 --mesh 1x4 -P die.scratchpad_bytes=256",
            "collective: 12 words for the chunks: must be at most the 8 of die.scratchpad_bytes = 256",
        ),
        (
            "--op all-gather --flits 1 -P nop.flit_bits=96",
            (
                "nop.flit_bits = 96: must be a multiple of 32 that divides a memory word of 256 bits or is a "
                "multiple of it, for a die with an engine"
            ),
        ),
        (
            "--op all-gather --flits 0",
            (
                "Invalid value for '--flits': must be an integer from 1 to 65535, not 0 (see hecaton cosim collective "
                "--help)"
            ),
        ),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(arguments: str, message: str) -> None:
    assert refused("cosim", "collective", *arguments.split()) == message

"""``hecaton cosim package``: its JSON, its table, and one line for what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hecaton.command import called, documented_keys, refused

# A die of integers has no vector unit, which takes longest to emit.
DIE = ("-P", "die.dtype=int8", "-P", "die.rows=2", "-P", "die.cols=2", "-P", "die.scratchpad_bytes=4096")
SIZE = ("--m", "3", "--k", "5", "--n", "4", "--mesh", "1x2")
RUN = ("cosim", "package", *SIZE, "--direct", *DIE)


def test_json_and_record(tmp_path: Path) -> None:
    done = called(*RUN, "--seed", "7", "--json", "--records", str(tmp_path))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim package")
    assert (data["m"], data["k"], data["n"], data["mesh"], data["form"]) == (3, 5, 4, "1x2", "nn")
    assert data["mismatches"] == 0
    assert [phase["name"] for phase in data["phases"]] == ["gemm"]
    assert data["cycles"] == sum(phase["cycles"] for phase in data["phases"])
    assert data["ideal_cycles"] == -(-3 * 5 * 4 // 8)
    assert sum(die["macs"] for die in data["dies"]) == 3 * 5 * 4
    assert set(data["axi_bytes"]) == {"io_west_0", "io_east_0"}
    record = json.loads(Path(data["record"]).read_text())
    assert record["counters"] == data["counters"]

    table = called(*RUN, "--seed", "7", "--records", str(tmp_path))
    assert table.returncode == 0, table.stderr
    for shown in (
        "mismatches",
        "AXI bytes",
        "io_west_0.reads",
        "gemm",
        "(0, 1)",
        f"{data['cycles']} (predicted {data['predicted_cycles']}, ideal 8)",
    ):
        assert shown in table.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--form", "tt"), "form = 'tt': input should be 'nn', 'nt' or 'tn'"),
        (("--algorithm", "tree"), "algorithm = 'tree': input should be 'ring' or 'chain'"),
        (("--stall", "1"), "stall = 1.0: input should be less than or equal to 0.9"),
        (("--mesh", "17x16"), "package: 17 x 16 dies: must be at most 256 for a simulation"),
        (("--sim", "none"), "--sim none is unknown: must be one of icarus, cxxrtl, verilator"),
        (
            ("--m", "30", "-P", "die.scratchpad_bytes=256"),
            "package: 30x5x4 (nn): die.scratchpad_bytes must be at least 320, has 256 in use",
        ),
    ],
)
def test_bad_input_ends_with_one_line(options: tuple[str, ...], message: str) -> None:
    assert refused(*RUN, *options).startswith(message)

"""``hecaton cosim collective --package``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hecaton.command import called, documented_keys, refused

RUN = ("cosim", "collective", "--op", "all-gather", "--mesh", "1x2", "--flits", "3", "--package")
# A die of integers has no vector unit, which takes longest to emit.
SMALL = ("-P", "die.dtype=int8", "-P", "die.rows=2", "-P", "die.cols=2", "-P", "die.scratchpad_bytes=4096")


def test_json_and_record(tmp_path: Path) -> None:
    done = called(*RUN, *SMALL, "--json", "--records", str(tmp_path))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim collective", "--package")
    assert data["mismatches"] == 0
    assert data["cycles"] == data["predicted_cycles"] > 0
    assert set(data["phase_cycles"]) == {"load", "collective", "store"}
    assert Path(data["record"]).name.startswith("package_all-gather_1x2_row_chain_3_int8_")


def test_a_death_that_cannot_be_is_refused_with_one_line() -> None:
    message = refused(*RUN, "--dead-link", "0:5@3")
    assert message.startswith("link 0:5 is not a link of the mesh: must join two neighbours")
    message = refused(*RUN, "--dead-link", "0:1@3", "--dead-link", "0-1")
    assert message.startswith("--dead-link 0-1: must be FROM:TO@CYCLE")

"""The random regression list: the same seed makes the same list, and every run of it is legal."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.random_list import main
from cosim.regress.cases import cases
from cosim.regress.matrix import load_regression


def test_a_seed_makes_one_list_of_legal_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "list.toml"
    size = ["--dies", "3", "--runs", "8"]
    main(["--seed", "5", *size, "-o", str(path)])
    main(["--seed", "5", *size])
    assert capsys.readouterr().out == path.read_text()
    main(["--seed", "6", *size])
    assert capsys.readouterr().out != path.read_text()
    requests = [case.request for case in cases(load_regression(path))]
    assert len(requests) == 8
    assert len({request.die for request in requests}) == 3

"""Files of a bench of a collective."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cocotb.types import LogicArray

from cosim.golden import collective as golden_collective
from cosim.jobs.collective import load_result, save_result
from cosim.records.collective import collective_request
from cosim.run import collective
from cosim.run.collective import run_collective


@pytest.mark.parametrize("undefined", ["X" * 32, "Z" * 32, "1" * 31 + "X", "X" + "0" * 31])
def test_a_word_with_an_undefined_bit_is_told_from_all_values(tmp_path: Path, undefined: str) -> None:
    words = [LogicArray("1" * 32), LogicArray(undefined), LogicArray(5, 32), LogicArray(0, 32)]
    save_result(tmp_path, 3, words)
    values, known = load_result(tmp_path, 3)
    assert list(known) == [1, 0, 1, 1]
    assert [values[4 * n : 4 * n + 4] for n in (0, 2, 3)] == [b"\xff" * 4, b"\5\0\0\0", b"\0" * 4]


def test_an_undefined_word_is_a_mismatch_whatever_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words without a value once read as 0xFFFFFFFF: where that was expected, they counted as right."""

    def some_undefined(folder: Path, node: int) -> tuple[bytes, bytes]:
        values, known = load_result(folder, node)
        # Die 0 holds chunk 1 behind its own one, a word of 8 sums each: the last two of these lost their value.
        return (values, known) if node else (values[: 4 * 14] + b"\xff" * 8, known[:14] + b"\0" * 2)

    def all_ones(*arguments: object) -> np.ndarray:
        found = np.array(golden(*arguments))  # type: ignore[arg-type]
        found[0, 1, 6:] = 0xFFFFFFFF
        return found

    golden = golden_collective.golden
    request = collective_request(op="all-gather", rows=1, cols=2, axis="row", algorithm="chain", flits=4)
    assert run_collective(request).mismatches == 0
    monkeypatch.setattr(golden_collective, "golden", all_ones)
    monkeypatch.setattr(collective, "load_result", some_undefined)
    assert run_collective(request).mismatches == 2

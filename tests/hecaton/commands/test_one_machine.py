"""One file is one machine under every command that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chiplet.machine.config import FILE_PRESET, load_configuration, load_system, starting_preset
from chiplet.machine.configuration_keys import section_digests
from tests.hecaton.command import called, refused


def printed(*arguments: str, cwd: Path) -> dict[str, Any]:
    done = called(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


FILES = (
    "[die]\nrows = 4\ncols = 4\nweight_bytes = 524288\nactivation_bytes = 131072\naccumulator_bytes = 1048576\n",
    "[die]\nrows = 3\ncols = 2\n",
    'preset = "package"\n[link]\nlanes = 8\n',
)


@pytest.mark.parametrize("text", FILES)
@pytest.mark.parametrize("own", ["bench", "package"])
def test_a_file_starts_from_one_preset(tmp_path: Path, text: str, own: str) -> None:
    path = tmp_path / "machine.toml"
    path.write_text(text)
    preset = starting_preset(path, [], preset=own)
    assert preset == ("package" if "preset" in text else FILE_PRESET)
    assert starting_preset(path, ["preset=bench"], preset=own) == "bench"
    assert starting_preset(None, [], preset=own) == own
    assert load_configuration(path, [], preset=preset).preset == preset


def test_one_file_under_every_command(tmp_path: Path) -> None:
    (tmp_path / "machine.toml").write_text(FILES[0])
    machine = ("--config", "machine.toml", "--json")
    expected = section_digests(load_system(tmp_path / "machine.toml", [], preset=FILE_PRESET))
    shown = printed("config", "show", *machine, cwd=tmp_path)
    assert shown["preset"] == FILE_PRESET
    projected = printed(
        "project",
        "--model",
        "tinyllama-1.1b",
        "--mesh",
        "4x4",
        "--trace",
        "step.json",
        *machine,
        cwd=tmp_path,
    )
    run = printed("cosim", "gemm", "--m", "3", "--k", "5", "--n", "4", *machine, cwd=tmp_path)
    compared = printed("compare", "--model", "tinyllama-1.1b", "--mesh", "4x4", *machine, cwd=tmp_path)
    die = printed("verilog", "-o", "die", "-P", "die.dtype=int8", *machine, cwd=tmp_path)
    of_int8 = section_digests(load_system(tmp_path / "machine.toml", ["die.dtype=int8"], preset=FILE_PRESET))
    map_beside = json.loads((tmp_path / die["map"]).read_text())
    trace = json.loads((tmp_path / "step.json").read_text())["otherData"]
    for result in (projected, compared, run, trace, map_beside):
        assert result["preset"] == FILE_PRESET
        assert result["digests"].items() <= (of_int8 if result is map_beside else expected).items()
    for result in (projected, compared, trace):
        assert set(result["digests"]) == set(expected)
    assert set(map_beside["digests"]) == {"die", "memory", "vector"}


def test_errors_name_the_preset_of_a_value() -> None:
    assert refused("config", "show", "-P", "die.rows=400").endswith(
        "must be at least 320000 (die.activation_bytes is that of preset bench)"
    )
    message = refused(
        "project", "--model", "tinyllama-1.1b", "--mesh", "4x4", "-P", "preset=bench", "-P", "package.rows=2"
    )
    assert message.endswith("(die.scratchpad_bytes is that of preset bench)")

"""``hecaton optimize``: the table, the JSON object, refusals."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.hecaton.command import called, documented_keys, refused


def test_the_best_way_is_shown_with_the_command_that_projects_it(tmp_path: Path) -> None:
    config = tmp_path / "machine.toml"
    config.write_text('preset = "package"\n[die]\nrows = 32\n', encoding="utf-8")
    machine = ("--config", str(config), "-P", "die.cols=16")
    shown = called("optimize", "--model", "tinyllama-1.1b", "--dies", "6", *machine)
    assert shown.returncode == 0
    assert "decides" in shown.stdout
    assert "data" not in shown.stdout
    text = " ".join(shown.stdout.split())
    options = shlex.split(text.partition("The best: hecaton project ")[2].partition(" preset ")[0])
    single = called("project", *options, "--json")
    data = called("optimize", "--model", "tinyllama-1.1b", "--dies", "6", *machine, "--json").stdout
    best = json.loads(data)["best"][0]
    assert json.loads(single.stdout)["step_seconds"] == pytest.approx(best["step_seconds"])


@pytest.mark.parametrize("goal", ["time", "energy", "cost"])
def test_the_object_has_the_documented_keys(goal: str) -> None:
    arguments = ("optimize", "--model", "tinyllama-1.1b", "--dies", "4", "--packages", "2", "--for", goal)
    data = json.loads(called(*arguments, "--json").stdout)
    assert set(data) == documented_keys("optimize")
    assert data["goal"] == goal
    options = [shlex.split(way["project"]) for way in data["best"]]
    step = json.loads(called("project", *options[-1], "--json").stdout)
    assert step["step_seconds"] == pytest.approx(data["best"][-1]["step_seconds"])


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--for", "speed", "--for speed: must be one of time, energy, cost"),
        ("--switch", "recmpute=full", "no method has it"),
        ("--switch", "optimus.recompute=x", "recompute"),
        ("--packages", "0", "packages"),
        ("--optimizer", "lamb", "must be one of sgd, adam"),
        ("--model", "nosuchmodel", "nosuchmodel"),
    ],
)
def test_bad_options_are_refused_in_one_line(option: str, value: str, message: str) -> None:
    options = {"--model": "tinyllama-1.1b", "--dies": "4"} | {option: value}
    assert message in refused("optimize", *(word for pair in options.items() for word in pair))

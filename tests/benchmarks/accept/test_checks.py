"""The file of checks: the project's own is valid, and what is wrong in a file is named."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from benchmarks.accept.checks import CheckError, chosen, load_checks
from benchmarks.accept.probes import PROBES
from tests.test_docs import ROOT, refusal

GOOD = """
[[check]]
name = "one"
promise = "it counts"
command = "python -c 'print(1)'"
bounds = ["exit_code == 0"]
"""


def test_commands_of_the_project_are_accepted() -> None:
    checks = load_checks()
    assert len(checks) > 20
    for check in checks:
        words = list(check.command)
        if words[0] == "hecaton":
            assert refusal(words) == "", check.name
        elif words[:3] == ["python", "-m", "benchmarks.accept.probes"]:
            assert words[3:] in [[name] for name in PROBES], check.name
        elif words[0] == "pytest":
            paths = [word for word in words if word.startswith("tests/")]
            assert paths
            assert all((ROOT / path).exists() for path in paths), check.name
        else:
            assert words[0] == "python", shlex.join(words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("check = 3", "check: Input should be a valid list"),
        (GOOD.replace("bounds", "bound"), "check.0.bounds: Field required"),
        (GOOD.replace("== 0", "="), "bound 'exit_code =': must be PATH"),
        (GOOD.replace('"one"', '"One"'), "check.0.name: String should match pattern"),
        (GOOD + GOOD, "two checks are called 'one'"),
        ("[[check]", "Expected ']]'"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "checks.toml"
    path.write_text(text)
    with pytest.raises(CheckError) as refused:
        load_checks(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


def test_names_choose_checks_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checks.toml"
    path.write_text(GOOD + GOOD.replace('"one"', '"two"'))
    checks = load_checks(path)
    assert [check.name for check in chosen(checks, [])] == ["one", "two"]
    assert [check.name for check in chosen(checks, ["two"])] == ["two"]
    with pytest.raises(CheckError, match="no check is called 'three'; there are one, two"):
        chosen(checks, ["three"])

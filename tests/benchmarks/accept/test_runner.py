"""The runner of checks, with commands of a moment."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from benchmarks.accept import runner
from benchmarks.accept.__main__ import main
from benchmarks.accept.bounds import Bound
from benchmarks.accept.checks import Check
from benchmarks.accept.runner import run_check, run_checks, source_digest


def check_of(
    code: str, *bounds: str, name: str = "count", result: str = "", stderr: str = "", exit_code: int = 0
) -> Check:
    return Check(
        name=name,
        promise="it counts",
        command=("python", "-c", code),
        bounds=tuple(Bound.parse(text) for text in bounds),
        result=result,
        stderr=stderr,
        exit_code=exit_code,
    )


def test_a_check_passes_and_fails_with_its_values() -> None:
    outcome = run_check(check_of("print('{\"lost\": 2}')", "lost <= 2", "lost == 0", "exit_code == 0"))
    assert [(value.value, value.passed) for value in outcome.measured] == [(2, True), (2, False), (0, True)]
    assert not outcome.passed
    assert run_check(check_of("print('{\"lost\": 2}')", "lost <= 2")).passed


def test_a_result_in_a_file_and_in_stderr() -> None:
    code = (
        "import sys; open(sys.argv[1], 'w').write('{\"lost\": 0}'); "
        "print('found after 7', file=sys.stderr); sys.exit(1)"
    )
    check = Check(
        name="count",
        promise="it counts",
        command=("python", "-c", code, "{folder}/out.json"),
        bounds=(Bound.parse("lost == 0"), Bound.parse("after <= 7")),
        result="out.json",
        stderr=r"\Afound after (?P<after>\d+)\n\Z",
        exit_code=1,
    )
    assert run_check(check).passed


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (check_of("raise SystemExit('error: no')", "lost == 0"), "exit code 1, not 0: error: no"),
        (check_of("", "lost == 0"), "the result has no 'lost' of 'lost'"),
        (check_of("", "lost == 0", result="out.json"), "the command left no file out.json"),
        (check_of("", "lost == 0", stderr="dead"), "stderr does not match 'dead': ''"),
        (check_of("", "exit_code == 1", exit_code=1), "exit code 0, not 1: it printed nothing"),
    ],
)
def test_a_check_without_a_result_fails_with_a_reason(check: Check, reason: str) -> None:
    outcome = run_check(check)
    assert (outcome.passed, outcome.reason, outcome.measured) == (False, reason, ())


def test_resume_runs_what_failed_or_changed(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    good = check_of("print('{\"lost\": 2}')", "lost <= 2", name="good")
    bad = check_of("print('{\"lost\": 2}')", "lost == 0", name="bad")
    run_checks([good, bad], report, digest="a")

    def reused(checks: list[Check], digest: str = "a") -> list[bool]:
        return [outcome.reused for outcome in run_checks(checks, report, resume=True, digest=digest)]

    assert reused([bad]) == [False]  # the other one keeps its place in the report
    assert reused([good, bad]) == [True, False]
    assert [outcome.reused for outcome in run_checks([good], report, digest="a")] == [False]
    assert reused([check_of("print('{\"lost\": 2}')", "lost <= 3", name="good")]) == [False]
    assert reused([good]) == [False]
    assert reused([good]) == [True]
    assert reused([good], digest="b") == [False]


def test_a_report_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text('{"sources": "a", "checks": [{"name": 3}]}')
    check = check_of("print('{\"lost\": 2}')", "lost <= 2")
    assert [outcome.reused for outcome in run_checks([check], report, resume=True, digest="a")] == [False]


def test_the_digest_is_that_of_the_sources(tmp_path: Path) -> None:
    for folder in runner.SOURCES:
        (tmp_path / folder).mkdir()
    before = source_digest(tmp_path)
    (tmp_path / "nop" / "notes.txt").write_text("no source")
    assert source_digest(tmp_path) == before
    (tmp_path / "nop" / "mesh.py").write_text("rows = 1")
    changed = source_digest(tmp_path)
    assert changed != before
    (tmp_path / "nop" / "mesh.py").rename(tmp_path / "rtl" / "mesh.py")
    assert source_digest(tmp_path) != changed


def checks_file(folder: Path, *bounds: str) -> Path:
    entries = []
    for number, bound in enumerate(bounds):
        command = shlex.join(["python", "-c", "print('{\"lost\": 2}')"])
        entries.append(
            f"[[check]]\nname = 'check-{number}'\npromise = 'it counts'\nlong = {str(number == 1).lower()}\n"
            f"command = {json.dumps(command)}\nbounds = [{json.dumps(bound)}]\n"
        )
    path = folder / "checks.toml"
    path.write_text("\n".join(entries))
    return path


def test_the_command_prints_values_beside_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = [
        "--checks",
        str(checks_file(tmp_path, "lost <= 2", "lost == 0")),
        "-o",
        str(tmp_path / "out.json"),
    ]
    assert main(common) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[2:] == [
        "| check-0 | lost <= 2 | 2 | passed |",
        "| check-1 | lost == 0 | 2 | FAILED |",
    ]
    assert printed.err.splitlines()[-1] == "error: 1 checks failed: check-1"
    assert main(["--short", *common]) == 0
    capsys.readouterr()
    assert main(["check-0", "--resume", *common]) == 0
    assert "check-0: passed before" in capsys.readouterr().err
    assert main(["--list", *common]) == 0
    assert "check-1 (long): it counts" in capsys.readouterr().out
    assert main(["check-2", *common]) == 2
    assert "error: no check is called 'check-2'; there are check-0, check-1" in capsys.readouterr().err
    assert main([*common, "-o", str(tmp_path)]) == 2
    assert f"error: {tmp_path}: is a folder: must be a plain file, or absent" in capsys.readouterr().err

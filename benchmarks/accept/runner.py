"""Runs checks and keeps what they measured."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.accept.bounds import BoundError, Measured
from benchmarks.accept.checks import Check
from hecaton.terminal.output import to_json
from rtl.emit.output_files import check_output, write_output
from rtl.processes.child_process import EndedChild, python_module, run_child
from rtl.processes.temporary import temporary_folder

__all__ = ["Outcome", "known_outcomes", "run_check", "run_checks", "source_digest"]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("nop", "chiplet", "rtl", "cosim", "hecaton", "benchmarks", "tests")


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Attributes
    ----------
    name, promise, command
        Those of the check; the command as one line.
    passed
        Whether the command did what it should and every bound is kept.
    measured
        Each bound with its value, in order; empty if there is no result.
    reason
        Why there is no result; empty if there is one.
    seconds
        Wall time of the command.
    reused
        Whether it is of an earlier run.
    """

    name: str
    promise: str
    command: str
    passed: bool
    measured: tuple[Measured, ...]
    reason: str
    seconds: float
    reused: bool = False


def source_digest(root: Path = ROOT) -> str:
    """A digest of every source file that a check can depend on."""
    digest = hashlib.sha256()
    files = (
        path for folder in SOURCES for path in (root / folder).rglob("*") if "__pycache__" not in path.parts
    )
    for path in sorted(files):
        if path.suffix in {".py", ".toml", ".json", ".cc"} and path.is_file():
            digest.update(f"{path.relative_to(root)}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def run_check(check: Check) -> Outcome:
    """Run the command of a check from the top folder, and compare its result with the bounds."""
    with temporary_folder() as folder:
        words = [word.replace("{folder}", str(folder)) for word in check.command]
        start = time.perf_counter()
        done = run_child(_program(words), folder=ROOT)
        seconds = time.perf_counter() - start
        try:
            result = _result(check, done, folder)
            measured = tuple(bound.measure(result) for bound in check.bounds)
            reason = ""
        except BoundError as error:
            measured, reason = (), str(error)
    passed = not reason and all(value.passed for value in measured)
    return Outcome(check.name, check.promise, _line(check), passed, measured, reason, seconds)


def _line(check: Check) -> str:
    return " ".join(check.command)


def _program(words: Sequence[str]) -> list[str]:
    """Our own commands run with this Python, whatever stands first on the path."""
    if words[0] == "python":
        return [sys.executable, "-P", *words[1:]]
    if words[0] in {"hecaton", "pytest"}:
        return [*python_module(words[0]), *words[1:]]
    return list(words)


def _result(check: Check, done: EndedChild, folder: Path) -> dict[str, Any]:
    """The JSON object of a command, with its exit code and what its stderr says."""
    if done.code != check.exit_code:
        last = (done.errors.strip() or done.output.strip() or "it printed nothing").splitlines()[-1]
        raise BoundError(f"exit code {done.code}, not {check.exit_code}: {last}")
    result: dict[str, Any] = {"exit_code": done.code}
    if check.stderr:
        match = re.search(check.stderr, done.errors)
        if match is None:
            raise BoundError(f"stderr does not match {check.stderr!r}: {done.errors.strip()!r}")
        result |= {key: float(value) for key, value in match.groupdict().items()}
    file = folder / check.result
    text = done.output
    if check.result:
        if not file.is_file():
            raise BoundError(f"the command left no file {check.result}")
        text = file.read_text(encoding="utf-8")
    try:
        printed = json.loads(text)
    except ValueError:
        if check.result:
            raise BoundError(f"{check.result} is not JSON") from None
        return result
    return result | printed if isinstance(printed, dict) else result


def known_outcomes(path: Path, digest: str) -> dict[str, Outcome]:
    """Checks that passed on the same sources, by name, from an earlier report; none if it cannot be read."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["sources"] != digest:
            return {}
        outcomes = [
            Outcome(**entry | {"measured": tuple(Measured(**value) for value in entry["measured"])})
            for entry in report["checks"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {outcome.name: outcome for outcome in outcomes if outcome.passed}


def run_checks(
    checks: Sequence[Check],
    report: Path,
    *,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    digest: str | None = None,
    starting: Callable[[Check], None] | None = None,
    ended: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run checks one after the other; write ``report`` after each, so that an interruption loses one at most.

    Parameters
    ----------
    report
        JSON file: the digest of the sources, facts about the machine, and each outcome.
    resume
        Take over the checks that passed in an earlier report of the same sources, if command and bounds are the same.
    about
        Facts for the report.
    digest
        Digest of the sources; computed if None.
    starting, ended
        Called before and after each check.

    Raises
    ------
    OSError
        If the report cannot be written.
    """
    check_output(report)
    sources = source_digest() if digest is None else digest
    known = known_outcomes(report, sources) if resume else {}
    outcomes: list[Outcome] = []
    for check in checks:
        earlier = known.get(check.name)
        if earlier is not None and _same(check, earlier):
            outcome = Outcome(**{**vars(earlier), "reused": True})
        else:
            if starting is not None:
                starting(check)
            outcome = run_check(check)
        outcomes.append(outcome)
        if ended is not None:
            ended(outcome)
        # Those that are still to come keep their place, so that the next --resume finds them.
        later = [known[name] for name in known if name not in {done.name for done in outcomes}]
        entries = [asdict(done) for done in (*outcomes, *later)]
        write_output(report, to_json({"sources": sources, "about": about or {}, "checks": entries}) + "\n")
    return outcomes


def _same(check: Check, earlier: Outcome) -> bool:
    bounds = [bound.text for bound in check.bounds]
    return _line(check) == earlier.command and bounds == [value.bound for value in earlier.measured]

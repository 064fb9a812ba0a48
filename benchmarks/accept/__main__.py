"""What the project promises, as commands with bounds: each is run, and its values stand beside their bounds.

    python -m benchmarks.accept [NAME ...] [--list] [--short] [--resume] [-o FILE]

Checks are in ``benchmarks/accept/checks.toml``. Exit code 1 if any bound is not kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accept.checks import CHECKS, Check, chosen, load_checks
from benchmarks.accept.runner import Outcome, run_checks
from benchmarks.report import machine, markdown

REPORT = Path("build/accept.json")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _rows(outcome: Outcome) -> list[dict[str, object]]:
    """Lines of the table: one for each bound."""
    if outcome.reason:
        return [{"check": outcome.name, "bound": outcome.reason, "measured": None, "verdict": "FAILED"}]
    return [
        {
            "check": outcome.name,
            "bound": value.bound,
            "measured": value.value,
            "verdict": "passed" if value.passed else "FAILED",
        }
        for value in outcome.measured
    ]


def _ended(outcome: Outcome) -> None:
    verdict = "passed" if outcome.passed else "FAILED"
    _say(f"{outcome.name}: {verdict}{' before' if outcome.reused else f' after {outcome.seconds:.0f} s'}")


def _starting(check: Check) -> None:
    _say(f"{check.name}: {' '.join(check.command)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run checks; return the exit code: 1 if any fails, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accept", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="checks to run; all if there is none")
    parser.add_argument("--list", action="store_true", help="print the checks and run none")
    parser.add_argument("--short", action="store_true", help="leave out those that take more than a minute")
    parser.add_argument(
        "--resume", action="store_true", help="take over what passed on the same sources, from the report"
    )
    parser.add_argument("--checks", type=Path, default=CHECKS, metavar="FILE.toml", help="file of the checks")
    parser.add_argument("-o", "--output", type=Path, default=REPORT, metavar="FILE", help="report, as JSON")
    options = parser.parse_args(arguments)
    try:
        checks = chosen(load_checks(options.checks), options.names)
        checks = [check for check in checks if not (options.short and check.long)]
        if options.list:
            for check in checks:
                print(f"{check.name}{' (long)' if check.long else ''}: {check.promise}")
                print(f"    {' '.join(check.command)}")
                for bound in check.bounds:
                    print(f"    {bound.text}")
            return 0
        outcomes = run_checks(
            checks, options.output, resume=options.resume, about=machine(0), starting=_starting, ended=_ended
        )
    except (ValueError, OSError) as error:
        _say(f"error: {error}")
        return 2
    print(markdown([row for outcome in outcomes for row in _rows(outcome)]), end="")
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    _say(f"{len(outcomes) - len(failed)} of {len(outcomes)} checks passed; report: {options.output}")
    if failed:
        _say(f"error: {len(failed)} checks failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs on all cores: every result once, errors and interrupts end what still runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosim.workers.pool import cores, run_all
from rtl.processes.child_process import run_child
from tests.processes import ROOT, is_running, wait_until


def square(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value}: must be at least 0")
    return value * value


def wait_for_interrupt(path: Path) -> None:
    """Mark that the work began and, at its end, how it ended; a path of the number 0 fails once 1 began."""
    if path.name == "0":
        while not path.with_name("1").exists():
            time.sleep(0.01)
        raise ValueError("the first fails")
    try:
        run_child(["sh", "-c", f"echo $$ > {path}; sleep 60"])
    except KeyboardInterrupt:
        path.with_suffix(".interrupted").touch()
        raise


@pytest.mark.parametrize("workers", [1, 2, None])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_item_gives_its_result_once(workers: int | None, count: int) -> None:
    found = sorted(run_all(square, range(count), workers=workers))
    assert found == [(index, index * index) for index in range(count)]


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_workers_have_the_environment_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("before", "after"):
        monkeypatch.setenv("HECATON_TEST_POOL", value)
        assert list(run_all(os.getenv, ["HECATON_TEST_POOL"])) == [(0, value)]


def test_an_error_interrupts_what_still_runs_and_starts_nothing_else(tmp_path: Path) -> None:
    paths = [tmp_path / str(index) for index in range(4)]
    with pytest.raises(ValueError, match="the first fails"):
        list(run_all(wait_for_interrupt, paths, workers=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.interrupted"]


def test_a_caller_that_stops_asking_ends_the_rest(tmp_path: Path) -> None:
    results = run_all(square, [3, 4, 5, 6], workers=1)
    assert next(results) == (0, 9)
    results.close()


def caller(folder: Path, items: int) -> subprocess.Popen[str]:
    """Another program whose workers wait, once the first of them has written the file ``1`` of ``folder``."""
    program = (
        "from pathlib import Path; from cosim.workers.pool import run_all; from tests.cosim.workers.test_pool import "
        f"wait_for_interrupt as work; list(run_all(work, [Path({str(folder)!r}) / '1'] * {items}, workers=1))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    mark = folder / "1"
    while not mark.exists() or not mark.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    return process


def test_an_interrupt_of_the_caller_reaches_the_workers(tmp_path: Path) -> None:
    process = caller(tmp_path, items=3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert (tmp_path / "1.interrupted").exists()


def test_a_kill_of_the_caller_ends_the_workers(tmp_path: Path) -> None:
    process = caller(tmp_path, items=1)
    process.kill()
    process.communicate()
    wait_until(lambda: not is_running(int((tmp_path / "1").read_text())))


def test_workers_never_import_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text(
        "from pathlib import Path; Path('imported').touch(); raise ValueError"
    )
    program = tmp_path / "programs" / "program.py"
    program.parent.mkdir()
    program.write_text(
        "from cosim.workers.pool import run_all; from tests.cosim.workers.test_pool import square\n"
        "if __name__ == '__main__': print(list(run_all(square, [3])))"
    )
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("[(0, 9)]\n", 0), done.stderr
    assert not (tmp_path / "imported").exists()


def test_a_temporary_folder_with_a_long_name(tmp_path: Path) -> None:
    """The path of a socket has at most 107 bytes."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    program = (
        "from cosim.workers.pool import run_all; from tests.cosim.workers.test_pool import square; "
        "print(sorted(run_all(square, [3, 4], workers=2)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[(0, 9), (1, 16)]\n", "")
    assert list(folder.iterdir()) == []

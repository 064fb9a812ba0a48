"""Children: what they get and give, and that none outlives the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Timer

import pytest

from rtl.processes.child_process import ChildCancelled, ChildTimeout, EndedChild, python_module, run_child
from tests.processes import ROOT, wait_until, with_variable

TWO_SLEEPS = ["sh", "-c", "sleep 600 & sleep 600"]


def test_input_output_and_exit_code() -> None:
    assert run_child(["sh", "-c", "cat; echo wrong >&2; exit 3"], text="µ\n") == EndedChild(
        3, "µ\n", "wrong\n"
    )
    assert run_child(["sh", "-c", "kill -9 $$"]).code == -signal.SIGKILL


def test_a_log_gets_both_streams(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("one", "two"):
        assert run_child(["sh", "-c", f"echo {word}; echo wrong >&2"], log=log) == EndedChild(0, "", "")
    assert log.read_text() == "one\nwrong\ntwo\nwrong\n"


def test_large_output_does_not_block() -> None:
    text = "x" * (1 << 20)
    assert run_child(["cat"], text=text).output == text


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        run_child(["no-such-program"])


def test_only_what_tools_need_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_TEST", "kept")
    for name in ("COCOTB_TEST_FILTER", "COCOTB_RANDOM_SEED", "GPI_EXTRA", "MAKEFLAGS", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "no")
    output = run_child(["env"], variables={"TOPLEVEL_LANG": "verilog"}).output
    seen = dict(line.split("=", 1) for line in output.splitlines())
    assert "no" not in seen.values()
    assert (seen["HECATON_TEST"], seen["TOPLEVEL_LANG"], seen["PATH"]) == (
        "kept",
        "verilog",
        os.environ["PATH"],
    )
    assert seen["PYTHONPATH"] == str(ROOT)


def test_a_python_module_never_imports_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('mine')")
    done = run_child([*python_module("tempfile")], folder=tmp_path)
    assert done == EndedChild(0, "", "")


def test_a_child_that_takes_too_long_is_ended_with_its_own_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_TEST", f"timeout {os.getpid()}")
    with pytest.raises(ChildTimeout, match=r"^no end within 0\.2 s$"):
        run_child(TWO_SLEEPS, seconds=0.2)
    wait_until(lambda: not with_variable("HECATON_TEST", f"timeout {os.getpid()}", besides=os.getpid()))


def test_a_child_that_is_cancelled_is_ended_with_its_own_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_TEST", f"cancelled {os.getpid()}")
    cancelled = Event()
    timer = Timer(0.1, cancelled.set)
    timer.start()
    with pytest.raises(ChildCancelled):
        run_child(TWO_SLEEPS, cancelled=cancelled)
    timer.join()
    wait_until(lambda: not with_variable("HECATON_TEST", f"cancelled {os.getpid()}", besides=os.getpid()))
    assert run_child(["cat"], text="ended", cancelled=Event()).output == "ended"


def test_what_a_child_leaves_running_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_TEST", f"left {os.getpid()}")
    assert run_child(["sh", "-c", "sleep 600 & exit 0"]).code == 0
    wait_until(lambda: not with_variable("HECATON_TEST", f"left {os.getpid()}", besides=os.getpid()))


PROGRAM = """
from pathlib import Path
from rtl.processes.child_process import run_child
from rtl.processes.temporary import temporary_folder

with temporary_folder() as folder:
    print(folder, flush=True)
    run_child(["sh", "-c", "sleep 600 & sleep 600"], folder=folder)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGINT])
def test_children_and_folders_end_with_their_process(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"{tmp_path.name} {os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "HECATON_TEST": mark, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.parent == tmp_path
    wait_until(lambda: len(with_variable("HECATON_TEST", mark, besides=process.pid)) == 3)
    assert folder.exists()
    process.send_signal(number)
    process.communicate()
    wait_until(lambda: not with_variable("HECATON_TEST", mark) and not folder.exists())
    assert list(tmp_path.iterdir()) == []

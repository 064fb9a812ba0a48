"""Cache of built models: built once, whole or not at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from cosim.backends.cache import cache_bytes, cache_dir, cached_build, clear, entries
from cosim.backends.file_lock import held
from tests.hecaton.command import ROOT

Build = Callable[[Path], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path))
    monkeypatch.delenv("HECATON_CACHE_BYTES", raising=False)
    return tmp_path


@pytest.fixture
def builds() -> list[Path]:
    """Folders that were filled."""
    return []


@pytest.fixture
def build(builds: list[Path]) -> Build:
    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "model").write_text("whole")
        (folder / "sub" / "part").write_bytes(b"\0\1")
        builds.append(folder)

    return fill


def test_cache_dir(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == folder
    monkeypatch.delenv("HECATON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_dir() == Path("/somewhere/hecaton")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_dir() == Path.home() / ".cache" / "hecaton"


def test_a_model_is_built_once(build: Build, builds: list[Path]) -> None:
    first, second = cached_build("key", build), cached_build("key", build)
    assert first == second
    assert (first / "model").read_text() == "whole"
    assert len(builds) == 1
    assert cached_build("other", build) != first
    assert len(builds) == 2


def test_what_a_run_adds_does_no_harm(build: Build, builds: list[Path]) -> None:
    (cached_build("key", build) / "log").write_text("more")
    cached_build("key", build)
    assert len(builds) == 1


@pytest.mark.parametrize("damage", ["no seal", "no part", "truncated", "changed", "empty seal", "empty"])
def test_a_model_that_is_not_whole_is_built_again(build: Build, builds: list[Path], damage: str) -> None:
    model = cached_build("key", build)
    match damage:
        case "no seal":
            (model / "seal.json").unlink()
        case "no part":
            (model / "sub" / "part").unlink()
        case "truncated":
            (model / "model").write_text("who")
        case "changed":
            (model / "model").write_text("whale")
        case "empty seal":
            (model / "seal.json").write_text("")
        case "empty":
            for path in (model / "model", model / "sub" / "part", model / "seal.json"):
                path.unlink()
    assert cached_build("key", build) == model
    assert len(builds) == 2
    assert (model / "model").read_text() == "whole"
    assert (model / "sub" / "part").read_bytes() == b"\0\1"


def test_a_build_that_fails_leaves_nothing(folder: Path, build: Build, builds: list[Path]) -> None:
    def fail(target: Path) -> None:
        (target / "model").write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="^no$"):
        cached_build("key", fail)
    assert [path for path in (folder / "builds").iterdir() if path.is_dir()] == []
    cached_build("key", build)
    assert len(builds) == 1


def test_others_wait_for_a_build_in_work(build: Build, builds: list[Path]) -> None:
    begun, go_on = Event(), Event()

    def slowly(folder: Path) -> None:
        begun.set()
        assert go_on.wait(10)
        build(folder)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cached_build, "key", slowly)
        assert begun.wait(10)
        others = [pool.submit(cached_build, "key", build) for _ in range(2)]
        assert not any(other.done() for other in others)
        go_on.set()
        assert {first.result(10), *(other.result(10) for other in others)} == {first.result()}
    assert len(builds) == 1


def kilobyte(folder: Path) -> None:
    """Build that makes an entry of 1000 bytes and a seal."""
    (folder / "model").write_bytes(bytes(1000))


def keys() -> set[str]:
    return {entry.key for entry in entries()}


def in_another_process(program: str) -> subprocess.Popen[str]:
    head = f"from cosim.backends.cache import *; from {__name__} import kilobyte; import time\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_bytes() == 2 * 2**30
    monkeypatch.setenv("HECATON_CACHE_BYTES", "")
    assert cache_bytes() == 2 * 2**30
    monkeypatch.setenv("HECATON_CACHE_BYTES", "1000")
    assert cache_bytes() == 1000


@pytest.mark.parametrize("wrong", ["2G", "-1", "1.5", "many"])
def test_a_bound_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("HECATON_CACHE_BYTES", wrong)
    message = f"HECATON_CACHE_BYTES = {wrong}: must be a number of bytes, at least 0"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cached_build("key", kilobyte)


def test_the_entries_not_asked_for_for_longest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_CACHE_BYTES", "4000")
    for key in ("a", "b", "c"):
        cached_build(key, kilobyte)
    cached_build("a", kilobyte)
    assert [entry.key for entry in entries()] == ["a", "c", "b"]
    cached_build("d", kilobyte)
    assert [entry.key for entry in entries()] == ["d", "a", "c"]
    assert sum(entry.bytes for entry in entries()) <= 4000


def test_an_entry_in_use_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HECATON_CACHE_BYTES", "1")
    used = cached_build("used", kilobyte)
    cached_build("other", kilobyte)
    cached_build("third", kilobyte)
    # The last one, too, was in use when room was made.
    assert {entry.key: entry.in_use for entry in entries()} == {"used": True, "third": False}
    removed, freed = clear()
    assert removed == 1
    assert 1000 < freed < 1200
    assert (used / "model").exists()
    del used
    assert clear()[0] == 1
    assert list((folder / "builds").iterdir()) == []


def test_an_entry_that_another_process_uses_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    process = in_another_process(
        "model = cached_build('key', kilobyte); print('built', flush=True); time.sleep(60)"
    )
    assert said(process) == "built"
    assert [(entry.key, entry.in_use) for entry in entries()] == [("key", True)]
    assert clear() == (0, 0)
    monkeypatch.setenv("HECATON_CACHE_BYTES", "0")
    cached_build("other", kilobyte)
    assert "key" in keys()
    # The system takes back the lock of a process that dies, however that was.
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert clear()[0] == 2


def test_what_a_killed_build_left_is_removed_and_one_in_work_is_not(folder: Path) -> None:
    program = (
        "cached_build({key!r}, lambda folder: (kilobyte(folder), print('half', flush=True), time.sleep(60)))"
    )
    killed, going = (in_another_process(program.format(key=key)) for key in ("killed", "going"))
    assert (said(killed), said(going)) == ("half", "half")
    killed.kill()
    killed.communicate()
    (folder / "builds" / "unsealed").mkdir()
    cached_build("key", kilobyte)
    assert not (folder / "builds" / "unsealed").exists()
    left = sorted(path.name.split(".")[1] for path in (folder / "builds").glob(".*") if path.is_dir())
    assert left == ["going"]
    assert keys() == {"key"}
    going.kill()
    going.communicate()
    assert clear()[0] == 1
    assert list((folder / "builds").iterdir()) == []


@pytest.mark.parametrize("remover", ["clear", "the next process"])
def test_the_lock_file_of_a_build_whose_folder_is_gone_is_removed(folder: Path, remover: str) -> None:
    """The guard of a killed build removes the folder before anybody else sees it, and knows of no lock."""
    (folder / "builds").mkdir()
    lock = folder / "builds" / ".killed.lock"
    lock.touch()
    other = folder / "builds" / ".going.lock"
    with held(other):
        if remover == "clear":
            assert clear() == (0, 0)
        else:
            process = in_another_process("cached_build('key', kilobyte); print('built', flush=True)")
            assert said(process) == "built"
            process.communicate()
        assert not lock.exists()
        assert other.exists()


def test_an_empty_cache() -> None:
    assert entries() == []
    assert clear() == (0, 0)


def test_many_processes_that_build_and_remove_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that holds one entry, four keys, four processes: no model is ever missing or wrong."""
    monkeypatch.setenv("HECATON_CACHE_BYTES", "1500")
    program = (
        "for index in range(150):\n"
        "    key = str(({start} + index * index) % 4)\n"
        "    model = cached_build(key, lambda folder: (folder / 'model').write_text(key * 1000))\n"
        "    assert (model / 'model').read_text() == key * 1000\n"
        "    if index % 10 == 0: clear()\n"
        "print('good', flush=True)"
    )
    processes = [in_another_process(program.format(start=start)) for start in range(4)]
    assert [said(process) for process in processes] == ["good"] * 4
    for process in processes:
        process.communicate()

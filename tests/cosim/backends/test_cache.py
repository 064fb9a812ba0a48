"""Cache of built models: built once, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from cosim.backends.cache import cache_dir, cached_build

Build = Callable[[Path], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path))
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

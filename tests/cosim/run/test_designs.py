"""Emitted designs: kept by what they are made from, and never taken for another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.machine.specs import NopSpec
from cosim.run import designs
from cosim.run.designs import emitted_once
from rtl.bench.router_mesh import RouterMesh
from rtl.block import Block
from rtl.emit.emitter import Emitted, emit

NOP = NopSpec(flit_bits=32)


@pytest.fixture(autouse=True)
def count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the blocks that were emitted, in a cache of this test."""
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path))
    emitted: list[str] = []

    def counted(block: Block, folder: None) -> Emitted:
        emitted.append(block.block_name)
        return emit(block, folder)

    monkeypatch.setattr(designs, "emit", counted)
    _forget()
    return emitted


def _forget() -> None:
    """As if in another process."""
    emitted_once.cache_clear()


def test_a_design_is_emitted_once_and_read_back_as_it_was(count: list[str]) -> None:
    first = emitted_once(RouterMesh, nop=NOP, rows=1, cols=2)
    _forget()
    again = emitted_once(RouterMesh, nop=NOP, rows=1, cols=2)
    assert again == first
    assert again.sha256 == emit(RouterMesh(nop=NOP, rows=1, cols=2), None).sha256
    assert count == [first.top]


def test_other_parameters_sources_or_tools_are_another_design(
    count: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted_once(RouterMesh, nop=NOP, rows=1, cols=1)
    emitted_once(RouterMesh, nop=NOP.model_copy(update={"buffer_flits": 2}), rows=1, cols=1)
    assert len(count) == 2
    _forget()
    monkeypatch.setattr(designs, "SOURCES", "others")
    monkeypatch.setattr(designs, "_sources", lambda: "others")
    emitted_once(RouterMesh, nop=NOP, rows=1, cols=1)
    assert len(count) == 3
    emitted_once.cache_clear()
    monkeypatch.setattr(designs, "_tools", lambda: ["another version"])
    emitted_once(RouterMesh, nop=NOP, rows=1, cols=1)
    assert len(count) == 4


def test_what_is_emitted_after_the_sources_changed_is_not_kept(
    count: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process runs code that is not in the files any more."""
    first = emitted_once(RouterMesh, nop=NOP, rows=1, cols=1)
    _forget()
    loaded = designs.SOURCES
    with monkeypatch.context() as patch:
        patch.setattr(designs, "_sources", lambda: "newer")
        assert emitted_once(RouterMesh, nop=NOP, rows=1, cols=1) == first
        assert len(count) == 1
        assert emitted_once(RouterMesh, nop=NOP, rows=1, cols=2).top != first.top
        assert len(count) == 2
    _forget()
    assert loaded == designs.SOURCES
    emitted_once(RouterMesh, nop=NOP, rows=1, cols=2)
    assert len(count) == 3


def test_what_the_block_refuses_is_refused_every_time() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="^mesh: rows = 0: must be an integer of at least 1$"):
            emitted_once(RouterMesh, nop=NOP, rows=0, cols=1)

"""Verilog in parts: the modules of one run of Yosys, and no Yosys that outlives the context."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from rtl.emit.conversions import Converted
from rtl.emit.emitter import Emitter
from rtl.emit.verilog_parts import VerilogParts
from rtl.emit.yosys import YosysError
from tests.processes import wait_until, with_variable
from tests.rtl.emit.test_emitter import Chain


def chain() -> list[Converted]:
    blocks: list[Converted] = []
    Emitter(on_block=blocks.append).convert(Chain(length=3))
    return blocks


def verilog(blocks: list[Converted], characters: int) -> dict[str, str]:
    with VerilogParts("chain", characters) as parts:
        for block in blocks:
            parts.add(block)
        parts.end()
        return parts.verilog()


def lines(text: str) -> Counter[str]:
    """Lines of a module without the numbers of the names that Yosys has made, and in any order."""
    return Counter(re.sub(r"\b_\d+_", "_", text).splitlines())


def test_parts_have_the_modules_of_the_whole() -> None:
    blocks = chain()
    whole, parts = verilog(blocks, 10**9), verilog(blocks, 1)
    assert {name: lines(text) for name, text in parts.items()} == {
        name: lines(text) for name, text in whole.items()
    }
    assert verilog(blocks, 1) == parts
    assert len(whole) > len(blocks) > 3


def test_an_error_of_any_part_is_raised() -> None:
    blocks = chain()
    (stage,) = (block for block in blocks if block.name == "stage")
    wrong = replace(stage, rtlil=stage.rtlil.replace(r"cell \stage__inner", r"cell \missing"))
    assert wrong.rtlil != stage.rtlil
    with pytest.raises(YosysError, match=r"^chain: .*missing"):
        verilog([wrong if block is stage else block for block in blocks], 1)


def test_yosys_ends_with_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"parts {os.getpid()}"
    monkeypatch.setenv("HECATON_TEST", mark)
    blocks = chain()
    with suppress(KeyboardInterrupt), VerilogParts("chain", 1) as parts:
        for block in blocks:
            parts.add(block)
        wait_until(lambda: bool(with_variable("HECATON_TEST", mark)))
        raise KeyboardInterrupt
    assert not with_variable("HECATON_TEST", mark)

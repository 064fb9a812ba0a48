"""Modules of an emitted design: how often each is there, and which of them are one block."""

from __future__ import annotations

from collections import Counter

from rtl.synthesis import module_tree as module
from rtl.synthesis.module_tree import ModuleText, ModuleTree
from tests.rtl.synthesis.designs import Nested, Twice, design_of


def flattened(design: ModuleTree) -> Counter[str]:
    """Every module of the design counted one by one, from the top down."""
    counts: Counter[str] = Counter()
    waiting = [design.top]
    while waiting:
        name = waiting.pop()
        counts[name] += 1
        waiting += [used for _, used in design.modules[name].uses]
    return counts


def test_modules_ports_and_uses_are_found() -> None:
    design = design_of(Twice(bits=3))
    assert set(design.modules) == {"inverted_3", "inverted_4", "sram_4x3", "twice_3"}
    assert design.modules["twice_3"].uses == (
        ("part_0", "inverted_3"),
        ("part_1", "inverted_3"),
        ("part_2", "inverted_4"),
        ("words", "sram_4x3"),
    )
    assert [name for name, one in design.modules.items() if one.macro] == ["sram_4x3"]
    assert set(design.modules["inverted_3"].ports) == {
        ("clk", "input", 1),
        ("i", "input", 3),
        ("o", "output", 3),
    }


def test_what_is_counted_is_there() -> None:
    for design in (design_of(Twice(bits=3)), design_of(Nested(depth=4))):
        assert design.instances == flattened(design)
        for name in design.blocks:
            assert design.block_instances[name] <= design.instances[name]


def test_the_top_keeps_its_units_and_units_take_small_modules_in() -> None:
    design = design_of(Nested(depth=4))
    assert design.blocks == ("nested_3", "nested_4")
    assert design.folded["nested_3"] == ("inverted_2", "nested_1", "nested_2")
    assert design.uses("nested_4") == {"nested_3": 1}
    assert design.uses("nested_3") == {}


def test_large_modules_stay_blocks() -> None:
    pad = "// " + "x" * module.FOLDED_CHARACTERS + "\n"
    modules = {
        "leaf": ModuleText("leaf", pad, False, ()),
        "unit": ModuleText("unit", "", False, (("a", "leaf"), ("b", "ram"))),
        "ram": ModuleText("ram", "", True, ()),
        "top": ModuleText("top", "", False, (("a", "unit"),)),
    }
    design = ModuleTree("top", {name: modules[name] for name in ("leaf", "ram", "unit", "top")})
    assert design.blocks == ("leaf", "unit", "top")
    assert design.block_instances == {"leaf": 1, "ram": 1, "unit": 1, "top": 1}


def test_a_module_that_is_folded_in_one_place_and_not_in_another() -> None:
    modules = {
        "leaf": ModuleText("leaf", "", False, ()),
        "once": ModuleText("once", "", False, (("a", "leaf"),)),
        "often": ModuleText("often", "", False, (("a", "leaf"), ("b", "leaf"))),
        "top": ModuleText("top", "", False, (("a", "once"), ("b", "often"), ("c", "often"))),
    }
    design = ModuleTree("top", modules)
    assert design.instances == flattened(design) == {"leaf": 5, "once": 1, "often": 2, "top": 1}
    assert design.block_instances == {"leaf": 4, "once": 1, "often": 2, "top": 1}

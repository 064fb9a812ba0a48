"""SRAM macros: their sizes out of their names, their times as Liberty, and registers behind those of several cycles."""

from __future__ import annotations

import pytest

from rtl.synthesis.liberty import parse_liberty
from rtl.synthesis.macros import Macro, MacroTimes, macro_liberty, macro_of, single_cycle
from rtl.synthesis.module_tree import ModuleText
from tests.rtl.synthesis.designs import Twice, design_of


@pytest.mark.parametrize(
    ("name", "macro"),
    [
        ("sram_4x3", Macro("sram_4x3", 4, 3, 3, 1, "sram_4x3")),
        ("sram_256x32_w8", Macro("sram_256x32_w8", 256, 32, 8, 1, "sram_256x32_w8")),
        ("sram_16x256_w16_l3", Macro("sram_16x256_w16_l3", 16, 256, 16, 3, "sram_16x256_w16")),
    ],
)
def test_a_name_says_what_it_is(name: str, macro: Macro) -> None:
    assert macro_of(ModuleText(name, "", True, ())) == macro


def test_other_black_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^pll_2: is no SRAM"):
        macro_of(ModuleText("pll_2", "", True, ()))


def test_every_input_has_its_setup_and_every_output_its_delay() -> None:
    design = design_of(Twice(bits=3))
    text = macro_liberty(
        [design.modules["sram_4x3"]], MacroTimes(output_ps=123.0, setup_ps=45.0), load_ff=2.5
    )
    (cell,) = parse_liberty(text, what="macros").inner("cell")
    times = {}
    for pin in cell.inner("pin", "bus"):
        for arc in pin.inner("timing"):
            times[pin.name] = (arc.value("timing_type"), {table.value("values") for table in arc.groups[:2]})
    assert times == {
        **{
            f"{way}_{what}": ("setup_rising", {"45"})
            for way in ("read", "write")
            for what in ("enable", "address")
        },
        "write_data": ("setup_rising", {"45"}),
        "read_data": ("rising_edge", {"123"}),
    }
    loads = {pin.name: pin.value("capacitance") for pin in cell.inner("pin", "bus")}
    assert {load for name, load in loads.items() if name != "read_data"} == {"2.5"}


@pytest.mark.parametrize("latency", [1, 2, 3])
def test_more_cycles_are_registers_behind_one_array(latency: int) -> None:
    design = design_of(Twice(bits=3, sram_latency=latency))
    single = single_cycle(design)
    assert single.block_instances["sram_4x3"] == 1
    assert [name for name, module in single.modules.items() if module.macro] == ["sram_4x3"]
    if latency == 1:
        assert single == design
        return
    wrapper = single.modules[f"sram_4x3_l{latency}"]
    assert wrapper.text.count("always @(posedge clk)") == latency - 1
    assert wrapper.ports == design.modules[wrapper.name].ports == single.modules["sram_4x3"].ports

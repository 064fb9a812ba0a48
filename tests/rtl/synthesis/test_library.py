"""Several Liberty files of one corner are one library; what does not fit together is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtl.synthesis.liberty import LibertyError, parse_liberty
from rtl.synthesis.library import load_library
from tests.rtl.synthesis.small_library import AREAS, LOGIC, liberty, small_library


def test_cells_of_all_files_with_their_areas_and_kinds(tmp_path: Path) -> None:
    library = small_library(tmp_path)
    assert {name: cell.area for name, cell in library.cells.items()} == AREAS
    assert {name for name, cell in library.cells.items() if cell.kind == "flip-flop"} == {"DFF"}
    assert (library.voltage, library.temperature) == (1.0, 25.0)
    assert library.cells["NAND2"].inputs == {"A": 1.0, "B": 1.0}
    assert library.inverter().name == "INV"
    assert library.flip_flop().name == "DFF"
    assert (library.constant("1"), library.constant("0")) == (("ONE", "Y"), ("ZERO", "Y"))
    merged = parse_liberty(library.text, what="merged")
    assert {cell.name for cell in merged.inner("cell")} == set(AREAS)
    assert [cell.name for cell in parse_liberty(library.flip_flop_text, what="registers").inner("cell")] == [
        "DFF"
    ]


def test_units_do_not_change_what_a_library_says(tmp_path: Path) -> None:
    picoseconds, nanoseconds = small_library(tmp_path), small_library(tmp_path, unit_ps=1000.0)
    assert picoseconds.load_ff == pytest.approx(nanoseconds.load_ff)
    assert picoseconds.digest != nanoseconds.digest


def test_templates_of_one_name_stay_apart(tmp_path: Path) -> None:
    first, second = tmp_path / "a.lib", tmp_path / "b.lib"
    first.write_text(liberty(cells=lambda name: name != "DFF"))
    second.write_text(
        liberty(cells=lambda name: name == "DFF").replace('index_1 ("1, 1000")', 'index_1 ("2, 500")')
    )
    merged = parse_liberty(load_library([first, second]).text, what="merged")
    templates = {template.name: template.value("index_1") for template in merged.inner("lu_table_template")}
    changed = {"grid_file1": "2, 500", "setup_grid_file1": "2, 500"}
    assert templates == {"grid": "1, 1000", "setup_grid": "1, 1000", **changed}
    used = {
        cell.name: {
            table.name for pin in cell.inner("pin") for arc in pin.inner("timing") for table in arc.groups
        }
        for cell in merged.inner("cell")
    }
    assert used["INV"] == {"grid"}
    assert used["DFF"] == set(changed)


def test_cells_that_are_not_to_be_used_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.lib"
    path.write_text(liberty().replace("cell (BUF) {", "cell (BUF) { dont_use : true;"))
    assert set(load_library([path]).cells) == set(AREAS) - {"BUF"}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (liberty(voltage=0.9), "nom_voltage = 0.9, but 1 in .*: files must be of one corner"),
        (liberty(unit_ps=1000.0), "time_unit = 1ns, but 1ps in .*: files must be of one corner"),
        (liberty(), "cell INV: is in .* too: must be in one file"),
    ],
)
def test_files_that_do_not_fit_together(tmp_path: Path, second: str, message: str) -> None:
    paths = tmp_path / "first.lib", tmp_path / "second.lib"
    paths[0].write_text(liberty())
    paths[1].write_text(second)
    with pytest.raises(LibertyError, match=message):
        load_library(paths)


@pytest.mark.parametrize(("missing", "what"), [("DFF", "flip-flop"), ("INV", "inverter")])
def test_libraries_that_map_nothing(tmp_path: Path, missing: str, what: str) -> None:
    path = tmp_path / "a.lib"
    path.write_text(liberty(cells=lambda name: name != missing))
    with pytest.raises(LibertyError, match=f"no {what} among {len(LOGIC)} cells: must have one"):
        load_library([path])
    with pytest.raises(LibertyError, match="no Liberty file"):
        load_library([])
    path.write_text(liberty().replace("area : 1.0;", "area : big;"))
    with pytest.raises(LibertyError, match="cell INV: could not convert"):
        load_library([path])

"""Liberty text becomes a tree of groups, and the tree the same text again."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.synthesis.liberty import Group, LibertyError, parse_liberty, read_liberty
from tests.rtl.synthesis.small_library import liberty

NAMES = st.text("abcxyz_019", min_size=1, max_size=6).map(lambda text: f"n{text}")
STATEMENTS = st.lists(
    st.tuples(NAMES, st.text("abc 0.5-", max_size=8)).map(lambda pair: f'{pair[0]} : "{pair[1]}"'), max_size=3
)
GROUPS = st.recursive(
    st.builds(Group, NAMES, NAMES, STATEMENTS, st.just([])),
    lambda inner: st.builds(Group, NAMES, NAMES, STATEMENTS, st.lists(inner, max_size=3)),
    max_leaves=8,
)


@given(GROUPS)
def test_a_tree_is_read_as_it_is_written(group: Group) -> None:
    library = Group("library", "one", [], [group])
    normal = [" ".join(text.split()) for text in group.statements]
    read = parse_liberty(library.text(), what="text")
    assert read.text() == parse_liberty(read.text(), what="text").text()
    assert (read.groups[0].kind, read.groups[0].name, read.groups[0].statements) == (
        group.kind,
        group.name,
        normal,
    )


def test_comments_continued_lines_and_lines_without_a_semicolon() -> None:
    text = """/* library (no) { } */
    library("mine") { /* { */ time_unit : "1ns"
      nom_voltage : 1.8
      capacitive_load_unit (1,
        pf) ;
      cell (A) { area : 2.5 ; values ( "1, 2", \\
        "3, 4" ); pin(Y) { function : "!(A {B)" } }
    }"""
    library = parse_liberty(text, what="text")
    assert (library.name, library.value("time_unit"), library.value("nom_voltage")) == ("mine", "1ns", "1.8")
    assert library.value("capacitive_load_unit") == "1, pf"
    (cell,) = library.inner("cell")
    assert (cell.value("area"), cell.value("values"), cell.value("nothing")) == ("2.5", "1, 2, 3, 4", None)
    assert next(cell.inner("pin")).value("function") == "!(A {B)"


def test_groups_that_nobody_reads_are_left_out_whole() -> None:
    text = "library (a) { cell (B) { power () { x : 1; more () { y : 2; } } pin (C) { } } power () { } }"
    library = parse_liberty(text, what="text", without={"power"})
    assert library == parse_liberty("library (a) { cell (B) { pin (C) { } } }", what="text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 Liberty libraries: must be one"),
        ("module a (); endmodule", "0 Liberty libraries: must be one"),
        ("library (a) { cell (b) {", "the Liberty file is cut off: a closing brace is missing"),
        ("library (a) { } }", "no Liberty file: a closing brace too many"),
        ("void main() { return {1}; }", "no Liberty file: a brace without a group before it"),
        ("library (a) { } library (b) { }", "2 Liberty libraries: must be one"),
    ],
)
def test_what_is_no_library_is_refused(text: str, message: str) -> None:
    with pytest.raises(LibertyError, match=f"^cells.lib: {message}$"):
        parse_liberty(text, what="cells.lib")


def test_files_may_be_compressed(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.lib", tmp_path / "a.lib.gz"
    plain.write_text(liberty())
    packed.write_bytes(gzip.compress(liberty().encode()))
    assert read_liberty(plain) == read_liberty(packed)
    packed.write_bytes(packed.read_bytes()[:100])
    with pytest.raises(LibertyError, match="damaged"):
        read_liberty(packed)
    plain.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LibertyError, match="it is not text"):
        read_liberty(plain)
    with pytest.raises(FileNotFoundError):
        read_liberty(tmp_path / "none.lib")

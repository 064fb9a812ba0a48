"""Repeated bits: the loop has the value of the chain, and chains of other shapes are left alone."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from cosim.backends.compiler import compiler
from cosim.backends.cxxrtl import runtime
from cosim.backends.rewrite.repeated_bits import loop_over_repeated_bits
from rtl.rewrite.tested_versions import UntestedVersionError

HEAD = "#include <cxxrtl/cxxrtl.h>\nusing namespace cxxrtl_yosys;\nnamespace cxxrtl_design {\n"


def chain(name: str, top: int, bottom: int, copies: int) -> str:
    """The bits of a value, each repeated, in the pieces in which Yosys writes them."""
    pieces = [f"{name}.slice<{top}>().val().repeat<{copies - 1}>()"]
    for bit in range(top, bottom, -1):
        last = copies - 1 if bit - 1 == bottom else copies - 2
        pieces += [f"{name}.slice<{bit},{bit - 1}>()"]
        pieces += [f"{name}.slice<{bit - 1}>().val().repeat<{last}>()"] if last else []
    return pieces[0] + "".join(f".concat({piece})" for piece in pieces[1:]) + ".val()"


CHAINS = [
    ("p_en", 15, 0, 16),
    ("p_en.curr", 15, 0, 16),
    ("p_en", 40, 37, 3),
    ("p_wide", 70, 30, 5),
    ("p_wide", 66, 2, 32),
    ("p_wide", 64, 62, 7),
]


@pytest.mark.parametrize(("name", "top", "bottom", "copies"), CHAINS)
def test_a_chain_becomes_a_loop(name: str, top: int, bottom: int, copies: int) -> None:
    text = chain(name, top, bottom, copies)
    source = f"{HEAD}\tx.update(i, p_data, {text}, 0);\n}}\n"
    rewritten = loop_over_repeated_bits(source)
    expected = f"repeated_bits<{copies}>({name}.slice<{top},{bottom}>().val())"
    assert rewritten.endswith(f"\tx.update(i, p_data, {expected}, 0);\n}}\n")
    assert rewritten.count("value<Copies * Bits> repeated_bits(") == 1


@pytest.mark.parametrize(
    "text",
    [
        "p_a.slice<3>().val().repeat<2>().concat(p_a.slice<3,2>()).val()",  # short
        chain("p_a", 7, 0, 4).replace("repeat<2>", "repeat<3>", 1),  # one bit more often than the others
        chain("p_a", 7, 0, 4).replace("p_a", "p_b", 1),  # of two values
        chain("p_a", 7, 0, 4).removesuffix(".val()"),
        "p_a.slice<3>().concat(p_a.slice<2>()).concat(p_a.slice<1>()).concat(p_a.slice<0>()).val()",
    ],
)
def test_other_chains_stay(text: str) -> None:
    source = f"{HEAD}\tp_x = {text};\n}}\n"
    assert loop_over_repeated_bits(source) == source


def test_the_loop_has_the_value_of_the_chain(tmp_path: Path) -> None:
    support = loop_over_repeated_bits(f"{HEAD}\tx = {chain('p_a', 7, 0, 4)};\n").partition("\tx = ")[0]
    checks = "".join(
        f"\tif (!(repeated_bits<{copies}>(p_a.slice<{top},{bottom}>().val()) == {chain('p_a', top, bottom, copies)}))\n"
        f"\t\treturn {number};\n"
        for number, (_, top, bottom, copies) in enumerate(CHAINS, start=1)
    )
    value = "\tvalue<96> p_a{0x89abcdefu, 0x5a3c96f1u, 0xdeadbeefu};\n"
    source, binary = tmp_path / "check.cc", tmp_path / "check"
    source.write_text(
        f"{support}}}\nusing namespace cxxrtl_design;\nint main() {{\n{value}{checks}\treturn 0;\n}}\n"
    )
    command = [*compiler("cxxrtl"), "-std=c++14", f"-I{runtime()}", str(source), "-o", str(binary)]
    subprocess.run(command, check=True, capture_output=True)
    assert subprocess.run([str(binary)], check=False).returncode == 0


def test_other_versions_of_yosys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _package: "0.1")
    with pytest.raises(UntestedVersionError):
        loop_over_repeated_bits(HEAD)

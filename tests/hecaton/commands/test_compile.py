"""The compile command: its keys and files, texts that are the programs, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chiplet.graph.operators import Product, VectorRun
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from rtl.interface.isa import COMMAND_BITS, Opcode, Side, decode
from tests.cosim.compile.inspection.test_assembly import read
from tests.hecaton.command import called, documented_keys, refused

MODEL = ("--hidden", "8", "--heads", "2", "--ffn", "9", "--layers", "1", "--vocab", "7")
STEP = (*MODEL, "--mesh", "1x2", "--sequence", "3", "--batch", "2")
DIE = ("-P", "die.rows=4", "-P", "die.cols=4")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder of programs, and the JSON object."""
    folder = tmp_path_factory.mktemp("programs") / "step"
    done = called("compile", *STEP, *DIE, "-o", str(folder), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return folder, json.loads(done.stdout)


def commands_of(image: bytes) -> list[tuple[Opcode, dict[str, int]]]:
    """Commands of a program as it lies in memory, in words of at most a command."""
    size = COMMAND_BITS // 8
    assert len(image) % size == 0
    return [decode(int.from_bytes(image[at : at + size], "little")) for at in range(0, len(image), size)]


def test_files_and_keys_are_those_that_are_documented(compiled: tuple[Path, dict[str, Any]]) -> None:
    folder, data = compiled
    assert set(data) == documented_keys("compile")
    assert {str(path) for path in folder.iterdir()} == {*data["files"]}
    assert {path.name for path in folder.iterdir()} == {
        "die_0_0.s", "die_0_0.bin", "die_0_1.s", "die_0_1.bin", "sizes.json", "scratchpad.svg",
    }  # fmt: skip
    sizes = json.loads((folder / "sizes.json").read_text())
    assert sizes == {key: data[key] for key in data if key not in ("files", "preset")}
    assert [(die["row"], die["col"]) for die in data["dies"]] == [(0, 0), (0, 1)]
    assert data["bytes"] == sum(die["program_bytes"] for die in data["dies"])
    for use in data["buffers"].values():
        assert 0 < use["used"] <= use["available"]


@pytest.mark.parametrize("number", [0, 1])
def test_text_and_memory_contents_are_the_same_program(
    compiled: tuple[Path, dict[str, Any]], number: int
) -> None:
    folder, data = compiled
    image = (folder / f"die_0_{number}.bin").read_bytes()
    program = commands_of(image)
    text = read((folder / f"die_0_{number}.s").read_text())
    assert [(command.opcode, command.all_fields) for command in text] == program
    sizes = data["dies"][number]
    assert sizes["program_bytes"] == len(image)
    counts = Counter(
        f"{opcode.name} {Side(fields['side']).name.lower()}" if "side" in fields else opcode.name
        for opcode, fields in program
    )
    assert sizes["commands"] == counts


def test_every_product_and_vector_program_is_in_the_text(compiled: tuple[Path, dict[str, Any]]) -> None:
    text = (compiled[0] / "die_0_0.s").read_text()
    labels = {line.partition("  ; ")[2].partition(" ")[0] for line in text.splitlines()}
    model = ModelSizes(hidden=8, heads=2, kv_heads=2, head_dim=4, ffn=9, layers=1, vocab=7)
    graph = training_step(StepSizes(model=model, rows=1, cols=2, sequences=2, length=3))
    operators = [operator for section in graph.sections for operator in section.operators]
    # Products that go on with the sums of another one are a part of it.
    wanted = {
        operator.name
        for operator in operators
        if isinstance(operator, VectorRun)
        or (isinstance(operator, Product) and operator.accumulate != "products")
    }
    assert len(wanted) > 50
    assert wanted - labels == set()


def test_the_table_shows_each_die(tmp_path: Path) -> None:
    picture = tmp_path / "picture.pdf"
    done = called("compile", *STEP, *DIE, "-o", str(tmp_path / "step"), "--plot", str(picture))
    assert (done.returncode, done.stderr) == (0, "")
    assert picture.stat().st_size > 0
    assert not (tmp_path / "step" / "scratchpad.svg").exists()
    assert "(0, 1)" in done.stdout
    assert "FEED_WEIGHT" in done.stdout
    assert "preset bench" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (MODEL[:-2], "without --model, its sizes are needed: --vocab is missing"),
        ((*STEP, "-P", "die.dtype=int8"), "die.dtype = int8: must be bf16"),
        ((*STEP, "--plot", "x.gif"), "x.gif: cannot write the plot: its suffix must be one of"),
        ((*MODEL, "--mesh", "1x3"), "heads = 2 cannot be split over 3 columns of dies"),
        ((*STEP, "--tiles", "3"), "tiles = 3: must be at most the 2 sequences"),
        ((*STEP, "-P", "die.scratchpad_bytes=2048"), "scratchpad"),
    ],
)
def test_what_cannot_be_compiled_is_refused_before_a_file_is_written(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused("compile", *arguments, "-o", str(tmp_path / "step"))
    assert not (tmp_path / "step").exists()

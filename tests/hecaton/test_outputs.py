"""Every option that names an output: what cannot be written is refused in one line, before anything runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hecaton.cli import run
from tests.processes import ROOT

GEMM = "cosim gemm --m 3 --k 3 --n 3"
COLLECTIVE = "cosim collective --op all-gather --mesh 1x2 --flits 4"
PACKAGE = "cosim package --m 4 --k 4 --n 4"
TRAIN = "cosim train-step --mesh 1x1 --hidden 4 --heads 1 --ffn 4 --layers 1 --vocab 4 --sequence 2"
REGRESS = f"cosim regress {ROOT}/benchmarks/regressions/gemm.toml"
SPACE = f"sweep {ROOT}/benchmarks/spaces/links.toml"
MODEL = "--model llama2-7b --dies 64"

FILES = [
    (f"{GEMM} --records records --trace", "trace.json"),
    (f"{GEMM} --records records --waves", "waves.vcd"),
    (f"{COLLECTIVE} --records records --trace", "trace.json"),
    (f"{PACKAGE} --records records --trace", "trace.json"),
    (f"{TRAIN} --records records --trace", "trace.json"),
    (f"{TRAIN} --records records --plot", "loss.pdf"),
    (f"{TRAIN} --records records --dump", "trained.safetensors"),
    ("cosim traffic --mesh 2x2 --sweep -o", "plot.png"),
    ("cosim traffic --mesh 2x2 --sweep --plot", "plot.svg"),
    (f"project {MODEL} --trace", "step.json"),
    (f"project {MODEL} --plot", "plot.pdf"),
    (f"compare {MODEL} --plot", "plot.pdf"),
    (f"optimize {MODEL} --plot", "plot.pdf"),
    ("scaling --plot", "plot.pdf"),
    ("compile --hidden 8 --heads 2 --ffn 8 --layers 1 --vocab 8 -o step --plot", "plot.svg"),
    ("validate --plot", "plot.pdf"),
    ("calibrate -o calibration.json --plot", "plot.pdf"),
    ("calibrate -o", "calibration.json"),
    (f"{SPACE} -o", "points.parquet"),
    (f"{SPACE} -o points.parquet --plot", "plot.png"),
    ("schema -o", "schema.json"),
]
"""Commands that write a file, and a name for it."""

FOLDERS = [
    f"{GEMM} --records",
    f"{COLLECTIVE} --records",
    f"{PACKAGE} --records",
    f"{TRAIN} --records",
    f"{REGRESS} --records",
    "verilog -o",
    "compile --hidden 8 --heads 2 --ffn 8 --layers 1 --vocab 8 -o",
    "demo -o",
    "scaling -o",
    f"export chakra {MODEL} -o",
    f"export astra-sim {MODEL} -o",
    f"export scale-sim {MODEL} -o",
]
"""Commands that write files into a folder."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def refusal(command: str, path: str | Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that is refused for ``path``; nothing is built for it."""
    before = sorted(Path.cwd().iterdir())
    assert run([*command.split(), str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert sorted(Path.cwd().iterdir()) == before
    assert not Path("../cache").exists()
    return printed.err.strip()


@pytest.mark.parametrize("command", [command for command, _ in FILES if command.endswith("--plot")])
def test_no_picture_of_another_format(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("plot", "plot.jpg"):
        found = refusal(command, name, capsys)
        assert found.endswith(f"{name}: cannot write the plot: its suffix must be one of .pdf, .svg, .png")


def test_no_trace_that_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = refusal(f"project {MODEL} --trace", "trace.pb", capsys)
    assert found.endswith("--trace trace.pb: its suffix must be .json")


@pytest.mark.parametrize(("command", "name"), FILES)
def test_no_plain_file(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(name)
    assert refusal(command, name, capsys).endswith(f"{name}: is a pipe: must be a plain file, or absent")
    assert stat.S_ISFIFO(os.stat(name).st_mode)  # noqa: PTH116
    linked = f"linked-{name}"
    Path(linked).symlink_to(name)
    assert refusal(command, linked, capsys).endswith(f"{linked}: is a pipe: must be a plain file, or absent")
    Path(name).unlink()
    Path(name).mkdir()
    assert refusal(command, name, capsys).endswith(f"{name}: is a folder: must be a plain file, or absent")


@pytest.mark.parametrize(("command", "name"), FILES)
def test_no_place_for_a_file(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert refusal(command, f"file/{name}", capsys).endswith(f"{Path.cwd()}/file: Not a directory")
    assert refusal(command, f"/proc/missing/{name}", capsys).startswith("hecaton: error: ")


@pytest.mark.parametrize("command", FOLDERS)
def test_no_place_for_a_folder(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    for path in ("file", "file/below"):
        assert refusal(command, path, capsys).endswith(f"{Path.cwd()}/file: Not a directory")
    Path("loop").symlink_to("loop")
    assert refusal(command, "loop", capsys).endswith("loop: Too many levels of symbolic links")
    assert refusal(command, "/proc/missing", capsys).startswith("hecaton: error: /proc: ")


def test_the_current_folder_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(f"{SPACE} -o", ".", capsys).endswith(" .: is a folder: must be a plain file, or absent")

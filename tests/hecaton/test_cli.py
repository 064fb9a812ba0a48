"""The command as its users run it: results, refusals of one line, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from hecaton.version import VERSION
from tests.hecaton.command import ROOT, hecaton, refused


def test_help_and_version() -> None:
    for arguments in ([], ["--help"], ["-h"]):
        done = hecaton(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: hecaton" in done.stdout
        assert "Examples" in done.stdout
    assert hecaton("--version").stdout == f"{VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "No such option: --nonsense (see hecaton --help)"),
        (["confg"], "No such command 'confg'. Did you mean 'config'? (see hecaton --help)"),
        (["config"], "Missing command. (see hecaton config --help)"),
        (["config", "shw"], "No such command 'shw'. Did you mean 'show'? (see hecaton config --help)"),
        (
            ["config", "show", "--config"],
            "Option '--config' requires an argument.",
        ),
        (["schema", "extra"], "Got unexpected extra argument(s) (extra) (see hecaton schema --help)"),
    ],
)
def test_usage_errors(arguments: list[str], message: str) -> None:
    assert refused(*arguments) == message


@pytest.mark.parametrize("command", [["config", "show"], ["config", "show", "--json"], ["schema"]])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("die.rows=0", "die.rows must be an integer from 1 to 512, not 0"),
        ("die.rows=-4", "die.rows must be an integer from 1 to 512, not -4"),
        ("die.rows=eight", 'die.rows must be an integer from 1 to 512, not "eight"'),
        ("die.rows=true", "die.rows must be an integer from 1 to 512, not true"),
        ("die.rows=8.0", "die.rows must be an integer from 1 to 512, not 8.0"),
        (
            "die.clock_hz=nan",
            "die.clock_hz must be a finite number from 1000.0 to 1000000000000000.0, not nan",
        ),
        ("die.dtype=fp64", 'die.dtype must be one of "bf16", "int8", not "fp64"'),
        ("die.rowz=8", "unknown key die.rowz: the nearest known one is die.rows"),
        ("die=8", "die must be a section of keys such as die.rows, not 8"),
        ("die.rows", "must be KEY=VALUE, as in -P die.rows=16"),
    ],
)
def test_bad_overrides(command: list[str], override: str, message: str) -> None:
    assert refused(*command, "-P", override) == f"-P {override}: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": no such configuration file"),
        (b"[die]\nrows = = 3\n", ":2:8: not valid TOML: Invalid value"),
        (b"[die]\nrows = 3\nrowz = 4\n", ":3: unknown key die.rowz: the nearest known one is die.rows"),
        (b"[die]\nrows = 0\n", ":2: die.rows must be an integer from 1 to 512, not 0"),
        (b"\xff", ": not a TOML file: byte 0 is not UTF-8"),
        (
            b"[die]\nweight_bytes = 9\n",
            ": die: weight_bytes = 9 is smaller than one rows x cols tile: must be at least 128",
        ),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "machine.toml").write_bytes(content)
    assert refused("config", "show", "--config", "machine.toml", cwd=tmp_path) == f"machine.toml{message}"


def test_config_show_prints_a_document_that_loads_back(tmp_path: Path) -> None:
    first = hecaton("config", "show", "-P", "die.rows=5", "-P", "die.dtype=int8")
    assert (first.returncode, first.stderr) == (0, "")
    assert tomllib.loads(first.stdout)["die"]["rows"] == 5
    (tmp_path / "machine.toml").write_text(first.stdout)
    assert hecaton("config", "show", "--config", "machine.toml", cwd=tmp_path).stdout == first.stdout


def test_config_show_as_json_says_where_values_come_from() -> None:
    done = hecaton("config", "show", "--json", "-P", "die.rows=5")
    data = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert data["config"]["die"]["rows"] == 5
    assert data["sources"]["die.rows"] == "-P die.rows=5"
    assert data["sources"]["die.cols"] == f"preset {data['preset']}"


def test_schema(tmp_path: Path) -> None:
    printed = json.loads(hecaton("schema").stdout)
    assert printed == json.loads(hecaton("schema", "--json").stdout)
    done = hecaton("schema", "-o", "deep/er/schema.json", "--json", cwd=tmp_path)
    written = tmp_path / "deep/er/schema.json"
    assert json.loads(done.stdout) == {"file": "deep/er/schema.json", "bytes": written.stat().st_size}
    assert json.loads(written.read_text()) == printed
    assert [path.name for path in written.parent.iterdir()] == ["schema.json"]
    assert refused("schema", "-o", ".", cwd=tmp_path) == ".: is a folder: must be a plain file, or absent"
    assert refused("schema", "-o", "deep/er/schema.json/x", cwd=tmp_path).endswith("Not a directory")


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        for arguments in (["schema"], ["schema", "--json"], ["--help"]):
            done = subprocess.run(
                [sys.executable, "-m", "hecaton", *arguments],
                cwd=ROOT,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert (done.returncode, done.stderr) == (2, "hecaton: error: No space left on device\n")


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "hecaton", "schema"],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.returncode != 0
    assert done.stderr == ""


COMMAND = """
import os, sys, time
import typer
from hecaton import cli
from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson
from hecaton.terminal.output import Output
from hecaton.terminal.tables import pairs

@cli.app.command()
def work(end: str, as_json: AsJson = False) -> None:
    with Output(as_json) as out:
        print("a print")
        os.system("echo a program")
        with out.progress("working", 2) as step:
            step()
            step()
        out.note("a note")
        out.result({"answer": 42, "ratio": float("nan")}, pairs({"answer": 42}))
        if end == "check":
            raise CheckFailed("3 of 42 elements differ")
        if end == "value":
            raise ValueError("first line\\n  second line")
        if end == "simulation":
            from cosim.backends.base import SimulationError

            raise SimulationError("iverilog is not installed")
        if end == "wait":
            print("waiting", file=sys.stderr, flush=True)
            time.sleep(60)
        if end == "defect":
            raise KeyError("defect")

cli.main()
"""


def work(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "work", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_with_json_stdout_holds_one_object_and_nothing_else() -> None:
    done = work("well", "--json")
    assert (done.returncode, done.stdout) == (0, '{"answer": 42, "ratio": null}\n')
    assert sorted(done.stderr.splitlines()) == ["a print", "a program"]


def test_without_json_the_result_is_a_table() -> None:
    done = work("well")
    assert done.returncode == 0
    assert "answer 42" in " ".join(done.stdout.split())
    assert done.stderr == "a note\n"


def test_a_failed_check_prints_the_result_and_exits_with_1() -> None:
    done = work("check", "--json")
    assert (done.returncode, json.loads(done.stdout)["answer"]) == (1, 42)
    assert done.stderr.splitlines()[-1] == "hecaton: error: 3 of 42 elements differ"


def test_a_failed_simulation_is_one_line() -> None:
    done = work("simulation", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "hecaton: error: iverilog is not installed"


def test_a_refusal_prints_no_result() -> None:
    done = work("value", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "hecaton: error: first line second line"


def test_a_defect_shows_where() -> None:
    assert "Traceback" in work("defect").stderr
    assert "Traceback" in work("value", HECATON_TRACEBACK="1").stderr


def test_interrupt() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "work", "wait", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while process.stderr.readline() != "waiting\n":
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "hecaton: error: interrupted\n")


def test_config_memory_lists_the_memory_presets() -> None:
    done = hecaton("config", "memory", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    presets = json.loads(done.stdout)["presets"]
    assert {row["preset"] for row in presets} == {"ddr5-6400", "lpddr5-6400", "hbm2e", "hbm3"}
    assert all(row["channel_bytes"] > 0 and row["pj_per_bit"] > 0 for row in presets)
    assert "Memory presets" in hecaton("config", "memory").stdout

"""Keys of JSON objects: read from models of each kind, and documented for every command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pytest
from pydantic import BaseModel
from typer.main import get_command

from hecaton import cli
from hecaton.cli import app
from hecaton.terminal.json_keys import JsonKey, JsonObject, grouped, keys_of
from hecaton.terminal.subcommand import Subcommand
from tests.hecaton.command import ROOT, documented_keys
from tests.hecaton.terminal.test_options import commands


class Part(BaseModel):
    """A part of ``Whole``. It has two sizes."""

    width: int
    height: int


class Whole(BaseModel):
    """A model.

    Attributes
    ----------
    name, title
        See :class:`somewhere.Part`: what it is
        called.
    """

    name: str
    title: str
    parts: dict[str, list[Part]]
    alone: Part | None


class More(Whole):
    """A model with one key more.

    Attributes
    ----------
    extra
        Only here.
    """

    extra: int


@dataclass(frozen=True)
class Plain:
    """A dataclass."""

    size: int


class Loose(TypedDict):
    """A dictionary.

    Attributes
    ----------
    plain
        One of them.
    """

    plain: Plain


def test_keys_of_models_of_every_kind() -> None:
    name = "See somewhere.Part: what it is called."
    part = "A part of Whole."
    inner = ("width", "height")
    whole = [JsonKey("name", name, ()), JsonKey("title", name, ())]
    whole += [JsonKey("parts", part, inner), JsonKey("alone", part, inner)]
    assert keys_of(Whole) == whole
    assert keys_of(More) == [*whole, JsonKey("extra", "Only here.", ())]
    assert keys_of(Plain) == [JsonKey("size", "", ())]
    assert keys_of(Loose) == [JsonKey("plain", "One of them.", ("size",))]


def test_neighbours_with_the_same_explanation_are_one_entry() -> None:
    assert list(grouped(keys_of(More))) == [
        ("name, title", "See somewhere.Part: what it is called."),
        ("parts, alone", "A part of Whole. Keys: width, height."),
        ("extra", "Only here."),
    ]


def test_an_option_adds_the_keys_that_are_new() -> None:
    keys = JsonObject((Whole,), {"--more": (More,)})
    assert [(heading, [key.name for key in entries]) for heading, entries in keys.sections()] == [
        ("JSON keys", ["name", "title", "parts", "alone"]),
        ("JSON keys with --more", ["extra"]),
    ]
    assert keys.names() == {"name", "title", "parts", "alone"}
    assert keys.names("--more") == {*keys.names(), "extra"}


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("path", COMMANDS)
def test_help_and_docs_list_every_key(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[path]
    assert isinstance(command, Subcommand)
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"# `{path}`\n")[2].partition("\n#")[0]
    monkeypatch.setenv("COLUMNS", "1000")
    assert cli.run([*path.split()[1:], "--help"]) == 0
    shown = capsys.readouterr().out
    for heading, keys in type(command).json_object().sections():
        assert f"| {heading} | meaning |" in section
        assert heading in shown
        for names, text in grouped(keys):
            cells = ", ".join(f"`{name}`" for name in names.split(", "))
            assert f"| {cells} | {text} |" in section.replace(r"\|", "|")
            assert (f"{names}: {text}" if text else names) in shown


PROJECT = "--model llama2-7b --dies 64"
EXPORT = "--model tinyllama-1.1b --mesh 2x4 --sequence-length 128 --global-batch 4 -o out"


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("config show", ()),
        ("config memory", ()),
        ("schema -o schema.json", ("-o",)),
        ("cache show", ()),
        ("cache clear", ()),
        ("doctor", ()),
        (f"project {PROJECT}", ()),
        (f"project {PROJECT} --explain --ablate", ("--explain", "--ablate")),
        (f"compare {PROJECT}", ()),
        ("validate", ()),
        ("validate --pairs", ("--pairs",)),
        (f"export chakra {EXPORT}", ()),
        (f"export astra-sim {EXPORT}", ()),
        (f"export scale-sim {EXPORT}", ()),
        ("verilog -o out -P die.rows=2 -P die.cols=2", ()),
    ],
)
def test_commands_print_the_documented_keys(
    line: str,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run([*line.split(), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == documented_keys(line, *options)

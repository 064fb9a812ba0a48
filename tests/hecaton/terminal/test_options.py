"""Options of all commands: an option that several commands have is the same in all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from hecaton.cli import app
from hecaton.terminal.options import WorkerOptions

EXCEPTIONS = {
    "--output": {
        "help",
        "metavar",
    },  # every command writes something else: files, a plot, a calibration, points
    "--switch": {"help", "metavar"},  # hecaton compare has switches of several methods
}
"""Properties in which an option may differ from command to command, with the reason."""


def commands(command: Any, path: str = "hecaton") -> Iterator[tuple[str, Any]]:
    """Every command without subcommands, by its path."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, subcommand in inner.items():
        yield from commands(subcommand, f"{path} {name}")


def properties(option: Any) -> dict[str, Any]:
    """What an option looks like to a user, and what it accepts."""
    return {
        "names": option.opts,
        "help": option.help,
        "metavar": option.metavar,
        "type": option.type_descriptor.annotation,
        "parser": option.type_descriptor.parameter_info.parser,
        "flag": option.is_flag,
        "repeatable": option.multiple,
    }


def test_an_option_of_several_commands_is_the_same_in_all_of_them() -> None:
    uses: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for path, command in commands(get_command(app)):
        for option in command.params:
            if option.param_type_name == "option":
                uses[option.opts[-1]].append((path, properties(option)))
    assert len(uses["--json"]) == len(list(commands(get_command(app))))
    different = []
    for name, users in uses.items():
        first_path, first = users[0]
        for path, other in users[1:]:
            keys = {key for key in first if first[key] != other[key]} - EXCEPTIONS.get(name, set())
            different += [f"{name}: {key} of {path} and of {first_path}" for key in sorted(keys)]
    assert different == []


def test_defaults_differ_only_where_a_command_has_its_own() -> None:
    defaults: dict[str, set[str]] = defaultdict(set)
    for _, command in commands(get_command(app)):
        for option in command.params:
            if option.param_type_name == "option":
                defaults[option.opts[-1]].add(str(option.default))
    several = {name for name, values in defaults.items() if len(values) > 1}
    # hecaton cosim regress takes simulator and seeds from its file.
    assert several == {"--output", "--seed", "--sim"}


def test_every_option_has_a_help_text_of_one_sentence() -> None:
    for path, command in commands(get_command(app)):
        for option in command.params:
            if option.param_type_name == "option":
                assert option.help, f"{path} {option.opts}"
                assert option.help.endswith("."), f"{path} {option.opts}"
                assert "\n" not in option.help, f"{path} {option.opts}"


def test_workers_and_scheduler_exclude_each_other() -> None:
    WorkerOptions(workers=2).check()
    WorkerOptions(scheduler="tcp://x:1").check()
    with pytest.raises(ValueError, match="^--workers and --scheduler exclude each other"):
        WorkerOptions(workers=2, scheduler="tcp://x:1").check()

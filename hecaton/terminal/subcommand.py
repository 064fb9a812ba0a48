"""Subcommands: options in groups, examples, and help that lists the keys of the JSON object."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import wraps
from typing import Any, ClassVar, get_type_hints

import typer
from typer.core import TyperCommand

from hecaton.terminal.json_keys import JsonObject, grouped


class Subcommand(TyperCommand):
    """A command whose help lists the keys of its JSON object.

    The models that have them are imported when the help of this very command is asked for.
    """

    json_object: ClassVar[Callable[[], JsonObject]]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the JSON keys at the end."""
        parts = [self.epilog or ""]
        for heading, keys in type(self).json_object().sections():
            lines = [
                f"[bold]{name}[/bold]: {_escaped(text)}" if text else name for name, text in grouped(keys)
            ]
            parts += [f"[bold]{heading}[/bold]", "\n".join(lines)]
        shown = copy(self)
        shown.epilog = "\n\n".join(parts)
        super(Subcommand, shown).format_help(ctx, formatter)


def subcommand(
    app: typer.Typer,
    *,
    examples: Sequence[str],
    json_object: Callable[[], JsonObject],
    name: str | None = None,
    names_preset: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the decorated function a command of ``app``.

    A parameter whose type is a dataclass stands for its fields, each an option. ``json_object`` is called for help
    and documentation alone, so it may import what is heavy. With ``names_preset`` the result of a command with a
    configured machine has the keys ``result_keys`` of its options too.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        groups = get_type_hints(function).values()
        added = tuple(group.result_keys for group in groups if names_preset and hasattr(group, "result_keys"))

        def whole() -> JsonObject:
            own = json_object()
            return replace(own, models=(*own.models, *added))

        command = type("Command", (Subcommand,), {"json_object": staticmethod(whole)})
        text = inspect.cleandoc(function.__doc__ or "")
        paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
        app.command(name, cls=command, help="\n\n".join(paragraphs), epilog=example_lines(*examples))(
            _flattened(function)
        )
        return function

    return decorate


def example_lines(*lines: str) -> str:
    """Return the epilog of a command's help: one example a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *map(_escaped, lines)])


def _flattened(function: Callable[..., None]) -> Callable[..., None]:
    """Return ``function`` with the fields of its groups of options as parameters."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        if not is_dataclass(hint):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint))
            continue
        assert isinstance(hint, type)
        groups[parameter.name] = hint
        inner = get_type_hints(hint, include_extras=True)
        for entry in fields(hint):
            default = inspect.Parameter.empty if entry.default is MISSING else entry.default
            parameters.append(
                inspect.Parameter(
                    entry.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=default,
                    annotation=inner[entry.name],
                )
            )

    @wraps(function)
    def command(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{entry.name: values.pop(entry.name) for entry in fields(group)})
        function(**values)

    signature = inspect.Signature(parameters)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")

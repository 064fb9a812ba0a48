"""Typed access to the keys of a ``config.json``: each is read, known to have no effect, or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chiplet.machine.base import LONGEST_VALUE
from chiplet.workload.families.known_keys import has_no_effect, is_off, speaks_of_shape

MOST, MOST_LAYERS = 10**9, 10**5
"""The largest number that a file may have, and the most layers; far beyond any model."""


class ConfigKeys:
    """The keys of one file, which notes those that are read. ``where`` names the file in messages.

    A key may have several names; files that give it by two must give the same value. All methods raise
    ``ValueError``, in one line with the place, the value and what is allowed.
    """

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self._values = values
        self._where = where
        self._read: set[str] = set()

    def has(self, *names: str) -> bool:
        """Whether the file has a value, not null, under one of ``names``."""
        return any(self._values.get(name) is not None for name in names)

    def place(self, name: str) -> str:
        """Where ``name`` stands, as messages call it."""
        return f"{self._where}: {name}"

    def size(self, *names: str, default: int | None = None, most: int = MOST) -> int:
        """A positive integer up to ``most``; ``default`` where the file has none, or null."""
        value = self._value(names)
        if value is None:
            if default is None:
                raise ValueError(f"{self._where}: {names[0]} is missing: must be a positive integer")
            return default
        return self._whole(names[0], value, least=1, most=most)

    def count(self, *names: str, default: int) -> int:
        """An integer of 0 or more; ``default`` where the file has none, or null."""
        value = self._value(names)
        return default if value is None else self._whole(names[0], value, least=0)

    def optional(self, name: str, default: int | None) -> int | None:
        """A positive integer, or None for null; ``default`` where the key is absent."""
        if name not in self._values:
            return default
        value = self._value((name,))
        return None if value is None else self._whole(name, value, least=1)

    def flag(self, name: str, default: bool) -> bool:
        """True or false; ``default`` where the file has neither."""
        value = self._value((name,))
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refusal(name, value, "must be true or false")
        return value

    def number(self, name: str, default: float) -> float:
        """A number; ``default`` where the file has none."""
        value = self._value((name,))
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -MOST <= value <= MOST:
            raise self.refusal(name, value, "must be a number")
        return float(value)

    def amount(self, name: str, default: float) -> float:
        """A number, or 0 for null; ``default`` where the key is absent."""
        return self.number(name, 0.0 if name in self._values else default)

    def text(self, *names: str, default: str) -> str:
        """A word, under the first of ``names`` that the file has; ``default`` where it has none."""
        found = [(name, value) for name in names if (value := self._value((name,))) is not None]
        for name, value in found:
            if not isinstance(value, str):
                raise self.refusal(name, value, "must be a string")
        return found[0][1] if found else default

    def entries(self, name: str, kind: type, what: str) -> list[Any] | None:
        """A list of ``kind``, which messages call ``what``; None where the file has none."""
        value = self._value((name,))
        if value is None:
            return None
        if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
            raise self.refusal(name, value, f"must be a list of {what}")
        return value

    def section(self, name: str) -> dict[str, Any]:
        """The object under ``name``, empty where the file has none."""
        value = self._value((name,))
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refusal(name, value, "must be an object")
        return value

    def expect(self, name: str, *allowed: Any) -> None:
        """Refuse any value of ``name`` but ``allowed``; an absent key is as the first."""
        value = self._value((name,))
        if value is not None and value not in allowed:
            raise self.refusal(name, value, f"cannot be counted; must be {' or '.join(map(repr, allowed))}")

    def divided(self, what: str, whole: int, parts: int) -> int:
        """``whole`` over ``parts``, which must divide it; messages call the quotient ``what``."""
        if whole % parts:
            raise ValueError(f"{self._where}: {what}: {parts} does not divide {whole}")
        return whole // parts

    def unknown(self, model_type: str) -> tuple[str, ...]:
        """Keys that nobody has read and that nobody knows, in order: taken to have no effect.

        Raises
        ------
        ValueError
            If the name of such a key speaks of shape or work, and the value does not switch it off.
        """
        left = [
            key
            for key, value in self._values.items()
            if key not in self._read and not has_no_effect(key) and not is_off(value)
        ]
        for key in left:
            if speaks_of_shape(key):
                raise self.refusal(
                    key,
                    self._values[key],
                    f"may change the shape or the work of the model, and is not known of model_type {model_type!r}",
                )
        return tuple(left)

    def _value(self, names: Sequence[str]) -> Any:
        self._read.update(names)
        found = [(name, self._values[name]) for name in names if self._values.get(name) is not None]
        for name, value in found[1:]:
            if value != found[0][1]:
                raise ValueError(
                    f"{self._where}: {found[0][0]} = {found[0][1]!r} and {name} = {value!r}: must agree"
                )
        return found[0][1] if found else None

    def _whole(self, name: str, value: Any, *, least: int, most: int = MOST) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.refusal(
                name, value, "must be a positive integer" if least else "must be an integer of 0 or more"
            )
        if value > most:
            raise self.refusal(name, value, f"must be at most {most:,}")
        return value

    def refusal(self, name: str, value: Any, reason: str) -> ValueError:
        """The error that ``value`` of ``name`` is refused for ``reason``."""
        shown = repr(value)
        if len(shown) > LONGEST_VALUE:
            shown = shown[: LONGEST_VALUE - 3] + "..."
        return ValueError(f"{self._where}: {name} = {shown}: {reason}")

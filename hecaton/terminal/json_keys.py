"""Keys of the JSON object that a command prints: names and meanings, read from the models that are printed.

A model is a pydantic model, a dataclass or a ``TypedDict``. What a key means stands in the section Attributes of
the model's docstring; without an entry there, it is the first sentence about the model that the key holds.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, get_args, get_type_hints, is_typeddict


@dataclass(frozen=True)
class JsonKey:
    """A key, what it means (empty if its name says it), and the keys of the object, or objects, that it holds."""

    name: str
    meaning: str
    inner: tuple[str, ...]

    @property
    def explanation(self) -> str:
        """Meaning and inner keys in one line."""
        inner = f"Keys: {', '.join(self.inner)}." if self.inner else ""
        return " ".join(filter(None, (self.meaning, inner)))


@dataclass(frozen=True)
class JsonObject:
    """The JSON object of a command.

    Attributes
    ----------
    models
        Models whose fields are the keys.
    optional
        More of them, by the option that adds them, such as ``--explain``.
    """

    models: tuple[type, ...]
    optional: Mapping[str, tuple[type, ...]] = field(default_factory=dict)

    def names(self, *options: str) -> set[str]:
        """Return the names of the keys that a command with ``options`` prints."""
        chosen = [*self.models, *(model for option in options for model in self.optional.get(option, ()))]
        return {key.name for model in chosen for key in keys_of(model)}

    def sections(self) -> list[tuple[str, list[JsonKey]]]:
        """Return the keys under their headings."""
        always = [key for model in self.models for key in keys_of(model)]
        sections = [("JSON keys", always)] if always else []
        for option, models in self.optional.items():
            added = [key for model in models for key in keys_of(model) if key not in always]
            sections.append((f"JSON keys with {option}", added))
        return sections


def keys_of(model: type) -> list[JsonKey]:
    """Return the keys of the JSON object that ``model`` becomes, in order."""
    meanings = _attributes(model)
    keys = []
    for name, annotation in _annotations(model).items():
        inner = next(_models_in(annotation), None)
        meaning = meanings.get(name) or ("" if inner is None else _summary(inner))
        keys.append(JsonKey(name, meaning, () if inner is None else tuple(_annotations(inner))))
    return keys


def grouped(keys: list[JsonKey]) -> Iterator[tuple[str, str]]:
    """Yield names and explanation of ``keys``; neighbours with the same explanation are one entry."""
    names: list[str] = []
    for place, key in enumerate(keys):
        names.append(key.name)
        if place + 1 == len(keys) or keys[place + 1].explanation != key.explanation:
            yield ", ".join(names), key.explanation
            names = []


def _annotations(model: Any) -> dict[str, Any]:
    if hasattr(model, "model_fields"):  # a pydantic model
        computed = {name: entry.return_type for name, entry in model.model_computed_fields.items()}
        return {name: entry.annotation for name, entry in model.model_fields.items()} | computed
    hints = get_type_hints(model)
    return {entry.name: hints[entry.name] for entry in fields(model)} if is_dataclass(model) else hints


def _models_in(annotation: Any) -> Iterator[type]:
    """Yield the models that ``annotation`` names, inside lists, mappings and unions too."""
    if is_typeddict(annotation) or is_dataclass(annotation) or hasattr(annotation, "model_fields"):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _attributes(model: type) -> dict[str, str]:
    """Return the entries of the sections Attributes of ``model`` and its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(model.__mro__):
        _, section, text = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes\n----------\n")
        if not section:
            continue
        for entry in re.finditer(r"^(\S.*)\n((?:[ ]+.*(?:\n|$))+)", text, re.MULTILINE):
            for name in entry[1].split(", "):
                meanings[name] = _plain(entry[2])
    return meanings


def _summary(model: type) -> str:
    first = inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0]
    return _plain(re.split(r"(?<=\.)\s", first)[0])


def _plain(text: str) -> str:
    """``text`` in one line, without the marks of reStructuredText."""
    return re.sub(r":\w+:`[~.]*([^`]+)`|``", lambda match: match[1] or "", " ".join(text.split()))

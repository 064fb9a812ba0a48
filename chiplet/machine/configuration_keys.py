"""The configuration keys: names, defaults and allowed values, read from the specification models.

The loader's messages, the reference page and the suggestions for misspelt names all come from here, so they cannot
contradict the models.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chiplet.machine.base import StrictModel
from chiplet.machine.specs import SystemSpec


@dataclass(frozen=True)
class Key:
    """One configuration key: its dotted ``name``, and in ``allowed`` the values that it takes, in words, with the
    ``limit`` that another key sets.

    ``bounds`` are those of a number, by the names that the specifications give them: ``ge``, ``gt``, ``le``, ``lt``.
    """

    name: str
    default: Any
    allowed: str
    description: str
    bounds: Mapping[str, float]


@cache
def known_keys(model: type[BaseModel] = SystemSpec) -> dict[str, Key]:
    """Every configuration key by its dotted name, in the order of the models.

    ``model`` is the root of the specification; a field that is itself a model is a section.
    """
    return {key.name: key for key in _walk(model, "")}


def values_by_name(system: SystemSpec) -> dict[str, Any]:
    """The value of every configuration key of ``system``, by its dotted name."""
    return {
        f"{section}.{key}": value
        for section, keys in system.model_dump().items()
        for key, value in keys.items()
    }


def section_digest(values: BaseModel | Mapping[str, Any]) -> str:
    """Digest of a section: 16 hexadecimal digits of the SHA-256 of all of its keys and values as sorted JSON."""
    plain = values.model_dump(mode="json") if isinstance(values, BaseModel) else dict(values)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def section_digests(holder: BaseModel, names: Iterable[str] | None = None) -> dict[str, str]:
    """Digests of those sections of the configuration that ``holder`` has, by their names; of ``names`` if given."""
    known = SystemSpec.model_fields if names is None else names
    sections = {name: getattr(holder, name, None) for name in known}
    return {name: section_digest(spec) for name, spec in sections.items() if isinstance(spec, StrictModel)}


def split_digests(value: Any) -> tuple[Any, Mapping[str, str]]:
    """What a file holds, without its ``digests``, and these; none if it has none.

    Raises ``ValueError`` if they are no object.
    """
    if not isinstance(value, Mapping) or "digests" not in value:
        return value, {}
    digests = value["digests"]
    if not isinstance(digests, Mapping):
        raise ValueError("digests: must be an object of digests by section")
    return {name: entry for name, entry in value.items() if name != "digests"}, digests


def check_digests(found: Mapping[str, str], expected: Mapping[str, str], *, what: str, whose: str) -> None:
    """Raise ``ValueError``, naming the section and both digests, if ``found`` in ``what`` differ from ``expected``.

    Sections that only one of them has are not compared.
    """
    for section, digest in found.items():
        if digest != expected.get(section, digest):
            raise ValueError(
                f"{what} has digest {digest} of the section {section}, not {expected[section]}, that of {whose}"
            )


def section_names(model: type[BaseModel] = SystemSpec) -> dict[str, str]:
    """Every section (TOML table) by its dotted name, with the first line of its model's documentation."""
    return dict(_sections(model, ""))


def show_value(value: object) -> str:
    """``value`` as TOML writes it, on one line and cut to 60 characters: for messages."""
    text = to_toml_value(value)
    return text if len(text) <= 60 else text[:57] + "..."


def to_toml_value(value: object) -> str:
    """A scalar, list or table as a TOML value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, str):
        return '"' + "".join(_escape(character) for character in value) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(to_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {to_toml_value(item)}" for key, item in value.items()) + "}"
    return str(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"


def _walk(model: type[BaseModel], prefix: str) -> Iterable[Key]:
    for name, field in model.model_fields.items():
        inner = _submodel(field)
        if inner is not None:
            yield from _walk(inner, f"{prefix}{name}.")
        else:
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            bounds = _bounds(field)
            extra = field.json_schema_extra
            allowed = _allowed(field.annotation, bounds)
            if isinstance(extra, Mapping) and "limit" in extra:
                allowed += f", {extra['limit']}"
            yield Key(f"{prefix}{name}", default, allowed, field.description or "", bounds)


def _sections(model: type[BaseModel], prefix: str) -> Iterable[tuple[str, str]]:
    for name, field in model.model_fields.items():
        inner = _submodel(field)
        if inner is not None:
            yield f"{prefix}{name}", (inner.__doc__ or "").strip().split("\n")[0]
            yield from _sections(inner, f"{prefix}{name}.")


def _submodel(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _bounds(field: FieldInfo) -> dict[str, float]:
    return {
        bound: getattr(item, bound)
        for item in field.metadata
        for bound in ("ge", "gt", "le", "lt")
        if hasattr(item, bound)
    }


def _allowed(annotation: Any, limits: Mapping[str, float]) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(to_toml_value(choice) for choice in get_args(annotation))
    if annotation is bool:
        return "true or false"
    nouns: dict[Any, str] = {int: "an integer", float: "a finite number", str: "a string"}
    noun = nouns.get(annotation, f"of type {annotation}")
    if limits.keys() == {"ge", "le"}:
        return f"{noun} from {limits['ge']} to {limits['le']}"
    words = {"ge": "of at least", "gt": "greater than", "le": "of at most", "lt": "less than"}
    bounds = " and ".join(f"{words[bound]} {limit}" for bound, limit in limits.items())
    return f"{noun} {bounds}" if bounds else noun

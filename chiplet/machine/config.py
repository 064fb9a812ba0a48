"""Configuration: a preset, then a TOML file, then ``KEY=VALUE`` overrides, merged into one ``SystemSpec``.

Later layers win key by key. The key ``preset`` names the preset that they start from; a file that names none starts
from :data:`FILE_PRESET`. So a file is the same machine under every command. A layer that sets ``memory.preset`` brings
the values of that preset with it.
Whatever is wrong is refused with a :class:`ConfigError` of one line: where it is, what it is and what is allowed.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chiplet.machine.base import nearest, read_input, refusal
from chiplet.machine.configuration_keys import known_keys, section_names, show_value, to_toml_value
from chiplet.machine.silicon.stage_clock import FOLLOWS_STAGES
from chiplet.machine.specs import SystemSpec

_TOML_POSITION = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.S
)

RENAMED = {"nop.exchange_bytes": "die.scratchpad_bytes"}
"""Keys of earlier versions, each with the one that replaced it."""

PRESET_KEY = "preset"
"""The key outside all sections that names the preset to start from."""

FILE_PRESET = "small"
"""The preset of a configuration file that names none, under every command."""

_PRESETS = ("preset ", "memory preset ")
"""How the names of layers begin that no file or option gave."""

_SIZED_BY = {
    "weight buffer": "die.weight_bytes",
    "activation buffer": "die.activation_bytes",
    "accumulator buffer": "die.accumulator_bytes",
    "scratchpad": "die.scratchpad_bytes",
    "DRAM": "memory.channel_bytes",
}
"""What messages call a memory, and the key that sizes it."""

_BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")


class ConfigError(ValueError):
    """An unusable configuration; the message is one line."""


@dataclass(frozen=True)
class Layer:
    """One source of configuration values.

    ``name`` says in messages where a value comes from; ``values`` holds nested tables; ``text`` is the TOML that they
    were read from, kept for line numbers, and empty for an override.
    """

    name: str
    values: Mapping[str, Any]
    text: str = ""

    def holds(self, path: Sequence[str]) -> bool:
        """Whether this layer sets the key or section ``path``."""
        return _holds(self.values, path)

    def where(self, path: Sequence[str]) -> str:
        """The place of ``path`` in this layer: ``file:line`` if there is a text, else the layer's name."""
        lines = self.text.split("\n") if self.text else []
        for count in range(1, len(lines) + 1):
            # The shortest prefix that parses and has the key ends on the key's line.
            try:
                values = tomllib.loads("\n".join(lines[:count]))
            except ValueError:
                continue
            if _holds(values, path):
                return f"{self.name}:{count}"
        return self.name


@dataclass(frozen=True)
class Configuration:
    """A loaded configuration: the ``system``, the ``preset`` that it starts from, for each dotted key the name of
    the layer that set it, and whether the clock is the one that the stages of the die allow.
    """

    system: SystemSpec
    preset: str
    sources: Mapping[str, str]
    clock_follows_stages: bool

    def origin(self, message: str) -> str:
        """Where the values come from that ``message`` is about and that no file or option gave; empty if none is."""
        return _origin(message, self.sources)


def load_system(config: Path | None, overrides: Sequence[str], *, preset: str) -> SystemSpec:
    """The machine described by the TOML file ``config`` and ``KEY=VALUE`` ``overrides`` together, and by ``preset``
    unless they name another one.

    Raises :class:`ConfigError`, in one line, for anything that is missing, unknown, misspelt, of the wrong type, out
    of range or impossible in combination.
    """
    return load_configuration(config, overrides, preset=preset).system


def load_configuration(config: Path | None, overrides: Sequence[str], *, preset: str) -> Configuration:
    """Like :func:`load_system`, with the layer that each value comes from."""
    given = _given(config, overrides)
    preset = _preset_of(given, preset)
    layers = [read_preset(preset), *map(_without_preset, given)]
    for layer in layers:
        _check_keys(layer)
    layers = [one for layer in layers for one in (*_memory_preset(layer), layer)]
    values: dict[str, Any] = {}
    for layer in layers:
        _merge(values, layer.values)
    try:
        system = SystemSpec.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_one_line(error, layers)) from None
    return Configuration(
        system=system,
        preset=preset,
        sources=_sources(layers),
        clock_follows_stages=values.get("die", {}).get("clock_hz") == FOLLOWS_STAGES,
    )


def starting_preset(config: Path | None, overrides: Sequence[str], *, preset: str) -> str:
    """The preset that ``config`` and ``overrides`` start from under a command whose own is ``preset``: the one that
    they name, or else :data:`FILE_PRESET` if there is a file.

    Raises :class:`ConfigError` for a file that cannot be read, an override of another form, or an unknown preset.
    """
    return _preset_of(_given(config, overrides), preset if config is None else FILE_PRESET)


def _given(config: Path | None, overrides: Sequence[str]) -> list[Layer]:
    """The layers above the preset."""
    given = [read_file(config)] if config is not None else []
    return given + [read_override(override) for override in overrides]


def _preset_of(given: Sequence[Layer], default: str) -> str:
    for layer in given:
        default = _named_preset(layer, default)
    return default


def _sources(layers: Sequence[Layer]) -> dict[str, str]:
    """For each key the name of the layer that set it."""
    return {
        key: next((layer.name for layer in reversed(layers) if layer.holds(key.split("."))), "default")
        for key in known_keys()
    }


def _origin(message: str, sources: Mapping[str, str], section: str = "") -> str:
    """The keys of presets that ``message`` names, as ``key: preset name``; fields without their section are those of
    ``section``.
    """
    if re.search(r"(^|: )unknown ", message):  # names what there is
        return ""
    named = set(re.findall(r"[a-z][a-z_]*\.[a-z_]+", message))
    named |= {f"{section}.{field}" for field in re.findall(r"\b([a-z_]+) = ", message)}
    named |= {key for memory, key in _SIZED_BY.items() if re.search(rf"\b{memory}\b", message)}
    return ", ".join(
        f"{key} is that of {source}"
        for key, source in sources.items()
        if key in named and source.startswith(_PRESETS)
    )


def _named_preset(layer: Layer, default: str) -> str:
    """The preset that ``layer`` names. Raises :class:`ConfigError` if there is none of that name."""
    name = layer.values.get(PRESET_KEY, default)
    if name not in preset_names():
        allowed = ", ".join(map(to_toml_value, preset_names()))
        raise ConfigError(_not_allowed(layer, [PRESET_KEY], name, f"one of {allowed}"))
    return str(name)


def _without_preset(layer: Layer) -> Layer:
    values = {key: value for key, value in layer.values.items() if key != PRESET_KEY}
    return replace(layer, values=values)


def preset_names() -> list[str]:
    """Names of the presets that come with the package, sorted."""
    folder = resources.files("chiplet") / "presets"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_preset(name: str) -> Layer:
    """The layer of the preset called ``name``. Raises :class:`ConfigError` if there is none."""
    names = preset_names()
    if name not in names:
        raise ConfigError(f"unknown preset {name!r}: must be one of {', '.join(names)}")
    text = (resources.files("chiplet") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return Layer(name=f"preset {name}", values=_parse(text, f"preset {name}"), text=text)


def memory_preset_names() -> list[str]:
    """Names of the memory presets, sorted: values of ``memory.preset``."""
    folder = resources.files("chiplet") / "presets" / "memory"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_memory_preset(name: str) -> Layer:
    """The layer of the memory preset called ``name``, one of :func:`memory_preset_names`."""
    text = (resources.files("chiplet") / "presets" / "memory" / f"{name}.toml").read_text(encoding="utf-8")
    return Layer(name=f"memory preset {name}", values=_parse(text, f"memory preset {name}"), text=text)


def _memory_preset(layer: Layer) -> list[Layer]:
    """The memory preset that ``layer`` names, which comes right before it so that the layer's own keys win.

    An unknown name is left for the specification to refuse.
    """
    memory = layer.values.get("memory")
    name = memory.get("preset") if isinstance(memory, dict) else None
    return [read_memory_preset(name)] if name and name in memory_preset_names() else []


def read_file(path: Path) -> Layer:
    """The layer of the TOML file at ``path``. Raises :class:`ConfigError` if it cannot be read or is not TOML."""
    try:
        text = read_input(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration file: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a TOML file: byte {error.start} is not UTF-8") from None
    return Layer(name=str(path), values=_parse(text, str(path)), text=text)


def read_override(override: str) -> Layer:
    """The layer of one ``KEY=VALUE``. The value is TOML; anything else is taken as a string.

    Raises :class:`ConfigError` if there is no ``=``, no key or no value.
    """
    name = f"-P {override if override.isprintable() and len(override) <= 60 else show_value(override)}"
    key, equals, value = (part.strip() for part in override.partition("="))
    path = key.split(".")
    if not equals or not value or not all(path):
        raise ConfigError(f"{name}: must be KEY=VALUE, as in -P die.rows=16")
    values = parse_value(value)
    for part in reversed(path):
        values = {part: values}
    return Layer(name=name, values=values)


def parse_value(text: str) -> Any:
    """``text`` as a TOML value, or as a plain string if it is not one."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text


def dump_toml(system: SystemSpec) -> str:
    """``system`` as a TOML document from which the same machine loads."""
    lines: list[str] = []
    section = ""
    values = system.model_dump()
    for key in known_keys():
        head, _, tail = key.rpartition(".")
        if head != section:
            lines += ["", f"[{head}]"] if lines else [f"[{head}]"]
            section = head
        lines.append(f"{tail} = {to_toml_value(_lookup(values, key.split('.')))}")
    return "\n".join(lines) + "\n"


def system_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the configuration file, for editors and validators."""
    schema = SystemSpec.model_json_schema()
    named = {"type": "string", "enum": preset_names(), "description": "preset that the other keys start from"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "properties": {PRESET_KEY: named, **schema["properties"]},
        "title": "Hecaton configuration",
    }


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_POSITION.match(str(error))
        if match is None:
            raise ConfigError(f"{name}: not valid TOML: {error}") from None
        line = match["line"] or str(text.count("\n") + 1)
        column = match["column"] or str(len(text) - text.rfind("\n"))
        raise ConfigError(f"{name}:{line}:{column}: not valid TOML: {match['what']}") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, endless brackets
        raise ConfigError(f"{name}: not a usable TOML document: {error}") from None


def _check_keys(layer: Layer) -> None:
    """Refuse unknown keys, values in place of sections, and numbers that are not finite."""
    keys, sections = known_keys(), section_names()
    for path, value in _leaves(layer.values, ()):
        dotted = ".".join(part if _BARE_KEY.match(part) else show_value(part) for part in path)
        if dotted in keys:
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(_not_allowed(layer, path, value))
        elif dotted in sections:
            if value != {}:
                example = next(key for key in keys if key.startswith(f"{dotted}."))
                allowed = f"a section of keys such as {example}"
                raise ConfigError(_not_allowed(layer, path, value, allowed))
        else:
            for key in keys:
                if dotted.startswith(f"{key}."):  # a table in place of a value
                    inner = key.split(".")
                    raise ConfigError(_not_allowed(layer, inner, _lookup(layer.values, inner)))
            where = layer.where(path)
            if dotted in RENAMED:
                raise ConfigError(f"{where}: unknown key {dotted}: it is {RENAMED[dotted]} now")
            best = nearest(dotted, sections if value == {} else keys)
            raise ConfigError(f"{where}: unknown key {dotted[:60]}: the nearest known one is {best}")


def _one_line(error: ValidationError, layers: Sequence[Layer]) -> str:
    """The first error of ``error`` as one line: where, what, and what is allowed."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    dotted = ".".join(path)
    if dotted in known_keys():
        layer = next((layer for layer in reversed(layers) if layer.holds(path)), None)
        if layer is not None:
            return _not_allowed(layer, path, first["input"])
        return f"{dotted} is missing: must be {known_keys()[dotted].allowed}"
    # A combination comes from all layers that touch the section; a preset alone is consistent.
    given = [layer.name for layer in layers if not layer.name.startswith(_PRESETS)]
    touching = [layer.name for layer in layers if layer.name in given and layer.holds(path)] or given[:1]
    touching = touching or [layers[-1].name]
    reason = refusal(error, SystemSpec, show=show_value)
    origin = _origin(reason, _sources(layers), path[0] if path else "") if given else ""
    return f"{', '.join(touching)}: {reason}{f' ({origin})' if origin else ''}"


def _not_allowed(layer: Layer, path: Sequence[str], value: object, allowed: str | None = None) -> str:
    """The refusal of ``value``. ``allowed`` says what may be there instead: by default what the key takes."""
    dotted = ".".join(path)
    allowed = known_keys()[dotted].allowed if allowed is None else allowed
    return f"{layer.where(path)}: {dotted} must be {allowed}, not {show_value(value)}"


def _leaves(values: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def _lookup(values: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = values
    for part in path:
        value = value[part]
    return value


def _holds(values: Mapping[str, Any], path: Sequence[str]) -> bool:
    table: Any = values
    for part in path:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value

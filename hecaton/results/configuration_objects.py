"""JSON objects of the commands that show the configuration, the cache and what is installed.

These modules are imported by type checkers, and when help or documentation lists the keys.
"""

from __future__ import annotations

from typing import TypedDict

from chiplet.machine.specs import SystemSpec
from cosim.backends.installation import InstalledPart


class SchemaFile(TypedDict):
    """A written JSON Schema.

    Attributes
    ----------
    file, bytes
        The file, and its size.
    """

    file: str
    bytes: int


class ConfigurationObject(TypedDict):
    """A configuration.

    Attributes
    ----------
    preset
        Where it starts from.
    config
        Its sections of keys.
    sources
        For each key the layer that its value comes from.
    """

    preset: str
    config: SystemSpec
    sources: dict[str, str]


class MemoryPreset(TypedDict):
    """The keys of the section memory that a memory preset sets, and its name."""

    preset: str
    kind: str
    channels_per_edge_die: float
    channel_bytes_per_second: float
    channel_bytes: int
    pj_per_bit: float


class MemoryPresets(TypedDict):
    """All memory presets.

    Attributes
    ----------
    presets
        One object for each preset.
    """

    presets: list[MemoryPreset]


class CacheEntry(TypedDict):
    """An entry of the cache: its size, when it was last asked for, and whether it is in use."""

    key: str
    bytes: int
    last_use: str
    in_use: bool


class CacheContents(TypedDict):
    """The cache.

    Attributes
    ----------
    folder
        Where the entries are.
    bytes, limit_bytes
        What they take, and what they may take.
    """

    folder: str
    bytes: int
    limit_bytes: int
    entries: list[CacheEntry]


class CacheCleared(TypedDict):
    """A cleared cache.

    Attributes
    ----------
    folder
        Where the entries are.
    removed, bytes
        Number of entries that were removed, and the bytes that this freed.
    kept
        Number of entries that are in use.
    """

    folder: str
    removed: int
    bytes: int
    kept: int


class CacheUse(TypedDict):
    """The cache of built models: its folder, size, limit, and number of entries."""

    folder: str
    bytes: int
    limit_bytes: int
    entries: int


class Doctor(TypedDict):
    """What is installed.

    Attributes
    ----------
    backends, compilers, viewers, synthesis
        One object for each: its name, whether it works, its version, where it is, and what it needs to work.
    python, hecaton_version
        Versions.
    """

    backends: list[InstalledPart]
    compilers: list[InstalledPart]
    viewers: list[InstalledPart]
    synthesis: list[InstalledPart]
    cache: CacheUse
    python: str
    hecaton_version: str

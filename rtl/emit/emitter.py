"""From blocks to Verilog: each distinct block is converted once, and all its uses are instances.

Amaranth's own conversion writes one module for each use of a component; here the blocks under a top are
converted to RTLIL one by one (:class:`Emitter`), the texts are joined, and Yosys turns them into Verilog in
one run. Memories carry no initial contents: an SRAM powers up undefined, so nothing may rely on them.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Elaboratable, Fragment, Instance, ResetSignal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib.memory import Memory

from rtl.block import Block, BlockPlatform, Port, port_values
from rtl.emit.conversions import CONVERSIONS, Conversions, Converted
from rtl.emit.lint_waivers import lint_waivers
from rtl.emit.output_files import check_output_folder, write_outputs
from rtl.emit.rtlil import CLOCKING, MARKER, keep_hierarchy, module_names, ports_of, tidy
from rtl.emit.span_rtlil import convert
from rtl.emit.verilog_parts import VerilogParts
from rtl.rewrite.clocked import clocked
from rtl.rewrite.tested_versions import check_tested_versions

TIMESCALE = ("1ns", "1ps")
"""Unit and precision of time. The Verilog has no delays: it says so for benches around it, which have."""


class EmitError(Exception):
    """A design cannot be written as Verilog."""


@dataclass(frozen=True)
class Emitted:
    """A design as Verilog text.

    Attributes
    ----------
    top
        Name of the top module.
    files
        Verilog files, a module each, used modules before their users; empty if no directory was given.
    modules
        Names of the modules, in the order of ``files``.
    bytes
        Size of the Verilog text.
    seconds
        Wall-clock time that elaboration, conversion and writing took.
    text
        All modules in one text.
    rtlil
        The design before Yosys, for other backends than Verilog.
    """

    top: str
    files: tuple[Path, ...]
    modules: tuple[str, ...]
    bytes: int
    seconds: float
    text: str = field(repr=False)
    rtlil: str = field(repr=False)

    @property
    def sha256(self) -> str:
        """Digest of the text, which tells designs apart."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Emitter(BlockPlatform):
    """Elaboration platform that converts every distinct block once, the blocks inside it first.

    Class and all parameters identify a block (:attr:`rtl.block.Block.identity`), whether or not its name shows them.
    The first block of a name becomes the module of that name; one of the same class with other parameters gets a digest
    of its identity at the end of its name.

    Parameters
    ----------
    conversions
        Blocks that were converted for other designs, and those of this one from now on.
    on_block
        Is called with each block when it is converted, those inside it first.
    """

    def __init__(
        self, conversions: Conversions | None = None, on_block: Callable[[Converted], None] | None = None
    ) -> None:
        self._conversions = Conversions() if conversions is None else conversions
        self._on_block = on_block
        self._converted: dict[str, Converted] = {}
        self._names: dict[str, str] = {}  # of the modules, by the identity of their blocks
        # Class and identity of the first block of each name, and whether it is a macro.
        self._owners: dict[str, tuple[type[Block], str, bool]] = {}
        self._open: list[str] = []  # being converted: each contains the next
        self._inside: list[dict[str, Converted]] = []  # what each of these contains so far, by identity

    @property
    def rtlil(self) -> str:
        """RTLIL of all blocks converted so far, used blocks before their users."""
        return "\n".join(block.rtlil for block in self._converted.values())

    @property
    def macros(self) -> frozenset[str]:
        """Names of the blocks that are hard macros."""
        return frozenset(name for name, block in self._converted.items() if block.macro)

    @property
    def clocked(self) -> tuple[str, ...]:
        """Names of the blocks whose logic is to be inside their clocked block."""
        return tuple(name for name, block in self._converted.items() if block.clocked)

    def ports(self, name: str) -> tuple[Port, ...]:
        """Ports of the converted block ``name``: clock and reset if it has them, then as declared."""
        block = self._converted[name]
        return (*(Port(port, 1, "input") for port in block.clocking), *block.ports)

    def instance(self, name: str, block: Block) -> Instance:
        """Convert ``block`` unless done before; return an instance connected to its signals.

        The signals now belong to the block that contains the instance, and are named after it: port ``o`` of ``pe_3``
        becomes the wire ``pe_3__o``, which collides with no other name there.

        Raises
        ------
        EmitError
            If a block of another class has the same name, a hard macro has the same name and other parameters, or a
            block has the same parameters and other ports.
        """
        converted = self.convert(block)
        connections: dict[str, Value] = {}
        for port, signal in port_values(block).values():
            signal.name = f"{name}__{port.name}"
            connections[f"{port.direction[0]}_{port.name}"] = signal
        for port_name, signal in zip(CLOCKING, (ClockSignal(), ResetSignal()), strict=True):
            if port_name in converted.clocking:
                connections[f"i_{port_name}"] = signal
        return Instance(converted.name, **connections)

    def get_memory(self, memory: Memory) -> Elaboratable:
        """Amaranth's hook for memories: without initial contents, which would take minutes to write.

        Raises
        ------
        EmitError
            If contents other than zero were asked for.
        """
        contents = memory.data.init._raw
        if any(contents):
            raise EmitError(f"a memory in block {self._open[-1]} has initial contents: must have none")
        contents.clear()
        return memory.elaborate(None)

    def convert(self, block: Block) -> Converted:
        """Convert ``block`` unless an equal one was converted before. Raises as :meth:`instance`."""
        identity = block.identity
        ports = tuple(port for port, _ in port_values(block).values())
        name = self._names.get(identity)
        if name is None:
            name = self._new_name(type(block), identity, block.block_name, block.macro)
            self._open.append(name)
            kept = self._conversions.get(type(block), identity)
            if kept is None or not self._take_over(kept, name):
                self._add(name, self._convert(block, identity, name))
            self._open.pop()
        elif name in self._open:
            raise EmitError(f"block {name} contains itself: {' -> '.join([*self._open, name])}")
        converted = self._converted[name]
        if (converted.ports, converted.macro) != (ports, block.macro):
            raise EmitError(
                f"two different blocks are named {name}: both are {identity}, but their ports differ: "
                "must be the same for the same parameters"
            )
        if self._inside:
            self._inside[-1][identity] = converted
        return converted

    def _new_name(self, block_class: type[Block], identity: str, name: str, macro: bool) -> str:
        """Name of the module of a block that has not been converted yet.

        A hard macro cannot be renamed, and two classes of one name are a mistake in a ``block_name``.
        """
        first_class, first_identity, first_macro = self._owners.get(name, (block_class, identity, macro))
        if first_identity != identity:
            if first_class is not block_class or first_macro or macro:
                raise EmitError(
                    f"two different blocks are named {name}: {first_identity} and {identity}: "
                    "must have different names"
                )
            name = f"{name}_{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
        self._names[identity] = name
        self._owners.setdefault(name, (block_class, identity, macro))
        return name

    def _take_over(self, kept: Converted, name: str) -> bool:
        """Take a block of an earlier design and those inside it; return whether all have the same names in this one."""
        if name != kept.name:
            return False
        for inner in kept.blocks:
            inner_name = self._names.get(inner.identity)
            if inner_name is None:
                inner_name = self._new_name(inner.block_class, inner.identity, inner.block_name, inner.macro)
                if not self._take_over(inner, inner_name):
                    del self._names[inner.identity]  # it is converted when its user is
                    return False
            if inner_name != inner.name:
                return False
        self._add(name, kept)
        return True

    def _add(self, name: str, converted: Converted) -> None:
        self._converted[name] = converted
        if self._on_block is not None:
            self._on_block(converted)

    def _convert(self, block: Block, identity: str, name: str) -> Converted:
        values = port_values(block)
        for port in values.keys() & CLOCKING:
            raise EmitError(f"block {name}: port name {port} is reserved for the clock domain")
        self._inside.append({})
        fragment = Fragment.get(block, self)
        inside = self._inside.pop()
        # Amaranth takes a module without cells for a black box and leaves it out; the marker keeps it.
        fragment.add_subfragment(Instance(MARKER), MARKER)
        directions = {"input": PortDirection.Input, "output": PortDirection.Output}
        raw = convert(
            fragment,
            name=name,
            ports={port.name: (value, directions[port.direction]) for port, value in values.values()},
        )
        text = tidy(raw, order=(*CLOCKING, *values), black_box=block.macro)
        if block.observed:
            text = keep_hierarchy(text, name)
        converted = Converted(
            block_class=type(block),
            identity=identity,
            block_name=block.block_name,
            name=name,
            ports=tuple(port for port, _ in values.values()),
            macro=block.macro,
            clocked=block.clocked,
            clocking=tuple(port for port in ports_of(text, name) if port in CLOCKING),
            blocks=tuple(inside.values()),
            rtlil=text,
        )
        self._conversions.keep(converted)
        return converted


def emit(
    top: Block,
    out_dir: Path | None,
    *,
    configuration: Mapping[str, Any] | None = None,
    map: Mapping[str, Any] | None = None,  # noqa: A002
    conversions: Conversions = CONVERSIONS,
    beside: Callable[[Emitted], Mapping[str, str]] | None = None,
) -> Emitted:
    """Write ``top`` and all blocks under it as Verilog, a module a file.

    Instances, memories, ports and registers keep their names; a wire keeps its name where something reads it.
    ``attrs={"keep": 1}`` keeps a signal that only a bench reads.

    Parameters
    ----------
    top
        The top module.
    out_dir
        Directory for ``<module>.v``, the file list ``<top>.f``, the lint waivers ``<top>.vlt`` and the map
        ``<top>.json``; made if missing.
        Every file appears complete or not at all. None writes nothing.
    configuration
        What the design was made from, as JSON values: goes into the map, its hash into the head of every
        file.
    map
        Further entries of the map, e.g. counters and their addresses.
    conversions
        Blocks that were converted before are taken from here; without it, those of this process.
    beside
        Makes further files out of the emitted design, by their paths in ``out_dir``: they are written with the others,
        or none is. Errors that it raises are passed on.

    Returns
    -------
    The text and where it is. Equal arguments give equal bytes.

    Raises
    ------
    EmitError
        If blocks of two classes or different hard macros share a name, a block contains itself, a memory has initial
        contents, or an entry of ``map`` is a reserved one.
    ValueError
        If a block or a port has a name that is no Verilog identifier, or a port has no bits.
    UntestedVersionError
        If Amaranth or Yosys has a version whose output the rewriters were not tested with.
    YosysError
        If a name is a keyword of Verilog.
    OSError
        If the directory cannot be written.
    """
    start = time.perf_counter()
    check_tested_versions()
    if out_dir is not None:
        check_output_folder(out_dir)
    name = top.block_name
    with VerilogParts(name) as parts:
        emitter = Emitter(conversions, parts.add)
        with _collector_paused():
            emitter.convert(top)
            parts.end()
        verilog = parts.verilog()
    settings = dict(configuration or {})
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    head = f"// Generated by Hecaton; configuration {digest[:16]}\n"
    timescale = f"`timescale {TIMESCALE[0]} / {TIMESCALE[1]}\n"
    netlist = emitter.rtlil
    for module in emitter.clocked:
        verilog[module] = clocked(verilog[module])
    text = {}
    for module in module_names(netlist):
        attribute = "(* blackbox *)\n" if module in emitter.macros else ""
        text[module] = head + timescale + attribute + verilog[module]
    description = {
        "top": name,
        "configuration": settings,
        "modules": [
            {"name": module, "file": f"{module}.v", "macro": module in emitter.macros} for module in text
        ],
        "ports": [asdict(port) for port in emitter.ports(name)],
    }
    for key in sorted(description.keys() & (map or {}).keys()):
        raise EmitError(f"map entry {key!r} is reserved: must be none of {', '.join(description)}")
    emitted = Emitted(
        top=name,
        files=() if out_dir is None else tuple(out_dir / f"{module}.v" for module in text),
        modules=tuple(text),
        bytes=sum(len(body.encode()) for body in text.values()),
        seconds=time.perf_counter() - start,
        text="\n".join(text.values()),
        rtlil=netlist,
    )
    if out_dir is None:
        return emitted
    contents = {f"{module}.v": body for module, body in text.items()}
    contents[f"{name}.f"] = "".join(f"{module}.v\n" for module in text)
    contents[f"{name}.vlt"] = lint_waivers(head, emitter.macros)
    contents[f"{name}.json"] = _json({**description, **(map or {})})
    write_outputs(out_dir, {**contents, **(beside(emitted) if beside else {})})
    return replace(emitted, seconds=time.perf_counter() - start)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause garbage collection: it would scan millions of nets, all of them in use, over and over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"

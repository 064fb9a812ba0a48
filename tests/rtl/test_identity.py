"""What a block is, is its class and all its parameters: no two different ones are one module."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from amaranth.hdl import Fragment, Instance, Module
from amaranth.lib.wiring import Out
from pydantic import BaseModel

import rtl
from chiplet.machine.config import load_system
from chiplet.machine.specs import SystemSpec
from rtl.bench.axi_memory import AxiBenchMemory
from rtl.bench.collective import CollectiveMesh
from rtl.bench.die import DieBench
from rtl.bench.package import PackageBench
from rtl.bench.router_mesh import MeshLinks
from rtl.bench.traffic_mesh import TrafficMesh
from rtl.block import Block, BlockPlatform, place
from rtl.die.die import Die
from rtl.emit.emitter import emit
from rtl.engine.read_lane import ReadLane
from rtl.flow_files.sram_wrappers import SramBlocks
from rtl.interface.link_shape import LinkShape
from rtl.synthesis.macros import Macro


def system(*settings: str) -> SystemSpec:
    sizes = ("die.rows=2", "die.cols=2", "package.rows=1", "package.cols=2", "nop.flit_bits=64")
    return load_system(None, [*sizes, *settings], preset="bench")


def block_classes(cls: type[Block] = Block) -> Iterator[type[Block]]:
    """All classes of blocks in ``rtl``."""
    for module in pkgutil.walk_packages(rtl.__path__, "rtl."):
        importlib.import_module(module.name)
    for subclass in cls.__subclasses__():
        if subclass.__module__.startswith("rtl."):
            yield subclass
        yield from block_classes(subclass)


@cache
def parameters() -> dict[type[Block], dict[str, Any]]:
    """Parameters of one block of each class, as found in the tops."""
    machine = system()
    shape = LinkShape.of(machine)
    links = MeshLinks(shape=shape, flight_cycles=3)
    parts: dict[str, Any] = {"die": machine.die, "memory": machine.memory}
    mesh: dict[str, Any] = {"nop": machine.nop, "rows": 1, "cols": 2, "links": links}
    tops = [
        CollectiveMesh(**parts, memory_depth=64, **mesh, vector=machine.vector),
        TrafficMesh(**mesh),
        PackageBench(system=machine, memory_depth=64),
        AxiBenchMemory(nop=machine.nop, memory=machine.memory, depth=64),
        DieBench(**parts, memory_depth=64),
        ReadLane(depth=64, word_bytes=32, ahead=4, sram_latency=1),  # of flits wider than a word
        SramBlocks((Macro("sram_4x8", words=4, bits=8, part=8, latency=1, array="sram_4x8"),)),
    ]
    recorder = Recorder()
    for top in tops:
        recorder.record(top)
    return recorder.samples


class Recorder(BlockPlatform):
    """Elaborates the first block of each class, and notes its parameters."""

    def __init__(self) -> None:
        self.samples: dict[type[Block], dict[str, Any]] = {}

    def instance(self, name: str, block: Block) -> Instance:
        self.record(block)
        return Instance(block.block_name)

    def record(self, block: Block) -> None:
        if type(block) not in self.samples:
            self.samples[type(block)] = dict(block._parameters)
            Fragment.get(block, self)


def others(value: Any) -> Iterator[Any]:
    """Values that differ from ``value`` in one part each."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield f"{value}x"
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            for other in others(getattr(value, name)):
                yield value.model_copy(update={name: other})
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            for other in others(getattr(value, field.name)):
                changed = copy.copy(value)
                object.__setattr__(changed, field.name, other)
                yield changed
    elif isinstance(value, tuple):
        yield (*value, "other")
    else:
        yield 1.5 if value is None or isinstance(value, float) else None


def identity(cls: type[Block], values: dict[str, Any]) -> str:
    """Identity of a block that need not be possible to make."""
    return cls.__new__(cls, **values).identity


def test_there_is_a_sample_of_every_class() -> None:
    assert parameters().keys() >= set(block_classes())


@pytest.mark.parametrize("cls", sorted(set(block_classes()), key=str))
def test_any_change_of_any_parameter_is_another_block(cls: type[Block]) -> None:
    values = parameters()[cls]
    assert values.keys() == inspect.signature(cls).parameters.keys()
    seen = {identity(cls, values)}
    for name, value in values.items():
        for other in others(value):
            changed = identity(cls, {**values, name: other})
            assert changed not in seen
            seen.add(changed)


class TwoDies(Block):
    """Two dies of one size."""

    def __init__(self, first: SystemSpec, second: SystemSpec) -> None:
        self._systems = (first, second)
        super().__init__({"done": Out(2)})

    @property
    def block_name(self) -> str:
        return "two_dies"

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for number, machine in enumerate(self._systems):
            die = Die(die=machine.die, memory=machine.memory)
            place(m, platform, f"die_{number}", die)
            m.d.comb += self.done[number].eq(die.done)
        return m


def test_two_dies_of_one_size_and_other_pipelines_are_both_emitted() -> None:
    shallow, deep = (
        system("die.sram=macro", f"die.stages={stages}", f"die.queue_depth={depth}")
        for stages, depth in ((1, 4), (3, 8))
    )
    emitted = emit(TwoDies(shallow, deep), None)
    first, second = re.findall(r"^  (die_\w+) die_[01] \(", emitted.text, re.MULTILINE)
    assert first == "die_2x2_bf16"
    assert re.fullmatch("die_2x2_bf16_[0-9a-f]{8}", second)
    text = {name: _module(emitted.text, name) for name in emitted.modules}
    for die, processor, array in ((first, "_4", "_p1"), (second, "_8", "_p3")):
        assert re.search(rf"^  command_processor_32{processor} command_processor \(", text[die], re.MULTILINE)
        assert re.search(rf"^  array_2x2_bf16{array} array \(", text[die], re.MULTILINE)
    assert emitted.modules == emit(TwoDies(shallow, deep), None).modules


def _module(text: str, name: str) -> str:
    match = re.search(rf"^module {name} \(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[0]

"""Blocks: components that become exactly one Verilog module each, however often they are used."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from amaranth.hdl import Instance, Module, Shape, Signal, Value
from amaranth.lib import wiring

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Port:
    """One flat port of a block: a plain vector of ``width`` bits, seen from the block."""

    name: str
    width: int
    direction: Literal["input", "output"]


class Block(wiring.Component):
    """A component that becomes exactly one Verilog module, however often it is used.

    A subclass defines :attr:`block_name` and places other blocks with :func:`place`, so that its
    ``elaborate`` runs once for each distinct name and the Verilog does not grow with the number of uses.
    Members may nest; port ``valid`` of a member ``req`` becomes ``req__valid``, and a structured payload
    becomes one vector.
    """

    # Amaranth warns of components that are never elaborated, and repeated blocks are not.
    _MustUse__silence = True

    @property
    @abstractmethod
    def block_name(self) -> str:
        """Name of the module: class and every parameter that changes the logic, e.g. ``pe_bf16_p1``."""

    @property
    def macro(self) -> bool:
        """Whether the module is written as ports only, its place to be taken by a hard macro."""
        return False

    @property
    def observed(self) -> bool:
        """Whether benches look at the ports of the module: no simulator may dissolve it in its surroundings."""
        return False

    @property
    def clocked(self) -> bool:
        """Whether the logic that only registers read is written inside their clocked block, see :mod:`rtl.rewrite.clocked`.

        It pays for a module whose logic works in every cycle, and its wires are local variables there: not for one
        inside which benches look.
        """
        return False


class BlockPlatform(ABC):
    """An elaboration platform that turns each placed block into an instance of a module converted once."""

    @abstractmethod
    def instance(self, name: str, block: Block) -> Instance:
        """Instance ``name`` of the module of ``block``, connected to the signals of ``block``."""


def place(m: Module, platform: Any, name: str, block: Block) -> None:
    """Make ``block`` the submodule ``name`` of ``m``.

    The caller drives the inputs of ``block`` and reads its outputs either way: in simulation it is a real
    submodule, on a :class:`BlockPlatform` an instance of its module, connected to the same signals.
    """
    on_platform = isinstance(platform, BlockPlatform)
    setattr(m.submodules, name, platform.instance(name, block) if on_platform else block)


def port_values(block: Block) -> dict[str, tuple[Port, Signal]]:
    """Flat ports of ``block`` in declaration order, each with its signal.

    Raises
    ------
    ValueError
        If the block or one of its ports has a name that is no Verilog identifier, or a port has no bits.
    """
    if not _IDENTIFIER.match(block.block_name):
        raise ValueError(f"block name {block.block_name!r} is not a Verilog identifier")
    ports: dict[str, tuple[Port, Signal]] = {}
    for path, member, value in block.signature.flatten(block):
        name = "__".join(map(str, path))
        if not _IDENTIFIER.match(name):
            raise ValueError(f"{block.block_name}: port name {name!r} is not a Verilog identifier")
        width = Shape.cast(member.shape).width
        if width == 0:
            raise ValueError(f"{block.block_name}: port {name} has no bits: must be at least 1 bit wide")
        direction: Literal["input", "output"] = "input" if member.flow == wiring.In else "output"
        signal = Value.cast(value)
        assert isinstance(signal, Signal)
        ports[name] = Port(name, width, direction), signal
    return ports


def check_integers(what: str, *, minimum: int, **values: object) -> None:
    """Refuse parameters that are no integers of at least ``minimum``.

    Raises
    ------
    ValueError
        Naming ``what``, the parameter, its value and what is allowed.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"{what}: {name} = {value!r}: must be an integer of at least {minimum}")
